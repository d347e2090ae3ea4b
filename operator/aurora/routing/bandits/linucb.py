"""LinUCB: the arm with the highest upper bound on a linear model of its reward.

Li, Chu, Langford and Schapire, "A contextual-bandit approach to personalized news article
recommendation", WWW 2010, algorithm 1 (disjoint models). With `discount` it is D-LinUCB (Russac,
Vernade and Cappé, NeurIPS 2019).
"""

from collections.abc import Mapping

import numpy as np

from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.contextual import ContextualBandit
from aurora.routing.bandits.options import positive
from aurora.routing.contract import Arms, Distribution
from aurora.routing.features import DEFAULT_DIMENSION
from aurora.routing.mixture import shared_best
from aurora.routing.types import WorkloadContext

__all__ = ["LinUcb"]


class LinUcb(ContextualBandit):
    """Greedy on upper confidence bounds.

    Options: `width` is the paper's alpha, in standard deviations of the residuals; `penalty` the
    ridge penalty; `dimension` the length of the feature vector; `discount` in (0, 1] forgets;
    `change_detection` restarts an arm whose residuals say that it changed.
    """

    name = "linucb"

    def __init__(
        self,
        *,
        width: float = 1.0,
        dimension: int = DEFAULT_DIMENSION,
        penalty: float = 1.0,
        discount: float = 1.0,
        change_detection: bool | Mapping[str, float] | ChangeTest = True,
    ) -> None:
        super().__init__(
            dimension=dimension,
            penalty=penalty,
            discount=discount,
            change_detection=change_detection,
        )
        self._width = positive("width", width)

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        del rng
        expected, deviation = self._models.predict(arms, self._vector(context))
        bonus = self._width * exploration * self._models.sigma
        scores: list[float] = (expected + bonus * deviation).tolist()
        return shared_best(scores), scores
