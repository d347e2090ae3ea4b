"""The world changes while an action is under way: denied, deleted, stopped, taken back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest

from aurora.errors import NotFoundError
from aurora.kube.kinds import MODEL_DEPLOYMENT, RESOURCE_QUOTA, Kind, Ref
from tests.faults.pool import Tasks, scenario_marks
from tests.faults.stories import STORIES, executed, made
from tests.faults.world import CYCLE_S, World
from tests.support.cluster import NAMESPACES, eventually, remove, set_switch
from tests.support.faultproxy import Fault
from tests.support.faultproxy_calls import Call, effects
from tests.support.faultproxy_handlings import after, before
from tests.support.oracle import judge, nothing_foreign, quiet, within_bounds

pytestmark = scenario_marks

_ADMISSION = "admissionregistration.k8s.io"
POLICY = Kind(_ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False)
BINDING = Kind(
    _ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", False
)
Hook = Callable[[Call], Awaitable[None]]


def _announces(call: Call) -> bool:
    """The write that says what is about to be done."""
    status = (call.body or {}).get("status", {}) if isinstance(call.body, dict) else {}
    return call.resource == "decisions" and status.get("phase") == "Executing"


def _acts(call: Call) -> bool:
    return call.target == "deployments/llama/scale" and call.is_write


async def stopped(world: World) -> None:
    """The kill switch is set between announcing and doing."""
    await world.short_of_replicas()

    async def stop(_: Call) -> None:
        await set_switch(world.client, world.system, "true")

    world.proxy.inject(Fault("stop", _announces, after(stop), times=1))
    async with world.operator():
        await eventually(lambda: _phase(world, "Executing"), within_s=60)
        await world.cycles(4)
        assert made(world) == {}, "it acted after the switch was set"
        assert (await world.condition("Paused"))["reason"] == "Stopped"
        await set_switch(world.client, world.system, "false")
        await eventually(lambda: STORIES["SCALE"].done(world), within_s=60)
        await world.settles()
    await world.judged()
    assert made(world) == STORIES["SCALE"].leaves


async def _phase(world: World, phase: str) -> bool:
    return bool(await world.decisions(phase=phase))


async def quota(world: World) -> None:
    """A real ResourceQuota has no room for one more pod."""
    hard = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "models", "namespace": world.namespace},
        "spec": {"hard": {"pods": "2"}},
    }
    await world.client.create(RESOURCE_QUOTA, hard)
    await world.deploy("llama", 2)
    await eventually(lambda: _used(world, "2"), within_s=60)
    await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})
    async with world.operator():
        found = await eventually(lambda: world.decisions(phase="Rejected"), within_s=60)
        assert "ResourceQuota models has 0 pods left" in found[0]["spec"]["message"]
        await world.settles()
        assert made(world) == {}
        ref = Ref(RESOURCE_QUOTA, world.namespace, "models")
        await world.client.patch_merge(ref, {"spec": {"hard": {"pods": "9"}}})
        await eventually(lambda: STORIES["SCALE"].done(world), within_s=60)
        await world.settles()
    await world.judged()


async def _used(world: World, pods: str) -> bool:
    found = await world.client.get(Ref(RESOURCE_QUOTA, world.namespace, "models"))
    return bool(found and found.get("status", {}).get("used", {}).get("pods") == pods)


async def denied(world: World) -> None:
    """A real admission policy refuses the write: it fails once, and is not tried in every cycle."""
    name = f"deny-{world.namespace}"
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments/scale"],
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": "not in this namespace"}],
    }
    bound = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": here},
    }
    await world.client.create(POLICY, {"metadata": {"name": name}, "spec": spec})
    await world.client.create(BINDING, {"metadata": {"name": name}, "spec": bound})
    try:
        await world.short_of_replicas()
        await eventually(lambda: _refuses(world), within_s=60)
        async with world.operator():
            found = await eventually(lambda: world.decisions(phase="Failed"), within_s=60)
            told = {one["type"]: one for one in found[0]["status"]["conditions"]}
            assert "not in this namespace" in told["Executed"]["message"]
            await world.cycles(8)
            tried = [call for call in world.calls if _acts(call)]
            assert len(tried) == 1, "it was tried in every cycle"
            await _allow(world, name)
            await eventually(lambda: STORIES["SCALE"].done(world), within_s=120)
            await world.settles()
        await world.judged()
    finally:
        with suppress(NotFoundError):
            await _allow(world, name)


async def _refuses(world: World) -> bool:
    """Whether the policy is in force: the API server takes a moment to know it."""
    ref = Ref(Kind("apps", "v1", "deployments", "Deployment"), world.namespace, "llama")
    patch = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    try:
        await world.client.patch_json(ref, patch, subresource="scale")
    except Exception as error:  # noqa: BLE001 - any refusal is the policy's
        return "not in this namespace" in str(error)
    return False


async def _allow(world: World, name: str) -> None:
    for kind in (BINDING, POLICY):
        await remove(world.client, Ref(kind, "", name))


async def model_deleted(world: World, *, picks: Callable[[Call], bool]) -> None:
    """The ModelDeployment is deleted midway: everything is as it was found, and it can go."""
    await world.short_of_replicas()
    ref = Ref(MODEL_DEPLOYMENT, world.namespace, "llama")

    async def delete(_: Call) -> None:
        await remove(world.client, ref)

    world.proxy.inject(Fault("deleted", picks, after(delete), times=1))
    async with world.operator():
        await eventually(lambda: _gone(world, ref), within_s=90)
        await stays_quiet(world)
        assert await world.replicas() == 2
    nothing_foreign(world.calls)
    assert world.restarts == []


async def stays_quiet(world: World) -> None:
    """Nothing more is written once it is gone, a last cycle aside that did not know yet."""
    await asyncio.sleep(3 * CYCLE_S)
    seen = len(world.calls)
    await asyncio.sleep(4 * CYCLE_S)
    quiet(world.calls[seen:])


async def _gone(world: World, ref: Ref) -> bool:
    return await world.client.get(ref) is None


async def target_deleted(world: World) -> None:
    """The Deployment vanishes between announcing and doing: it is never made anew."""
    await world.short_of_replicas()
    deployment = Ref(Kind("apps", "v1", "deployments", "Deployment"), world.namespace, "llama")

    async def delete(_: Call) -> None:
        await remove(world.client, deployment)

    world.proxy.inject(Fault("deleted", _announces, after(delete), times=1))
    async with world.operator():
        await eventually(lambda: _phase(world, "Failed"), within_s=60)
        await world.settles()
        assert await world.client.get(deployment) is None
        assert (await world.condition("Ready"))["reason"] == "TargetNotFound"
    nothing_foreign(world.calls)


async def namespace_deleted(world: World, *, picks: Callable[[Call], bool]) -> None:
    """All of it is deleted midway: the finalizer is released, and the namespace can go."""
    await world.short_of_replicas()
    ref = Ref(NAMESPACES, "", world.namespace)

    async def delete(_: Call) -> None:
        await remove(world.client, ref)

    world.proxy.inject(Fault("namespace deleted", picks, after(delete), times=1))
    async with world.operator():
        await eventually(lambda: _gone(world, ref), within_s=120)
        await stays_quiet(world)
    nothing_foreign(world.calls)
    within_bounds(effects(world.calls), world.bounds)


async def taken_back(world: World) -> None:
    """Somebody sets two replicas again each time, at once: AURORA stops and asks."""
    await world.short_of_replicas()
    backs = 0
    async with world.operator():
        while not await world.decisions(phase="AwaitingApproval"):
            await eventually(lambda: _moved_or_asked(world), within_s=90)
            if await world.replicas() != 2:
                await world.set_replicas(2)
                backs += 1
            # A process that lost its Lease on a busy machine took along what it had counted.
            assert backs <= 2 + len(world.restarts), "it fights"
        await eventually(lambda: _is(world, "ExternallyReverted"), within_s=30)
        assert backs >= 2
        await world.settles()
        assert await world.replicas() == 2
    seen = await world.seen()
    judge(world.calls, seen, world.bounds, reverted=world.reverted)


async def _moved_or_asked(world: World) -> bool:
    return await world.replicas() != 2 or bool(await world.decisions(phase="AwaitingApproval"))


async def _is(world: World, type_: str) -> bool:
    return (await world.condition(type_)).get("status") == "True"


async def overtaken(world: World) -> None:
    """Somebody sets five replicas right before the write: theirs stays, nothing is taken away."""
    await world.short_of_replicas()

    async def five(_: Call) -> None:
        await world.set_replicas(5)

    world.proxy.inject(Fault("five", _acts, before(five), times=1))
    async with world.operator():
        await eventually(lambda: _phase(world, "Failed"), within_s=60)
        await world.settles()
    assert made(world) == {}
    assert await world.replicas() == 5
    assert await executed(world) == []
    await world.judged()


SCENARIOS = {
    "kill switch set": stopped,
    "quota": quota,
    "admission": denied,
    "model deleted when announced": partial(model_deleted, picks=_announces),
    "model deleted when done": partial(model_deleted, picks=_acts),
    "target deleted": target_deleted,
    "namespace deleted when announced": partial(namespace_deleted, picks=_announces),
    "namespace deleted when done": partial(namespace_deleted, picks=_acts),
    "a second writer takes it back": taken_back,
    "a second writer was faster": overtaken,
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_world_changes_while_an_action_is_under_way(lived: Tasks, name: str) -> None:
    await lived[name]
