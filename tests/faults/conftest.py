"""One control plane for all tests of this folder: its API server is killed and started anew."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.opening import install, open_world
from tests.faults.pool import Tasks, living
from tests.faults.world import World
from tests.support.controlplane import TestControlPlane, control_plane

__all__ = ["control_plane"]


@pytest.fixture(scope="session", autouse=True)
def installed(control_plane: TestControlPlane) -> None:
    asyncio.run(install(control_plane))


@pytest.fixture
async def world(control_plane: TestControlPlane, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(control_plane, tmp_path) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lived(
    request: pytest.FixtureRequest,
    control_plane: TestControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Tasks]:
    """The tasks of the module's SCENARIOS, by name."""
    async with living(request, control_plane, tmp_path_factory, request.module.SCENARIOS) as tasks:
        yield tasks
