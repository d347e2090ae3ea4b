"""The live fleet on a real API server, read by AURORA's own queries through a real Prometheus."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from aurora.cachesidecar.arming import arm
from aurora.cachesidecar.manifests import config_map
from aurora.cachesidecar.settings import CacheSettings
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import CONFIG_MAP, DEPLOYMENT, POD, SERVICE, Ref
from aurora.observe.prometheus import PrometheusClient, PrometheusSettings
from aurora.observe.queries import MetricsSettings
from aurora.observe.reader import MetricsReader
from aurora.observe.sample import Gap, Missing, Sample, Signal
from aurora.observe.view import Wanted, WorkloadReadings
from tests.support.cluster import NAMESPACES
from tests.support.controlplane import TestControlPlane

pytestmark = pytest.mark.apiserver

SETTINGS = MetricsSettings(window_s=8, stale_after_s=4, remember_s=120)
RATE = 20.0
SOON_S = 60.0
PER_SIGNAL = frozenset(
    {
        *(Signal.REQUEST_RATE, Signal.SERVER_ERROR_RATIO, Signal.CLIENT_ERROR_RATIO),
        *(Signal.LATENCY_P95, Signal.LATENCY_MEAN, Signal.TTFT_P95, Signal.TPOT_P95),
        *(Signal.TPOT_MEAN, Signal.RUNNING, Signal.WAITING, Signal.KV_CACHE_RATIO),
        *(Signal.PROMPT_TOKEN_RATE, Signal.GENERATION_TOKEN_RATE, Signal.GPU_RATIO),
    }
)
FLEET = "import typer; from aurora.simulator.live.cli import fleet; typer.run(fleet)"


@dataclass
class Rig:
    """A fleet in a namespace of its own, and the means to look at it."""

    plane: TestControlPlane
    namespace: str
    url: str

    def kube(self, work: Callable[[KubeClient], Any]) -> Any:
        async def run() -> Any:
            async with KubeClient(Connection(self.plane.kubeconfig, self.plane.context)) as client:
                return await work(client)

        return asyncio.run(run())

    def read(self, name: str, *signals: Signal, armed: bool = False) -> WorkloadReadings:
        async def run() -> WorkloadReadings:
            assert self.plane.prometheus_url is not None
            client = PrometheusClient(PrometheusSettings(self.plane.prometheus_url))
            want = Wanted("vllm", frozenset(signals) or PER_SIGNAL, armed=armed)
            try:
                view = await MetricsReader(client, SETTINGS).read(
                    time.time(), {(self.namespace, name): want}
                )
            finally:
                client.close()
            return view.workloads[self.namespace, name]

        return asyncio.run(run())

    def value(self, name: str, signal: Signal, *, armed: bool = False) -> float | None:
        reading = self.read(name, signal, armed=armed).signals[signal]
        return reading.value if isinstance(reading, Sample) else None

    def http(self, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"{self.url}{path}", data, timeout=5) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.read())

    def inject(self, name: str, kind: str, for_s: float, **value: float) -> None:
        body = {"deployment": name, "namespace": self.namespace, "kind": kind, "for_s": for_s}
        status, told = self.http("/faults", body | value)
        assert status == 201, told

    def truth(self, name: str, last: int) -> list[dict[str, Any]]:
        """The last whole buckets of one Service."""
        _, told = self.http("/truth")
        found = next(one for one in told["services"] if one["name"] == name)
        return list(found["buckets"][-1 - last : -1])

    def pods(self, name: str) -> list[dict[str, Any]]:
        items = self.kube(lambda client: client.list(POD, namespace=self.namespace)).items
        return [pod for pod in items if pod["metadata"]["labels"].get("app") == name]


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def eventually(holds: Callable[[], Any], what: str, within_s: float = SOON_S) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.3)
    return found


def deployment(namespace: str, name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    container = {
        "name": "vllm",
        "image": "vllm:1",
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
    }
    start = {"aurora.dev/simulated-start-seconds": "2"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"aurora.dev/simulated": "true"},
            "annotations": {"aurora.dev/simulated-model-name": "llama"},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": start},
                "spec": {"containers": [container]},
            },
        },
    }


def service(namespace: str, name: str, rate: str | None) -> dict[str, Any]:
    annotations = {} if rate is None else {"aurora.dev/simulated-rate": rate}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}]},
    }


APPS = {"llama": str(RATE), "spare": None, "cached": str(RATE), "broken": "many"}


@pytest.fixture(scope="module")
def rig(control_plane: TestControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    namespace = f"fleet-live-{os.getpid()}"
    rig = Rig(control_plane, namespace, "")
    file_sd = control_plane.file_sd
    assert file_sd is not None

    async def make(client: KubeClient) -> Any:
        await client.create(NAMESPACES, {"metadata": {"name": namespace}})
        for name, rate in APPS.items():
            await client.create(DEPLOYMENT, deployment(namespace, name, 2))
            await client.create(SERVICE, service(namespace, name, rate))

    rig.kube(make)
    log = tmp_path_factory.mktemp("fleet") / "log"
    options = {
        "--kubeconfig": control_plane.kubeconfig,
        "--context": control_plane.context,
        "--namespace": namespace,
        "--file-sd": file_sd,
    }
    arguments = [str(part) for pair in options.items() for part in pair]
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", FLEET, *arguments], stderr=output)
    try:
        found = eventually(
            lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), f"the port in {log}"
        )
        rig.url = found[0]
        assert "simulated-rate is 'many': write a number" in log.read_text()
        eventually(lambda: rig.value("llama", Signal.TTFT_P95), "the first TTFT")
        yield rig
    finally:
        process.terminate()
        assert process.wait(20) == 0
        rig.kube(lambda client: _remove(client, namespace))
    assert list(file_sd.glob("aurora-fleet-*")) == []


async def _remove(client: KubeClient, namespace: str) -> None:
    ref = Ref(NAMESPACES, "", namespace)
    found = await client.get(ref)
    assert found is not None
    await client.delete(ref, uid=found["metadata"]["uid"])


def test_every_signal_of_the_preset_is_read_from_the_fleet(rig: Rig) -> None:
    def complete() -> bool:
        rate = rig.value("llama", Signal.REQUEST_RATE)
        return rate is not None and rate > RATE / 2

    eventually(complete, "a full window")
    seen = rig.read("llama")
    missing = {s: r for s, r in seen.signals.items() if not isinstance(r, Sample)}
    assert missing == {}
    values = {s: r.value for s, r in seen.signals.items() if isinstance(r, Sample)}
    assert seen.pods_reporting == 2
    assert RATE / 2 < values[Signal.REQUEST_RATE] < 2 * RATE
    assert values[Signal.SERVER_ERROR_RATIO] == values[Signal.CLIENT_ERROR_RATIO] == 0.0
    assert 0.05 < values[Signal.TTFT_P95] < values[Signal.LATENCY_P95]
    assert 0.017 < values[Signal.TPOT_MEAN] < 0.5
    assert values[Signal.PROMPT_TOKEN_RATE] > 20 * values[Signal.GENERATION_TOKEN_RATE]
    assert 0.5 < values[Signal.GPU_RATIO] <= 1.0


def test_what_is_measured_is_what_callers_saw(rig: Rig) -> None:
    measured = rig.value("llama", Signal.LATENCY_MEAN)
    seen = rig.truth("llama", 2)
    assert measured is not None
    assert all(one["errors"] == 0 and one["requests"] > 0 for one in seen)
    # A mean is below the p95 of the same requests, and of the same order.
    assert seen[-1]["latencyP95"] / 10 < measured < 2 * max(one["latencyP95"] for one in seen)


def test_a_new_replica_serves_once_its_pod_is_ready(rig: Rig) -> None:
    ref = Ref(DEPLOYMENT, rig.namespace, "llama")
    scaled = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
    rig.kube(lambda client: client.patch_json(ref, scaled))
    eventually(lambda: rig.read("llama").pods_reporting == 3, "three pods report")
    back = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    rig.kube(lambda client: client.patch_json(ref, back))
    eventually(lambda: rig.read("llama").pods_reporting == 2, "two pods report")
    assert sum(one["errors"] for one in rig.truth("llama", 4)) == 0


def test_a_changed_selector_moves_the_traffic(rig: Rig) -> None:
    ref = Ref(SERVICE, rig.namespace, "llama")

    def send_to(app: str) -> None:
        patch = [{"op": "replace", "path": "/spec/selector", "value": {"app": app}}]
        rig.kube(lambda client: client.patch_json(ref, patch))

    assert not rig.value("spare", Signal.REQUEST_RATE)
    send_to("spare")
    eventually(lambda: (rig.value("spare", Signal.REQUEST_RATE) or 0) > RATE / 3, "spare serves")
    eventually(lambda: rig.value("llama", Signal.REQUEST_RATE) == 0.0, "llama is idle")
    assert sum(one["errors"] for one in rig.truth("llama", 2)) == 0
    send_to("llama")
    eventually(lambda: (rig.value("llama", Signal.REQUEST_RATE) or 0) > RATE / 3, "llama serves")


def test_injected_errors_reach_callers_metrics_and_probes(rig: Rig) -> None:
    pod = rig.pods("llama")[0]["metadata"]["name"]
    path = f"/pods/{rig.namespace}/{pod}/health"
    assert rig.http(path)[0] == 200
    rig.inject("llama", "errors", 12, value=0.5)
    assert rig.http(path)[0] == 500

    def half() -> bool:
        ratio = rig.value("llama", Signal.SERVER_ERROR_RATIO)
        return ratio is not None and 0.3 < ratio < 0.7

    eventually(half, "half of the requests failed")
    eventually(
        lambda: any(one["errors"] > 0.2 * one["requests"] for one in rig.truth("llama", 4)),
        "callers saw them",
    )
    eventually(lambda: rig.http(path)[0] == 200, "the probe is answered again")
    eventually(lambda: rig.value("llama", Signal.SERVER_ERROR_RATIO) == 0.0, "no errors")


def test_a_slow_server_is_seen(rig: Rig) -> None:
    before = rig.value("llama", Signal.TPOT_MEAN)
    rig.inject("llama", "latency", 10, value=3)
    assert before is not None
    eventually(lambda: (rig.value("llama", Signal.TPOT_MEAN) or 0) > 2 * before, "slow steps")


def test_metrics_that_are_gone_are_stale_and_come_back(rig: Rig) -> None:
    rig.inject("spare", "metrics-gone", 8)

    def stale() -> bool:
        reading = rig.read("spare").signals[Signal.RUNNING]
        return isinstance(reading, Missing) and reading.gap is Gap.STALE

    eventually(stale, "stale")
    assert rig.value("llama", Signal.RUNNING) is not None
    eventually(lambda: rig.value("spare", Signal.RUNNING) is not None, "back")


def test_a_crash_is_reported_by_the_pods_and_refused_to_callers(rig: Rig) -> None:
    rig.inject("llama", "crash", 8)

    def looping() -> bool:
        reasons = {
            container["state"].get("waiting", {}).get("reason")
            for pod in rig.pods("llama")
            for container in pod["status"]["containerStatuses"]
        }
        return reasons == {"CrashLoopBackOff"}

    eventually(looping, "CrashLoopBackOff", within_s=8)
    eventually(lambda: not looping(), "running again")

    def ready() -> int:
        conditions = [
            one
            for pod in rig.pods("llama")
            for one in pod["status"]["conditions"]
            if one["type"] == "Ready"
        ]
        return sum(one["status"] == "True" for one in conditions)

    eventually(lambda: ready() == 2, "both ready")
    assert any(one["errors"] > 0.5 * one["requests"] for one in rig.truth("llama", 6))
    eventually(lambda: rig.read("llama").pods_reporting == 2, "both report")


def test_an_armed_pod_tells_of_repeats_and_answers_them_when_the_cache_is_on(rig: Rig) -> None:
    settings = CacheSettings(exporter_image="aurora:1")
    ref = Ref(DEPLOYMENT, rig.namespace, "cached")

    async def armed(client: KubeClient) -> tuple[dict[str, Any], int]:
        target = await client.get(ref)
        front = await client.get(Ref(SERVICE, rig.namespace, "cached"))
        assert target is not None
        assert front is not None
        plan = arm(target, front, settings)
        return await client.patch_json(ref, plan.operations), plan.upstream_port

    target, port = rig.kube(armed)
    rig.inject("cached", "repeats", 120, value=0.6)

    def repeats() -> bool:
        return (rig.value("cached", Signal.REPEAT_RATIO, armed=True) or 0) > 0.4

    eventually(repeats, "repeats are counted while the cache is off")
    assert rig.value("cached", Signal.CACHE_HIT_RATIO, armed=True) == 0.0
    manifest = config_map(target, settings, upstream_port=port, on=True)
    rig.kube(lambda client: client.create(CONFIG_MAP, manifest))
    eventually(lambda: (rig.value("cached", Signal.CACHE_HIT_RATIO, armed=True) or 0) > 0.4, "hits")
    eventually(
        lambda: any(one["cached"] > 0.3 * one["requests"] for one in rig.truth("cached", 2)),
        "callers got them",
    )
    callers = rig.value("cached", Signal.LATENCY_MEAN, armed=True)
    engine = rig.value("cached", Signal.LATENCY_MEAN)
    assert callers is not None
    assert engine is not None
    assert callers < 0.8 * engine


BAD_FAULTS = {
    "an unknown kind": ({"model": "llama", "kind": "fire"}, "kind 'fire' is unknown: use one of"),
    "no target": ({"kind": "latency", "value": 2}, "name exactly one of model"),
    "a target that is not there": ({"model": "x", "kind": "crash"}, "'x' is not simulated here"),
    "a share above 1": ({"model": "llama", "kind": "errors", "value": 2}, "from 0 to 1"),
    "no JSON object": ([1], "a fault is a JSON object"),
}


@pytest.mark.parametrize(("body", "message"), BAD_FAULTS.values(), ids=BAD_FAULTS)
def test_a_wrong_fault_is_refused_with_a_sentence(rig: Rig, body: Any, message: str) -> None:
    status, told = rig.http("/faults", body)
    assert status == 400
    assert message in told["error"]
