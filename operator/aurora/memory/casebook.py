"""The casebook: which past cases are similar, and how they turned out.

The records are the truth. The index over them is read when it is there and fits, and brought level
with the records at every `refresh`: cases that are new are embedded, cases that were pruned leave.
"""

import asyncio
import hashlib
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import structlog

from aurora.memory.cases import kind_of
from aurora.memory.embed import Embedder, Query, Vectors
from aurora.memory.index import CaseIndex
from aurora.planner.cases import CaseFeatures, Precedent
from aurora.store import CaseMark, CaseRow, Store

__all__ = ["CASES", "Casebook"]

CASES = 50_000
"""The newest cases that are compared: 11 MB of vectors by numbers, 88 MB with text."""

_JUDGED = frozenset({"Improved", "Neutral", "Regressed"})
"""Verdicts that say something about the action; the other cases would only crowd these out."""

_PREPARED = 8192
_PAGE = 512
"""Cases read in one call: 20,000 at once take 45 MB more, which the process does not give back."""
_SLICE = 128
"""Cases embedded in one call: 4 s with text, after which a process that is ending can end."""
_SECONDS_PER_DAY = 86_400.0
_log = structlog.get_logger(__name__)


class _Known(NamedTuple):
    """What is told of a case that was found: its features are in the index, its text is not used.

    With them, 50,000 cases would be 130 MB.
    """

    decision: str
    verdict: str
    action: str
    created_at: float

    @classmethod
    def of(cls, case: CaseRow) -> Self:
        action, verdict = sys.intern(case.action), sys.intern(case.verdict)
        return cls(case.decision, verdict, action, case.created_at)


