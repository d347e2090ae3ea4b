"""A soak: one operator process over many models, faults at random, and what it costs over time.

A real control plane with simulated nodes, a real Prometheus that scrapes every model, and the
operator as a process behind the fault proxies of tests/support. Every few seconds one fault begins
or ends. Measured are the operator's resident memory and file descriptors from /proc, and its API
calls, writes and Prometheus queries from the proxies, each per second and per cycle; at the end
every fault is lifted and the fleet has to come to rest: no write for five cycles.

Memory is judged by its slope over the second half (Theil-Sen, in MB/h): the first half learns.

python -m bench.soak [--minutes 30] [--models 500] [--output bench/results/soak.json]
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import open_files, rss_mb
from bench.soak_figures import Sample, summary
from bench.soak_fleet import REPLICAS, deploy_fleet

from aurora.kube.kinds import DEPLOYMENT, Ref
from aurora.local.controlplane import ControlPlane
from aurora.local.ports import Ports
from aurora.local.settings import Settings as LocalSettings
from tests.faults.opening import install, open_world
from tests.faults.world import World
from tests.support.controlplane import TestControlPlane, new_control_plane
from tests.support.failpoints import OperatorProcess
from tests.support.faultproxy import Fault
from tests.support.faultproxy_calls import Call
from tests.support.faultproxy_handlings import delayed, lost_answer, refused, reset
from tests.support.faultproxy_prometheus import Wrong

CYCLE_S = 15.0
SAMPLE_S = 5.0
FAULT_EVERY_S = 20.0
REST_CYCLES = 5
OUTPUT = Path(__file__).parent / "results" / "soak.json"
HANDLINGS = {
    "503": refused(503),
    "409": refused(409),
    "429": refused(429, retry_after="1"),
    "reset": reset,
    "answer lost": lost_answer,
    "late": delayed(1.0),
}


@dataclass
class Soak:
    """What is under way.

    Attributes:
        fault: what is broken now, empty when nothing is.
    """

    world: World
    process: OperatorProcess
    rng: random.Random
    models: int
    fault: str = ""
    faults: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    last_writes: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    async def shake(self, seconds: float) -> None:
        """Begin and end faults until the time is over."""
        choices: list[Callable[[], Any]] = [
            self._writes_fail,
            self._cut,
            self._silent,
            self._gone,
            self._metrics,
            self._edit,
            self._set_replicas,
        ]
        while self.elapsed < seconds:
            await self.rng.choice(choices)()
            self.faults.append(self.fault)
            await asyncio.sleep(FAULT_EVERY_S / 2)
            self.mend()
            await asyncio.sleep(FAULT_EVERY_S / 2)

    def mend(self) -> None:
        if self.world.proxy.silent:
            self.world.proxy.lift()
            self.world.proxy.cut()
        self.world.proxy.lift()
        self.world.metrics.wrong = None
        self.fault = ""

    async def _writes_fail(self) -> None:
        how = self.rng.choice(sorted(HANDLINGS))
        rng = self.rng

        def picks(call: Call) -> bool:
            return call.is_write and rng.random() < 0.5

        self.world.proxy.inject(Fault(how, picks, HANDLINGS[how]))
        self.fault = f"writes: {how}"

    async def _cut(self) -> None:
        self.world.proxy.cut()
        self.fault = "connections cut"

    async def _silent(self) -> None:
        self.world.proxy.silent = True
        self.fault = "watches silent"

    async def _gone(self) -> None:
        gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
        await self.world.proxy.tell(self.rng.choice(["decisions", "pods", "deployments"]), gone)
        self.fault = "410 in the stream"

    async def _metrics(self) -> None:
        # 20,000 series for each query would measure the proxy.
        self.world.metrics.wrong = self.rng.choice([one for one in Wrong if one is not Wrong.HUGE])
        self.fault = f"Prometheus {self.world.metrics.wrong}"

    async def _edit(self) -> None:
        """Ten models need another replica, or may do with one less."""
        for name in self._some():
            low = self.rng.randint(REPLICAS, REPLICAS + 2)
            await self.world.edit_model(name, scaling={"minReplicas": low})
        self.fault = "bounds edited"

    async def _set_replicas(self) -> None:
        for name in self._some():
            patch = [{"op": "replace", "path": "/spec/replicas", "value": self.rng.randint(1, 3)}]
            await self.world.client.patch_json(Ref(DEPLOYMENT, self.world.namespace, name), patch)
        self.fault = "replicas set by somebody"

    def _some(self) -> list[str]:
        return [f"model-{number}" for number in self.rng.sample(range(self.models), 10)]

    async def watch(self) -> None:
        """Take a sample every few seconds, and let the proxies forget what was counted."""
        world, last = self.world, self.elapsed
        while True:
            await asyncio.sleep(SAMPLE_S)
            assert self.process.alive, "the operator ended by itself"
            calls, queries = list(world.proxy.calls), world.metrics.queries
            world.proxy.calls.clear()
            writes = [one for one in calls if one.is_write]
            told = Counter(f"{one.verb} {one.resource} {one.status}" for one in writes)
            self.last_writes = told or self.last_writes
            world.metrics.queries = 0
            world.metrics.asked.clear()
            took, last = self.elapsed - last, self.elapsed
            self.samples.append(
                Sample(
                    round(self.elapsed, 1),
                    round(rss_mb(self.process.pid), 1),
                    open_files(self.process.pid),
                    round(len(calls) / took, 2),
                    round(sum(call.is_write for call in calls) / took, 2),
                    round(queries / took, 2),
                    self.fault,
                    round(os.getloadavg()[0], 2),
                )
            )

    async def rest(self, within_s: float) -> float | None:
        """Seconds after the last fault until the last write, None when it goes on writing.

        Rest is five cycles without a write.
        """
        began, quiet_since = self.elapsed, self.elapsed
        while self.elapsed - quiet_since < REST_CYCLES * CYCLE_S:
            if self.elapsed - began > within_s:
                return None
            await asyncio.sleep(SAMPLE_S)
            if self.samples and self.samples[-1].writes_per_s > 0:
                quiet_since = self.samples[-1].at_s
        return round(max(0.0, quiet_since - began), 1)


async def run(
    plane: TestControlPlane, folder: Path, *, minutes: float, models: int, rest_within_s: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Soak, and come to rest; gives the figures and the samples."""
    async with open_world(plane, folder) as world:
        world.proxy.remembering = False
        process = world.process(
            cycle_seconds=CYCLE_S, metrics_window_seconds=60, metrics_stale_seconds=45
        )
        soak = Soak(world, process, random.Random(1), models)
        await deploy_fleet(world, models)
        process.start()
        print(f"{models} models after {soak.elapsed:.0f} s; the operator runs", flush=True)
        soak.began = time.monotonic()
        watching = asyncio.create_task(soak.watch())
        try:
            shaking = asyncio.create_task(soak.shake(60 * minutes))
            done, _ = await asyncio.wait({watching, shaking}, return_when="FIRST_COMPLETED")
            for task in done:
                task.result()
            soak.mend()
            rest_s = await soak.rest(within_s=rest_within_s)
        finally:
            watching.cancel()
        await process.end()
        figures = {
            "models": models,
            "minutes": round(soak.elapsed / 60, 1),
            "cycle_s": CYCLE_S,
            "faults": len(soak.faults),
            "rest_after_last_fault_s": rest_s,
            "last_writes": dict(soak.last_writes),
        }
        at_rest = int(REST_CYCLES * CYCLE_S / SAMPLE_S) - 1
        figures |= summary(soak.samples, cycle_s=CYCLE_S, at_rest=at_rest)
        return figures, [asdict(one) for one in soak.samples]


def main() -> None:
    """Start a control plane of its own, soak, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--rest-within", type=float, default=600.0, help="seconds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aurora-soak-") as folder:
        plane, where = control_plane(Path(folder))
        try:
            asyncio.run(install(where))
            figures, samples = asyncio.run(
                run(
                    where,
                    Path(folder) / "world",
                    minutes=given.minutes,
                    models=given.models,
                    rest_within_s=given.rest_within,
                )
            )
        finally:
            plane.down()
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(figures | {"samples": samples}, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def control_plane(folder: Path) -> tuple[ControlPlane, TestControlPlane]:
    """Four simulated nodes for two pods a model, and a Prometheus that scrapes every 15 s."""
    settings = LocalSettings(ports=Ports.ephemeral(random.Random()), nodes=4, scrape_seconds=15)
    plane = new_control_plane(folder / "state", settings=settings)
    where = plane.up().endpoints
    return plane, TestControlPlane(
        where.kubeconfig, where.context, where.prometheus_url, where.file_sd, where.bin_dir
    )


if __name__ == "__main__":
    main()
