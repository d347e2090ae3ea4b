"""One whole control cycle of the operator over a fleet of 10 to 10,000 models.

The operator is the real one: every part that `aurora operator` puts together, its HTTP clients, its
record store in SQLite with 20,000 measured cases, its leader Lease. Around it stand two processes
(bench/standins.py): an API server in memory and a Prometheus that answers with a recording of full
size, packed as Prometheus packs it. Watches are not part of this bench: the fleet is filled as they
would fill it, and bench/startup.py measures them. Twenty minutes of load were learned before.

Each size is measured in a process of its own: first steady, then with 3 % of the models (300 of
10,000) breaching their objective, from the cycle that sees it first. The clock that the operator
decides by moves 15 s between cycles. Figures are of the slowest cycle of each kind; the steady ones
can be repeated, so there the fastest is told as well.

    python -m bench.cycle [--models 10,100,1000,10000] [--cases 20000] [--save] [--output json]
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import bigfleet
from bench.learned import memories, with_cases
from bench.recorded import WINDOW_S
from bench.standins import KINDS

from aurora.collector import OF_A_FLEET, spare_the_collector
from aurora.config import Settings
from aurora.cycle import Cycle
from aurora.factory import OperatorParts, operator_parts
from aurora.heap import keep_the_heap_small
from aurora.logs import configure
from aurora.observe.observer import Observer
from tests.support.ports import free_port
from tests.support.realprometheus import wait_until

CYCLE_S = 15.0
STEADY, BREACHING, SETTLING = 3, 4, 6
BREACHING_PER_MILLE = 30
READY_S = PATIENCE_S = 300.0
RESULT = Path(__file__).parent / "results" / "cycle.json"


@dataclass
class Stages:
    """Stands where the histogram of stages is, and notes the time of each."""

    found: dict[str, dict[str, float]] = field(default_factory=dict)
    stage: str = ""
    cpu_at: float = 0.0

    def labels(self, stage: str) -> "Stages":
        self.stage = stage
        return self

    def observe(self, wall_s: float) -> None:
        now = time.process_time()
        self.found[self.stage] = {
            "wall_s": round(wall_s, 3),
            "cpu_s": round(now - self.cpu_at, 3),
        }
        self.cpu_at = now


@dataclass(frozen=True, slots=True)
class Measured:
    """One cycle. The API server counted what was `asked`, the operator's client its `writes`."""

    kind: str
    wall_s: float
    cpu_s: float
    stages: dict[str, dict[str, float]]
    queries: int
    writes: int
    asked: dict[str, int]
    answer_megabytes: float
    decisions: int
    rss_mb: float
    peak_mb: float
    longest_hold_ms: float


