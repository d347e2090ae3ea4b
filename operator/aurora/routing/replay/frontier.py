"""What a router must spend to reach a quality: its cost-quality curve, and where it crosses."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from aurora.routing.replay.recorded import Recorded
from aurora.routing.replay.routers import Router

__all__ = [
    "PRICES",
    "Costs",
    "Crossing",
    "Point",
    "Spread",
    "cost_to_reach",
    "run",
    "search",
    "spread_of",
]

PRICES: Final = (-0.1, 0.0, 0.03, 0.06, 0.09, 0.12, 0.18)
"""Utility lost per unit of the strong model's cost: how thrifty a router is asked to be."""


@dataclass(frozen=True, slots=True)
class Costs:
    """USD, or any unit, for one request to each model."""

    weak: float = 1.0
    strong: float = 25.0

    def of(self, arm: int) -> float:
        return self.strong if arm else self.weak


@dataclass(frozen=True, slots=True)
class Point:
    """One run over the whole stream, learning included: accuracy and mean cost of a request."""

    accuracy: float
    cost: float


@dataclass(frozen=True, slots=True)
class Crossing:
    """The mean cost of a request at the wanted accuracy, and the runs behind it."""

    cost: float | None
    points: Sequence[Point]


def run(router: Router, stream: Recorded, order: Sequence[int], costs: Costs) -> Point:
    """Play the stream once in this order."""
    right = spent = 0.0
    for index in order:
        context = stream.contexts[index]
        arm = router.choose(context)
        quality = float((stream.strong if arm else stream.weak)[index])
        cost = costs.of(arm)
        router.learn(context, arm, quality, cost / costs.strong)
        right += quality
        spent += cost
    return Point(right / len(order), spent / len(order))


def cost_to_reach(
    build: Callable[[float, int], Router],
    stream: Recorded,
    wanted: float,
    costs: Costs,
    *,
    seed: int,
) -> Crossing:
    """Play the stream, always in one order, at the prices that `search` asks for."""
    order = np.random.default_rng((seed, 11)).permutation(len(stream)).tolist()
    return search(lambda price: run(build(price, seed), stream, order, costs), wanted)


def search(played: Callable[[float], Point], wanted: float) -> Crossing:
    """Bisect for two neighbouring prices, one run above the wanted accuracy and one below.

    A router may be run thriftily for a share of the requests and generously for the rest, so every
    point between two runs can be had, and the cost at the wanted accuracy is interpolated. None
    when the most generous price is not enough; the thriftiest run's own cost when it is enough.
    """
    generous, thrifty = 0, len(PRICES) - 1
    points = {at: played(PRICES[at]) for at in (generous, thrifty)}
    if points[generous].accuracy < wanted:
        return Crossing(None, list(points.values()))
    if points[thrifty].accuracy >= wanted:
        return Crossing(points[thrifty].cost, list(points.values()))
    while thrifty - generous > 1:
        middle = (generous + thrifty) // 2
        points[middle] = played(PRICES[middle])
        if points[middle].accuracy >= wanted:
            generous = middle
        else:
            thrifty = middle
    high, low = points[generous], points[thrifty]
    share = (wanted - low.accuracy) / (high.accuracy - low.accuracy)
    return Crossing(low.cost + share * (high.cost - low.cost), list(points.values()))


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean over seeds, and half the width of its 95 % interval (None for a single seed)."""

    mean: float
    half_width: float | None
    seeds: int


def spread_of(values: Sequence[float]) -> Spread | None:
    """Student's interval; None without values."""
    count = len(values)
    if count == 0:
        return None
    if count == 1:
        return Spread(values[0], None, 1)
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    return Spread(float(np.mean(values)), _student(count - 1) * error, count)


def _student(freedom: int) -> float:
    """97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5; within 1 % from 4 on)."""
    z = NormalDist().inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))
