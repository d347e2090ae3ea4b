"""What a RoutingPolicy says of learning, and what it is told of learned weights against rules."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from aurora.resources.base import Part, StatusPart
from aurora.resources.quantities import (
    Cost,
    DecimalString,
    PositiveDuration,
    PositivePercent,
    Timestamp,
)

__all__ = [
    "Algorithm",
    "ComparisonStatus",
    "ComparisonVerdict",
    "Learning",
    "Reward",
    "RuleStrategy",
    "SideStatus",
]


class Algorithm(StrEnum):
    """What learns; the routing engine's strategies of these names."""

    THOMPSON = "thompson"
    """Each backend as often as it is likely to be the best."""
    UCB = "ucb"
    """The backend with the highest upper bound on its mean reward."""
    Q_LEARNING = "q-learning"
    """The backend with the highest value; old rewards fade."""


class RuleStrategy(StrEnum):
    """What the rest of the traffic follows; the strategies of the same names."""

    EQUAL = "Equal"
    WEIGHTED = "Weighted"
    LATENCY_WEIGHTED = "LatencyWeighted"
    LOAD_BALANCED = "LoadBalanced"


class Reward(Part):
    """What an answer is worth: 10 points, a failed one -20, less its cost and its latency."""

    cost_weight: Cost = Decimal(1)
    """Points that one unit of your currency takes; where every backend has a price."""
    latency_scale: PositiveDuration = timedelta(milliseconds=500)
    """Mean latency that takes one point."""


class Learning(Part):
    """How the strategy Learned finds its weights."""

    algorithm: Algorithm = Algorithm.THOMPSON
    """What learns."""
    percent: PositivePercent = 100
    """The share of the traffic that follows the learned weights."""
    rules: RuleStrategy = RuleStrategy.WEIGHTED
    """What the rest follows, and what the learned weights are compared with."""
    reward: Reward = Field(default_factory=Reward)
    """What is learned for."""


class ComparisonVerdict(StrEnum):
    """What the difference says at 5 %, however often it is looked at."""

    LEARNED_BETTER = "LearnedBetter"
    RULES_BETTER = "RulesBetter"
    NO_DIFFERENCE = "NoDifference"
    TOO_FEW = "TooFew"


class SideStatus(StatusPart):
    """What the traffic earns by one side's weights; each interval holds at 95 %."""

    weights: Annotated[str, Field(max_length=1024)] = ""
    """The side's own weights, for people: stable=90 canary=10."""
    reward: DecimalString | None = None
    """Mean reward of a request, in points."""
    reward_low: DecimalString | None = None
    """Lower end of its interval."""
    reward_high: DecimalString | None = None
    """Upper end of its interval."""
    error_ratio: DecimalString | None = None
    """Share of server errors, 0 to 1."""
    latency_mean: DecimalString | None = None
    """Mean latency, in seconds."""


class ComparisonStatus(StatusPart):
    """The learned weights against the rules, on the same traffic."""

    verdict: ComparisonVerdict = ComparisonVerdict.TOO_FEW
    """Who is better."""
    blocks: int = Field(default=0, ge=0)
    """Blocks of five minutes that were compared."""
    since: Timestamp | None = None
    """When the first of them began."""
    learned: SideStatus = Field(default_factory=SideStatus)
    """The learned weights."""
    rules: SideStatus = Field(default_factory=SideStatus)
    """The rules' weights."""
    difference: DecimalString | None = None
    """Reward of the learned weights less that of the rules, in points."""
    difference_low: DecimalString | None = None
    """Lower end of its interval."""
    difference_high: DecimalString | None = None
    """Upper end of its interval."""
    p_value: DecimalString | None = None
    """How easily chance explains the difference, 0 to 1."""