class Clock:
    """The wall clock that the operator decides by."""

    def __init__(self) -> None:
        # At the same place of the windows that models learn in, whenever the bench is begun.
        self.start = self.at = time.time() // WINDOW_S * WINDOW_S + 45.0

    def wall(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - self.start + 1000.0


class Heart:
    """Tells how long the event loop was held up: watches, probes and the Lease wait as long."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            self.longest = max(self.longest, time.perf_counter() - before - 0.005)

    def stop(self) -> None:
        self._task.cancel()


@dataclass
class Rig:
    """The operator and what stands around it."""

    parts: OperatorParts
    cycle: Cycle
    clock: Clock
    api: str
    prometheus: str
    turn: int = 0

    async def run(self, kind: str) -> Measured:
        """One cycle of a kind, 15 s after the one before."""
        self.turn += 1
        self.clock.at += CYCLE_S
        await get(f"{self.api}/bench/clock/{self.clock.at}")
        await get(f"{self.prometheus}/bench/{kind}/{self.turn}")
        stages, counter = Stages(), self.parts.telemetry.writes
        self.parts.telemetry.cycle = stages  # type: ignore[assignment]
        reset_peak()
        heart = Heart()
        began, stages.cpu_at = time.perf_counter(), time.process_time()
        cpu = stages.cpu_at
        await self.cycle.run()
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        heart.stop()
        # Before the bench itself reads what changed: 10,000 objects at once, which no watch does.
        rss, peak = memory("VmRSS"), memory("VmHWM")
        told = await get(f"{self.prometheus}/bench/{kind}/{self.turn + 1}")
        return Measured(
            kind=kind,
            wall_s=round(wall, 3),
            cpu_s=round(cpu, 3),
            stages=stages.found,
            queries=int(value_of(self.parts, "aurora_cycle_queries")),
            writes=int(counter._value.get()),  # noqa: SLF001
            asked=await self.tell_watches(),
            answer_megabytes=round(told["packed_bytes"] / 1e6, 1),
            decisions=len(self.parts.fleet.decisions),
            rss_mb=rss,
            peak_mb=peak,
            longest_hold_ms=round(1e3 * heart.longest),
        )

    async def tell_watches(self) -> dict[str, int]:
        """Hand on what changed on the API server, as watch events would have."""
        told = await get(f"{self.api}/bench/changes")
        for one in told["objects"]:
            kind = KINDS[one["group"], one["plural"]]
            self.parts.fleet.apply_event(kind, "MODIFIED", one["object"])
        return dict(told["asked"])


def value_of(parts: OperatorParts, name: str) -> float:
    return parts.telemetry.registry.get_sample_value(name) or 0.0


def memory(name: str) -> float:
    """Of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise LookupError(name)


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def get(url: str) -> Any:
    def fetch() -> Any:
        with urllib.request.urlopen(url, timeout=READY_S) as answer:
            return json.load(answer)

    return await asyncio.to_thread(fetch)


@contextlib.contextmanager
def standin(what: str, models: int, *more: str) -> Iterator[str]:
    """A process of bench.standins; gives its URL once it answers."""
    port = free_port()
    command = (sys.executable, "-m", "bench.standins", what, "--models", str(models))
    process = subprocess.Popen((*command, "--port", str(port), *more))
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/", timeout=5):
            pass
        with contextlib.suppress(urllib.error.HTTPError, OSError):
            urllib.request.urlopen(url, timeout=5)
        return listening(port)

    try:
        wait_until(answers, READY_S, f"{what} stands")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def listening(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def kubeconfig(folder: Path, url: str) -> Path:
    path = folder / "kubeconfig"
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": {"server": url}}],
        "users": [{"name": "bench", "user": {}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }
    path.write_text(json.dumps(found))
    return path


def fill(parts: OperatorParts, models: int) -> None:
    """Every object, as a watch would tell of it: parsed anew, so that nothing is shared."""
    for version, (kind, obj) in enumerate(bigfleet.every_object(models), 1):
        obj["metadata"]["resourceVersion"] = str(version)
        parts.fleet.apply_event(kind, "ADDED", json.loads(json.dumps(obj)))
    for kind in parts.fleet.watched:
        parts.fleet.mark_listed(kind)


def teach(rig: Rig) -> None:
    fleet = rig.parts.fleet
    models = dict(fleet.models.items())
    targets = dict(fleet.deployments.items())
    rig.cycle.memories.update(memories(models, targets, rig.clock.at))


@contextlib.asynccontextmanager
async def rigged(models: int, cases: int, prometheus: str) -> AsyncIterator[Rig]:
    """The operator over a full fleet, holding its Lease."""
    with tempfile.TemporaryDirectory() as name, standin("api", models) as api:
        folder, clock = Path(name), Clock()
        await with_cases(folder / "aurora.db", cases, clock.at)
        settings = Settings.load(
            kubeconfig=kubeconfig(folder, api),
            prometheus_url=prometheus,
            store_url=f"sqlite:///{folder}/aurora.db",
            embeddings="numeric",
            # A recording is an answer that is repeated, and would be taken for one.
            metrics_stale_seconds=3600.0,
        )
        async with operator_parts(settings) as parts:
            fill(parts, models)
            rig = Rig(parts, clocked(parts, clock), clock, api, prometheus)
            teach(rig)
            spare_the_collector(OF_A_FLEET)
            # On a busy machine the cycle is to be measured, not the loss of the Lease.
            parts.lease._deadline_s = PATIENCE_S  # noqa: SLF001
            lease = asyncio.create_task(parts.lease.keep())
            await asyncio.sleep(1.0)
            if not parts.lease.held():
                raise RuntimeError("the Lease could not be taken")
            try:
                yield rig
            finally:
                lease.cancel()
                await asyncio.wait({lease})


def clocked(parts: OperatorParts, clock: Clock) -> Cycle:
    """The same cycle by another clock."""
    old = parts.cycle.parts.observer
    observer = Observer(
        parts.fleet,
        old._metrics,  # noqa: SLF001
        old._prober,  # noqa: SLF001
        wall=clock.wall,
        monotonic=clock.monotonic,
    )
    return Cycle(replace(parts.cycle.parts, observer=observer))


async def measure(models: int, cases: int) -> dict[str, Any]:
    breaching = max(1, models * BREACHING_PER_MILLE // 1000)
    with standin("prometheus", models, "--breaching", str(breaching)) as prometheus:
        async with rigged(models, cases, prometheus) as rig:
            first = [await rig.run("steady")]
            while first[-1].writes and len(first) < SETTLING:  # a starved Lease holds writes up
                first.append(await rig.run("steady"))
            steady = [await rig.run("steady") for _ in range(STEADY)]
            hit = [await rig.run("breaching") for _ in range(BREACHING)]
    return {
        "models": models,
        "breaching_models": breaching,
        "cases": cases,
        "first": asdict(first[0]),
        "steady": asdict(max(steady, key=lambda one: one.cpu_s)),
        "steady_fastest": asdict(min(steady, key=lambda one: one.cpu_s)),
        "breaching": asdict(max(hit, key=lambda one: one.wall_s)),
        "breaching_cycles": [asdict(one) for one in hit],
        "load_average": os.getloadavg()[0],
    }


def own_process(models: int, cases: int) -> dict[str, Any]:
    command = (sys.executable, "-m", "bench.cycle", "--one", str(models), "--cases", str(cases))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(results: list[dict[str, Any]]) -> str:
    lines = ["models   kind        wall s   CPU s  queries  writes  RSS MB  peak MB  held ms"]
    for result in results:
        for kind in ("first", "steady", "breaching"):
            one = result[kind]
            lines.append(
                f"{result['models']:6}   {kind:10} {one['wall_s']:7.2f} {one['cpu_s']:7.2f} "
                f"{one['queries']:8} {one['writes']:7} {one['rss_mb']:7.0f} {one['peak_mb']:8.0f} "
                f"{one['longest_hold_ms']:8}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="10,100,1000,10000")
    parser.add_argument("--one", type=int, help="measure one size in this process")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--output", choices=("table", "json"), default="table")
    parser.add_argument("--save", action="store_true", help="write bench/results/cycle.json")
    arguments = parser.parse_args()
    if arguments.one:
        configure("console")
        keep_the_heap_small()
        print(json.dumps(asyncio.run(measure(arguments.one, arguments.cases))))
        return
    sizes = [int(size) for size in arguments.models.split(",")]
    results = [own_process(size, arguments.cases) for size in sizes]
    if arguments.save:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps({"result": {"sizes": results}}, indent=2) + "\n")
    print(json.dumps({"sizes": results}) if arguments.output == "json" else table(results))


if __name__ == "__main__":
    main()
