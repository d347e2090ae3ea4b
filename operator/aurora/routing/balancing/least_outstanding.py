"""Least outstanding: the arm with the fewest requests under way, by weight.

With `choices` 2 it is the power of two choices (Mitzenmacher, IEEE TPDS 2001): the less loaded of
two arms drawn at random, which keeps several routers from all rushing to the same idle arm. The
probability of each arm under that draw is known in closed form and is what is logged.
"""

from collections.abc import Mapping
from math import comb

import numpy as np

from aurora.routing.balancing.base import Balancer, read_weights
from aurora.routing.contract import Arms, Distribution
from aurora.routing.errors import InputError
from aurora.routing.mixture import shared_best
from aurora.routing.types import Outcome, WorkloadContext

__all__ = ["LeastOutstanding"]


class LeastOutstanding(Balancer):
    """The least loaded arm.

    Options: `weights` by provider id (an arm of weight 2 may have twice as many under way);
    `choices`, how many arms are drawn to compare, 0 for all of them.
    """

    name = "least-outstanding"

    def __init__(self, *, weights: Mapping[str, float] | None = None, choices: int = 0) -> None:
        self._weights = read_weights(weights)
        if any(weight <= 0.0 for weight in self._weights.values()):
            raise InputError("least-outstanding needs weights above 0; leave an arm out instead")
        if choices < 0:
            raise InputError(f"choices must be 0 for all or a count, not {choices!r}")
        self._choices = choices
        self._outstanding: dict[str, int] = {}

    def chosen(self, context: WorkloadContext, arm: str, at: float) -> None:
        del context, at
        self._outstanding[arm] = self._outstanding.get(arm, 0) + 1

    def outcome(
        self, context: WorkloadContext, arm: str, outcome: Outcome | None, at: float
    ) -> None:
        """The request is over; without an outcome it was given up, which ends it too."""
        del context, outcome, at
        self._outstanding[arm] = max(0, self._outstanding.get(arm, 0) - 1)

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        del context, rng, exploration
        scores = [-self._outstanding.get(arm, 0) / self._weights.get(arm, 1.0) for arm in arms]
        if self._choices == 0 or self._choices >= len(arms):
            return shared_best(scores), scores
        return _best_of_drawn(scores, self._choices), scores

    def forget(self, arm: str) -> None:
        self._outstanding.pop(arm, None)

    def status(self) -> Mapping[str, float]:
        return {"outstanding": float(sum(self._outstanding.values()))}


def _best_of_drawn(scores: list[float], choices: int) -> list[float]:
    """The probability that an arm is the best of `choices` different ones; ties share."""
    ways = comb(len(scores), choices)
    order = sorted(range(len(scores)), key=scores.__getitem__)
    found = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        # Draws whose best is in this group: none of those above, at least one of the group.
        share = (comb(end, choices) - comb(start, choices)) / ways / (end - start)
        for index in order[start:end]:
            found[index] = share
        start = end
    return found
