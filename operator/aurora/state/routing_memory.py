"""What is remembered of a RoutingPolicy that learns: values only; planner/routing changes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aurora.routing.evaluation.comparison import Moments

__all__ = ["ArmMemory", "Block", "RoutingMemory", "SideMoments", "Tally", "Versus"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests and the sums over them: points of reward, failures, seconds of latency."""

    requests: float = 0.0
    points: float = 0.0
    failures: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.requests + other.requests,
            self.points + other.points,
            self.failures + other.failures,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True)
class ArmMemory:
    """One backend.

    Attributes:
        mark: what stands behind its name; another mark is another backend.
        sample_at: when the newest sample that was taken in was scraped.
        outcomes: rewards that were learned.
        waiting: requests that are too few yet for a reward.
    """

    mark: str
    sample_at: float = 0.0
    outcomes: int = 0
    waiting: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of time in which both sides are valued by the same requests.

    Attributes:
        began: seconds since the epoch.
        learned, rules: shares of the two sides, fixed when it began, each summing to 1.
        tallies: what each backend answered since.
    """

    began: float
    learned: Mapping[str, float]
    rules: Mapping[str, float]
    tallies: Mapping[str, Tally] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SideMoments:
    """One side over all blocks: mean reward of a request, failed share, mean latency in seconds."""

    reward: Moments = field(default_factory=Moments)
    failures: Moments = field(default_factory=Moments)
    seconds: Moments = field(default_factory=Moments)


@dataclass(frozen=True, slots=True)
class Versus:
    """The learned weights against the rules.

    Attributes:
        mark: what is compared; another mark begins anew.
        since: when the first block began, None before it.
        difference: reward of the learned side less that of the rules, block by block.
    """

    mark: str = ""
    since: float | None = None
    block: Block | None = None
    learned: SideMoments = field(default_factory=SideMoments)
    rules: SideMoments = field(default_factory=SideMoments)
    difference: Moments = field(default_factory=Moments)


@dataclass(frozen=True, slots=True)
class RoutingMemory:
    """Everything that was learned for one policy.

    Attributes:
        mark: algorithm and reward that it was learned with; another mark begins anew.
        algorithm: name of the routing engine's strategy.
        revision: rises by 1 with each reward.
        state: the strategy's learned state, in the routing engine's plain values.
        propensities: probabilities of the strategy, smoothed over the last rewards.
        scores: what the strategy believes of each backend, in points of reward.
        shares: the propensities that are followed: they move when it is worth it.
        rules: shares of the rules, summing to 1; what they said last while they hold.
    """

    mark: str
    algorithm: str
    revision: int = 0
    arms: Mapping[str, ArmMemory] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    propensities: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    rules: Mapping[str, float] = field(default_factory=dict)
    versus: Versus = field(default_factory=Versus)
