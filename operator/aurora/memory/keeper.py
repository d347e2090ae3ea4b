"""Keeps what was learned: per model in the store, and past cases for the planner."""

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from aurora.critic.ledger import IN_FLIGHT, LedgerEntry
from aurora.errors import StoreError
from aurora.memory.casebook import Casebook
from aurora.memory.cases import case_text
from aurora.memory.embed import Query
from aurora.memory.keeprows import kept_anyway, memory_rows, reasons_of, state_rows
from aurora.memory.schedule import Schedule
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import FleetSnapshot
from aurora.planner.cases import CaseFeatures, Precedent
from aurora.planner.decision import Candidate, Decision
from aurora.planner.features import features_of
from aurora.planner.inputs import PlanInput
from aurora.state.history import History
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState
from aurora.store import Store

__all__ = ["MemoryKeeper"]

log = structlog.get_logger(__name__)

STATE_EVERY_S: Final = 300.0
"""A model's state is kept this often, and whenever its reason changes."""
MEMORY_EVERY_S: Final = 3600.0
"""What was learned is kept this often and at shutdown: it is four times the work of a state (0.8 ms
of CPU instead of 0.2, 13 kB), and a process that is killed learns an hour again."""
WOKEN_EARLY_S: Final = 5.0
"""A cycle that begins so soon after the last was woken by an edit: hundreds at once cause one after
the other, and what is due can wait for the next in turn."""
BUSY_WRITES: Final = 500
PUT_OFF_S: Final = 20.0
"""A cycle with so many writes leaves what is due to the next one, unless the last did so too."""
PRUNE_EVERY_S: Final = 3600.0
LEVEL_EVERY_S: Final = 600.0
"""The index of cases is brought level with the records and saved this often."""
CLOSING_S: Final = 10.0
"""Within the 30 s that a pod has to end: 20,000 models; the rest lose an hour at most."""
PRECEDENTS: Final = 5
_STATES: Final = 200
_STATE_SLICE: Final = 100
_MEMORIES: Final = 20
_MEMORY_SLICE: Final = 20
"""Rows written at once: the event loop is held up for 15 ms, the rest is done in threads."""
_FORGOTTEN_S: Final = 600.0
_DAY_S: Final = 86_400.0


