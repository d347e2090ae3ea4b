"""Situations in which one action is due, and how to tell that it was done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aurora.kube.kinds import CONFIG_MAP, DEPLOYMENT, HPA, POD, SERVICE, Ref
from tests.faults.world import World
from tests.support.cluster import eventually
from tests.support.faultproxy_calls import effects

__all__ = ["STORIES", "Story", "executed", "made"]


@dataclass(frozen=True)
class Story:
    """One action.

    Attributes:
        begin: makes it due.
        done: whether it is in force.
        writes: how many writes it takes until then and until all is told; kill points are tried
            up to it, and the tests check that the number is right.
        leaves: how often each leaf of somebody else's object is written.
    """

    begin: Callable[[World], Awaitable[None]]
    done: Callable[[World], Awaitable[Any]]
    writes: int
    leaves: dict[str, int]


async def _too_few(world: World) -> None:
    await world.short_of_replicas()


async def _scaled(world: World) -> bool:
    return await world.replicas() == 3 and bool(await world.decisions(phase="Verifying"))


async def _floor(world: World) -> None:
    await world.deploy("llama", 2)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama"}
    usage = {"type": "Utilization", "averageUtilization": 80}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": usage}}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5, "metrics": [metric]}
    manifest = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "llama", "namespace": world.namespace},
        "spec": spec,
    }
    await world.client.create(HPA, manifest)
    await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})


async def _raised(world: World) -> bool:
    spec = (await world.get(HPA))["spec"]
    grown = (spec["minReplicas"], await world.replicas()) == (3, 3)
    return grown and bool(await world.decisions(phase="Verifying"))


async def _failing(world: World) -> None:
    """Every pod of the primary crashes, and a fallback is ready."""
    await world.deploy("spare", 1)
    await world.deploy("llama", 2)
    pods = await eventually(lambda: _pods(world, "llama", 2), within_s=40)
    for pod in pods:
        await crash(world, pod)
    await world.apply_model(
        scaling={"minReplicas": 2, "maxReplicas": 2}, fallback={"serviceRef": {"name": "spare"}}
    )


async def _pods(world: World, app: str, count: int) -> list[dict[str, Any]]:
    """The pods of a workload, once they and the fallback's are ready."""
    found = (await world.client.list(POD, namespace=world.namespace)).items
    ready = [one for one in found if one.get("status", {}).get("phase") == "Running"]
    mine = [one for one in ready if one["metadata"]["labels"]["app"] == app]
    return mine if len(mine) == count and len(ready) > count else []


async def crash(world: World, pod: dict[str, Any]) -> None:
    """Put a pod into CrashLoopBackOff, as a kubelet tells of it."""
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    container = {"name": "engine", "image": "engine:1", "imageID": "", "restartCount": 5}
    status = {
        "containerStatuses": [container | {"ready": False, "state": waiting}],
        "conditions": [
            {"type": "Ready", "status": "False", "lastTransitionTime": _now(pod)},
            {"type": "ContainersReady", "status": "False", "lastTransitionTime": _now(pod)},
        ],
    }
    ref = Ref(POD, world.namespace, pod["metadata"]["name"])
    await world.client.patch_merge(ref, {"status": status}, subresource="status")


def _now(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["creationTimestamp"])


async def _routed(world: World) -> bool:
    selector = (await world.get(SERVICE))["spec"]["selector"]
    return selector == {"app": "spare"} and bool(await world.decisions(phase="Verifying"))


async def _cacheable(world: World) -> None:
    """A calm model whose user asks for the cache: arming is due."""
    probe = {"httpGet": {"path": "/health", "port": 8000}}
    container = {
        "name": "engine",
        "image": "engine:1",
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": probe,
    }
    labels = {"app": "llama"}
    await world.deploy(
        "llama",
        2,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        template={"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    )
    named = [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": "http"}]
    await world.client.patch_json(Ref(SERVICE, world.namespace, "llama"), named)
    pods = await eventually(lambda: _running(world), within_s=40)
    world.serve(pods=2, names=[pod["metadata"]["name"] for pod in pods])
    await world.apply_model(
        cache={"mode": "Auto"},
        scaling={"minReplicas": 2, "maxReplicas": 2, "nodeProvisioning": "Auto"},
    )


async def _running(world: World) -> list[dict[str, Any]]:
    found = (await world.client.list(POD, namespace=world.namespace)).items
    ready = [one for one in found if one.get("status", {}).get("phase") == "Running"]
    return ready if len(ready) == 2 else []


async def _armed(world: World) -> bool:
    annotations = (await world.get(DEPLOYMENT))["metadata"].get("annotations", {})
    return "aurora.dev/cache-sidecar" in annotations and bool(
        await world.decisions(action="CACHE", phase="Verifying")
    )


def made(world: World) -> dict[str, int]:
    """How often each leaf was written."""
    found: dict[str, int] = {}
    for one in effects(world.calls):
        kind = CONFIG_MAP.plural if one.target.startswith(CONFIG_MAP.plural) else one.target
        name = f"{kind}{one.path}" if one.path else kind
        found[name] = found.get(name, 0) + 1
    return found


STORIES = {
    "SCALE": Story(_too_few, _scaled, 12, {"deployments/llama/scale/spec/replicas": 1}),
    "the floor of an autoscaler": Story(
        _floor, _raised, 12, {"horizontalpodautoscalers/llama/spec/minReplicas": 1}
    ),
    "ROUTE": Story(_failing, _routed, 12, {"services/llama/spec/selector": 1}),
    "CACHE": Story(_cacheable, _armed, 14, {}),
}


async def executed(world: World) -> list[str]:
    """Names of the Decisions that acted."""
    return [
        one["metadata"]["name"]
        for one in await world.decisions()
        if one["spec"]["action"] != "ALERT" and one["status"]["phase"] in {"Verifying", "Completed"}
    ]
