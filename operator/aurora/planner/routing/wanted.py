"""What a strategy answers: the shares that it wants, or why nothing is to move."""

from collections.abc import Mapping
from dataclasses import dataclass

from aurora.observe.sample import Signal
from aurora.planner.decision import Evidence
from aurora.planner.inputs import Doubt
from aurora.planner.reasons import PlanReason

__all__ = ["Hold", "Shares", "Wanted"]


@dataclass(frozen=True, slots=True)
class Shares:
    """What is wanted of the backends that may gain; in any unit, only proportions count.

    Attributes:
        judged: the signal that the contract is held to.
    """

    shares: Mapping[str, float]
    reason: PlanReason
    message: str
    evidence: tuple[Evidence, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    judged: Signal = Signal.SERVER_ERROR_RATIO


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing is to move, and why."""

    message: str


Wanted = Shares | Hold
