"""What many models need in one cycle is done for several at a time, and no less carefully."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aurora.executor import statuses
from aurora.executor.dispatch import Dispatcher
from aurora.executor.statuses import PARALLEL_WRITES
from aurora.kube.kinds import MODEL_DEPLOYMENT, Ref
from aurora.resources import DecisionObject
from tests.cycle.world import World, operator, teach

DEADLINE_S = 20
NAMES = tuple("abcd")


def scaled(folder: Path, names: tuple[str, ...] = NAMES) -> World:
    """Models that are all to be scaled in the same cycle."""
    world = World(folder)
    for name in names:
        world.deploy(name, 2)
        world.served[name].load = 8.0
        world.apply_model(name, scaling={"minReplicas": 3, "maxReplicas": 3})
    return world


def meeting(monkeypatch: pytest.MonkeyPatch, name: str, wanted: int) -> list[str]:
    """Let a step of the dispatcher wait until so many are in it; gives who came."""
    real, came, all_here = getattr(Dispatcher, name), list[str](), asyncio.Event()

    async def waits(self: Dispatcher, found: DecisionObject, *args: Any, **more: Any) -> Any:
        came.append(found.metadata.name)
        if len(came) == wanted:
            all_here.set()
        async with asyncio.timeout(DEADLINE_S):
            await all_here.wait()
        return await real(self, found, *args, **more)

    monkeypatch.setattr(Dispatcher, name, waits)
    return came


async def test_models_are_measured_side_by_side_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = scaled(tmp_path)
    came = meeting(monkeypatch, "settle", len(NAMES))
    async with operator(world, blast_radius_minimum=len(NAMES)) as run:
        await run.until(*["Completed"] * len(NAMES))
        await run.cycles(3)
        assert sorted(came) == sorted(one.metadata.name for one in world.decisions())
        phases = [run.cycle.ledger.of_model(key)[0].phase for key in run.cycle.memories]
        assert phases == ["Completed"] * len(NAMES)


async def test_of_models_measured_together_every_case_can_be_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    for name in NAMES:
        world.deploy(name, 2)
        world.apply_model(name)
        await teach(world, name, load=8.0, ready=2)
    async with operator(world, blast_radius_minimum=len(NAMES)) as run:
        await run.cycles(12)
        for name in NAMES:
            world.served[name].load = 22.0
        await run.until(*["Completed"] * len(NAMES), action="SCALE")
        assert len(run.cycle.parts.keeper._casebook) == len(NAMES)


async def test_ways_back_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = scaled(tmp_path)
    world.broken.update(NAMES)
    came = meeting(monkeypatch, "undo", len(NAMES))
    async with operator(world, blast_radius_minimum=len(NAMES)) as run:
        await run.until(*["RolledBack"] * len(NAMES), action="SCALE")
        assert len(came) == len(NAMES)
        assert [world.replicas(name) for name in NAMES] == [2] * len(NAMES)


async def test_statuses_are_written_together_and_not_made_ahead_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(f"m{number}" for number in range(PARALLEL_WRITES + 8))
    world = scaled(tmp_path, names)
    cluster: Any = world.cluster
    real_write, real_status = cluster.replace, statuses.status_of
    here, made, written, ahead = 0, 0, 0, 0
    full = asyncio.Event()

    def compares(*args: Any, **more: Any) -> Any:
        nonlocal made, ahead
        made += 1
        ahead = max(ahead, made - written)
        return real_status(*args, **more)

    async def writes(ref: Ref, put: Any, **more: Any) -> Any:
        nonlocal here, written
        if ref.kind == MODEL_DEPLOYMENT and more.get("subresource"):
            here += 1
            if here == PARALLEL_WRITES:
                full.set()
            async with asyncio.timeout(DEADLINE_S):
                await full.wait()
            written += 1
        return await real_write(ref, put, **more)

    monkeypatch.setattr(statuses, "status_of", compares)
    monkeypatch.setattr(cluster, "replace", writes)
    async with operator(world) as run:
        await run.cycles()
    assert made == written == len(names)
    assert ahead == PARALLEL_WRITES
