"""Sees to it that the records have what the cluster's objects said, before those are gone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from aurora.executor.retention import ENDED
from aurora.executor.subjects import subject_of
from aurora.observe.facts import ObjectKey
from aurora.resources import DecisionObject
from aurora.resources.decision import OutcomeStatus
from aurora.resources.vocabulary import Phase
from aurora.store import (
    TERMINAL_PHASES,
    DecisionFilter,
    DecisionRow,
    OutcomeRow,
    Store,
    TransitionRow,
)

__all__ = ["BATCH", "Archive", "Place", "Settled"]

SETTLING_S: Final = 600.0
"""A younger record's object may only not have been seen yet."""
BATCH: Final = 200
"""Records looked at in one call: each that has to be ended is a transaction of 1.3 ms."""
_GONE: Final = "the Decision object was deleted before it had ended"

Place = tuple[float, str]
"""When a record was made, in seconds since the epoch, and its id."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What one call ended.

    Attributes:
        lost: records that were ended.
        after: where the next call has to go on; None when all were looked at.
    """

    lost: int
    after: Place | None


class Archive:
    """Levels the records with the objects. Every method raises StoreError while the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, found: DecisionObject, *, at: float) -> None:
        """Record what is missing of a Decision that has ended."""
        name, phase = found.metadata.name, found.status.phase
        record = await self._store.decision(name)
        if record is None:
            await self._store.record_decision(_row(found))
        if phase is not None and (record is None or record.phase not in TERMINAL_PHASES):
            await self._store.record_transition(TransitionRow(name, phase.value, at))
        outcome = found.status.outcome
        if outcome is not None and (record is None or record.outcome is None):
            await self._store.record_outcome(_outcome_row(name, outcome))

    async def settle_lost(
        self,
        decisions: Mapping[ObjectKey, DecisionObject],
        *,
        namespaces: Collection[str],
        at: float,
        after: Place | None = None,
    ) -> Settled:
        """End records in flight whose object has ended or is gone, newest first, BATCH at most.

        Args:
            decisions: all objects there are, once every kind was listed.
            namespaces: where this operator works; records of others are another one's. Empty is
                the whole cluster.
            at: seconds since the epoch.
            after: where the call before this one stopped; None begins with the newest.
        """
        wanted = DecisionFilter(in_flight=True, until=at - SETTLING_S, before=after, limit=BATCH)
        page = await self._store.decisions(wanted)
        lost = 0
        for record in page:
            if not namespaces or record.decision.namespace in namespaces:
                lost += await self._ended(record.decision, decisions, at=at)
        last = page[-1].decision if len(page) == BATCH else None
        return Settled(lost, (last.created_at, last.id) if last is not None else None)

    async def _ended(
        self, row: DecisionRow, decisions: Mapping[ObjectKey, DecisionObject], *, at: float
    ) -> bool:
        found = decisions.get(ObjectKey(row.namespace, row.name or row.id))
        if found is None or (row.uid and found.metadata.uid != row.uid):
            gone = TransitionRow(row.id, Phase.FAILED.value, at, _GONE)
            await self._store.record_transition(gone)
            return True
        if found.status.phase not in ENDED:
            return False
        await self.keep(found, at=at)
        return True


def _row(found: DecisionObject) -> DecisionRow:
    """What the object tells; its case was only ever in the row that was lost."""
    spec, metadata = found.spec, found.metadata
    created = metadata.creation_timestamp
    return DecisionRow(
        id=metadata.name,
        name=metadata.name,
        uid=metadata.uid,
        namespace=metadata.namespace,
        model=subject_of(found).name,
        action=spec.action,
        reason=spec.reason,
        message=spec.message,
        confidence=spec.confidence_percent / 100,
        tier=spec.tier.value,
        risk=spec.risk.value,
        created_at=created.timestamp() if created is not None else 0.0,
        policy_hash=spec.policy_hash,
        target={"kind": spec.target.kind, "name": spec.target.name},
        before=dict(spec.parameters.from_),
        after=dict(spec.parameters.to),
        evidence=[one.to_kubernetes() for one in spec.evidence],
        precedents=[one.to_kubernetes() for one in spec.precedents],
    )


def _outcome_row(name: str, outcome: OutcomeStatus) -> OutcomeRow:
    return OutcomeRow(
        decision=name,
        verdict=outcome.verdict.value,
        measured_at=outcome.measured_at.timestamp(),
        effect=_number(outcome.effect),
        low=_number(outcome.low),
        high=_number(outcome.high),
        unit=outcome.unit or "",
        message=outcome.message,
    )


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
