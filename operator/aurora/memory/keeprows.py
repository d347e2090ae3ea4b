"""What is known of models as rows of the record store; made in threads, so it shares no state."""

from collections.abc import Iterable, Mapping, Sequence

import structlog

from aurora.errors import StoreError
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import FleetSnapshot
from aurora.planner.plan import policy_hash
from aurora.state.memory import ModelMemory
from aurora.state.record import state_to_json
from aurora.state.system_state import SystemState
from aurora.store import MemoryRow, StateRow

__all__ = ["kept_anyway", "memory_rows", "reasons_of", "state_rows"]

log = structlog.get_logger(__name__)


def reasons_of(snapshot: FleetSnapshot, keys: Iterable[ObjectKey]) -> dict[ObjectKey, str]:
    """Why each model's state is worth keeping: its Ready reason and its last decision's."""
    return {key: _reason_of(key, snapshot) for key in keys}


def state_rows(
    keys: Sequence[ObjectKey],
    snapshot: FleetSnapshot,
    states: Mapping[ObjectKey, SystemState],
    reasons: Mapping[ObjectKey, str],
) -> list[StateRow]:
    """Snapshots for replay, without what was learned: that is kept once per model."""
    rows = []
    for key in keys:
        try:
            record = state_to_json(states[key], memory=False)
        except StoreError as error:
            log.warning("a state is not kept", model=str(key), why=str(error))
            continue
        rows.append(
            StateRow(
                namespace=key.namespace,
                model=key.name,
                at=snapshot.at,
                reason=reasons[key],
                policy_hash=policy_hash(snapshot.models[key].model),
                snapshot=record,
            )
        )
    return rows


def memory_rows(memories: Mapping[ObjectKey, ModelMemory]) -> list[MemoryRow]:
    """What was learned; a model that nothing was learned of yet has no row."""
    rows = []
    for key, memory in memories.items():
        if memory.at is None:
            continue
        try:
            body = memory.to_json()
        except StoreError as error:
            log.warning("what was learned is not kept", model=str(key), why=str(error))
            continue
        rows.append(
            MemoryRow(
                namespace=key.namespace,
                model=key.name,
                version=memory.version,
                body=body,
                updated_at=memory.at,
            )
        )
    return rows


def kept_anyway(snapshot: FleetSnapshot, *, before: float) -> frozenset[str]:
    """Decisions made before that time whose objects are still there."""
    found = (one.metadata for one in snapshot.decisions.values())
    made = ((one.name, one.creation_timestamp) for one in found)
    return frozenset(name for name, at in made if at is None or at.timestamp() < before)


def _reason_of(key: ObjectKey, snapshot: FleetSnapshot) -> str:
    status = snapshot.models[key].model.status
    ready = next((one.reason for one in status.conditions if one.type == "Ready"), "Pending")
    last = status.last_decision
    return ready if last is None else f"{ready}/{last.reason}"
