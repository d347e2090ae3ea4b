"""Confidence bounds for the mean of what an estimator averages."""

from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final

import numpy as np

from aurora.routing.evaluation.log import Floats

__all__ = ["Bound", "Interval", "bounded_mean", "mean_interval", "ratio_interval"]

_LARGEST_STEP: Final = 0.5
"""Cap on the bet; Waudby-Smith and Ramdas recommend 1/2 or 3/4."""


class Bound(StrEnum):
    """How an interval was made, and so what it promises.

    EMPIRICAL_BERNSTEIN holds at any sample size that was fixed beforehand, for bounded rewards and
    a logging policy that learns meanwhile. CONFIDENCE_SEQUENCE holds at all sample sizes at once,
    so it may be looked at after every step. NORMAL holds as the sample grows.
    """

    EMPIRICAL_BERNSTEIN = "empirical-bernstein"
    CONFIDENCE_SEQUENCE = "confidence-sequence"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Interval:
    """Two-sided bounds, in the unit of the reward."""

    lower: float
    upper: float
    bound: Bound

    def __contains__(self, value: float) -> bool:
        return self.lower <= value <= self.upper


def bounded_mean(
    values: Floats, low: float, high: float, *, alpha: float, anytime: bool = False
) -> Interval:
    """Predictable plug-in empirical Bernstein bounds for values in [low, high].

    Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B
    2024, theorem 2; for importance weights see Waudby-Smith, Wu, Ramdas, Karampatziakis and
    Mineiro, "Anytime-valid off-policy inference for contextual bandits", 2022. Each value may
    depend on the past as long as its conditional mean does not: the logging policy may learn.
    """
    bound = Bound.CONFIDENCE_SEQUENCE if anytime else Bound.EMPIRICAL_BERNSTEIN
    count = len(values)
    if count == 0 or high <= low:
        return Interval(low, high, bound)
    scaled = (values - low) / (high - low)
    steps = np.arange(1, count + 1, dtype=np.float64)
    means = (0.5 + np.cumsum(scaled)) / (steps + 1.0)
    earlier_means = np.concatenate(([0.5], means[:-1]))
    spread = (0.25 + np.cumsum((scaled - means) ** 2)) / (steps + 1.0)
    earlier_spread = np.concatenate(([0.25], spread[:-1]))
    budget = np.log(2.0 / alpha)
    horizon = steps * np.log1p(steps) if anytime else float(count)
    bets = np.minimum(np.sqrt(2.0 * budget / (earlier_spread * horizon)), _LARGEST_STEP)
    surprise = (scaled - earlier_means) ** 2 * (-np.log1p(-bets) - bets)
    lower, upper = _range(scaled, bets, surprise, budget, anytime=anytime)
    return Interval(low + lower * (high - low), low + upper * (high - low), bound)


def _range(
    scaled: Floats, bets: Floats, surprise: Floats, budget: float, *, anytime: bool
) -> tuple[float, float]:
    """The bounds on the unit interval; a sequence may keep the tightest it ever gave."""
    total = np.cumsum(bets)
    centre = np.cumsum(bets * scaled) / total
    half = (budget + np.cumsum(surprise)) / total
    if anytime:
        lower, upper = float(np.max(centre - half)), float(np.min(centre + half))
        if lower <= upper:
            return max(0.0, lower), min(1.0, upper)
    # A sequence that contradicts itself (with probability alpha) says what its last look says.
    return max(0.0, float(centre[-1] - half[-1])), min(1.0, float(centre[-1] + half[-1]))


def mean_interval(values: Floats, *, alpha: float) -> Interval:
    """Mean and its standard error by the central limit theorem."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return _normal(float(np.mean(values)), error, alpha)


def ratio_interval(weights: Floats, rewards: Floats, *, alpha: float) -> Interval:
    """Delta-method interval of a self-normalised mean (Owen, "Monte Carlo theory", 2013, 9.2)."""
    total = float(np.sum(weights))
    ratio = float(np.sum(weights * rewards)) / total
    error = float(np.sqrt(np.sum((weights * (rewards - ratio)) ** 2))) / total
    return _normal(ratio, error, alpha)


def _normal(centre: float, error: float, alpha: float) -> Interval:
    half = NormalDist().inv_cdf(1.0 - alpha / 2.0) * error
    return Interval(centre - half, centre + half, Bound.NORMAL)
