"""How well the capacity model predicts latency at loads that it has not seen.

A simulated fleet (the measured continuous-batching engine) serves the built-in profile of the
Azure code trace, or `--trace FILE`. The state stage watches it as the operator does: every 15 s,
rates over 60 s, percentiles out of vLLM's histogram buckets. It learns while the replicas step
through one set of counts, and is scored on counts in between.

    python -m bench.capacity_accuracy [--trace FILE] [--seeds 5] [--output json]
"""

import argparse
import bisect
import json
import math
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aurora.observe.facts import WorkloadFacts, WorkloadKey
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.resources import ModelDeployment
from aurora.simulator.engine import Replica
from aurora.simulator.parameters import NAMED_SERVERS, ServerParameters
from aurora.simulator.profile import builtin_profile
from aurora.simulator.requests import Completion, FirstToken, Request
from aurora.simulator.trace import RecordedSource, read_azure
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState

EPOCH = 1_800_000_000.0
CYCLE_S = 15.0
WINDOW_S = 60.0
SERVER = "llama-3.1-8b-rtx4090"
COUNTS = (4, 6, 10)
# The upper bounds of vLLM's histograms, seconds: what a percentile can tell is limited by them.
TTFT_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip
TPOT_BUCKETS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
)  # fmt: skip
E2E_BUCKETS = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
)  # fmt: skip
MODEL = ModelDeployment.parse(
    {
        "metadata": {"name": "simulated", "namespace": "bench"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "simulated"},
            "serviceRef": {"name": "simulated"},
            "objectives": {"ttftP95": "3s", "tpotP95": "200ms"},
        },
    }
)


def histogram_quantile(values: Sequence[float], bounds: Sequence[float], share: float) -> float:
    """Prometheus' estimate: linear inside the bucket."""
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect.bisect_left(bounds, value)] += 1
    wanted, seen = share * len(values), 0
    for place, count in enumerate(counts):
        if count and seen + count >= wanted:
            if place == len(bounds):
                break
            low = bounds[place - 1] if place else 0.0
            return low + (bounds[place] - low) * (wanted - seen) / count
        seen += count
    return bounds[-1]


@dataclass
class Fleet:
    """Replicas behind a least-outstanding balancer, and what Prometheus would say of them."""

    parameters: ServerParameters
    now: float = 0.0
    serving: list[Replica] = field(default_factory=list)
    draining: list[Replica] = field(default_factory=list)
    done: deque[Completion] = field(default_factory=deque)
    first: deque[FirstToken] = field(default_factory=deque)
    totals: deque[tuple[float, int, int]] = field(default_factory=deque)
    gone: tuple[int, int] = (0, 0)

    def scale(self, count: int) -> None:
        while len(self.serving) < count:
            self.serving.append(Replica(self.parameters, self.now))
        while len(self.serving) > count:
            self.draining.append(self.serving.pop())

    def submit(self, request: Request) -> None:
        min(self.serving, key=lambda r: r.outstanding).submit(request)

    def advance(self, until: float) -> None:
        self.now = until
        for replica in (*self.serving, *self.draining):
            self.done.extend(replica.advance(until))
            self.first.extend(replica.take_first_tokens())
        for replica in [r for r in self.draining if not r.outstanding]:
            self.draining.remove(replica)
            self.gone = (
                self.gone[0] + replica.prompt_tokens_total,
                self.gone[1] + replica.generation_tokens_total,
            )

    def observe(self) -> ModelObservation:
        """One cycle's observation; tells of nothing but what an exporter would."""
        self._forget()
        alive = (*self.serving, *self.draining)
        prompt = self.gone[0] + sum(r.prompt_tokens_total for r in alive)
        output = self.gone[1] + sum(r.generation_tokens_total for r in alive)
        self.totals.append((self.now, prompt, output))
        then, prompt_then, output_then = self.totals[0]
        span = max(self.now - then, 1.0)
        signals: dict[Signal, Reading] = {
            Signal.REQUEST_RATE: self._sample(len(self.done) / WINDOW_S),
            Signal.PROMPT_TOKEN_RATE: self._sample((prompt - prompt_then) / span),
            Signal.GENERATION_TOKEN_RATE: self._sample((output - output_then) / span),
            Signal.WAITING: Sample(sum(r.waiting for r in alive), EPOCH + self.now),
            Signal.RUNNING: Sample(sum(r.running for r in alive), EPOCH + self.now),
            **self._latencies(),
        }
        return ModelObservation(MODEL, workload(len(self.serving)), signals=signals)

    def _forget(self) -> None:
        since = self.now - WINDOW_S
        while self.done and self.done[0].finish <= since:
            self.done.popleft()
        while self.first and self.first[0].at <= since:
            self.first.popleft()
        while self.totals and self.totals[0][0] < since:
            self.totals.popleft()

    def _sample(self, value: float, samples: int | None = None) -> Sample:
        return Sample(value, EPOCH + self.now, WINDOW_S, samples)

    def _latencies(self) -> dict[Signal, Reading]:
        e2e = [c.e2e_s for c in self.done]
        tpot = [t for c in self.done if (t := c.tpot_s) is not None]
        ttft = [f.at - f.request.arrival for f in self.first]
        found: dict[Signal, Reading] = {}
        for signal, values, bounds in (
            (Signal.LATENCY_P95, e2e, E2E_BUCKETS),
            (Signal.TTFT_P95, ttft, TTFT_BUCKETS),
            (Signal.TPOT_P95, tpot, TPOT_BUCKETS),
            (Signal.LATENCY_MEAN, e2e, ()),
            (Signal.TPOT_MEAN, tpot, ()),
        ):
            if not values:
                found[signal] = Missing(Gap.NO_DATA, "no request finished in the window")
                continue
            value = histogram_quantile(values, bounds, 0.95) if bounds else statistics.fmean(values)
            found[signal] = self._sample(value, len(values))
        return found


