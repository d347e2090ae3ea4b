"""One control plane for all tests of this folder: its API server is killed and started anew."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.opening import install, open_world
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
