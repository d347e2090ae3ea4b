"""InferencePools as backends of a RoutingPolicy, on a real API server.

The definition of InferencePool is a small one of the tests' own, with the names of
inference.networking.k8s.io/v1: AURORA reads and writes the HTTPRoute alone.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from aurora.errors import ConflictError
from aurora.kube.client import KubeClient
from aurora.kube.kinds import HTTP_ROUTE, ROUTING_POLICY, Kind, Ref
from tests.apiserver.test_loop import QUICK, World
from tests.apiserver.test_loop import world as plain_world
from tests.apiserver.test_routing_policy import condition, holds
from tests.apiserver.test_routing_policy import world as routed_world
from tests.support.cluster import CRDS, are_served, eventually

__all__ = ["plain_world", "routed_world"]

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

GROUP = "inference.networking.k8s.io"
INFERENCE_POOL = Kind(GROUP, "v1", "inferencepools", "InferencePool")
BACKENDS = ("stable", "canary")
SPEC = {
    "type": "object",
    "required": ["selector", "targetPorts"],
    "properties": {
        "selector": {
            "type": "object",
            "properties": {
                "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}
            },
        },
        "targetPorts": {
            "type": "array",
            "items": {"type": "object", "properties": {"number": {"type": "integer"}}},
        },
    },
}
DEFINITION: dict[str, Any] = {
    "apiVersion": CRDS.api_version,
    "kind": CRDS.kind,
    "metadata": {
        "name": f"inferencepools.{GROUP}",
        # The API server asks this of every definition in a k8s.io group.
        "annotations": {"api-approved.kubernetes.io": "unapproved, for tests alone"},
    },
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": INFERENCE_POOL.plural, "kind": INFERENCE_POOL.kind},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC}},
                },
            }
        ],
    },
}
Json = dict[str, Any]


@pytest.fixture
async def world(routed_world: World) -> AsyncIterator[World]:
    """Two pools, each in front of the pods of a ModelDeployment."""
    client = routed_world.client
    ref = Ref(CRDS, "", DEFINITION["metadata"]["name"])
    if await client.get(ref) is None:
        await client.create(CRDS, DEFINITION)
    await eventually(partial(are_served, client, INFERENCE_POOL), within_s=30)
    for name in BACKENDS:
        await routed_world.apply_model(name, autonomy={"mode": "Observe"})
        await _make(routed_world, INFERENCE_POOL, name, _pool(name))
    yield routed_world
    found = await client.get(ref)
    if found is not None:
        await client.delete(ref, uid=found["metadata"]["uid"])


def _pool(name: str) -> Json:
    return {"selector": {"matchLabels": {"app": name}}, "targetPorts": [{"number": 8000}]}


async def _make(world: World, kind: Kind, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": world.namespace}
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
    return await world.client.create(kind, body)


def _pool_ref(name: str, weight: int, **more: Any) -> Json:
    return {"group": GROUP, "kind": "InferencePool", "name": name, "weight": weight} | more


async def _route(world: World, *refs: Json) -> Json:
    rules = [{"backendRefs": [*refs]}]
    spec = {"parentRefs": [{"name": "gateway"}], "rules": rules}
    return await _make(world, HTTP_ROUTE, "chat", spec)


async def _policy(world: World, **pool: Any) -> None:
    backends = [
        {"name": name, "inferencePoolRef": {"name": name} | pool, "modelRef": {"name": name}}
        for name in BACKENDS
    ]
    spec = {"routeRef": {"name": "chat"}, "backends": backends, "autonomy": QUICK}
    await _make(world, ROUTING_POLICY, "chat", spec | {"metrics": {"minSamples": 10}})


async def _weights(world: World) -> list[int]:
    (rule,) = (await world.get(HTTP_ROUTE, "chat"))["spec"]["rules"]
    return [one["weight"] for one in rule["backendRefs"]]


async def _are(world: World, *wanted: int) -> bool:
    return await _weights(world) == [*wanted]


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> list[list[Json]]:
    """Every JSON Patch of an HTTPRoute, as it is sent."""
    sent: list[list[Json]] = []
    send = KubeClient.patch_json

    async def seen(self: KubeClient, ref: Ref, operations: list[Json], **more: Any) -> Json:
        if ref.kind == HTTP_ROUTE:
            sent.append(operations)
        return await send(self, ref, operations, **more)

    monkeypatch.setattr(KubeClient, "patch_json", seen)
    return sent


@pytest.mark.parametrize(
    "port", [pytest.param({}, id="without a port"), pytest.param({"port": 8000}, id="with a port")]
)
async def test_weights_of_pools_move_and_the_patch_tests_whose_they_are(
    world: World, patches: list[list[Json]], port: Json
) -> None:
    before = await _route(world, *(_pool_ref(name, 50, **port) for name in BACKENDS))
    await _policy(world, **port)
    async with world.operator():
        await eventually(lambda: holds(world, "ResolvedRefs", "True"), within_s=30)
        await eventually(lambda: holds(world, "MetricsAvailable", "True"), within_s=30)
        status = (await world.get(ROUTING_POLICY, "chat"))["status"]
        assert [one["ready"] for one in status["backends"]] == [2, 2]
        world.servers["canary"].error_share = 0.6
        await eventually(lambda: _are(world, 100, 0), within_s=30)
        (decision,) = await world.decisions(action="ROUTE")
        assert decision["spec"]["reason"] == "ServerErrors"
    identity = {"group": GROUP, "kind": "InferencePool"} | port
    tests = {one["path"]: one["value"] for one in patches[0] if one["op"] == "test"}
    refs = "/spec/rules/0/backendRefs"
    for place, name in enumerate(BACKENDS):
        for field, value in (identity | {"name": name, "weight": 50}).items():
            assert tests.pop(f"{refs}/{place}/{field}") == value
    assert set(tests) == {"/metadata/uid", "/metadata/resourceVersion"}
    after = await world.get(HTTP_ROUTE, "chat")
    for ref, weight in zip(before["spec"]["rules"][0]["backendRefs"], (100, 0), strict=True):
        ref["weight"] = weight
    assert after["spec"] == before["spec"], "nothing but the weights"


@pytest.mark.parametrize(
    "ref",
    [
        pytest.param({"name": "canary", "port": 80, "weight": 0}, id="a Service of the same name"),
        pytest.param(_pool_ref("canary", 0, port=8000), id="another port"),
    ],
)
async def test_another_backend_than_the_pool_is_told_of_and_left(world: World, ref: Json) -> None:
    await _route(world, _pool_ref("stable", 100), ref)
    await _policy(world)
    async with world.operator():
        await eventually(lambda: holds(world, "ResolvedRefs", "False", "BackendsDiffer"))
        told = (await condition(world, "ResolvedRefs"))["message"]
        assert "InferencePool canary" in told
        await world.cycles(3)
        assert await world.decisions() == []
    assert await _weights(world) == [100, 0]


async def test_a_pool_that_became_a_service_meanwhile_is_refused_by_the_api_server(
    world: World, patches: list[list[Json]]
) -> None:
    """The very patch that moved the pools' weights, sent to a route whose entry was exchanged."""
    await _route(world, *(_pool_ref(name, 50) for name in BACKENDS))
    await _policy(world)
    async with world.operator():
        await eventually(lambda: holds(world, "MetricsAvailable", "True"), within_s=30)
        world.servers["canary"].error_share = 0.6
        await eventually(lambda: _are(world, 100, 0), within_s=30)
    sent, ref = patches[0], Ref(HTTP_ROUTE, world.namespace, "chat")
    service = {"name": "canary", "port": 80, "weight": 50, "group": "", "kind": "Service"}
    base = "/spec/rules/0/backendRefs"
    exchanged = await world.client.patch_json(
        ref,
        [
            {"op": "replace", "path": f"{base}/0/weight", "value": 50},
            {"op": "replace", "path": f"{base}/1", "value": service},
        ],
    )
    version = exchanged["metadata"]["resourceVersion"]
    fresh = [
        one | {"value": version} if one["path"] == "/metadata/resourceVersion" else one
        for one in sent
    ]
    with pytest.raises(ConflictError):
        await world.client.patch_json(ref, fresh)
    assert await _weights(world) == [50, 50]
