"""How often the verdict on a SCALE agrees with the same seed without the SCALE.

Each case serves one draw of the built-in profile twice, with and without a change of replicas.
The state stage sees only the run with the change; the truth is the ratio of the two runs. A true
effect below 10 % counts as none.

    python -m bench.verdict_accuracy [--cases 16] [--first-case 0] [--output json]
"""

import argparse
import json
import math
import statistics
from collections import Counter
from collections.abc import Sequence

import numpy as np
from bench.capacity_accuracy import EPOCH, SERVER, WINDOW_S, states, watch

from aurora.observe.sample import Signal
from aurora.resources.vocabulary import OutcomeVerdict
from aurora.simulator.parameters import NAMED_SERVERS
from aurora.simulator.profile import builtin_profile
from aurora.simulator.requests import Request
from aurora.state.counterfactual import Effect, expected_without_action, judge
from aurora.state.history import LATENCIES, Moment
from aurora.state.system_state import SystemState

CHANGES = ((4, 5), (4, 6), (6, 8), (6, 5), (8, 6), (10, 8), (5, 5), (6, 4))
STARTS_S = (900.0, 1200.0, 1500.0, 1800.0, 2100.0, 2400.0)
AFTER_S, FOR_S = 120.0, 300.0
SIGNALS = (Signal.TTFT_P95, Signal.LATENCY_P95)
SMALL = math.log(1.1)


def served(
    requests: Sequence[Request], before: int, after: int, change_s: float
) -> list[SystemState]:
    until = change_s + AFTER_S + FOR_S + 15.0
    server = NAMED_SERVERS[SERVER]
    return list(states(watch(requests, lambda t: before if t < change_s else after, server, until)))


def window(seen: Sequence[SystemState], change_s: float) -> list[Moment]:
    begin = EPOCH + change_s + AFTER_S
    return [s.history[-1] for s in seen if begin < s.at <= begin + FOR_S]


def level(moments: Sequence[Moment], signal: Signal) -> float:
    place = LATENCIES.index(signal)
    return statistics.fmean(math.log(y) for m in moments if (y := m.latencies[place]))


def judged(
    acted: Sequence[SystemState], signal: Signal, before: int, change_s: float
) -> Effect | None:
    decided = next(s for s in acted if s.at >= EPOCH + change_s)
    moments = window(acted, change_s)
    expected = expected_without_action(
        decided.memory, moments, signal=signal, replicas=before, window_s=WINDOW_S
    )
    return judge(moments, expected, window_s=WINDOW_S) if expected else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=16)
    parser.add_argument("--first-case", type=int, default=0, help="its number is the seed")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    first = arguments.first_case
    rng = np.random.default_rng(first)
    counts: Counter[tuple[str, str]] = Counter()
    for case in range(first, first + arguments.cases):
        change_s = float(rng.choice(STARTS_S))
        before, after = CHANGES[case % len(CHANGES)]
        requests = list(builtin_profile().draw(np.random.default_rng(case), 4.0).requests())
        acted = served(requests, before, after, change_s)
        untouched = served(requests, before, before, change_s)
        for signal in SIGNALS:
            effect = judged(acted, signal, before, change_s)
            truth = level(window(acted, change_s), signal) - level(
                window(untouched, change_s), signal
            )
            name = OutcomeVerdict.NEUTRAL
            if abs(truth) > SMALL:
                name = OutcomeVerdict.IMPROVED if truth < 0 else OutcomeVerdict.REGRESSED
            counts[str(effect.verdict) if effect else "NoData", str(name)] += 1
    claimed = {k: n for k, n in counts.items() if k[0] in ("Improved", "Regressed")}
    right = sum(n for (verdict, truth), n in claimed.items() if verdict == truth)
    result = {
        "verdicts": {f"{v} where {t}": n for (v, t), n in sorted(counts.items())},
        "claimed": sum(claimed.values()),
        "agreement_percent": round(100.0 * right / max(1, sum(claimed.values())), 1),
    }
    if arguments.output == "json":
        print(json.dumps(result, indent=2))
        return
    for name, count in result["verdicts"].items():
        print(f"{name:32} {count}")
    print(f"of {result['claimed']} claimed, {result['agreement_percent']} % agree")


if __name__ == "__main__":
    main()
