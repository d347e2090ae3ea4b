"""Thompson sampling: each arm as often as it is likely to be the best.

Thompson, Biometrika 25, 1933; Chapelle and Li, "An empirical evaluation of Thompson sampling",
NeurIPS 2011; Agrawal and Goyal, AISTATS 2013. With `discount` below 1 it is discounted Thompson
sampling (Raj and Kalyani, 2017).

The propensity must be known, so the probability of being best is estimated from `draws` posterior
samples and the arm is then drawn from that estimate: the logged probability is exact for the
decision that was made, whatever the error of the estimate.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.options import positive
from aurora.routing.bandits.table import COUNT, MEAN, SQUARES, Cells, StateRow
from aurora.routing.bandits.tabular import TabularBandit
from aurora.routing.contract import Arms, Distribution
from aurora.routing.errors import InputError
from aurora.routing.types import WorkloadContext

__all__ = ["Thompson", "best_of"]

_PRIOR_SHAPE = 1.5
_PRIOR_SAMPLES = 1.0


class Thompson(TabularBandit):
    """Posterior sampling, one set of arms per state.

    Options: `posterior` is "normal" (any reward; mean and variance unknown, normal-inverse-gamma
    with the state's own mean and range as prior) or "beta" (rewards within `reward_range`, for
    example (0, 1); a reward in between counts in part for both sides); `draws` is the number of
    samples; `discount`, `change_detection` and `per_state` as in UCB.
    """

    name = "thompson"

    def __init__(  # noqa: PLR0913, options of a strategy are keywords
        self,
        *,
        posterior: Literal["normal", "beta"] = "normal",
        reward_range: tuple[float, float] = (0.0, 1.0),
        draws: int = 64,
        discount: float = 1.0,
        change_detection: bool | Mapping[str, float] | ChangeTest = True,
        per_state: bool = True,
    ) -> None:
        super().__init__(discount=discount, change_detection=change_detection, per_state=per_state)
        if posterior not in {"normal", "beta"}:
            raise InputError(f"posterior must be normal or beta, not {posterior!r}")
        if not reward_range[0] < reward_range[1]:
            raise InputError(f"reward_range must be (lowest, highest), not {reward_range!r}")
        self._beta = posterior == "beta"
        self._low, self._reach = reward_range[0], reward_range[1] - reward_range[0]
        self._draws = int(positive("draws", draws))

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        row, cells = self._table.view(self._key(context), arms)
        size = (self._draws, len(arms))
        if self._beta:
            wins, losses = self._counts(cells)
            means = wins / (wins + losses)
            drawn = rng.beta(wins, losses, size)
            if exploration != 1.0:
                drawn = means + exploration * (drawn - means)
            scores = self._low + self._reach * means
        else:
            scores, spread = _posterior(row, cells)
            drawn = scores + exploration * spread * rng.standard_normal(size)
        return best_of(drawn), scores.tolist()

    def _counts(self, cells: Cells) -> tuple[Cells, Cells]:
        """Wins and losses with the uniform prior Beta(1, 1)."""
        share = np.clip((cells[MEAN] - self._low) / self._reach, 0.0, 1.0)
        return 1.0 + cells[COUNT] * share, 1.0 + cells[COUNT] * (1.0 - share)


def best_of(drawn: Cells) -> list[float]:
    """How often each column holds the row's largest value."""
    wins = np.bincount(drawn.argmax(axis=1), minlength=drawn.shape[1])
    shares: list[float] = (wins / drawn.shape[0]).tolist()
    return shares


def _posterior(row: StateRow, cells: Cells) -> tuple[Cells, Cells]:
    """Mean and standard deviation of each arm's mean.

    Normal-inverse-gamma (Murphy, "Conjugate Bayesian analysis of the Gaussian distribution", 2007);
    the marginal, a Student t, is taken by its variance.
    """
    count, mean = cells[COUNT], cells[MEAN]
    total = float(count.sum())
    centre = float((count * mean).sum()) / total if total > 0.0 else 0.0
    reach = row.high - row.low if row.steps > 1.0 and row.high > row.low else 1.0
    samples = _PRIOR_SAMPLES + count
    shape = _PRIOR_SHAPE + 0.5 * count
    scale = (
        (reach / 2.0) ** 2 * (_PRIOR_SHAPE - 1.0)
        + 0.5 * cells[SQUARES]
        + 0.5 * _PRIOR_SAMPLES * count / samples * (mean - centre) ** 2
    )
    means = (_PRIOR_SAMPLES * centre + count * mean) / samples
    return means, np.sqrt(scale / ((shape - 1.0) * samples))
