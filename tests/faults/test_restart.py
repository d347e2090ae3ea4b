"""The API server's process is killed between announcing and doing, and started anew."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from aurora.local import process as programs
from tests.faults.stories import STORIES, executed, made
from tests.faults.world import World
from tests.support.cluster import eventually
from tests.support.controlplane import new_control_plane
from tests.support.faultproxy import Fault
from tests.support.faultproxy_calls import Call
from tests.support.faultproxy_handlings import after

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

OUTAGE_S = 3.0


async def test_the_api_server_dies_and_comes_back(world: World) -> None:
    folder = world.plane.kubeconfig.parent
    if not (folder / "aurora-local.json").exists():
        pytest.skip("the control plane is not one that this session may restart")
    await world.short_of_replicas()
    died = asyncio.Event()

    async def die(_: Call) -> None:
        kill_api_server(folder)
        died.set()

    world.proxy.inject(Fault("API server killed", _announces, after(die), times=1))
    async with world.operator():
        await asyncio.wait_for(died.wait(), 60)
        await asyncio.sleep(OUTAGE_S)
        started = await asyncio.to_thread(new_control_plane(folder).up)
        assert not started.already_running
        await eventually(lambda: STORIES["SCALE"].done(world), within_s=90)
        await world.settles(within_s=90)
    await world.judged()
    assert made(world) == STORIES["SCALE"].leaves
    assert len(await executed(world)) == 1


def _announces(call: Call) -> bool:
    status = (call.body or {}).get("status", {}) if isinstance(call.body, dict) else {}
    return call.resource == "decisions" and status.get("phase") == "Executing"


def kill_api_server(folder: Path) -> None:
    """SIGKILL, and wait until it is gone."""
    [server] = [one for one in programs.find(folder) if one.component == "kube-apiserver"]
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while programs.exit_code(server.pid) is None:
        assert time.monotonic() < deadline, "the API server survives SIGKILL"
        time.sleep(0.01)
