"""UCB1-Tuned: the arm with the highest upper bound on its mean.

Auer, Cesa-Bianchi and Fischer, "Finite-time analysis of the multiarmed bandit problem", Machine
Learning 47, 2002, section 4; with `discount` it is discounted UCB (Garivier and Moulines, ALT 2011)
and with change detection CUSUM-UCB (Liu, Lee and Shroff, AAAI 2018). The paper's rewards lie in
[0, 1]; here the range seen so far in the state takes that place. Decisions whose reward is still on
its way count as tries without one (the batch rule of Desautels, Krause and Burdick, JMLR 2014).
"""

from collections.abc import Mapping

import numpy as np

from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.options import positive
from aurora.routing.bandits.table import COUNT, MEAN, PENDING, SQUARES, Cells, StateRow
from aurora.routing.bandits.tabular import TabularBandit
from aurora.routing.contract import Arms, Distribution
from aurora.routing.mixture import shared_best
from aurora.routing.types import WorkloadContext

__all__ = ["Ucb"]

LEAST_REACH = 1e-100
"""A smaller range of rewards is none: its square is 0 in 8 bytes."""


class Ucb(TabularBandit):
    """Greedy on upper confidence bounds, one set of arms per state.

    Options: `width` scales the confidence bonus (1 is the paper's); `discount` in (0, 1] forgets;
    `change_detection` restarts an arm whose mean moved; `per_state=False` ignores the context.
    """

    name = "ucb"

    def __init__(
        self,
        *,
        width: float = 1.0,
        discount: float = 1.0,
        change_detection: bool | Mapping[str, float] | ChangeTest = True,
        per_state: bool = True,
    ) -> None:
        super().__init__(discount=discount, change_detection=change_detection, per_state=per_state)
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
        row, cells = self._table.view(self._key(context), arms)
        scores: list[float] = _upper_bounds(row, cells, self._width * exploration).tolist()
        return shared_best(scores), scores


def _upper_bounds(row: StateRow, cells: Cells, width: float) -> Cells:
    count, mean, pending = cells[COUNT], cells[MEAN], cells[PENDING]
    tries = count + pending
    known = count > 0.0
    if not known.any():
        fresh: Cells = -pending
        return fresh
    reach = row.high - row.low
    reach = reach if reach > LEAST_REACH else 1.0
    logs = np.log(max(float(tries.sum()), np.e))
    safe = np.maximum(tries, 1e-9)
    spread = cells[SQUARES] / np.maximum(count, 1e-9) / reach**2
    tuned = np.minimum(0.25, spread + np.sqrt(2.0 * logs / safe))
    bounds: Cells = mean + width * reach * np.sqrt(logs / safe * tuned)
    # An untried arm goes before all others, the least asked one first.
    top = float(bounds[known].max()) + reach
    untried: Cells = top - reach * pending / (1.0 + pending.max())
    found: Cells = np.where(known, bounds, untried)
    return found
