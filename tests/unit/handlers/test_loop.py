"""The control loop: its pace, early wake-ups, failures and the watchdog."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from aurora.errors import MetricsError
from aurora.handlers import loop as module
from aurora.handlers.loop import ControlLoop, StalledError
from tests.support.cluster import eventually

Cycle = Callable[[], Awaitable[None]]


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@asynccontextmanager
async def running(loop: ControlLoop) -> AsyncIterator[None]:
    task = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def counted(effect: Callable[[int], Awaitable[None]] | None = None) -> tuple[list[int], Cycle]:
    ran: list[int] = []

    async def cycle() -> None:
        ran.append(len(ran))
        if effect is not None:
            await effect(len(ran))

    return ran, cycle


async def test_a_cycle_runs_at_once_and_then_at_its_pace() -> None:
    ran, cycle = counted()
    async with running(ControlLoop(cycle, interval_s=0.02)):
        await eventually(lambda: len(ran) >= 5)


async def test_many_wake_ups_are_one_early_cycle() -> None:
    ran, cycle = counted()
    loop = ControlLoop(cycle, interval_s=3600.0, debounce_s=0.05)
    async with running(loop):
        await eventually(lambda: len(ran) == 1)
        for _ in range(100):
            loop.wake()
        await eventually(lambda: len(ran) == 2)
        await asyncio.sleep(0.2)
        assert len(ran) == 2


async def test_a_wake_up_during_a_cycle_is_not_lost() -> None:
    woken = asyncio.Event()

    async def wake_within(number: int) -> None:
        if number == 1:
            await woken.wait()

    ran, cycle = counted(wake_within)
    loop = ControlLoop(cycle, interval_s=3600.0, debounce_s=0.01)
    async with running(loop):
        await eventually(lambda: len(ran) == 1)
        loop.wake()
        woken.set()
        await eventually(lambda: len(ran) == 2)


@pytest.mark.parametrize(
    ("took_s", "cycles"),
    [
        pytest.param(500.0, 2, id="a wake-up that waited through the cycle waits no more"),
        pytest.param(0.0, 1, id="one that came just now waits for others"),
    ],
)
async def test_the_wait_for_more_counts_from_the_wake_up(took_s: float, cycles: int) -> None:
    clock = Clock()

    async def work(number: int) -> None:
        if number == 1:
            loop.wake()
            clock.at += took_s
            loop.wake()

    ran, cycle = counted(work)
    loop = ControlLoop(cycle, interval_s=3600.0, debounce_s=400.0, monotonic=clock)
    async with running(loop):
        await eventually(lambda: len(ran) >= cycles)
        for _ in range(20):
            await asyncio.sleep(0)
    assert len(ran) == cycles


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(MetricsError("no answer"), id="an error of our own"),
        pytest.param(RuntimeError("a fault"), id="a fault in the code"),
        pytest.param(TimeoutError("theirs"), id="a timeout that is not the watchdog's"),
    ],
)
async def test_a_cycle_that_fails_does_not_end_the_loop(error: Exception) -> None:
    async def fail(number: int) -> None:
        if number == 1:
            raise error

    _, cycle = counted(fail)
    loop = ControlLoop(cycle, interval_s=0.01)
    async with running(loop):
        await eventually(lambda: loop.cycles >= 2)
    assert loop.failures == 1


async def test_a_cycle_that_hangs_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHORTEST_STALL_S", 0.05)

    async def hang(number: int) -> None:
        if number == 1:
            await asyncio.Event().wait()

    _, cycle = counted(hang)
    loop = ControlLoop(cycle, interval_s=0.01)
    async with running(loop):
        await eventually(lambda: loop.cycles >= 1)
    assert loop.failures == 1


async def test_the_probe_fails_when_no_cycle_ends() -> None:
    clock = Clock()
    _, cycle = counted()
    loop = ControlLoop(cycle, interval_s=15.0, monotonic=clock)
    clock.at = 119.0
    assert loop.check() == 119.0
    clock.at = 121.0
    with pytest.raises(StalledError, match="121 s"):
        loop.check()
    loop.beat()
    assert loop.check() == 0.0
