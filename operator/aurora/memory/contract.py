"""The part of a decision that measurement holds it to."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from aurora.observe.sample import Signal
from aurora.planner.decision import Decision, Direction
from aurora.planner.reasons import OUTAGES
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
        without: what the signal would be without the action, where the cycles before cannot tell:
            an outage that had just begun.
        allowed: with `without`, the signal has to stay below it for the action to have helped.
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
    without: float | None = None
    allowed: float | None = None


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
        replicas_before=_standing(decision.before),
        replicas_after=_count(decision.after),
        closely=tier is Tier.MONITORED,
        decided_at=decision.decided_at,
        executed_at=executed_at,
        without=expected.without if expected is not None else None,
        allowed=expected.high if expected is not None and expected.without is not None else None,
    )


def contract_of(found: DecisionObject, *, executed_at: float) -> Contract:
    """The contract as the Decision object holds it."""
    spec = found.spec
    effect = spec.expected_effect
    created = found.metadata.creation_timestamp
    without = _without(found)
    return Contract(
        decision=found.metadata.name,
        action=spec.action,
        direction=Direction(spec.direction or ""),
        signal=_signal(effect.signal) if effect is not None else None,
        keeps=effect is not None and effect.direction == "Hold",
        limit=next((float(one.value) for one in spec.rollback_if), None),
        replicas_before=_standing(spec.parameters.from_),
        replicas_after=_count(spec.parameters.to),
        closely=spec.tier is Tier.MONITORED,
        decided_at=created.timestamp() if created is not None else executed_at,
        executed_at=executed_at,
        without=without,
        allowed=_allowed(found, without),
    )


def _without(found: DecisionObject) -> float | None:
    """As the route rules set it: the object holds changes of a signal, not its levels.

    A dead backend of several fails an unknown part of the requests: there the cycles before tell.
    """
    spec = found.spec
    shifts = spec.direction == Direction.SHIFT.value
    if spec.action is not Action.ROUTE or not spec.protective:
        return None
    if spec.direction != Direction.FALLBACK.value and not shifts:
        return None
    if spec.reason in OUTAGES:
        return None if shifts else 1.0
    measured = (one.value for one in spec.evidence if one.signal == Signal.SERVER_ERROR_RATIO)
    return next((float(value) for value in measured), None)


def _allowed(found: DecisionObject, without: float | None) -> float | None:
    effect = found.spec.expected_effect
    if without is None or effect is None or effect.high is None:
        return None
    return float(Decimal(str(without)) + effect.high)


def _standing(parameters: Mapping[str, str]) -> int | None:
    """Replicas that served before; with an autoscaler more than the floor that is changed."""
    return _count(parameters, "current") or _count(parameters, "replicas")


def _count(parameters: Mapping[str, str], name: str = "replicas") -> int | None:
    value = parameters.get(name, "")
    return int(value) if value.isdecimal() else None


def _signal(name: str) -> Signal | None:
    return next((one for one in Signal if one.value == name), None)
