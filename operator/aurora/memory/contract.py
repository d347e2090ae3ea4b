"""The part of a decision that measurement holds it to."""

from collections.abc import Mapping
from dataclasses import dataclass

from aurora.observe.sample import Signal
from aurora.planner.decision import Decision, Direction
from aurora.resources.decision import Decision as DecisionObject
from aurora.resources.vocabulary import Action, Tier

__all__ = ["Contract", "contract_of", "contract_of_decision"]


@dataclass(frozen=True, slots=True)
class Contract:
    """What was promised, when it was done, and what undoes it.

    Attributes:
        signal: that is judged; None when the action promised nothing that can be measured.
        keeps: the promise is to stay below `limit`, not to improve.
        limit: the action is undone when the signal is measured above it, in the signal's unit.
        decided_at, executed_at: seconds since the epoch.
    """

    decision: str
    action: Action
    direction: Direction
    signal: Signal | None
    keeps: bool
    limit: float | None
    replicas_before: int | None
    replicas_after: int | None
    closely: bool
    decided_at: float
    executed_at: float


def contract_of_decision(decision: Decision, tier: Tier, *, executed_at: float) -> Contract:
    """The contract of a decision that was just executed."""
    limit = next((one.above for one in decision.rollback_if), None)
    expected = decision.expected
    return Contract(
        decision=decision.id,
        action=decision.action,
        direction=decision.direction,
        signal=expected.signal if expected is not None else None,
        keeps=expected is not None and expected.keeps,
        limit=limit,
        replicas_before=_count(decision.before),
        replicas_after=_count(decision.after),
        closely=tier is Tier.MONITORED,
        decided_at=decision.decided_at,
        executed_at=executed_at,
    )


def contract_of(found: DecisionObject, *, executed_at: float) -> Contract:
    """The contract as the Decision object holds it."""
    spec = found.spec
    effect = spec.expected_effect
    created = found.metadata.creation_timestamp
    return Contract(
        decision=found.metadata.name,
        action=spec.action,
        direction=Direction(spec.direction or ""),
        signal=_signal(effect.signal) if effect is not None else None,
        keeps=effect is not None and effect.direction == "Hold",
        limit=next((float(one.value) for one in spec.rollback_if), None),
        replicas_before=_count(spec.parameters.from_),
        replicas_after=_count(spec.parameters.to),
        closely=spec.tier is Tier.MONITORED,
        decided_at=created.timestamp() if created is not None else executed_at,
        executed_at=executed_at,
    )


def _count(parameters: Mapping[str, str]) -> int | None:
    value = parameters.get("replicas", "")
    return int(value) if value.isdigit() else None


def _signal(name: str) -> Signal | None:
    return next((one for one in Signal if one.value == name), None)
