"""LinTS: Thompson sampling over linear models of the reward.

Agrawal and Goyal, "Thompson sampling for contextual bandits with linear payoffs", ICML 2013. With
one model an arm, what is drawn for an arm is one normal number: the projection of its coefficients
on the request's features. The probability of each arm is estimated from `draws` samples and the arm
drawn from that estimate, so the logged propensity is exact (see `thompson`).
"""

from collections.abc import Mapping

import numpy as np

from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.contextual import ContextualBandit
from aurora.routing.bandits.options import positive
from aurora.routing.bandits.thompson import best_of
from aurora.routing.contract import Arms, Distribution
from aurora.routing.features import DEFAULT_DIMENSION
from aurora.routing.types import WorkloadContext

__all__ = ["LinTs"]


class LinTs(ContextualBandit):
    """Posterior sampling.

    Options: `width` scales the posterior's standard deviation (the paper's v, in standard
    deviations of the residuals); `draws` is the number of samples; the others as in LinUCB.
    """

    name = "lints"

    def __init__(  # noqa: PLR0913, options of a strategy are keywords
        self,
        *,
        width: float = 0.5,
        draws: int = 64,
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
        self._draws = int(positive("draws", draws))

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        expected, deviation = self._models.predict(arms, self._vector(context))
        spread = self._width * exploration * self._models.sigma * deviation
        drawn = expected + spread * rng.standard_normal((self._draws, len(arms)))
        return best_of(drawn), expected.tolist()
