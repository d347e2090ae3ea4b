"""What a routed request was worth, with every term visible.

    reward = - cost_weight * cost_usd
             - latency_ms / latency_scale_ms
             + reputation / reputation_scale
             + success_bonus        or    - failure_penalty
             + quality_weight * quality

The defaults are those of the engine's definition: 1, 500 ms, 100, +10, -20, 0. A reputation or
quality that nobody judged leaves its term out; it is not 0.
"""

import math
from dataclasses import dataclass, fields

from aurora.routing.errors import InputError
from aurora.routing.types import MOST_FIGURE, Outcome

__all__ = ["Reward", "RewardWeights"]


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward and the terms that it is the sum of, by name."""

    total: float
    terms: dict[str, float]

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {value:+.4g}" for name, value in self.terms.items())
        return f"{self.total:.4g} = {parts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardWeights:
    """How the terms count. All finite; the scales above 0.

    Attributes:
        cost: reward lost per USD.
        latency_scale_ms: milliseconds that cost one point.
        reputation_scale: reputation points that earn one point.
        success: earned by a success.
        failure: lost by a failure (a positive number).
        quality: earned by a quality of 1.
    """

    cost: float = 1.0
    latency_scale_ms: float = 500.0
    reputation_scale: float = 100.0
    success: float = 10.0
    failure: float = 20.0
    quality: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value):
                raise InputError(f"reward weight {field.name} must be finite, not {value!r}")
            if field.name.endswith("_scale_ms") or field.name.endswith("_scale"):
                _above_zero(field.name, value)

    def reward(self, outcome: Outcome, *, reputation: float | None = None) -> Reward:
        """The reward of an outcome; `reputation` stands in when the outcome has none.

        Raises:
            InputError: the sum is beyond `MOST_FIGURE`, because a value is too large to be one.
        """
        judged = reputation if outcome.reputation is None else outcome.reputation
        terms = {
            "cost": -self.cost * outcome.cost_usd,
            "latency": -outcome.latency_ms / self.latency_scale_ms,
        }
        if judged is not None:
            terms["reputation"] = judged / self.reputation_scale
        if outcome.success:
            terms["success"] = self.success
        else:
            terms["failure"] = -self.failure
        if self.quality and outcome.quality is not None:
            terms["quality"] = self.quality * outcome.quality
        total = sum(terms.values())
        if not -MOST_FIGURE <= total <= MOST_FIGURE:
            raise InputError(f"the reward would be {total!r}; check cost, latency and weights")
        return Reward(total, terms)


def _above_zero(name: str, value: float) -> None:
    if value <= 0.0:
        raise InputError(f"reward weight {name} must be above 0, not {value!r}")
