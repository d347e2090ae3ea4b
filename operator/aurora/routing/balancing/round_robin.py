"""Smooth weighted round robin: in turn, by weight, without bursts to the heaviest.

The rule of nginx's upstream balancing (2012): every arm gains its weight, the richest is taken and
pays the sum of all weights.
"""

from collections.abc import Mapping

import numpy as np

from aurora.routing.balancing.base import Balancer, read_weights, weights_of
from aurora.routing.contract import Arms, Distribution
from aurora.routing.types import WorkloadContext

__all__ = ["RoundRobin"]


class RoundRobin(Balancer):
    """In turn. Options: `weights` by provider id; `default_weight` for those not named."""

    name = "round-robin"

    def __init__(
        self, *, weights: Mapping[str, float] | None = None, default_weight: float = 1.0
    ) -> None:
        self._weights = read_weights(weights)
        self._default = read_weights({"default": default_weight})["default"]
        self._credit: dict[str, float] = {}
        self._offered: tuple[Arms, list[float]] = ((), [])

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        del context, rng, exploration
        weights = weights_of(arms, self._weights, self._default)
        self._offered = (arms, weights)
        credit = [
            self._credit.get(arm, 0.0) + weight for arm, weight in zip(arms, weights, strict=True)
        ]
        # A weight of 0 means never, even when everybody else is in debt.
        turn = max((index for index, w in enumerate(weights) if w > 0.0), key=credit.__getitem__)
        return [1.0 if index == turn else 0.0 for index in range(len(arms))], credit

    def chosen(self, context: WorkloadContext, arm: str, at: float) -> None:
        """Who was drawn pays, also when exploration drew another than the one in turn."""
        del context, at
        arms, weights = self._offered
        for one, weight in zip(arms, weights, strict=True):
            self._credit[one] = self._credit.get(one, 0.0) + weight
        self._credit[arm] = self._credit.get(arm, 0.0) - sum(weights)

    def forget(self, arm: str) -> None:
        self._credit.pop(arm, None)
