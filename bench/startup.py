"""How `aurora operator` starts on a real API server that is full, and keeps up with changes.

A control plane of our own (etcd, kube-apiserver with TLS and RBAC; the controllers are stopped, so
that nothing but AURORA writes) is given the objects of bench/bigfleet.py and the real chart's CRDs.
Then the real process is started twice: first where no ModelDeployment has a status yet, then as a
restart. Prometheus is the recording of bench/recorded.py. Measured from outside, by the operator's
own /metrics and by the objects:

- from the start of the process until the fleet is listed, and until the first cycle has ended;
- 1,000 ModelDeployments edited at once: until each has a status that saw its edit;
- one ModelDeployment whose minReplicas is raised: until its autoscaler's floor is.

    python -m bench.startup [--models 1000] [--edits 1000] [--output json]
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import bigfleet
from bench.cycle import standin
from bench.filling import fill, in_parallel, install
from bench.processes import cpu_s

from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import HPA, MODEL_DEPLOYMENT, Ref, ref_of
from aurora.local.controlplane import ControlPlane
from tests.support.controlplane import start
from tests.support.ports import free_port

CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kwok")
DEADLINE_S = 1800.0
CYCLE_S = 15.0


@dataclass
class Operator:
    """One process of `aurora operator`."""

    process: subprocess.Popen[bytes]
    metrics_url: str
    began: float

    def sample(self, name: str) -> float:
        """One of its own metrics; 0 while it does not answer."""
        try:
            with urllib.request.urlopen(self.metrics_url, timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return 0.0
        found = re.search(rf"^{re.escape(name)} ([0-9.e+-]+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def cycles(self) -> float:
        return self.sample('aurora_cycle_seconds_count{stage="remember"}')

    def until(self, holds: Callable[[], bool], what: str) -> float:
        """Seconds since the start of the process, once it holds."""
        while not holds():
            if self.process.poll() is not None:
                raise RuntimeError(f"the operator ended with {self.process.returncode}: {what}")
            if time.monotonic() - self.began > DEADLINE_S:
                raise RuntimeError(f"not within {DEADLINE_S:g} s: {what}")
            time.sleep(0.1)
        return round(time.monotonic() - self.began, 1)

    def usage(self) -> dict[str, float]:
        """CPU seconds so far, and memory in MB."""
        proc = Path("/proc") / str(self.process.pid)
        status = dict(
            line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
        )
        size = {
            name: round(int(status[key].split()[0]) * 1024 / 1e6)
            for name, key in {"rss_mb": "VmRSS", "peak_mb": "VmHWM"}.items()
        }
        return {"cpu_s": round(cpu_s(self.process.pid), 1), **size}


@contextlib.contextmanager
def operating(folder: Path, kubeconfig: Path, prometheus: str) -> Iterator[Operator]:
    metrics, health = free_port(), free_port()
    settings = {
        "KUBECONFIG": str(kubeconfig),
        "PROMETHEUS_URL": prometheus,
        "STORE_URL": f"sqlite:///{folder}/aurora.db",
        "METRICS_PORT": str(metrics),
        "HEALTH_PORT": str(health),
        "BIND_ADDRESS": "127.0.0.1",
        "EMBEDDINGS": "numeric",
    }
    with (folder / "operator.log").open("ab") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "aurora.cli", "operator"),
            env=os.environ | {f"AURORA_{name}": value for name, value in settings.items()},
            stdout=log,
            stderr=log,
        )
        try:
            yield Operator(process, f"http://127.0.0.1:{metrics}/metrics", time.monotonic())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def started(operator: Operator, models: int) -> dict[str, Any]:
    listed = operator.until(
        lambda: operator.sample('aurora_cycle_seconds_count{stage="observe"}') > 0,
        "the first cycle observed",
    )
    decided = operator.until(
        lambda: operator.sample('aurora_cycle_seconds_count{stage="decide"}') > 0,
        "the first cycle decided",
    )
    ended = operator.until(lambda: operator.cycles() > 0, "the first cycle ended")
    seen = operator.sample("aurora_models")
    if seen != models:
        raise RuntimeError(f"{seen:.0f} of {models} models were seen")
    return {
        "seconds_to_first_snapshot": listed,
        "seconds_to_first_decisions": decided,
        "seconds_to_first_cycle": ended,
        "status_writes": operator.sample("aurora_cycle_writes"),
        "status_stage_seconds": round(
            operator.sample('aurora_cycle_seconds_sum{stage="status"}'), 1
        ),
        **operator.usage(),
    }


async def edit_many(
    client: KubeClient, operator: Operator, edits: int, plane: ControlPlane
) -> dict[str, Any]:
    """Change the price of so many models at once; AURORA has to say that it saw each."""
    chosen = [Ref(MODEL_DEPLOYMENT, one.namespace, one.name) for one in bigfleet.named(edits)]
    await _next_cycle(operator)
    stage = 'aurora_cycle_seconds_sum{stage="status"}'
    before, cycles, began = operator.sample(stage), operator.cycles(), time.monotonic()
    spent = _spent(operator, plane)
    price = {"spec": {"scaling": {"costPerReplicaHour": "3.75"}}}
    await in_parallel([_patcher(client, ref, price) for ref in chosen])
    edited = time.monotonic()
    await _seen(client, chosen)
    done = time.monotonic()
    await until(lambda: operator.cycles() > cycles)
    await asyncio.sleep(1.0)
    return {
        "edits": edits,
        "editing_seconds": round(edited - began, 1),
        "seconds_from_last_edit_to_last_status": round(done - edited, 1),
        "status_stage_seconds": round(operator.sample(stage) - before, 1),
        "cycles": operator.cycles() - cycles,
        "cpu_ms_per_edit": {
            name: round(1000 * (now - spent[name]) / edits, 1)
            for name, now in _spent(operator, plane).items()
        },
    }


async def _seen(client: KubeClient, chosen: Sequence[Ref]) -> None:
    """Wait until each says that its edit was seen.

    One is asked of until it does, and then all: to list them twice a second took a tenth of the
    machine that is being measured.
    """
    waiting = list(chosen)
    while waiting:
        found = await client.get(waiting[-1])
        if found is None:
            raise RuntimeError(f"{waiting[-1]} is gone")
        if not _saw(found):
            await asyncio.sleep(0.1)
            continue
        listed = await client.list(MODEL_DEPLOYMENT, chunk=0)
        saw = {ref_of(MODEL_DEPLOYMENT, one) for one in listed.items if _saw(one)}
        waiting = [one for one in waiting if one not in saw]


def _saw(found: dict[str, Any]) -> bool:
    generation = found["metadata"]["generation"]
    return generation > 1 and found.get("status", {}).get("observedGeneration") == generation


def _spent(operator: Operator, plane: ControlPlane) -> dict[str, float]:
    """CPU seconds so far of everything that an edit and its status keep busy."""
    pids = {one.component: one.pid for one in plane.status().running}
    pids = {name: pids[name] for name in ("kube-apiserver", "etcd")}
    return {name: cpu_s(pid) for name, pid in {"operator": operator.process.pid, **pids}.items()}


async def edit_one(client: KubeClient, operator: Operator) -> dict[str, Any]:
    """Raise one model's minReplicas above its autoscaler's floor."""
    one = bigfleet.Named(1)
    ref = Ref(MODEL_DEPLOYMENT, one.namespace, one.name)
    await _next_cycle(operator)
    cycles, began = operator.cycles(), time.monotonic()
    await client.patch_merge(ref, {"spec": {"scaling": {"minReplicas": 3}}})
    while True:
        found = await client.get(Ref(HPA, one.namespace, one.name))
        if found is not None and found["spec"]["minReplicas"] == 3:
            break
        if time.monotonic() - began > 600:
            raise RuntimeError("the edit was not honoured within 600 s")
        await asyncio.sleep(0.1)
    seconds = time.monotonic() - began
    await until(lambda: operator.cycles() > cycles)
    return {"seconds_to_write": round(seconds, 1), "cycles": operator.cycles() - cycles}


def _patcher(
    client: KubeClient, ref: Ref, patch: dict[str, Any]
) -> Callable[[], Awaitable[dict[str, Any]]]:
    return lambda: client.patch_merge(ref, patch)


async def _next_cycle(operator: Operator) -> None:
    """Wait for the end of a cycle, so that an edit falls between two."""
    before = operator.cycles()
    await until(lambda: operator.cycles() > before)


async def until(holds: Callable[[], bool]) -> None:
    while True:
        if holds():
            return
        await asyncio.sleep(0.2)


async def measure(models: int, edits: int, plane: ControlPlane, folder: Path) -> dict[str, Any]:
    where = plane.endpoints()
    for one in plane.status().running:
        if one.component in CONTROLLERS:
            os.kill(one.pid, signal.SIGTERM)
    await asyncio.to_thread(install, where.bin_dir / "kubectl", where.kubeconfig)
    result: dict[str, Any] = {"models": models}
    with standin("prometheus", models) as prometheus:
        async with KubeClient(Connection(where.kubeconfig, where.context)) as client:
            began = time.monotonic()
            result["objects"] = await fill(client, models)
            result["seconds_to_create_them"] = round(time.monotonic() - began, 1)
            with operating(folder, where.kubeconfig, prometheus) as operator:
                result["first_start"] = await asyncio.to_thread(started, operator, models)
            with operating(folder, where.kubeconfig, prometheus) as operator:
                result["restart"] = await asyncio.to_thread(started, operator, models)
                result["many_edits"] = await edit_many(client, operator, min(edits, models), plane)
                result["one_edit"] = await edit_one(client, operator)
                result["at_the_end"] = operator.usage()
    result["load_average"] = os.getloadavg()[0]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--output", choices=("table", "json"), default="table")
    parser.add_argument("--log", type=Path, help="keep the operator's log here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as name:
        folder = Path(name)
        plane, _ = start(folder)
        try:
            found = asyncio.run(measure(arguments.models, arguments.edits, plane, folder))
        finally:
            if arguments.log and (folder / "operator.log").exists():
                arguments.log.write_bytes((folder / "operator.log").read_bytes())
            plane.down()
    if arguments.output == "json":
        print(json.dumps(found))
        return
    for title, value in found.items():
        print(f"{title:24} {value}")


if __name__ == "__main__":
    main()
