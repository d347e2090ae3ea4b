"""The operator, a process, is killed between any two writes on the real API server and restarted.

Store writes lie between these writes, so what is lost of the records is tried along with them. The
same product on a cluster in memory, with undo and measurement, is tests/cycle/test_resume.py.
"""

from functools import partial

import pytest

from aurora.kube.kinds import LEASE, Ref
from tests.faults.pool import Tasks, scenario_marks
from tests.faults.stories import STORIES, Story, executed, made
from tests.faults.world import World
from tests.support.cluster import eventually
from tests.support.failpoints import killed_after

pytestmark = scenario_marks

KILL_POINTS = {"SCALE": 8, "the floor of an autoscaler": 8, "ROUTE": 8, "CACHE": 9}
"""As many writes as the action takes until it is done and told; the last may be the status."""


async def killed(world: World, story: Story, writes: int) -> None:
    """Begin, die after so many writes, start anew, and be judged."""
    await story.begin(world)
    process = world.process()
    process.start()
    fault = world.proxy.inject(killed_after(writes, process))
    await process.dies()
    assert fault.hits == 1, "it ended for another reason"
    before = [str(call) for call in world.calls if call.is_write]
    await world.free_the_lease()
    process.start()
    try:
        await eventually(lambda: story.done(world), within_s=90)
        await world.settles()
    except AssertionError as error:
        error.add_note(f"killed after {before}")
        raise
    process.kill()
    await world.judged()
    assert len(await executed(world)) == 1, f"killed after {before}"
    for leaf, times in story.leaves.items():
        assert made(world)[leaf] == times, f"killed after {before}"


async def waits_for_the_lease(world: World) -> None:
    """Nobody frees the Lease: it has to run out first."""
    await world.short_of_replicas()
    process = world.process()
    process.start()
    world.proxy.inject(killed_after(3, process))
    await process.dies()
    process.start()
    assert await world.replicas() == 2
    await eventually(lambda: STORIES["SCALE"].done(world), within_s=90)
    lease = await world.client.get(Ref(LEASE, world.system, "aurora-leader"))
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 1
    await world.settles()
    process.kill()
    await world.judged()


SCENARIOS = {
    f"{name}, write {writes}": partial(killed, story=STORIES[name], writes=writes)
    for name, most in KILL_POINTS.items()
    for writes in range(1, most + 1)
} | {"the Lease runs out": waits_for_the_lease}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_between_two_writes_it_finishes_what_it_began_once(
    lived: Tasks, name: str
) -> None:
    await lived[name]
