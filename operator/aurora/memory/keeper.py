"""Keeps what was learned: per model in the store, and past cases for the planner."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from aurora.critic.ledger import LedgerEntry
from aurora.errors import StoreError
from aurora.memory.cases import case_text
from aurora.memory.record import record_of
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import FleetSnapshot
from aurora.planner.cases import CaseFeatures, Precedent, Precedents
from aurora.planner.decision import Candidate, Decision
from aurora.planner.features import features_of
from aurora.planner.inputs import PlanInput
from aurora.planner.plan import policy_hash
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState
from aurora.store import MemoryRow, StateRow, Store

__all__ = ["MemoryKeeper"]

log = structlog.get_logger(__name__)

EVERY_S: Final = 300.0
"""A model's state and memory are kept this often, and whenever the reason of its state changes."""
PRUNE_EVERY_S: Final = 3600.0
PRECEDENTS: Final = 5
_DAY_S: Final = 86_400.0


class MemoryKeeper:
    """Between the loop and the store; a store that fails costs history, never a decision."""

    def __init__(
        self,
        store: Store,
        casebook: Precedents,
        *,
        retention_days: float,
        refresh: Callable[[], Awaitable[object]],
    ) -> None:
        self._store = store
        self._casebook = casebook
        self._refresh = refresh
        self._retention_s = retention_days * _DAY_S
        self._recalled: dict[ObjectKey, ModelMemory] = {}
        self._kept_at: dict[ObjectKey, float] = {}
        self._reasons: dict[ObjectKey, str] = {}
        self._before: dict[str, ModelMemory] = {}
        self._cases: dict[str, tuple[CaseFeatures, str]] = {}
        self._pruned_at = 0.0

    async def load(self) -> None:
        """Read back what was learned of every model; what cannot be read is learned again."""
        for row in await self._store.load_memory():
            try:
                memory = ModelMemory.from_json(row.body)
            except StoreError as error:
                log.warning("a model's memory is dropped", model=row.model, why=str(error))
                continue
            self._recalled[ObjectKey(row.namespace, row.model)] = memory

    def recalled(self, key: ObjectKey) -> ModelMemory:
        """What was known of a model before this process started."""
        return self._recalled.pop(key, ModelMemory())

    def recall(self, given: PlanInput, candidate: Candidate) -> Sequence[Precedent]:
        """Similar past cases with their outcomes."""
        features = features_of(given, candidate)
        text = case_text(features, candidate.reason.value)
        self._cases[str(given.observation.key)] = (features, text)
        return self._casebook.similar(features, text, PRECEDENTS)

    def case_of(self, decision: Decision) -> tuple[CaseFeatures | None, str]:
        """The case of the decision that was just planned for its model."""
        return self._cases.pop(str(decision.model), (None, ""))

    def remember_before(self, decision: str, memory: ModelMemory) -> None:
        """Keep what was known when a decision was made: the counterfactual comes from it."""
        self._before[decision] = memory

    def memory_before(self, entry: LedgerEntry, state: SystemState) -> ModelMemory:
        """What was known then; after a restart, what is known now without the cycles since."""
        known = self._before.get(entry.id)
        if known is not None:
            return known
        history = tuple(m for m in state.history if m.at < entry.decided_at)
        return replace(state.memory, history=history)

    async def learned(self, decision: str) -> None:
        """A decision was measured: its case can be found from now on."""
        self._before.pop(decision, None)
        try:
            await self._refresh()
        except StoreError as error:
            log.warning("the casebook was not renewed", why=str(error))

    async def keep(
        self,
        snapshot: FleetSnapshot,
        states: Mapping[ObjectKey, SystemState],
        memories: Mapping[ObjectKey, ModelMemory],
    ) -> None:
        """Keep what is due; never raises for the store's sake."""
        due = [key for key in states if self._is_due(key, snapshot)]
        if not due and snapshot.at - self._pruned_at < PRUNE_EVERY_S:
            return
        try:
            await self._save(due, snapshot, states, memories)
        except StoreError as error:
            log.warning("states were not kept", why=str(error))

    def _is_due(self, key: ObjectKey, snapshot: FleetSnapshot) -> bool:
        reason = _reason_of(key, snapshot)
        changed = self._reasons.get(key) != reason
        self._reasons[key] = reason
        return changed or snapshot.at - self._kept_at.get(key, 0.0) >= EVERY_S

    async def _save(
        self,
        due: Sequence[ObjectKey],
        snapshot: FleetSnapshot,
        states: Mapping[ObjectKey, SystemState],
        memories: Mapping[ObjectKey, ModelMemory],
    ) -> None:
        at = snapshot.at
        rows = [
            StateRow(
                namespace=key.namespace,
                model=key.name,
                at=at,
                reason=self._reasons[key],
                policy_hash=policy_hash(snapshot.models[key].model),
                snapshot=record_of(states[key]),
            )
            for key in due
        ]
        await self._store.record_states(rows)
        learned = [
            MemoryRow(
                namespace=key.namespace,
                model=key.name,
                version=memories[key].version,
                body=memories[key].to_json(),
                updated_at=at,
            )
            for key in due
        ]
        await self._store.save_memory(learned)
        self._kept_at.update(dict.fromkeys(due, at))
        if at - self._pruned_at >= PRUNE_EVERY_S:
            self._pruned_at = at
            await self._store.prune(at, retention_days=self._retention_s / _DAY_S)


def _reason_of(key: ObjectKey, snapshot: FleetSnapshot) -> str:
    """Why the model's state is worth keeping: its Ready reason and its last decision."""
    status = snapshot.models[key].model.status
    ready = next((one.reason for one in status.conditions if one.type == "Ready"), "Pending")
    last = status.last_decision
    return ready if last is None else f"{ready}/{last.reason}"
