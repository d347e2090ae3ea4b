"""The scale of a load at which a static pool of a given size is just large enough."""

from collections.abc import Sequence
from dataclasses import replace

from aurora.errors import UsageError
from aurora.simulator.calibrated import CALIBRATED
from aurora.simulator.compare import Plan, simulate
from aurora.simulator.controllers import Tuning

__all__ = ["CALIBRATED", "attainment_at", "calibrate"]

_STEPS = 12


def attainment_at(plan: Plan, replicas: int, seeds: Sequence[int]) -> float:
    """Give the mean attainment of a static pool."""
    settings = replace(plan.settings, initial=replicas)
    fixed = replace(plan, settings=settings, tuning=Tuning(static=replicas))
    results = [simulate(fixed, "static", seed).attainment for seed in seeds]
    return sum(results) / len(results)


def calibrate(
    plan: Plan,
    *,
    replicas: int = 8,
    goal: float = 0.99,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    bounds: tuple[float, float] = (1e-4, 4.0),
) -> float:
    """Find the highest factor at which `replicas` meet the goal, by bisection on a log scale.

    Raises:
        UsageError: the pool misses the goal at the lowest factor already.
    """
    low, high = bounds
    if attainment_at(replace(plan, factor=low), replicas, seeds) < goal:
        raise UsageError(f"{replicas} replicas miss {goal:.0%} at any load: raise the objectives")
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        met = attainment_at(replace(plan, factor=middle), replicas, seeds) >= goal
        low, high = (middle, high) if met else (low, middle)
    return low
