"""Rows of several callers, kept in one transaction."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection

from aurora.errors import StoreError
from aurora.executor.gathering import Gathering, Row
from aurora.store import Store, TransitionRow

CALLERS = 16


class Counted:
    """A real store that counts transactions, and may be slow or refuse some."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sizes: list[int] = []

    async def record(self, rows: Sequence[Row]) -> None:
        self.sizes.append(len(rows))
        await self.store.record(rows)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Counted]:
    opened = await Store.open(f"sqlite:///{tmp_path}/aurora.db")
    yield Counted(opened)
    await opened.close()


def row(number: int, at: float = 1.0) -> TransitionRow:
    return TransitionRow(f"d{number}", "Approved", at)


async def kept(store: Counted) -> set[str]:
    def names(connection: Connection) -> set[str]:
        found = connection.exec_driver_sql("SELECT decision FROM transitions")
        return {name for (name,) in found}

    return await store.store._read(names)


async def test_rows_of_many_callers_share_a_transaction(store: Counted) -> None:
    gathering = Gathering(store)  # type: ignore[arg-type]
    await asyncio.gather(*(gathering.keep([row(one)]) for one in range(CALLERS)))
    assert len(await kept(store)) == CALLERS
    assert len(store.sizes) <= 2


async def test_a_transaction_waits_a_moment_for_what_comes_next(store: Counted) -> None:
    gathering = Gathering(store)  # type: ignore[arg-type]
    work = []
    for one in range(3):
        work.append(asyncio.create_task(gathering.keep([row(one)])))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*work)
    assert store.sizes == [3]


async def test_a_row_is_kept_once_the_caller_goes_on(store: Counted) -> None:
    gathering = Gathering(store)  # type: ignore[arg-type]
    for one in range(3):
        await gathering.keep([row(one)])
        assert f"d{one}" in await kept(store)


async def test_a_row_that_cannot_be_kept_takes_no_other_with_it(store: Counted) -> None:
    gathering = Gathering(store)  # type: ignore[arg-type]
    work = [gathering.keep([row(one, float("nan") if one == 3 else 1.0)]) for one in range(6)]
    ends = await asyncio.gather(*work, return_exceptions=True)
    assert [type(one) for one in ends if one is not None] == [StoreError]
    assert await kept(store) == {"d0", "d1", "d2", "d4", "d5"}


async def test_who_is_cancelled_leaves_the_others_alone(store: Counted) -> None:
    gathering = Gathering(store)  # type: ignore[arg-type]
    tasks = [asyncio.create_task(gathering.keep([row(one)])) for one in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ends if one is not None] == [asyncio.CancelledError]
    assert {"d0", "d2", "d3"} <= await kept(store)


async def test_an_error_that_is_nobodys_is_raised_where_the_row_came_from() -> None:
    class Broken:
        async def record(self, rows: Sequence[Row]) -> None:
            raise RuntimeError(str(len(rows)))

    gathering = Gathering(Broken())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="1"):
        await gathering.keep([row(1)])
