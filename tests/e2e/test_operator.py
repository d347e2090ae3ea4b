"""The operator on real pods: it runs from this checkout against the current kube context.

Needs a cluster with a kubelet whose pod and Service addresses are reachable from here; refuses any
context that is not a throw-away one. The windows of the manifests are short; all else is as in a
real installation.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aurora.kube.kinds import DEPLOYMENT, HPA, MODEL_DEPLOYMENT, SERVICE
from tests.support.e2ecaller import Caller, calling
from tests.support.e2eworld import CYCLE_S, World, new_world, until, written_by

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FINALIZER = "aurora.dev/restore"
Record = Callable[[str, object], None]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


async def test_scale_moves_only_the_floor_of_an_autoscaler_and_pods_follow(
    world: World, record_property: Record
) -> None:
    url = await world.serve("llama", slots=4, delay=0.2, per_connection=3)
    await world.create(HPA, "llama", spec=autoscaler_spec("llama", floor=1, ceiling=4))
    model = await world.manage("llama", scaling={"minReplicas": 1, "maxReplicas": 6})
    world.start_operator()
    # One pod answers 20 requests/s.
    async with calling(Caller(url, rate=8)) as caller:
        await until(lambda: condition_is(world, "MetricsAvailable", "True"), "metrics", within_s=60)
        began = time.monotonic()
        caller.rate = 26
        found = await until(
            lambda: world.decisions("llama", action="SCALE", phase="Verifying"),
            "SCALE is carried out",
            within_s=60,
        )
        decided_s = time.monotonic() - began
        floor = int(found[-1]["spec"]["parameters"]["to"]["replicas"])
        assert floor > 1
        await until(lambda: has_ready(world, "llama", floor), "pods follow", within_s=60)
        ready_s = time.monotonic() - began
        await until(lambda: all_measured(world), "every outcome is measured", within_s=150)
    target, scaler = await world.get(DEPLOYMENT, "llama"), await world.get(HPA, "llama")
    decisions = await world.decisions("llama", action="SCALE")
    assert {one["spec"]["reason"] for one in decisions} <= {
        "ObjectiveViolated",
        "ForecastAboveCapacity",
    }
    assert scaler["spec"]["minReplicas"] == int(
        decisions[-1]["spec"]["parameters"]["to"]["replicas"]
    )
    assert scaler["spec"]["maxReplicas"] == 4
    assert written_by(scaler) == {
        "/spec/minReplicas",
        "/metadata/annotations/aurora.dev/last-decision",
    }
    assert written_by(target) <= {"/metadata/annotations/aurora.dev/last-decision"}
    assert caller.failures == []
    await world.delete(MODEL_DEPLOYMENT, model["metadata"]["name"])
    await until(lambda: world.gone(MODEL_DEPLOYMENT, "llama"), "the object goes", within_s=30)
    assert (await world.get(HPA, "llama"))["spec"]["minReplicas"] == 1
    for name, value in (
        ("floor", floor),
        ("decided_seconds", decided_s),
        ("ready_seconds", ready_s),
        ("outcomes", [one["status"]["outcome"] for one in decisions]),
        ("slowest_seconds", max(one.seconds for one in caller.answers)),
        ("requests", caller.sent),
    ):
        record_property(name, value)
        print(name, value)


async def test_nobody_notices_the_cache_but_for_its_speed(
    world: World, record_property: Record
) -> None:
    url = await world.serve("llama", replicas=2, delay=0.15)
    before = (await world.get(DEPLOYMENT, "llama"))["spec"]
    world.start_operator()
    seconds: dict[str, float] = {}
    async with calling(Caller(url, rate=20)) as caller:
        await world.manage("llama", cache={"mode": "On", "ttl": "5m", "maxSize": "16Mi"})
        began = time.monotonic()

        async def reached(status: str, count: int, *, within_s: float, name: str) -> None:
            async def holds() -> bool:
                return caller.statuses[status] >= count

            await until(holds, f"{count} answers {status}", within_s=within_s)
            seconds[name] = time.monotonic() - began

        async def switched(direction: str) -> None:
            wanted = {"action": "CACHE", "direction": direction, "phase": "Verifying"}
            await until(lambda: world.decisions("llama", **wanted), direction, within_s=240)
            await world.nudge("llama")

        await reached("OFF", 1, within_s=90, name="armed")
        await switched("On")
        await reached("HIT", 100, within_s=240, name="hits")
        if world.exporter_image:
            hits = "sum(aurora_cache_hits_total)"
            await until(lambda: counted(world, hits, 100), "HITs in Prometheus", within_s=30)
        passed = caller.statuses["OFF"]
        await world.patch(
            MODEL_DEPLOYMENT,
            "llama",
            {"op": "replace", "path": "/spec/cache/mode", "value": "Off"},
        )
        await switched("Off")
        await reached("OFF", passed + 40, within_s=120, name="off")
        await until(
            lambda: world.decisions("llama", action="CACHE", direction="Disarm"),
            "DISARM",
            within_s=240,
        )
        await until(lambda: world.rolled_out("llama"), "the rollout", within_s=120)
        bare = caller.statuses["none"]
        await reached("none", bare + 40, within_s=60, name="disarmed")
    assert caller.failures == []
    assert (await world.get(DEPLOYMENT, "llama"))["spec"] == before
    assert caller.median_s("HIT") < caller.median_s("OFF") / 3
    decisions = await world.decisions("llama", action="CACHE")
    assert [one["spec"]["direction"] for one in decisions] == ["Arm", "On", "Off", "Disarm"]
    reasons = {one["reason"] for one in await world.events("llama")}
    assert {"CacheRequested", "CacheNotWanted", "Executed"} <= reasons
    for kind in (MODEL_DEPLOYMENT, DEPLOYMENT):
        assert last_decision(await world.get(kind, "llama"))["to"] == {"cache": "none"}
    for name, value in (
        ("exporter", world.exporter_image or "left out: no node has the image"),
        ("requests", caller.sent),
        ("statuses", dict(caller.statuses)),
        ("seconds", seconds),
        ("median_hit_seconds", caller.median_s("HIT")),
        ("median_pass_seconds", caller.median_s("OFF")),
    ):
        record_property(name, value)
        print(name, value)


async def test_traffic_goes_to_the_fallback_and_comes_back(
    world: World, record_property: Record
) -> None:
    url, _ = await asyncio.gather(
        world.serve("llama", replicas=2, delay=0.05, per_connection=1),
        world.serve("spare", replicas=2, delay=0.05, per_connection=1),
    )
    fallback = {"serviceRef": {"name": "spare", "port": 80}, "probe": {"count": 4}}
    await world.manage("llama", fallback=fallback, triggers={"noEndpointFor": "5s"})
    world.start_operator()
    before = (await world.get(SERVICE, "llama"))["spec"]
    async with calling(Caller(url, rate=10)) as caller:
        await until(lambda: condition_is(world, "MetricsAvailable", "True"), "metrics", within_s=60)
        assert all(one.pod.startswith("llama-") for one in caller.answers)
        await world.tell("llama", healthy=False)
        await until(lambda: world.has_no_endpoint("llama"), "no endpoint", within_s=20, every_s=0.1)
        lost = time.monotonic()
        await until(lambda: caller.hears_from("spare"), "the fallback answers", within_s=30)
        switched_s = caller.answers[-1].began - lost
        assert switched_s < 5 + 2 * CYCLE_S
        (went,) = await world.decisions("llama", action="ROUTE")
        assert went["spec"]["reason"] == "NoReadyEndpoint"
        failed = len(caller.failures)
        await world.tell("llama", healthy=True)
        well = time.monotonic()
        await until(lambda: caller.hears_from("llama"), "the primary answers", within_s=120)
        back_s = caller.answers[-1].began - well
    assert failed > 0
    assert all(began < lost + switched_s for began, _ in caller.failures)
    assert (await world.get(SERVICE, "llama"))["spec"] == before
    routes = await world.decisions("llama", action="ROUTE")
    assert [one["spec"]["direction"] for one in routes] == ["Fallback", "Primary"]
    for name, value in (("switched_seconds", switched_s), ("back_seconds", back_s)):
        record_property(name, value)
        print(name, value)


async def test_uninstall_gives_everything_back(world: World) -> None:
    await asyncio.gather(
        world.serve("llama", replicas=2, delay=0.05), world.serve("mini", delay=0.05)
    )
    await world.create(HPA, "mini", spec=autoscaler_spec("mini", floor=1, ceiling=4))
    before = (await world.get(DEPLOYMENT, "llama"))["spec"]
    await world.manage("llama", cache={"mode": "On", "maxSize": "16Mi"})
    await world.manage("mini", scaling={"minReplicas": 2, "maxReplicas": 4})
    operator = world.start_operator()
    url = f"http://{(await world.get(SERVICE, 'llama'))['spec']['clusterIP']}/v1/completions"
    async with calling(Caller(url, rate=10)) as caller:
        carried_out = {"direction": "Arm", "phase": "Verifying"}
        await until(lambda: world.decisions("llama", **carried_out), "ARM", within_s=60)
        await until(lambda: has_ready(world, "mini", 2), "the floor acts", within_s=60)
        await until(lambda: world.rolled_out("llama"), "armed", within_s=90)
        assert operator.stop() == 0
        told = await world.aurora("uninstall", "--namespace", world.namespace)
        await until(lambda: world.rolled_out("llama"), "disarmed", within_s=90)
    for name in ("llama", "mini"):
        assert f"restored {world.namespace}/{name}" in told.splitlines()
    assert (await world.get(DEPLOYMENT, "llama"))["spec"] == before
    assert (await world.get(HPA, "mini"))["spec"]["minReplicas"] == 1
    for name in ("llama", "mini"):
        metadata = (await world.get(MODEL_DEPLOYMENT, name))["metadata"]
        assert FINALIZER not in metadata.get("finalizers", [])
        assert "aurora.dev/original" not in metadata["annotations"]
    assert caller.failures == []


def autoscaler_spec(target: str, *, floor: int, ceiling: int) -> dict[str, Any]:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicas": floor,
        "maxReplicas": ceiling,
        "metrics": [{"type": "Resource", "resource": cpu}],
    }


def last_decision(obj: dict[str, Any]) -> dict[str, Any]:
    text = obj["metadata"]["annotations"]["aurora.dev/last-decision"]
    found: dict[str, Any] = json.loads(text)
    return found


async def condition_is(world: World, type_: str, status: str) -> bool:
    found = (await world.get(MODEL_DEPLOYMENT, "llama")).get("status", {})
    return any(
        one["type"] == type_ and one["status"] == status for one in found.get("conditions", ())
    )


async def has_ready(world: World, app: str, count: int) -> bool:
    return await world.ready_pods(app) >= count


async def all_measured(world: World) -> bool:
    found = await world.decisions("llama")
    return all(one["status"]["phase"] == "Completed" for one in found)


async def counted(world: World, promql: str, least: float) -> bool:
    return await world.measured(promql) >= least