def workload(ready: int) -> WorkloadFacts:
    return WorkloadFacts(
        key=WorkloadKey("Deployment", "bench", "simulated"),
        api_version="apps/v1",
        uid="uid",
        resource_version="1",
        generation=1,
        observed_generation=1,
        replicas=ready,
        ready_replicas=ready,
        available_replicas=ready,
        updated_replicas=ready,
        match_labels={"app": "simulated"},
        template_hash="t1",
    )


def watch(
    requests: Sequence[Request],
    replicas: Callable[[float], int],
    parameters: ServerParameters,
    until: float,
) -> Iterator[tuple[float, ModelObservation]]:
    """Serve the requests and give an observation every 15 s, with its time since the epoch."""
    fleet = Fleet(parameters)
    fleet.scale(replicas(0.0))
    place, at = 0, CYCLE_S
    while at <= until:
        while place < len(requests) and requests[place].arrival <= at:
            fleet.advance(requests[place].arrival)
            fleet.submit(requests[place])
            place += 1
        fleet.advance(at)
        yield EPOCH + at, fleet.observe()
        fleet.scale(replicas(at))
        at += CYCLE_S


def states(
    cycles: Iterator[tuple[float, ModelObservation]], memory: ModelMemory | None = None
) -> Iterator[SystemState]:
    """Run the state stage over the cycles."""
    memory = memory or ModelMemory()
    for at, observation in cycles:
        memory, state = advance(memory, observation, at)
        yield state


@dataclass(frozen=True)
class Score:
    """Errors of ln latency: of single readings, of the level over a whole run, and coverage."""

    signal: str
    replicas: int
    readings: int
    typical_error: float
    level_error: float
    covered: float


SCORED = (Signal.TTFT_P95, Signal.TPOT_P95, Signal.TPOT_MEAN, Signal.LATENCY_P95)


def score(learned: SystemState, seen: Sequence[SystemState], replicas: int) -> list[Score]:
    """Compare the predictions at the load of each settled cycle with what was measured."""
    scores = []
    for signal in SCORED:
        errors, inside = [], []
        for state in seen:
            value, load = state.solid(signal), state.load.per_replica
            if value is None or not load or not state.settled:
                continue
            expected = learned.capacity.predict(signal, load)
            assert expected is not None
            errors.append(math.log(expected.mean / value))
            inside.append(expected.low <= value <= expected.high)
        if errors:
            typical = statistics.fmean(map(abs, errors))
            level = statistics.fmean(errors)
            covered = statistics.fmean(inside)
            scores.append(Score(signal, replicas, len(errors), typical, level, covered))
    return scores


def run(trace: Path | None, seed: int, factor: float) -> list[Score]:
    """Learn at 8, 3, 12 and 5 replicas in turn; score another draw at 4, 6 and 10."""
    source = RecordedSource(read_azure(trace)) if trace else builtin_profile()
    drawn = source.draw(np.random.default_rng(seed), factor)
    steps, server, until = (8, 3, 12, 5), NAMED_SERVERS[SERVER], drawn.duration_s
    taught = watch(list(drawn.requests()), lambda t: steps[int(t // 450) % 4], server, until)
    learned = deque(states(taught), maxlen=1).pop()
    others = list(source.draw(np.random.default_rng(seed + 1000), factor).requests())
    found: list[Score] = []
    for count in COUNTS:
        seen = list(states(watch(others, lambda _, n=count: n, server, until)))
        found += score(learned, seen, count)
    return found


def summary(found: Sequence[Score], signal: Signal, count: int) -> dict[str, object]:
    these = [s for s in found if s.signal == signal and s.replicas == count]
    typical = statistics.median(s.typical_error for s in these)
    level = statistics.fmean(s.level_error for s in these)
    return {
        "signal": str(signal),
        "replicas": count,
        "readings": sum(s.readings for s in these),
        "typical_error_percent": round(100 * math.expm1(typical), 1),
        "level_error_percent": round(100 * math.expm1(level), 1),
        "covered_percent": round(100 * statistics.fmean(s.covered for s in these), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trace", type=Path, help="Azure trace; the built-in profile without it")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--factor", type=float, default=4.0, help="multiple of the trace's rate")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    found: list[Score] = []
    for seed in range(arguments.seeds):
        found += run(arguments.trace, seed, arguments.factor)
    rows = [summary(found, signal, count) for signal in SCORED for count in COUNTS]
    if arguments.output == "json":
        print(json.dumps(rows, indent=2))
        return
    print(" ".join(f"{name:>22}" for name in rows[0]))
    for row in rows:
        print(" ".join(f"{value!s:>22}" for value in row.values()))


if __name__ == "__main__":
    main()
