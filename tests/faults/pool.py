"""Many scenarios at once: each waits for real seconds most of its time, and has its own namespaces.

A module names its SCENARIOS and tests them by name; the fixture `lived` of conftest.py begins all
that were selected, a few at a time, and each test waits for its own. `pytest -k` begins only what
it selects.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from tests.faults.opening import open_world
from tests.faults.world import World
from tests.support.controlplane import TestControlPlane

__all__ = ["Scenario", "Scenarios", "Tasks", "living", "scenario_marks"]

AT_ONCE = 6
Scenario = Callable[[World], Awaitable[None]]
Scenarios = Mapping[str, Scenario]
Tasks = dict[str, asyncio.Task[None]]

scenario_marks = [
    pytest.mark.apiserver,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]
"""For `pytestmark`: a test may have to wait for those before it."""


@asynccontextmanager
async def living(
    request: pytest.FixtureRequest,
    plane: TestControlPlane,
    factory: pytest.TempPathFactory,
    scenarios: Scenarios,
) -> AsyncIterator[Tasks]:
    """Begin the scenarios that were selected; gives their tasks by name."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def live(scenario: Scenario) -> None:
        async with gate, open_world(plane, factory.mktemp("world")) as world:
            await scenario(world)

    wanted = {
        item.callspec.params.get("name")
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and hasattr(item, "callspec")
    }
    tasks = {
        name: asyncio.create_task(live(scenario), name=name)
        for name, scenario in scenarios.items()
        if name in wanted
    }
    try:
        yield tasks
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
