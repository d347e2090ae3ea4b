"""The kill switch is read after it was asked for, and once for all that ask meanwhile."""

import asyncio
from typing import Any

import pytest

from aurora.errors import UnavailableError
from aurora.kube.control import ControlSwitch


class Server:
    """Answers a read with what the switch said when the read began, and only when it is let."""

    def __init__(self) -> None:
        self.stop, self.reads = "false", 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.reads += 1
        said = self.stop
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {"data": {"stop": said}}


async def a_turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_whoever_asks_during_a_read_is_told_of_a_later_one() -> None:
    server = Server()
    switch = ControlSwitch(server, namespace="aurora-system")  # type: ignore[arg-type]
    early = asyncio.create_task(switch.read())
    await a_turn()
    server.stop = "true"
    late = [asyncio.create_task(switch.read()) for _ in range(16)]
    await a_turn()
    assert server.reads == 1
    server.gate.set()
    assert not (await early).stopped
    assert all([(await one).stopped for one in late])
    assert server.reads == 2


async def test_one_that_does_not_wait_any_more_keeps_nobody_from_the_answer() -> None:
    server = Server()
    switch = ControlSwitch(server, namespace="aurora-system")  # type: ignore[arg-type]
    gone, stays = (asyncio.create_task(switch.read()) for _ in range(2))
    await a_turn()
    gone.cancel()
    server.gate.set()
    assert not (await stays).stopped
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_each_time_is_a_read_and_what_cannot_be_read_is_set() -> None:
    server = Server()
    server.gate.set()
    switch = ControlSwitch(server, namespace="aurora-system")  # type: ignore[arg-type]
    assert not (await switch.read()).stopped
    server.error = UnavailableError("down")
    found = await switch.read()
    assert (found.stopped, found.readable, server.reads) == (True, False, 2)
    server.error = ZeroDivisionError("a fault")
    with pytest.raises(ZeroDivisionError):
        await switch.read()
    server.error = None
    assert not (await switch.read()).stopped
