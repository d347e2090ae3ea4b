"""Decision objects read back as ledger entries: what the guardrails and the next steps need."""

from collections.abc import Iterable, Mapping
from typing import Any

from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.critic.request import ActionRequest
from aurora.executor.subjects import subject_of
from aurora.planner.decision import Direction
from aurora.resources.decision import Decision as DecisionObject
from aurora.resources.vocabulary import Phase

__all__ = ["entry_of", "ledger_entries", "ledger_of", "request_again"]

_MEASURED = frozenset({Phase.COMPLETED, Phase.ROLLED_BACK, Phase.FAILED})
_ANSWERED = frozenset({Phase.REJECTED, Phase.DENIED, Phase.EXPIRED})


def entry_of(found: DecisionObject) -> LedgerEntry:
    """One Decision as a ledger entry."""
    spec, status = found.spec, found.status
    phase = status.phase or Phase.PROPOSED
    created = found.metadata.creation_timestamp
    return LedgerEntry(
        id=found.metadata.name,
        model=subject_of(found),
        target=spec.target.uid,
        action=spec.action,
        direction=Direction(spec.direction or ""),
        reason=spec.reason,
        phase=phase,
        fingerprint=spec.fingerprint,
        protective=spec.protective,
        decided_at=created.timestamp() if created is not None else 0.0,
        executed_at=_since(found, "Executed", "True"),
        settled_at=_settled_at(found, phase),
        verdict=status.outcome.verdict if status.outcome is not None else None,
        before=dict(spec.parameters.from_),
        after=dict(spec.parameters.to),
        last_seen=status.last_seen.timestamp() if status.last_seen is not None else None,
    )


def _settled_at(found: DecisionObject, phase: Phase) -> float | None:
    """When it was measured or, failing to execute, given up; or when it was answered with no."""
    if phase in _ANSWERED:
        return _since(found, "Approved", "False")
    if phase not in _MEASURED:
        return None
    measured = _since(found, "Verified", "True")
    return measured if measured is not None else _since(found, "Executed", "False")


def _since(found: DecisionObject, type_: str, status: str) -> float | None:
    for condition in found.status.conditions:
        if condition.type == type_ and condition.status == status:
            return condition.last_transition_time.timestamp()
    return None


def request_again(found: DecisionObject) -> ActionRequest:
    """What comes back from the API server is input: target and bounds are checked again."""
    entry = entry_of(found)
    return ActionRequest(
        decision_id=entry.id,
        model=entry.model,
        target_uid=entry.target,
        action=entry.action,
        direction=entry.direction,
        before=entry.before,
        after=entry.after,
        confidence=found.spec.confidence_percent / 100,
        protective=entry.protective,
        fingerprint=entry.fingerprint,
    )


def ledger_entries(decisions: Iterable[DecisionObject]) -> tuple[LedgerEntry, ...]:
    """Decisions of one model as ledger entries, in the order given."""
    return tuple(entry_of(found) for found in decisions)


def ledger_of(decisions: Mapping[Any, DecisionObject]) -> Ledger:
    """The whole ledger of one cycle."""
    return Ledger.of(entry_of(found) for found in decisions.values())
