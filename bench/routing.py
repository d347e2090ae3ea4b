"""Routing decisions side by side: our strategies in the engine, and what peers offer.

python -m bench.routing [--calls 20000] [--states 20000] [--save] [--output json]

All take turns in chunks on the same stream: 8 arms, 12 states, 16 features, a reward for each
choice. The engine does its whole work with every decision: audit, exploration floor, draw,
propensity, decision log, audit trail; a peer does what its library does. `decide` is the choice
alone, `loop` the choice and learning from its reward. Wall-clock times hold the machine's other
work too, so the CPU time of the thread is measured beside them in calls of its own.
"""

import argparse
import gc
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from aurora.routing.engine import RoutingEngine
from aurora.routing.settings import EngineSettings
from aurora.routing.types import ProviderState, WorkloadContext

ARMS = tuple(f"provider-{index}" for index in range(8))
DIMENSION = 16
CHUNKS = 20
WARM_UP = 500
KINDS = [
    (workload, gpu, region)
    for workload in ("chat", "code", "batch")
    for gpu in ("A100", "H100")
    for region in ("eu", "us")
]
RESULTS = Path(__file__).parent / "results"
SHOWN = ("decide_us", "decide_cpu_us", "loop_cpu_us")
OURS = ("q-learning", "ucb", "thompson", "linucb", "lints", "dqn")


class Contender(Protocol):
    """Chooses an arm for a request; learns the reward of its last choice."""

    def decide(self, context: WorkloadContext) -> None: ...

    def learn(self, context: WorkloadContext, reward: float) -> None: ...


class Engine:
    """The whole engine with one strategy."""

    def __init__(self, strategy: str) -> None:
        settings = EngineSettings(seed=1, log_size=10_000, trail_size=10_000)
        self._engine = RoutingEngine(auto_save=False, strategy=strategy, settings=settings)
        self._providers = tuple(
            ProviderState(provider_id=arm, price_usd_per_hour=1.0 + at, latency_ms=100.0 + at)
            for at, arm in enumerate(ARMS)
        )
        self._last = ""

    def decide(self, context: WorkloadContext) -> None:
        _, told = self._engine.decide(context, self._providers)
        self._last = told["decision_id"]

    def learn(self, context: WorkloadContext, reward: float) -> None:
        del context
        self._engine.feedback(self._last, True, 0.01, 100.0 * reward)


class Table:
    """Epsilon-greedy on a dict and nothing else: the least that Python can do."""

    def __init__(self) -> None:
        self._q: dict[tuple[str, str, str], list[float]] = {}
        self._random = random.Random(1).random
        self._last = 0

    def decide(self, context: WorkloadContext) -> None:
        row = self._q.setdefault(
            (context.workload_type, context.gpu_type, context.region), [0.0] * len(ARMS)
        )
        drawn = self._random()
        self._last = int(drawn * 80) if drawn < 0.1 else row.index(max(row))

    def learn(self, context: WorkloadContext, reward: float) -> None:
        row = self._q[(context.workload_type, context.gpu_type, context.region)]
        row[self._last] += 0.1 * (reward - row[self._last])


class MabWiser:
    """MABWiser's own classes; `contextual` ones get the 16 features."""

    def __init__(self, policy: str, *, contextual: bool) -> None:
        mab = import_module("mabwiser.mab")
        options = {"EpsilonGreedy": {"epsilon": 0.1}, "LinUCB": {"alpha": 1.0}}.get(policy, {})
        self._mab = mab.MAB(list(ARMS), getattr(mab.LearningPolicy, policy)(**options), seed=1)
        self._contextual = contextual
        rows = np.random.default_rng(1).normal(size=(80, DIMENSION))
        rewards = [float(index % 2) for index in range(80)]
        arms = [ARMS[index % 8] for index in range(80)]
        self._mab.fit(arms, rewards, rows if contextual else None)
        self._last = ARMS[0]

    def decide(self, context: WorkloadContext) -> None:
        features = [list(context.features or ())]
        self._last = self._mab.predict(features) if self._contextual else self._mab.predict()

    def learn(self, context: WorkloadContext, reward: float) -> None:
        # Thompson sampling takes rewards of 0 or 1 alone.
        features = [list(context.features or ())] if self._contextual else None
        self._mab.partial_fit([self._last], [float(reward > 0.5)], features)


class Vw:
    """VowpalWabbit's contextual bandit, examples as text."""

    def __init__(self) -> None:
        self._vw = import_module("vowpalwabbit").Workspace(
            f"--cb_explore {len(ARMS)} --epsilon 0.1 --quiet --random_seed 1"
        )
        self._random = random.Random(1)
        self._last = (0, 1.0)

    def decide(self, context: WorkloadContext) -> None:
        shares = self._vw.predict(_text(context))
        arm = self._random.choices(range(len(ARMS)), shares)[0]
        self._last = arm, shares[arm]

    def learn(self, context: WorkloadContext, reward: float) -> None:
        arm, share = self._last
        self._vw.learn(f"{arm + 1}:{-reward:.4f}:{share:.5f} {_text(context)}")


def _text(context: WorkloadContext) -> str:
    return "| " + " ".join(f"f{at}:{value:.4f}" for at, value in enumerate(context.features or ()))


def contenders() -> Iterator[tuple[str, Callable[[], Contender]]]:
    for name in OURS:
        yield f"aurora {name}", lambda name=name: Engine(name)
    yield "dict q-table", Table
    for policy, contextual in (
        ("EpsilonGreedy", False),
        ("UCB1", False),
        ("ThompsonSampling", False),
        ("LinUCB", True),
        ("LinTS", True),
    ):
        yield (
            f"mabwiser {policy}",
            lambda policy=policy, contextual=contextual: MabWiser(policy, contextual=contextual),
        )
    yield "vowpalwabbit", Vw


