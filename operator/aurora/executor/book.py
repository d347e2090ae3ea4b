"""Keeps Decision objects: the ledger that a killed operator resumes from."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aurora.critic.verdict import Approved, NeedsApproval, Rejected, Verdict
from aurora.errors import ConflictError, UnavailableError
from aurora.executor.changes import Change
from aurora.executor.plan import status_changes
from aurora.executor.projections import decision_manifest, first_phase, timestamp
from aurora.executor.subjects import guard_of
from aurora.kube.client import KubeClient
from aurora.kube.kinds import DECISION, Kind, Ref, ref_of
from aurora.kube.writer import Writer
from aurora.planner.decision import Decision
from aurora.resources import DecisionObject
from aurora.resources.conditions import Condition, ConditionType, set_condition
from aurora.resources.decision import Change as AppliedChange
from aurora.resources.decision import DecisionStatus, OutcomeStatus
from aurora.resources.vocabulary import ConditionStatus, Phase

__all__ = ["DecisionBook"]

Fact = tuple[ConditionType, ConditionStatus, str, str]
"""A condition: type, status, reason, message."""

Renewed = Callable[[Kind, DecisionObject, DecisionStatus, Mapping[str, Any]], DecisionObject]
"""Takes the object before, its status as it was written, and the metadata since."""

_APPROVED: Final[Fact] = (ConditionType.APPROVED, ConditionStatus.TRUE, "WithinGuardrails", "")
_UNJUDGED: Final = frozenset({None, Phase.PROPOSED})
_BEGUN: Final = frozenset({Phase.EXECUTING, Phase.FAILED})


class DecisionBook:
    """Creates Decision objects and moves them through their phases.

    Every object that was made is handed to `seen`, so that the fleet knows it before its watch
    event; what it answers is the object as it was read there, or None. A status that was written
    is handed to `renewed` with the object's metadata since; it answers the object with both.
    """

    def __init__(
        self,
        client: KubeClient,
        writer: Writer,
        *,
        seen: Callable[[dict[str, Any]], DecisionObject | None],
        renewed: Renewed,
    ) -> None:
        self._client = client
        self._writer = writer
        self._seen = seen
        self._renewed = renewed

    async def open(self, decision: Decision, verdict: Verdict, *, at: float) -> DecisionObject:
        """Create the object and its first phase. Repeating after a crash finds what was made.

        One that is approved already gets its first phase from what carries it out: Executing.

        Raises:
            ConflictError: another proposal has its name; the next cycle's will have another.
        """
        manifest = decision_manifest(decision, verdict)
        try:
            made = await self._writer.create(DECISION, manifest)
        except (ConflictError, UnavailableError):
            # Without an answer it may have been made: left unjudged, it would hold nothing back.
            found = await self._client.get(ref_of(DECISION, manifest))
            if found is None or found["spec"].get("fingerprint") != decision.fingerprint:
                raise
            # A name holds the second: what this very second was carried out is another decision.
            if (found.get("status") or {}).get("phase") not in {None, "", first_phase(verdict)}:
                raise
            made = found
        opened = self._seen(made) or DecisionObject.parse(made)
        if isinstance(verdict, Approved):
            return opened
        return await self.judged(opened, verdict, at=at)

    async def judged(
        self, found: DecisionObject, verdict: Rejected | NeedsApproval, *, at: float
    ) -> DecisionObject:
        """Write why a new Decision is not carried out, or not yet."""
        return await self.move(found, first_phase(verdict), at=at, **_first_facts(verdict))

    async def move(  # noqa: PLR0913 - the facts of a status, all by keyword
        self,
        found: DecisionObject,
        phase: Phase,
        *,
        at: float,
        condition: Fact | None = None,
        changes: Sequence[Change] | None = None,
        applied: bool = False,
        decided_by: str = "",
        outcome: Mapping[str, Any] | None = None,
    ) -> DecisionObject:
        """Write one step of a Decision's status; nothing is sent when it stands there already.

        What is begun without a phase was approved by the guardrails in the same step, and says so.
        """
        news: dict[str, Any] = {"phase": phase}
        facts = [] if condition is None else [condition]
        if phase in _BEGUN and found.status.phase in _UNJUDGED:
            decided_by = decided_by or "aurora"
            facts = [_APPROVED, *facts]
        if facts:
            news["conditions"] = _with_facts(found.status.conditions, facts, at)
        if changes is not None:
            told = status_changes(changes, applied_at=timestamp(at) if applied else "")
            news["changes"] = tuple([AppliedChange.model_validate(one) for one in told])
        if decided_by:
            news["decided_by"] = decided_by
        if outcome is not None:
            news["outcome"] = OutcomeStatus.model_validate(outcome)
        return await self._write(found, news)

    async def repeat(self, found: DecisionObject, *, at: float) -> DecisionObject:
        """Count one more occurrence of the same proposal on its open object."""
        seen = datetime.fromtimestamp(int(at), UTC)
        return await self._write(found, {"repeats": found.status.repeats + 1, "last_seen": seen})

    async def _write(self, found: DecisionObject, news: Mapping[str, Any]) -> DecisionObject:
        ref = Ref(DECISION, found.metadata.namespace, found.metadata.name)
        after = found.status.model_copy(update=news)
        status = after.to_kubernetes()
        try:
            written = await self._writer.patch_status(ref, status, found=guard_of(found))
        except UnavailableError:
            written = await self._client.get(ref)
            if written is None or not _stands(status, written):
                raise
            return self._seen(written) or DecisionObject.parse(written)
        if written is None:
            return found
        return self._renewed(DECISION, found, after, written)


def _stands(status: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    """Whether a status whose answer was lost was written all the same."""
    return DecisionObject.parse(written).status.to_kubernetes() == dict(status)


def _first_facts(verdict: Rejected | NeedsApproval) -> dict[str, Any]:
    status = ConditionStatus.FALSE if isinstance(verdict, Rejected) else ConditionStatus.UNKNOWN
    facts = (ConditionType.APPROVED, status, str(verdict.reason), verdict.message)
    waiting = isinstance(verdict, NeedsApproval)
    return {"condition": facts, "decided_by": "" if waiting else "aurora"}


def _with_facts(
    conditions: tuple[Condition, ...], facts: Sequence[Fact], at: float
) -> tuple[Condition, ...]:
    now = datetime.fromtimestamp(at, UTC)
    for type_, value, reason, message in facts:
        conditions = set_condition(
            conditions, type_=type_, status=value, reason=reason, message=message, now=now
        )
    return conditions
