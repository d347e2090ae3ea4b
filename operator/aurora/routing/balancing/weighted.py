"""Weighted: each request goes to an arm with a probability in proportion to the arm's weight."""

from collections.abc import Mapping

import numpy as np

from aurora.routing.balancing.base import Balancer, read_weights, weights_of
from aurora.routing.contract import Arms, Distribution
from aurora.routing.types import WorkloadContext

__all__ = ["Weighted"]


class Weighted(Balancer):
    """In proportion.

    Options: `weights` by provider id; `default_weight` for those not named.

    When all candidates have weight 0 they share alike: the engine let them pass, and somebody must
    serve the request.
    """

    name = "weighted"

    def __init__(
        self, *, weights: Mapping[str, float] | None = None, default_weight: float = 1.0
    ) -> None:
        self._weights = read_weights(weights)
        self._default = read_weights({"default": default_weight})["default"]

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
        total = sum(weights)
        return [weight / total for weight in weights], weights