def stream(count: int) -> list[tuple[WorkloadContext, float]]:
    rng = random.Random(2)
    found = []
    for _ in range(count):
        workload, gpu, region = rng.choice(KINDS)
        features = (1.0, *(rng.gauss(0.0, 1.0) for _ in range(DIMENSION - 1)))
        context = WorkloadContext(
            workload_type=workload, gpu_type=gpu, region=region, features=features
        )
        found.append((context, rng.random()))
    return found


class Times:
    """What one contender took, nanoseconds."""

    def __init__(self) -> None:
        self.wall: list[int] = []
        self.wall_loop: list[int] = []
        self.cpu: list[int] = []
        self.cpu_loop: list[int] = []

    def chunk(
        self, contender: Contender, requests: Sequence[tuple[WorkloadContext, float]]
    ) -> None:
        clocks = (
            (time.perf_counter_ns, self.wall, self.wall_loop),
            (time.thread_time_ns, self.cpu, self.cpu_loop),
        )
        half = len(requests) // 2
        for part, (clock, decides, loops) in zip(
            (requests[:half], requests[half:]), clocks, strict=True
        ):
            for context, reward in part:
                begin = clock()
                contender.decide(context)
                decided = clock()
                contender.learn(context, reward)
                done = clock()
                decides.append(decided - begin)
                loops.append(done - begin)

    def result(self) -> dict[str, Any]:
        return {
            "calls": len(self.wall),
            "decisions_per_second": round(1e9 * len(self.wall) / sum(self.wall)),
            "decisions_per_cpu_second": round(1e9 * len(self.cpu) / sum(self.cpu)),
            "decide_us": _percentiles(self.wall),
            "decide_cpu_us": _percentiles(self.cpu),
            "loop_us": _percentiles(self.wall_loop),
            "loop_cpu_us": _percentiles(self.cpu_loop),
        }


def _percentiles(times: Sequence[int]) -> dict[str, float]:
    p50, p99 = np.percentile(times, (50, 99)) / 1000.0
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def measure(calls: int) -> dict[str, Any]:
    """Everybody in turns; a library that is not installed is told, not measured."""
    found: dict[str, Any] = {}
    built: dict[str, tuple[Contender, Times]] = {}
    for name, build in contenders():
        try:
            built[name] = build(), Times()
        except ImportError as error:
            found[name] = {"skipped": f"{error.name} is not installed"}
    requests = stream(2 * calls)
    for contender, _ in built.values():
        Times().chunk(contender, requests[:WARM_UP])
    size = len(requests) // CHUNKS
    for start in range(0, len(requests), size):
        for name, (contender, times) in built.items():
            part = requests[start : start + size]
            # Slow ones get fewer calls: their figures need no more.
            slow = name in {"mabwiser LinUCB", "mabwiser LinTS"}
            gc.collect()
            times.chunk(contender, part[: max(2, len(part) // 10)] if slow else part)
    return found | {name: times.result() for name, (_, times) in built.items()}


def memory(strategy: str, states: int) -> dict[str, float]:
    """Resident memory of a process with the engine, and what a state of 8 arms adds to it."""
    code = f"import bench.routing as b, json; print(json.dumps(b.fill({strategy!r}, {states})))"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def fill(strategy: str, states: int) -> dict[str, float]:
    engine = RoutingEngine(auto_save=False, strategy=strategy, settings=EngineSettings(seed=1))
    learner = engine.strategist.strategy
    before = _resident_bytes()
    for index in range(states):
        context = WorkloadContext(workload_type="chat", gpu_type="A100", region=f"region-{index}")
        for arm in ARMS:
            learner.update(context, arm, 1.0, float(index))
    added = _resident_bytes() - before
    return {
        "process_megabytes": round(before / 1e6, 1),
        "bytes_per_state": round(added / states),
    }


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in ("numpy", "mabwiser", "vowpalwabbit"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def show(result: dict[str, Any]) -> str:
    head = ("us, p50 / p99", "decisions/s", "decide", "CPU alone", "+learn, CPU")
    lines = ["{:26} {:>11} {:>16} {:>15} {:>15}".format(*head)]
    for name, row in result["contenders"].items():
        if "skipped" in row:
            lines.append(f"{name:26} {row['skipped']}")
            continue
        cells = [f"{row[key]['p50']:.1f} / {row[key]['p99']:.1f}" for key in SHOWN]
        told = f"{cells[0]:>16} {cells[1]:>15} {cells[2]:>15}"
        lines.append(f"{name:26} {row['decisions_per_second']:11,} {told}")
    for name, row in result["memory"].items():
        lines.append(
            f"{name:26} {row['process_megabytes']} MB, and {row['bytes_per_state']} bytes a state"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--states", type=int, default=20_000)
    parser.add_argument("--output", choices=("table", "json"), default="table")
    parser.add_argument("--save", action="store_true", help="write bench/results/routing.json")
    arguments = parser.parse_args()
    began = time.perf_counter()
    result = {
        "arms": len(ARMS),
        "dimension": DIMENSION,
        "versions": versions(),
        "contenders": measure(arguments.calls),
        "memory": {
            f"aurora {name}": memory(name, arguments.states)
            for name in ("q-learning", "ucb", "thompson")
        },
    }
    if arguments.save:
        save(result, time.perf_counter() - began)
    print(json.dumps(result, indent=2) if arguments.output == "json" else show(result))


def save(result: dict[str, Any], seconds: float) -> None:
    """The record that bench/run.py writes for the other benches."""
    record = {
        "bench": "routing",
        "command": ["python", "-m", "bench.routing", *sys.argv[1:]],
        "machine": {
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "seconds": round(seconds, 1),
        "result": result,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "routing.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
