"""The watches break in every way in which a watch breaks, and nothing is missed for good."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from aurora.kube.kinds import DEPLOYMENT, MODEL_DEPLOYMENT, Ref
from tests.faults.pool import Tasks, scenario_marks
from tests.faults.stories import STORIES, executed, made
from tests.faults.world import World
from tests.support.cluster import eventually, remove
from tests.support.failpoints import Patience
from tests.support.faultproxy import Fault
from tests.support.faultproxy_calls import Call
from tests.support.faultproxy_handlings import refused

pytestmark = scenario_marks

PATIENCE_CYCLES = 4
PATIENCE = Patience(inactivity_s=4.0, sweep_s=6.0)
WATCHED = ("modeldeployments", "decisions", "deployments", "pods", "services", "endpointslices")
EXPIRED = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
BROKEN = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd went away"}


async def unseen_edit(
    world: World, fault: Callable[[], Awaitable[None]], mend: Callable[[], Awaitable[None]]
) -> None:
    """While the watches are broken somebody makes an action due, and takes a model away."""
    for name in ("llama", "other"):
        await world.deploy(name, 2)
        await world.apply_model(name)
    async with world.operator(PATIENCE):
        await world.cycles(2)
        await fault()
        await world.edit_model(scaling={"minReplicas": 3})
        await remove(world.client, Ref(MODEL_DEPLOYMENT, world.namespace, "other"))
        await asyncio.sleep(1.5)
        await mend()
        await eventually(lambda: STORIES["SCALE"].done(world), within_s=90)
        await world.settles()
        await remove(world.client, Ref(DEPLOYMENT, world.namespace, "other"))
        seen = len(world.calls)
        await world.cycles(PATIENCE_CYCLES)
        # Whoever takes it for alive still would write that its target is gone.
        assert not [str(call) for call in world.calls[seen:] if _tells_of(call, "other")]
        # A process that is about to end may decide anew what it does not see done (docs/faults.md).
        await world.settles()
    await world.judged()
    assert made(world) == STORIES["SCALE"].leaves


def _tells_of(call: Call, name: str) -> bool:
    return call.is_write and call.name == name


async def cut(world: World) -> None:
    """Connections are reset, and for a while new ones too."""

    async def fault() -> None:
        world.proxy.refusing = True
        world.proxy.cut()

    async def mend() -> None:
        world.proxy.lift()

    await unseen_edit(world, fault, mend)
    assert world.restarts == []
    assert len(await executed(world)) == 1


async def silent(world: World) -> None:
    """A black hole: no byte, no reset, no end; only new streams can bring anything."""

    async def fault() -> None:
        world.proxy.silent = True

    async def mend() -> None:
        assert await world.replicas() == 2, "it was seen in the dark"
        world.proxy.lift()

    await unseen_edit(world, fault, mend)
    assert world.restarts == []
    assert len(await executed(world)) == 1


async def gone_in_the_stream(world: World) -> None:
    """410 in every stream: kopf lists anew, and says nothing of what was deleted meanwhile."""

    async def fault() -> None:
        world.proxy.silent = True

    async def mend() -> None:
        world.proxy.silent = False
        for one in WATCHED:
            gone = {"type": "ERROR", "object": EXPIRED}
            await eventually(partial(world.proxy.tell, one, gone))

    await unseen_edit(world, fault, mend)
    assert world.restarts == []
    assert len(await executed(world)) == 1


async def gone_on_the_list(world: World) -> None:
    """410 in the stream, and the LIST that follows is answered 410 as well."""
    hit: list[Fault] = []

    async def fault() -> None:
        world.proxy.silent = True

    async def mend() -> None:
        world.proxy.silent = False
        for plural in ("modeldeployments", "deployments"):
            listed = _lists(plural)
            hit.append(world.proxy.inject(Fault("410 on LIST", listed, refused(410), times=1)))
        for one in WATCHED:
            await world.proxy.tell(one, {"type": "ERROR", "object": EXPIRED})

    await unseen_edit(world, fault, mend)
    assert all(one.hits == 1 for one in hit)


def _lists(plural: str) -> Callable[[Any], bool]:
    return lambda call: call.verb == "list" and call.resource == plural


async def another_error(world: World) -> None:
    """An ERROR that is not 410 is fatal by design: the process is started anew and lists anew.

    Until it has ended, one kind is not watched any more: it may decide on what it did already,
    and then finds it done.
    """

    async def fault() -> None:
        world.proxy.silent = True

    async def mend() -> None:
        world.proxy.silent = False
        broken = {"type": "ERROR", "object": BROKEN}
        await eventually(lambda: world.proxy.tell("deployments", broken))
        seen, listed = len(world.calls), _lists("deployments")
        await eventually(lambda: world.restarts, within_s=60)
        await eventually(lambda: any(map(listed, world.calls[seen:])), within_s=60)

    await unseen_edit(world, fault, mend)
    assert len(world.restarts) == 1
    assert "WatchingError" in world.restarts[0]


async def one_event_lost(world: World) -> None:
    """One MODIFIED never arrives, the stream goes on: the sweep finds the gap."""
    lost: list[dict[str, Any]] = []

    def loses(event: dict[str, Any]) -> bool:
        found = event["object"]
        mine = event["type"] == "MODIFIED" and found["metadata"]["name"] == "llama"
        edited = found.get("spec", {}).get("scaling", {}).get("minReplicas") == 3
        if mine and found["kind"] == "ModelDeployment" and edited:
            lost.append(event)
            return True
        return False

    async def fault() -> None:
        world.proxy.lose_event = loses

    async def mend() -> None:
        assert len(lost) == 1

    await unseen_edit(world, fault, mend)
    assert world.restarts == []
    assert len(await executed(world)) == 1


async def time_travel(world: World) -> None:
    """After a restart the API server answers as it did before anything was done, then catches up.

    What is decided on the old state is refused by the tests on resourceVersion.
    """
    story = STORIES["SCALE"]
    await story.begin(world)
    async with world.operator(PATIENCE):
        await eventually(lambda: story.done(world), within_s=60)
        await world.settles()
    done = len(await executed(world))
    world.proxy.travel()
    await world.free_the_lease()
    async with world.operator(PATIENCE):
        await world.cycles(4)
        assert made(world) == story.leaves, "it acted on what is long past"
        world.proxy.lift()
        world.proxy.cut()
        await world.cycles(4)
        await world.settles(within_s=90)
    await world.judged()
    assert made(world) == story.leaves
    assert len(await executed(world)) >= done


SCENARIOS = {
    "streams cut": cut,
    "streams silent": silent,
    "410 in the stream": gone_in_the_stream,
    "410 on LIST": gone_on_the_list,
    "another ERROR event": another_error,
    "one event lost": one_event_lost,
    "time travel": time_travel,
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_broken_watch_misses_nothing_for_good(lived: Tasks, name: str) -> None:
    await lived[name]