class MemoryKeeper:
    """Between the loop and the store; a store that fails costs history, never a decision.

    Attributes:
        failure: what the store said last, empty while it works.
    """

    def __init__(self, store: Store, casebook: Casebook, *, retention_days: float) -> None:
        self.failure = ""
        self._store = store
        self._casebook = casebook
        self._retention_s = retention_days * _DAY_S
        self._recalled: dict[ObjectKey, ModelMemory] = {}
        self._state_times = Schedule(STATE_EVERY_S, least=_STATES, at_once=True)
        self._memory_times = Schedule(MEMORY_EVERY_S, least=_MEMORIES, at_once=False)
        self._memories: Mapping[ObjectKey, ModelMemory] = {}
        self._before: dict[str, ModelMemory] = {}
        self._cases: dict[str, Query] = {}
        self._foreseen: list[Query] = []
        self._asked_at = -math.inf
        self._pruned_at = 0.0
        self._prune_more = False
        self._levelled_at = 0.0

    async def load(self) -> None:
        """Read back what was learned of every model; what cannot be read is learned again.

        Raises:
            StoreError: the records could not be read at all.
        """
        async for row in self._store.memories():
            try:
                memory = ModelMemory.from_json(row.body)
            except StoreError as error:
                log.warning("a model's memory is dropped", model=row.model, why=str(error))
                continue
            self._recalled[ObjectKey(row.namespace, row.model)] = memory

    def recalled(self, key: ObjectKey) -> ModelMemory:
        """What was known of a model before this process started."""
        return self._recalled.pop(key, ModelMemory())

    @property
    def foresees(self) -> bool:
        """Whether the cycle's cases have to be given to `prepare` before they are recalled."""
        return not self._casebook.instant

    def foresee(self, given: PlanInput, candidate: Candidate) -> Sequence[Precedent]:
        """Take note of what `recall` will be asked in this cycle; knows no precedents."""
        self._foreseen.append(_case(given, candidate))
        return ()

    async def prepare(self) -> None:
        """Embed what was foreseen as one batch, off the event loop."""
        foreseen, self._foreseen = self._foreseen, []
        await self._casebook.prepare(foreseen)

    def recall(self, given: PlanInput, candidate: Candidate) -> Sequence[Precedent]:
        """Similar past cases with their outcomes."""
        name = _name(str(given.observation.key), candidate)
        features, text = self._cases[name] = _case(given, candidate)
        return self._casebook.similar(features, text, PRECEDENTS)

    def case_of(self, decision: Decision) -> tuple[CaseFeatures | None, str]:
        """The case of the decision that was just planned for its model."""
        return self._cases.pop(_name(str(decision.model), decision), (None, ""))

    def remember_before(self, decision: str, memory: ModelMemory) -> None:
        """Keep what was known when a decision was made: the counterfactual comes from it."""
        self._before[decision] = memory

    def memory_before(self, entry: LedgerEntry, state: SystemState) -> ModelMemory:
        """What was known then; after a restart, what is known now without the cycles since."""
        known = self._before.get(entry.id)
        if known is not None:
            return known
        history = History(m for m in state.history if m.at < entry.decided_at)
        return replace(state.memory, history=history)

    async def learned(self, decision: str) -> None:
        """A decision was measured: its case can be found from now on."""
        self._before.pop(decision, None)
        await self.catch_up()

    async def catch_up(self) -> None:
        """Let the cases that the records gained be found; never raises for the store's sake."""
        try:
            await self._casebook.refresh()
        except StoreError as error:
            self._failed(error)

    async def keep(
        self,
        snapshot: FleetSnapshot,
        states: Mapping[ObjectKey, SystemState],
        memories: Mapping[ObjectKey, ModelMemory],
        *,
        writes: int = 0,
    ) -> None:
        """Keep what is due; never raises for the store's sake.

        Args:
            snapshot: what this cycle saw.
            states: what it knew of each model.
            memories: what was learned until now.
            writes: how many this cycle sent to the API server.
        """
        self._memories = memories
        least_s = PUT_OFF_S if writes >= BUSY_WRITES else WOKEN_EARLY_S
        if snapshot.monotonic - self._asked_at < least_s:
            return
        self._asked_at = snapshot.monotonic
        try:
            await self._keep_states(snapshot, states)
            await self._keep_memories(snapshot.at, states)
            await self._prune(snapshot)
            await self._level(snapshot)
        except StoreError as error:
            self._failed(error)
        else:
            self.failure = ""

    async def close(self) -> None:
        """Keep what was learned since it was last kept, the longest ago first; never raises."""
        learned = [
            key
            for key, memory in self._memories.items()
            if (memory.at or 0.0) > self._memory_times.kept_at(key)
        ]
        learned.sort(key=self._memory_times.kept_at)
        try:
            async with asyncio.timeout(CLOSING_S):
                await self._save_memories(learned, {})
        except TimeoutError:
            log.warning("not everything that was learned was kept", within_s=CLOSING_S)
        except StoreError as error:
            self._failed(error)
        await self._casebook.save()

    async def _keep_states(
        self, snapshot: FleetSnapshot, states: Mapping[ObjectKey, SystemState]
    ) -> None:
        reasons = reasons_of(snapshot, states)
        due = self._state_times.due(reasons, snapshot.at)
        for part in _slices(due, _STATE_SLICE):
            rows = await asyncio.to_thread(state_rows, part, snapshot, states, reasons)
            await self._store.record_states(rows)
            self._state_times.kept(part, reasons, snapshot.at)

    async def _keep_memories(self, at: float, states: Mapping[ObjectKey, SystemState]) -> None:
        marks = dict.fromkeys(states, "")
        await self._save_memories(self._memory_times.due(marks, at), marks)

    async def _save_memories(
        self, due: Sequence[ObjectKey], marks: Mapping[ObjectKey, str]
    ) -> None:
        for part in _slices(due, _MEMORY_SLICE):
            found = {key: self._memories[key] for key in part if key in self._memories}
            await self._store.save_memory(await asyncio.to_thread(memory_rows, found))
            for key, memory in found.items():
                self._memory_times.kept([key], {key: marks.get(key, "")}, memory.at or 0.0)

    async def _prune(self, snapshot: FleetSnapshot) -> None:
        """One bounded call a cycle, until nothing is left for this hour.

        A decision whose object is still there stays in the records, whatever its age: it may be
        in force, and its undo open.
        """
        at = snapshot.at
        if not self._prune_more and at - self._pruned_at < PRUNE_EVERY_S:
            return
        there = kept_anyway(snapshot, before=at - self._retention_s)
        days = self._retention_s / _DAY_S
        pruned = await self._store.prune(at, retention_days=days, keep=there)
        self._pruned_at, self._prune_more = at, pruned.more
        if pruned.decisions:
            await self._casebook.refresh()

    async def _level(self, snapshot: FleetSnapshot) -> None:
        if snapshot.at - self._levelled_at < LEVEL_EVERY_S:
            return
        self._levelled_at = snapshot.at
        self._forget(snapshot)
        await self._casebook.refresh()
        await self._casebook.save()

    def _forget(self, snapshot: FleetSnapshot) -> None:
        """Drop what is known of decisions that were never measured."""
        open_ones = {
            found.metadata.name
            for found in snapshot.decisions.values()
            if found.status.phase in IN_FLIGHT
        }
        for name, memory in list(self._before.items()):
            if name not in open_ones and (memory.at or 0.0) < snapshot.at - _FORGOTTEN_S:
                del self._before[name]

    def _failed(self, error: StoreError) -> None:
        if str(error) != self.failure:
            log.warning("what was seen is not kept", why=str(error))
        self.failure = str(error)


def _name(model: str, one: Candidate | Decision) -> str:
    """Several proposals of a model may be looked at in one cycle; one of them is decided on."""
    return f"{model} {one.action} {one.direction}"


def _case(given: PlanInput, candidate: Candidate) -> Query:
    features = features_of(given, candidate)
    return features, case_text(features, candidate.reason.value)


def _slices(keys: Sequence[ObjectKey], size: int) -> Iterator[Sequence[ObjectKey]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
