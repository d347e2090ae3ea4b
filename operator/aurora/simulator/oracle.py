"""The oracle: knows the whole trace, and buys the cheapest replicas that reach a goal.

It plays the trace on a static pool of every size, which tells how many requests each size loses
in each block of one cold start. A dynamic programme then picks the ready replicas per block that
cost least at a given price of a lost request; a replica that is ready in a block is held, and
paid, during the block before it too. The price is searched until the played plan reaches the
goal. Within its blocks it is a bound that no controller without future knowledge should beat.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from aurora.simulator.settings import SimulationSettings
from aurora.simulator.trace import Floats, Trace
from aurora.simulator.view import Desired, MetricsView, PoolFacts

__all__ = ["Oracle", "block_s", "cheapest_plan", "losses_per_block", "search_plan"]

_SEARCH_STEPS = 8
# Bounds of the price of one lost request, replica-blocks.
_PRICES = (1e-3, 1e3)

Levels = npt.NDArray[np.int64]


class Oracle:
    """Replays a plan: ready replicas per block."""

    name = "oracle"
    window_s = 60.0

    def __init__(self, ready: Levels, settings: SimulationSettings) -> None:
        self._block_s = block_s(settings)
        self._held = np.maximum(ready, np.append(ready[1:], 1))

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        del view
        block = min(int(pool.now / self._block_s), len(self._held) - 1)
        return Desired(int(self._held[block]))


def block_s(settings: SimulationSettings) -> float:
    """Give the length of a block: the longest cold start and one decision, seconds."""
    return settings.cold_start.longest_s + settings.control_interval_s


def losses_per_block(
    trace: Trace,
    settings: SimulationSettings,
    good: Callable[[int], npt.NDArray[np.bool_]],
) -> Floats:
    """Give the lost requests per block and pool size: row b, column n - minimum.

    Args:
        trace: the load.
        settings: the operating point.
        good: tells for a static pool of n replicas which requests were good.
    """
    blocks = (trace.times // block_s(settings)).astype(np.int64)
    size = math.ceil(trace.duration_s / block_s(settings)) + 1
    sizes = range(settings.minimum, settings.maximum + 1)
    return np.stack([np.bincount(blocks, ~good(n), size) for n in sizes], axis=1)


def cheapest_plan(losses: Floats, minimum: int, price: float) -> Levels:
    """Pick the ready replicas per block that cost least, by dynamic programming from the end.

    The cost of block b is the larger of its own and the next block's replicas, plus the price of
    each request that it loses.
    """
    blocks, choices = losses.shape
    levels = np.arange(choices)
    held = np.maximum(levels[:, None], levels[None, :])  # row: this block, column: the next
    future = np.zeros(choices)
    following = np.zeros((blocks, choices), dtype=np.int64)
    for block in range(blocks - 1, -1, -1):
        total = held + future[None, :]
        following[block] = np.argmin(total, axis=1)
        future = price * losses[block] + total.min(axis=1)
    plan = np.zeros(blocks, dtype=np.int64)
    plan[0] = int(np.argmin(future))
    for block in range(1, blocks):
        plan[block] = following[block - 1][plan[block - 1]]
    return plan + minimum


def search_plan(
    losses: Floats, minimum: int, attainment: Callable[[Levels], float], goal: float
) -> Levels:
    """Find the plan of the lowest price that reaches the goal when it is played.

    The plan of the highest price is given when none does.
    """
    low, high = _PRICES
    best = cheapest_plan(losses, minimum, high)
    for _ in range(_SEARCH_STEPS):
        price = math.sqrt(low * high)
        plan = cheapest_plan(losses, minimum, price)
        if attainment(plan) >= goal:
            best, high = plan, price
        else:
            low = price
    return best
