"""The record store: decisions, what happened to them, states for replay, and what was learned.

Every method raises StoreError, whose one line says what to do. The cluster's objects stay the
truth for what is under way, so a caller that gets one goes on holding and tries again later.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from aurora.store import pruning, reading, writing
from aurora.store.engine import make_engine, place_of, resolve
from aurora.store.errors import storing
from aurora.store.migrate import upgrade
from aurora.store.rows import (
    CaseMark,
    CaseRow,
    DecisionFilter,
    DecisionRecord,
    DecisionRow,
    MemoryRow,
    OutcomeRow,
    Pruned,
    StateRow,
    TransitionRow,
)
from aurora.store.transactions import Transactions, transactions

__all__ = ["RETENTION_DAYS", "Store"]

RETENTION_DAYS = 30.0

DEADLINE_S = 30.0
"""A call that took longer fails: a database that hangs must not hold up the control cycle."""

MIGRATION_DEADLINE_S = 600.0
MEMORY_PAGE = 50

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Store:
    """Records in SQLite or PostgreSQL. Made by `Store.open`, ended by `close`."""

    def __init__(
        self, transactions: Transactions, where: str, deadline_s: float = DEADLINE_S
    ) -> None:
        self._transactions = transactions
        self._where = where
        self._deadline_s = deadline_s
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, *, deadline_s: float = DEADLINE_S) -> Self:
        """Connect, make the file where there is none, and bring the schema up to date.

        Args:
            url: sqlite:////folder/file.db or postgresql://user:password@host/database.
            deadline_s: seconds that each later call may take.

        Raises:
            ConfigurationError: the URL is not one that records can be kept in.
            StoreError: the store cannot be reached, is damaged, or is of a newer version.
        """
        parsed: URL = resolve(url)
        where = place_of(parsed)
        with storing(where):
            store = cls(transactions(make_engine(parsed)), where, MIGRATION_DEADLINE_S)
        try:
            await store._write(upgrade, where)
            store._deadline_s = deadline_s
        except BaseException:
            await store.close()
            raise
        return store

    @property
    def where(self) -> str:
        """The file, or the database without user and password: fit for a message."""
        return self._where

    async def close(self) -> None:
        """Give back every connection; the store is not usable afterwards."""
        with storing(self._where):
            await self._transactions.close()

    async def record(self, rows: Sequence[DecisionRow | TransitionRow | OutcomeRow]) -> None:
        """Keep rows of any of the three kinds in one transaction: all of them or none.

        A row costs little in it, and a transaction of its own many times as much.
        """
        await self._write(writing.add_rows, rows)

    async def record_decision(self, row: DecisionRow) -> None:
        """Keep a decision. Repeating it is no error, and adds a uid that was unknown."""
        await self._write(writing.add_rows, [row])

    async def record_transition(self, row: TransitionRow) -> None:
        """Add a phase that a decision entered. Repeating the same is no error."""
        await self._write(writing.add_rows, [row])

    async def record_outcome(self, row: OutcomeRow) -> None:
        """Keep a decision's outcome; the first one recorded stays."""
        await self._write(writing.add_rows, [row])

    async def record_states(self, batch: Sequence[StateRow]) -> None:
        """Keep snapshots; one of the same model and time is there already and stays."""
        for part in writing.chunks(batch):
            await self._write(writing.add_states, part)

    async def save_memory(self, batch: Sequence[MemoryRow]) -> None:
        """Keep what was learned per model; an older row never replaces a newer one."""
        for part in writing.chunks(batch):
            await self._write(writing.put_memory, part)

    async def memories(self) -> AsyncIterator[MemoryRow]:
        """What was learned about every model, read page by page: each is tens of kilobytes."""
        after = ("", "")
        while page := await self._read(reading.memories, after=after, limit=MEMORY_PAGE):
            for row in page:
                yield row
            after = (page[-1].namespace, page[-1].model)

    async def cases(
        self,
        *,
        limit: int = 50_000,
        since: float | None = None,
        after: int = 0,
        before: int | None = None,
    ) -> list[CaseRow]:
        """The newest measured decisions with features, at most `limit`, oldest first.

        Args:
            limit: how many.
            since: measured at this time or later (epoch seconds).
            after: only cases numbered higher.
            before: only cases numbered lower; None is no bound.
        """
        return await self._read(reading.cases, limit=limit, since=since, after=after, before=before)

    async def case_mark(self) -> CaseMark:
        """How many cases there are and the newest one's number."""
        return await self._read(reading.case_mark)

    async def decisions(self, wanted: DecisionFilter) -> list[DecisionRecord]:
        """The decisions that match, newest first, at most 500 a call."""
        return await self._read(reading.records, wanted)

    async def decision(self, found: str) -> DecisionRecord | None:
        """One decision by its id."""
        rows = await self.decisions(DecisionFilter(id=found, limit=1))
        return rows[0] if rows else None

    async def states(
        self,
        namespace: str,
        model: str,
        *,
        since: float,
        until: float,
    ) -> AsyncIterator[StateRow]:
        """One model's states with since <= at < until, oldest first, read page by page."""
        start = since
        while True:
            page = await self._read(
                reading.snapshots,
                namespace=namespace,
                model=model,
                since=start,
                until=until,
                limit=writing.CHUNK,
            )
            for row in page if start == since else page[1:]:
                yield row
            if len(page) < writing.CHUNK:
                return
            start = page[-1].at

    async def prune(
        self,
        now: float,
        *,
        retention_days: float = RETENTION_DAYS,
        keep: Collection[str] = (),
    ) -> Pruned:
        """Remove what is older than the retention, in many small transactions.

        A decision in flight stays whatever its age, and so does one whose id is in `keep`
        (its object still exists, or its change has an undo that is still open). One call removes
        at most `pruning.BATCHES` times `pruning.BATCH` rows of a kind; call again while `more`.
        """
        before = now - retention_days * writing.SECONDS_PER_DAY
        total = Pruned(0, 0, 0, more=False)
        for _ in range(pruning.BATCHES):
            part = await self._write(pruning.prune, before, keep)
            total = pruning.joined(total, part)
            if not part.more:
                break
        if total.decisions or total.states:
            await self._write(pruning.give_back)
        return total

    async def _write(
        self,
        work: Callable[Concatenate[Connection, _P], _R],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _R:
        """Run `work` in one transaction; one at a time, since SQLite has one writer anyway."""
        async with self._bounded(), self._writing:
            return await self._transactions.run(
                lambda connection: work(connection, *args, **kwargs), writes=True
            )

    async def _read(
        self,
        work: Callable[Concatenate[Connection, _P], _R],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _R:
        async with self._bounded():
            return await self._transactions.run(
                lambda connection: work(connection, *args, **kwargs), writes=False
            )

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        with storing(self._where):
            async with asyncio.timeout(self._deadline_s):
                yield
