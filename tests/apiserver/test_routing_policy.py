"""RoutingPolicies on a real API server with the real HTTPRoute definition and a real Prometheus."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aurora.errors import ConflictError
from aurora.executor.changes import Change, ObjectRef, beside, fields
from aurora.kube.jsonpatch import guarded
from aurora.kube.kinds import EVENT, HTTP_ROUTE, ROUTING_POLICY, Ref
from tests.apiserver.test_loop import QUICK, World
from tests.apiserver.test_loop import world as plain_world
from tests.support.builders import merged
from tests.support.cluster import eventually
from tests.support.gatewayapi import install_http_routes, remove_http_routes

__all__ = ["plain_world"]

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

BACKENDS = ("stable", "canary")
Json = dict[str, Any]


@pytest.fixture
async def world(plain_world: World) -> AsyncIterator[World]:
    """Two backends with ready pods and metrics."""
    fresh = await install_http_routes(plain_world.client)
    for name in BACKENDS:
        await plain_world.deploy(name, 2)
        plain_world.serve(name)
    yield plain_world
    for one in (
        await plain_world.client.list(ROUTING_POLICY, namespace=plain_world.namespace)
    ).items:
        await let_go(plain_world, one["metadata"]["name"])
    if fresh:
        await remove_http_routes(plain_world.client)


async def let_go(world: World, name: str) -> None:
    """No finalizer keeps the namespace when a test failed before the operator did its part."""
    found = await world.client.get(Ref(ROUTING_POLICY, world.namespace, name))
    if found is not None and found["metadata"].get("finalizers"):
        patch = [{"op": "remove", "path": "/metadata/finalizers"}]
        await world.client.patch_json(Ref(ROUTING_POLICY, world.namespace, name), patch)


async def route(world: World, weights: dict[str, int], *names: str) -> Json:
    refs = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    refs += [{"name": name, "port": 80, "weight": 0} for name in names]
    return await world.client.create(
        HTTP_ROUTE,
        {
            "apiVersion": HTTP_ROUTE.api_version,
            "kind": HTTP_ROUTE.kind,
            "metadata": {"name": "chat", "namespace": world.namespace},
            "spec": {
                "parentRefs": [{"name": "gateway"}],
                "hostnames": ["chat.example"],
                "rules": [
                    {
                        "matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}],
                        "backendRefs": refs,
                    }
                ],
            },
        },
    )


async def policy(world: World, **spec: Any) -> Json:
    body = {
        "routeRef": {"name": "chat"},
        "backends": [{"name": name, "serviceRef": {"name": name, "port": 80}} for name in BACKENDS],
        "metrics": {"minSamples": 10},
        "autonomy": QUICK,
    }
    return await world.client.create(
        ROUTING_POLICY,
        {
            "apiVersion": ROUTING_POLICY.api_version,
            "kind": ROUTING_POLICY.kind,
            "metadata": {"name": "chat", "namespace": world.namespace},
            "spec": merged(body, spec),
        },
    )


async def weights(world: World) -> dict[str, int]:
    (rule,) = (await world.get(HTTP_ROUTE, "chat"))["spec"]["rules"]
    return {one["name"]: one["weight"] for one in rule["backendRefs"]}


async def condition(world: World, type_: str) -> Json:
    status = (await world.get(ROUTING_POLICY, "chat")).get("status", {})
    return next((one for one in status.get("conditions", []) if one["type"] == type_), {})


async def are(world: World, wanted: dict[str, int]) -> bool:
    return await weights(world) == wanted


async def holds(world: World, type_: str, status: str, reason: str = "") -> bool:
    found = await condition(world, type_)
    return found.get("status") == status and reason in {"", found.get("reason")}


async def test_steps_are_patched_verified_and_given_back(world: World) -> None:
    before = await route(world, {"stable": 100, "canary": 0})
    await policy(world)
    async with world.operator():
        await eventually(lambda: are(world, {"stable": 75, "canary": 25}), within_s=30)
        found = await eventually(lambda: world.decisions(action="ROUTE", phase="Verifying"))
        (decision,) = found
        assert decision["spec"]["modelRef"]["kind"] == "RoutingPolicy"
        assert decision["spec"]["target"]["kind"] == "HTTPRoute"
        assert [one["path"] for one in decision["status"]["changes"]] == [
            "/spec/rules/0/backendRefs/0/weight",
            "/spec/rules/0/backendRefs/1/weight",
        ]
        after = await world.get(HTTP_ROUTE, "chat")
        expected = copy.deepcopy(before["spec"])
        for place, weight in enumerate((75, 25)):
            expected["rules"][0]["backendRefs"][place]["weight"] = weight
        assert after["spec"] == expected, "nothing but the weights"
        held = await world.get(ROUTING_POLICY, "chat")
        assert held["metadata"]["finalizers"] == ["aurora.dev/restore"]
        await eventually(lambda: holds(world, "Programmed", "False", "OnTheWay"))
        await eventually(lambda: are(world, {"stable": 50, "canary": 50}), within_s=90)
        await eventually(lambda: holds(world, "Programmed", "True", "Programmed"), within_s=30)
        assert world.metric("aurora_cycle_queries") <= 10
        status = (await world.get(ROUTING_POLICY, "chat"))["status"]
        assert status["weights"] == "stable=50 canary=50"
        assert all(float(one["latencyP95"]) > 0 for one in status["backends"])
        assert [one["ready"] for one in status["backends"]] == [2, 2]
        ref = Ref(ROUTING_POLICY, world.namespace, "chat")
        await world.client.delete(ref, uid=held["metadata"]["uid"])
        await eventually(lambda: _gone(world), within_s=30)
    assert await weights(world) == {"stable": 100, "canary": 0}


async def _gone(world: World) -> bool:
    return await world.client.get(Ref(ROUTING_POLICY, world.namespace, "chat")) is None


async def test_a_failing_backend_loses_its_weight_within_two_cycles_of_its_metrics(
    world: World,
) -> None:
    await route(world, {"stable": 50, "canary": 50})
    await policy(world)
    async with world.operator():
        await eventually(lambda: holds(world, "MetricsAvailable", "True"), within_s=30)
        world.servers["canary"].error_share = 0.6
        await eventually(lambda: are(world, {"stable": 100, "canary": 0}), within_s=20)
        (decision,) = await world.decisions(action="ROUTE")
        assert decision["spec"]["protective"] is True
        assert decision["spec"]["reason"] == "ServerErrors"
        assert decision["spec"]["evidence"][-1]["signal"] == "serverErrorRatio.canary"
        assert (
            "workload" in decision["spec"]["evidence"][-1]["query"]
            or "canary" in (decision["spec"]["evidence"][-1]["query"])
        )


async def test_what_was_learned_moves_the_weights_and_is_compared_with_the_rules(
    world: World,
) -> None:
    await route(world, {"stable": 50, "canary": 50})
    world.servers["canary"].e2e_s = 2.0
    await policy(world, strategy="Learned", learning={"percent": 50})
    async with world.operator():
        await eventually(lambda: favours_stable(world), within_s=90)
        (decision,) = await world.decisions(action="ROUTE")
        assert decision["spec"]["reason"] == "WeightsLearned"
        rewards = [one for one in decision["spec"]["evidence"] if one["unit"] == "points"]
        assert [one["signal"] for one in rewards] == ["reward.stable", "reward.canary"]
        assert float(rewards[0]["value"]) > float(rewards[1]["value"]) + 1.0
        await eventually(lambda: is_told_what_was_learned(world), within_s=20)
        told = (await world.get(ROUTING_POLICY, "chat"))["status"]["comparison"]
        assert told["rules"]["weights"] == "stable=50 canary=50"
        assert told["verdict"] == "TooFew"
        assert world.metric("aurora_cycle_queries") <= 10


async def favours_stable(world: World) -> bool:
    """Half of the traffic by what was learned, at most 99 % of it, the other half evenly."""
    return (await weights(world))["stable"] in range(65, 76)


async def is_told_what_was_learned(world: World) -> bool:
    status = (await world.get(ROUTING_POLICY, "chat")).get("status", {})
    told = status.get("comparison", {}).get("learned", {}).get("weights", "")
    return bool(told.startswith(("stable=8", "stable=9")))


async def test_weights_that_another_manager_sets_back_are_told_of_and_left(world: World) -> None:
    await route(world, {"stable": 50, "canary": 50})
    quick = QUICK | {"mode": "Auto", "cooldown": {"up": "0s", "down": "0s"}}
    await policy(world, strategy="Equal", autonomy=quick)
    async with world.operator():
        await eventually(lambda: holds(world, "Programmed", "True"), within_s=30)
        world.servers["canary"].error_share = 0.6
        for _ in range(2):
            await eventually(lambda: are(world, {"stable": 100, "canary": 0}), within_s=60)
            await world.cycles(11)  # an event may be late: nothing is taken for foreign before
            await set_back(world)
        await eventually(lambda: holds(world, "ExternallyReverted", "True"), within_s=60)
        told = await condition(world, "ExternallyReverted")
        assert "argocd-controller" in told["message"]
        assert "backendRefs[].weight" in told["message"]
        await world.cycles(5)
        assert await weights(world) == {"stable": 50, "canary": 50}, "not fought"
        events = (await world.client.list(EVENT, namespace=world.namespace)).items
        assert [one for one in events if one["reason"] == "ExternallyReverted"]


async def set_back(world: World) -> None:
    patch = [
        {"op": "replace", "path": f"/spec/rules/0/backendRefs/{place}/weight", "value": 50}
        for place in range(2)
    ]
    ref = Ref(HTTP_ROUTE, world.namespace, "chat")
    await world.client.patch_json(ref, patch, field_manager="argocd-controller")


async def test_a_rule_with_a_backend_more_is_not_touched(world: World) -> None:
    await route(world, {"stable": 100, "canary": 0}, "forgotten")
    await policy(world)
    async with world.operator():
        await eventually(lambda: holds(world, "ResolvedRefs", "False", "BackendsDiffer"))
        assert "Service forgotten:80" in (await condition(world, "ResolvedRefs"))["message"]
        await world.cycles(3)
        assert await world.decisions() == []
    assert await weights(world) == {"stable": 100, "canary": 0, "forgotten": 0}


@pytest.mark.parametrize(
    "element",
    [
        pytest.param({"name": "other"}, id="the entry is another Service"),
        pytest.param({"port": 8080}, id="the entry is another port"),
        pytest.param(
            {"group": "inference.networking.k8s.io", "kind": "InferencePool"},
            id="the entry is a pool of the same name",
        ),
    ],
)
async def test_the_api_server_refuses_a_weight_for_another_backend(
    world: World, element: Json
) -> None:
    found = await route(world, {"stable": 100, "canary": 0})
    ref = ObjectRef(
        HTTP_ROUTE.api_version, HTTP_ROUTE.kind, world.namespace, "chat", found["metadata"]["uid"]
    )
    identity = {"group": "", "kind": "Service", "name": "canary", "port": 80}
    change = Change(
        ref, "/spec/rules/0/backendRefs/1/weight", 0, 25, beside=tuple(identity.items())
    )
    changed = await world.client.patch_json(
        Ref(HTTP_ROUTE, world.namespace, "chat"),
        [
            {"op": "replace", "path": f"/spec/rules/0/backendRefs/1/{name}", "value": value}
            for name, value in element.items()
        ],
    )
    patch = guarded(
        uid=ref.uid,
        resource_version=changed["metadata"]["resourceVersion"],
        changes=fields([change]),
        beside=beside([change], found),
    )
    assert len([one for one in patch if one["op"] == "test"]) == 7, "uid, version, four, the weight"
    with pytest.raises(ConflictError):
        await world.client.patch_json(Ref(HTTP_ROUTE, world.namespace, "chat"), patch)
