"""Several at a time, and in order where they belong together."""

import asyncio

import pytest

from aurora.executor.lanes import in_lanes

DEADLINE_S = 20


async def test_lanes_do_not_wait_for_each_other() -> None:
    here: set[int] = set()
    all_here = asyncio.Event()

    async def take(one: int) -> None:
        here.add(one)
        if len(here) == 4:
            all_here.set()
        async with asyncio.timeout(DEADLINE_S):
            await all_here.wait()

    await in_lanes(range(4), take, lane=lambda one: one, at_once=4)
    assert here == set(range(4))


async def test_no_more_are_worked_on_than_is_said() -> None:
    now, most = 0, 0

    async def take(_: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(5):
            await asyncio.sleep(0)
        now -= 1

    await in_lanes(range(50), take, lane=lambda one: one, at_once=3)
    assert most == 3


async def test_one_lane_keeps_its_order() -> None:
    begun: list[str] = []
    ended: list[str] = []

    async def take(one: str) -> None:
        begun.append(one)
        await asyncio.sleep(0)
        ended.append(one)

    await in_lanes(["a1", "b1", "a2", "a3", "b2"], take, lane=lambda one: one[0])
    for lane in ("a", "b"):
        mine = [one for one in begun if one[0] == lane]
        assert mine == sorted(mine) == [one for one in ended if one[0] == lane]
    assert begun[:2] == ["a1", "b1"]


async def test_what_is_raised_is_told() -> None:
    async def take(_: int) -> None:
        raise RuntimeError("nobody thought of this")

    with pytest.raises(RuntimeError, match="nobody thought"):
        await in_lanes([1], take, lane=lambda one: one)
