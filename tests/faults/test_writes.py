"""Each different write of an action fails once, in every way in which a write can fail."""

from functools import partial
from itertools import pairwise

import pytest

from aurora.kube.kinds import CONFIG_MAP, DECISION, DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE, Kind
from tests.faults.pool import Tasks, scenario_marks
from tests.faults.stories import STORIES, executed, made
from tests.faults.world import World
from tests.support.cluster import eventually
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

RETRY_AFTER_S = 1

_KINDS: dict[str, Kind] = {
    kind.plural: kind for kind in (CONFIG_MAP, DECISION, DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE)
}
HANDLINGS: dict[str, Handling] = {
    "503": refused(503),
    "reset before it arrived": reset,
    "done, and the answer lost": lost_answer,
    "409": refused(409),
    "429 with Retry-After": refused(429, retry_after=str(RETRY_AFTER_S)),
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
    assert fault.hits >= 5, "an action takes more writes than this"
    await world.judged()
    assert world.restarts == []
    assert len(await executed(world)) == 1
    for leaf, times in STORIES[story].leaves.items():
        assert made(world)[leaf] == times
    if how.startswith("429"):
        assert not hot([call for call in world.calls if call.is_write])


def hot(writes: list[Call]) -> list[str]:
    """Writes that came sooner after one that was refused with 429 than Retry-After allows."""
    return [
        f"{after}, {after.at - before.at:.2f} s after {before}"
        for before, after in pairwise(writes)
        if before.told == 429 and after.at - before.at < RETRY_AFTER_S
    ]


SCENARIOS = {
    f"{how}: {story}": partial(fails_once, story=story, how=how)
    for how in (*HANDLINGS, "somebody wrote first")
    for story in ("SCALE", "ROUTE", "CACHE")
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_write_that_fails_is_made_again_and_nothing_twice(lived: Tasks, name: str) -> None:
    await lived[name]