class Casebook:
    """Implements `Precedents` over the records. Made by `Casebook.open`."""

    def __init__(
        self,
        store: Store,
        folder: Path | None,
        embedder: Embedder,
        *,
        clock: Callable[[], float],
        limit: int = CASES,
    ) -> None:
        self._store = store
        self._folder = folder
        self._embedder = embedder
        self._clock = clock
        self._limit = limit
        self._index = CaseIndex(embedder.name, embedder.dimension)
        self._cases: dict[int, _Known] = {}
        self._mark = CaseMark(0, 0)
        self._changing = asyncio.Lock()
        self._saved = False
        self._prepared: OrderedDict[Query, Vectors] = OrderedDict()

    @classmethod
    async def open(  # noqa: PLR0913 - one casebook, all by name
        cls,
        store: Store,
        folder: Path | None,
        embedder: Embedder,
        *,
        clock: Callable[[], float],
        limit: int = CASES,
        level: bool = True,
    ) -> Self:
        """Read the index, or make it from the records, and bring it level with them.

        Args:
            store: where the cases are.
            folder: of the index; it may be lost at any time. None keeps it in memory.
            embedder: of `choose_embedder`.
            clock: gives the time in seconds since the epoch.
            limit: how many of the newest cases are compared.
            level: False leaves what the index lacks to the first `refresh`: thousands of cases
                take minutes with text, which a start has no time for.

        Raises:
            StoreError: the records could not be read.
        """
        book = cls(store, folder, embedder, clock=clock, limit=limit)
        mark = await store.case_mark()
        complete = await book._load()
        if level and not complete:
            await book._level()
        if level or complete:
            book._mark = mark
        return book

    def __len__(self) -> int:
        return len(self._index)

    @property
    def instant(self) -> bool:
        """Whether `similar` is quick without `prepare`."""
        return self._embedder.instant

    def similar(self, features: CaseFeatures, text: str, limit: int) -> Sequence[Precedent]:
        """At most `limit` judged cases of the same action and direction, most similar first.

        Quick with numbers; with text embeddings only for what `prepare` was given in time.
        """
        if limit < 1 or not self._cases:
            return ()
        vector = self._prepared.get((features, text))
        if vector is None:
            vector = self._embedder.encode([(features, text)])[0]
        now = self._clock()
        found = self._index.search(vector, kind_of(features), limit)
        return tuple(_precedent(self._cases[number], score, now) for number, score in found)

    async def prepare(self, queries: Iterable[Query]) -> None:
        """Embed a cycle's cases as one batch, off the event loop, for the `similar` calls after."""
        if self._embedder.instant:
            return
        wanted = [query for query in dict.fromkeys(queries) if query not in self._prepared]
        if not wanted:
            return
        vectors = await asyncio.to_thread(self._embedder.encode, wanted)
        self._prepared.update(zip(wanted, vectors, strict=True))
        while len(self._prepared) > _PREPARED:
            self._prepared.popitem(last=False)

    async def refresh(self) -> int:
        """Bring the index level with the records; gives how many cases came or went.

        Call it after outcomes were recorded and after pruning; without a change it costs one query.
        While another call is at work it gives 0 at once: nobody waits for minutes of embedding.

        Raises:
            StoreError: the records could not be read; what is in memory stays usable.
        """
        if self._changing.locked():
            return 0
        async with self._changing:
            mark = await self._store.case_mark()
            changed = 0 if mark == self._mark else await self._follow(mark)
            self._mark = mark
        return changed

    async def _follow(self, mark: CaseMark) -> int:
        newer = changed = 0
        async for page in self._pages(after=self._mark.last):
            newer += len(page)
            changed += await self._add(page)
        slack = self._limit // 10  # the oldest leave in groups, not one by one
        if mark.count - self._mark.count == newer and len(self) <= self._limit + slack:
            return changed
        return changed + await self._level()

    async def save(self) -> None:
        """Write the index when it changed; failing costs that it is made again at the next start.

        What is still being embedded is written by a later call.
        """
        if self._folder is None or self._saved or self._changing.locked():
            return
        async with self._changing:
            digest = _digest(self._cases)
            try:
                await asyncio.to_thread(self._index.save, self._folder, digest)
                self._saved = True
            except OSError as error:
                where = str(self._folder)
                _log.warning("the index of cases was not saved", folder=where, why=str(error))

    async def _pages(self, after: int = 0) -> AsyncIterator[list[CaseRow]]:
        """The newest cases, the newest page first."""
        left, before = self._limit, None
        while left and (
            page := await self._store.cases(limit=min(_PAGE, left), after=after, before=before)
        ):
            yield page
            left -= len(page)
            before = page[0].seq

    async def _load(self) -> bool:
        """Take over the saved index where it was made from these records by this embedder.

        Tells whether it is level with them.
        """
        if self._folder is None:
            return False
        name, dimension = self._embedder.name, self._embedder.dimension
        saved = await asyncio.to_thread(CaseIndex.load, self._folder, name, dimension)
        if saved is None:
            return False
        index, digest = saved
        known: dict[int, _Known] = {}
        judged = 0
        async for page in self._pages():
            judged += sum(case.verdict in _JUDGED for case in page)
            known |= {case.seq: _Known.of(case) for case in page if case.seq in index.numbers}
        if len(known) != len(index) or _digest(known) != digest:
            return False
        self._index = index
        self._cases = known
        self._saved = True
        return judged == len(known)

    async def _level(self) -> int:
        judged: set[int] = set()
        added = 0
        async for page in self._pages():
            judged.update(case.seq for case in page if case.verdict in _JUDGED)
            added += await self._add(page)
        gone = self._cases.keys() - judged
        self._index.remove(gone)
        for number in gone:
            del self._cases[number]
        self._saved = self._saved and not gone
        return len(gone) + added

    async def _add(self, cases: Iterable[CaseRow]) -> int:
        added: list[tuple[CaseRow, Query]] = []
        for case in cases:
            features = _features(case)
            if features is not None and case.seq not in self._cases:
                added.append((case, (features, case.text)))
        for start in range(0, len(added), _SLICE):
            part = added[start : start + _SLICE]
            vectors = await asyncio.to_thread(self._embedder.encode, [query for _, query in part])
            self._index.add({case.seq: kind_of(query[0]) for case, query in part}, vectors)
            self._cases |= {case.seq: _Known.of(case) for case, _ in part}
            self._saved = False
        return len(added)


def _features(case: CaseRow) -> CaseFeatures | None:
    """None for a case that teaches nothing: unjudged, or a record that cannot be read."""
    if case.verdict not in _JUDGED:
        return None
    try:
        return CaseFeatures.from_json(case.features)
    except ValueError as error:
        _log.warning("a case was left out", decision=case.decision, why=str(error))
        return None


def _precedent(case: _Known, score: float, now: float) -> Precedent:
    return Precedent(
        decision=case.decision,
        similarity=min(1.0, max(0.0, score)),
        verdict=case.verdict,
        action=case.action,
        age_days=max(0.0, now - case.created_at) / _SECONDS_PER_DAY,
    )


def _digest(cases: Mapping[int, _Known]) -> str:
    """Tells these cases from another record store's with the same numbers."""
    found = hashlib.sha256()
    for number in sorted(cases):
        found.update(f"{number} {cases[number].decision}\n".encode())
    return found.hexdigest()
