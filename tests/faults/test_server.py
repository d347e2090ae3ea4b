"""The API server refuses everything, the leader sleeps, the clock jumps, the store is no store."""

import asyncio
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from aurora.kube.kinds import LEASE, Ref
from tests.faults.pool import Tasks, scenario_marks
from tests.faults.stories import STORIES, executed, made
from tests.faults.world import World
from tests.support.cluster import eventually
from tests.support.failpoints import locked_store
from tests.support.faultproxy import Answer, Fault, Forward
from tests.support.faultproxy_calls import Call
from tests.support.faultproxy_handlings import held, refused
from tests.support.oracle import quiet


async def all_5xx(world: World) -> None:
    """Every request is answered 503 for longer than the Lease lasts."""
    await world.deploy("llama", 2)
    await world.apply_model()
    async with world.operator():
        await world.cycles(2)
        world.proxy.cut()
        fault = world.proxy.inject(Fault("503", lambda _: True, refused(503)))
        await world.edit_model(scaling={"minReplicas": 3})
        await asyncio.sleep(12)
        assert fault.hits > 5
        assert made(world) == {}
        world.proxy.lift()
        await eventually(lambda: STORIES["SCALE"].done(world), within_s=90)
        await world.settles()
    await world.judged()
    assert made(world) == STORIES["SCALE"].leaves


async def leader_sleeps(world: World) -> None:
    """SIGSTOP with a write on its way; a spare takes over; then the write arrives, and SIGCONT.

    The sleeper's write is refused by its tests on resourceVersion, and awake it writes nothing.
    """
    await world.short_of_replicas()
    sleeper = world.process()
    arrived, release = asyncio.Event(), asyncio.Event()

    async def handling(call: Call, forward: Forward) -> Answer | None:
        sleeper.stop()
        arrived.set()
        return await held(release)(call, forward)

    world.proxy.inject(Fault("held", _acts, handling, times=1))
    sleeper.start()
    await asyncio.wait_for(arrived.wait(), 60)
    other = await world.another_proxy()
    spare = world.process(other, store_url=f"sqlite:///{world.folder}/spare.db")
    spare.start()
    await eventually(lambda: STORIES["SCALE"].done(world), within_s=90)
    seen = len(world.proxy.calls)
    release.set()
    sleeper.resume()
    await eventually(lambda: len(world.proxy.calls) > seen + 3, within_s=60)
    await world.settles()
    late = [call for call in world.proxy.calls if _acts(call)]
    assert [call.status for call in late] == [422], "the fence let a late write through"
    quiet(world.proxy.calls[seen:])
    lease = await world.client.get(Ref(LEASE, world.system, "aurora-leader"))
    assert lease is not None
    assert lease["spec"]["holderIdentity"].endswith(f"_{spare.pid}")
    spare.kill()
    sleeper.kill()
    await world.judged()
    assert made(world) == STORIES["SCALE"].leaves
    assert len(await executed(world)) == 1


def _acts(call: Call) -> bool:
    return call.target == "deployments/llama/scale" and call.is_write


async def clock_jumps(world: World, *, offset_s: float) -> None:
    """The wall clock jumps by 5 min while an action is being verified, and back later."""
    await world.deploy("llama", 2)
    world.serve()
    await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})
    async with world.operator() as operator:
        await eventually(lambda: STORIES["SCALE"].done(world), within_s=60)
        operator.offset.value = offset_s
        await world.cycles(6)
        assert await world.replicas() == 3, "the jump was taken for evidence"
        assert len(await executed(world)) == 1
        lease = await world.client.get(Ref(LEASE, world.system, "aurora-leader"))
        assert lease is not None
        assert lease["spec"].get("leaseTransitions", 0) == 0
        operator.offset.value = 0.0
        await world.cycles(3)
        await world.edit_model(scaling={"minReplicas": 4})
        await eventually(lambda: _stands_at(world, 4), within_s=60)
        await world.settles()
    await world.judged()
    assert made(world) == {"deployments/llama/scale/spec/replicas": 2}


async def _stands_at(world: World, replicas: int) -> bool:
    return await world.replicas() == replicas


async def store_locked(world: World) -> None:
    """Another process holds the SQLite file's lock while something has to be done."""
    await world.deploy("llama", 2)
    await world.apply_model()
    async with world.operator():
        await world.cycles(2)
        with locked_store(world.folder / "aurora.db") as let_go:
            await world.edit_model(scaling={"minReplicas": 3})
            await eventually(lambda: _stands_at(world, 3), within_s=90)
            let_go()
        await eventually(lambda: STORIES["SCALE"].done(world), within_s=60)
        await world.settles()
    await world.judged()
    assert made(world) == STORIES["SCALE"].leaves


async def store_full(world: World) -> None:
    """The disk of the records is full while something has to be done; then there is room again."""
    await world.deploy("llama", 2)
    await world.apply_model()
    with small_disk(world.folder / "disk") as disk:
        where = {"store_url": f"sqlite:///{disk}/aurora.db", "index_path": disk / "index"}
        async with world.operator(**where):
            await world.cycles(2)
            fill(disk / "filler")
            await world.edit_model(scaling={"minReplicas": 3})
            await eventually(lambda: STORIES["SCALE"].done(world), within_s=90)
            await world.settles()
            (disk / "filler").unlink()
            await world.edit_model(scaling={"minReplicas": 4})
            await eventually(lambda: _stands_at(world, 4), within_s=60)
            await world.settles()
            await eventually(lambda: _recorded(disk / "aurora.db"), within_s=60)
    await world.judged()
    assert made(world) == {"deployments/llama/scale/spec/replicas": 2}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 8 MB; only root may mount one."""
    folder.mkdir()
    size = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(size, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here: it needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full to the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def _recorded(path: Path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as records:
        found = records.execute("select count(*) from decisions").fetchone()[0]
    records.close()
    return int(found)


SCENARIOS = {
    "every answer 503": all_5xx,
    "leader asleep": leader_sleeps,
    "clock 5 min ahead": partial(clock_jumps, offset_s=300.0),
    "clock 5 min behind": partial(clock_jumps, offset_s=-300.0),
    "store locked": store_locked,
    "store full": store_full,
}
pytestmark = scenario_marks


@pytest.mark.parametrize("name", SCENARIOS)
async def test_what_it_rests_on_fails(lived: Tasks, name: str) -> None:
    await lived[name]
