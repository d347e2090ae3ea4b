"""What comes next for each Decision object. Pure: advances on what is observed, not on hope."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aurora.observe.facts import ObjectKey
from aurora.resources import Approval, DecisionObject
from aurora.resources.vocabulary import ApprovalVerdict, Phase

__all__ = ["Due", "Next", "Step", "answer_to", "approvals_by_decision", "is_expired", "next_step"]


class Step(StrEnum):
    """What is to be done with one Decision now."""

    NOTHING = "Nothing"
    JUDGE = "Judge"
    """It was created and not judged when the process ended: its phase has to be written."""
    APPROVE = "Approve"
    DENY = "Deny"
    EXPIRE = "Expire"
    EXECUTE = "Execute"
    MEASURE = "Measure"
    UNDO = "Undo"


@dataclass(frozen=True, slots=True)
class Next:
    """A step and who asked for it."""

    step: Step
    who: str = ""
    why: str = ""


_TOGETHER: Final = frozenset({Step.MEASURE, Step.UNDO})
"""Steps that ask nothing of the other models: all others count what is in flight in the fleet."""


@dataclass(frozen=True, slots=True)
class Due:
    """A Decision and the step that it needs now."""

    key: ObjectKey
    found: DecisionObject
    step: Next

    @property
    def together(self) -> bool:
        """Whether other models' steps may be taken at the same time."""
        return self.step.step in _TOGETHER


_BY_PHASE = {
    Phase.PROPOSED: Step.JUDGE,
    Phase.APPROVED: Step.EXECUTE,
    Phase.EXECUTING: Step.EXECUTE,
    Phase.VERIFYING: Step.MEASURE,
    Phase.ROLLING_BACK: Step.UNDO,
}


def next_step(found: DecisionObject, approvals: tuple[Approval, ...], *, at: float) -> Next:
    """The one step that this Decision needs now.

    Args:
        found: the object as observed.
        approvals: that name it by name and uid.
        at: seconds since the epoch.
    """
    phase = found.status.phase or Phase.PROPOSED
    if phase is Phase.AWAITING_APPROVAL:
        return _answered(found, answer_to(approvals), at)
    if phase in {Phase.PROPOSED, Phase.APPROVED} and is_expired(found, at):
        # It rests on evidence of then: an operator that was away for hours decides anew.
        return Next(Step.EXPIRE)
    return Next(_BY_PHASE.get(phase, Step.NOTHING))


def _answered(found: DecisionObject, answer: Approval | None, at: float) -> Next:
    if answer is not None and answer.spec.verdict is ApprovalVerdict.DENY:
        return Next(Step.DENY, answer.spec.approver, answer.spec.reason)
    if is_expired(found, at):
        return Next(Step.EXPIRE)
    if answer is not None:
        return Next(Step.APPROVE, answer.spec.approver, answer.spec.reason)
    return Next(Step.NOTHING)


def answer_to(approvals: tuple[Approval, ...]) -> Approval | None:
    """The Approval that counts: any Deny, else the first Approve."""
    denials = [one for one in approvals if one.spec.verdict is ApprovalVerdict.DENY]
    found = sorted(denials or approvals, key=_made_at)
    return found[0] if found else None


def _made_at(one: Approval) -> float:
    created = one.metadata.creation_timestamp
    return created.timestamp() if created is not None else 0.0


def is_expired(found: DecisionObject, at: float) -> bool:
    """Whether the time to decide on it, or to begin with it, is over."""
    expires = found.spec.expires_at
    return expires is not None and at >= expires.timestamp()


def approvals_by_decision(
    approvals: Mapping[ObjectKey, Approval],
) -> dict[tuple[str, str, str], tuple[Approval, ...]]:
    """Approvals by namespace, name and uid of the Decision that they are about."""
    grouped: dict[tuple[str, str, str], tuple[Approval, ...]] = {}
    for one in approvals.values():
        ref = one.spec.decision_ref
        key = (one.metadata.namespace, ref.name, ref.uid)
        grouped[key] = (*grouped.get(key, ()), one)
    return grouped
