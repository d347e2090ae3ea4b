"""Each different write of an action fails once, in every way in which a write can fail."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from aurora.kube.kinds import CONFIG_MAP, DECISION, DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE, Kind
from tests.faults.pool import living, scenario_marks
from tests.faults.stories import STORIES, executed, made
from tests.faults.world import CYCLE_S, World
from tests.support.cluster import eventually
from tests.support.controlplane import TestControlPlane
from tests.support.faultproxy import Handling
from tests.support.faultproxy_calls import Call
from tests.support.faultproxy_handlings import (
    before,
    delayed,
    each_write_once,
    lost_answer,
    refused,
    reset,
)

pytestmark = scenario_marks

_KINDS: dict[str, Kind] = {
    kind.plural: kind for kind in (CONFIG_MAP, DECISION, DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE)
}
HANDLINGS: dict[str, Handling] = {
    "503": refused(503),
    "reset before it arrived": reset,
    "done, and the answer lost": lost_answer,
    "409": refused(409),
    "429 with Retry-After": refused(429, retry_after="1"),
    "two seconds late": delayed(2.0),
}


def somebody_writes_first(world: World) -> Handling:
    """A real conflict: the JSON Patch test fails on the API server itself."""

    async def touch(call: Call) -> None:
        if call.resource in _KINDS and call.name:
            await world.touch(_KINDS[call.resource], call.name)

    return before(touch)


async def fails_once(world: World, story: str, how: str) -> None:
    """Live a story in which each write has to be made twice."""
    await STORIES[story].begin(world)
    handling = HANDLINGS.get(how) or somebody_writes_first(world)
    fault = world.proxy.inject(each_write_once(how, handling))
    async with world.operator():
        await eventually(lambda: STORIES[story].done(world), within_s=120)
        world.proxy.lift()
        await world.settles(within_s=90)
    assert fault.hits >= 6, "an action takes more writes than this"
    await world.judged()
    assert world.restarts == []
    assert len(await executed(world)) == 1
    for leaf, times in STORIES[story].leaves.items():
        assert made(world)[leaf] == times
    if how.startswith("429"):
        assert not hot([call for call in world.calls if call.is_write], seconds=CYCLE_S / 2)


def hot(writes: list[Call], *, seconds: float) -> list[str]:
    """Writes that were refused with 429 and sent again at once, not in the next cycle."""
    found = []
    for place, call in enumerate(writes):
        again = [one for one in writes[place + 1 :] if (one.target, one.body) == _same(call)]
        if call.told == 429 and again and again[0].at - call.at < seconds:
            found.append(str(call))
    return found


def _same(call: Call) -> tuple[str, object]:
    return call.target, call.body


SCENARIOS = {
    f"{how}: {story}": partial(fails_once, story=story, how=how)
    for how in (*HANDLINGS, "somebody wrote first")
    for story in ("SCALE", "ROUTE", "CACHE")
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lived(
    request: pytest.FixtureRequest,
    control_plane: TestControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    async with living(request, control_plane, tmp_path_factory, SCENARIOS) as tasks:
        yield tasks


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_write_that_fails_is_made_again_and_nothing_twice(
    lived: dict[str, asyncio.Task[None]], name: str
) -> None:
    await lived[name]
