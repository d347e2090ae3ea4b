"""A mean that is looked at again and again: an interval and a p value that hold at every look.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
("Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52,
2024, theorem 2.2): with n values, their mean m and standard deviation s, at all n at once

    m +- s sqrt(2 (n r^2 + 1) / (n^2 r^2) log(sqrt(n r^2 + 1) / a))

holds with probability 1 - a. r is chosen so that the interval is narrowest around n = 100. The p
value is the smallest a whose interval leaves 0 out. Like any central limit theorem it needs some
values first.
"""

import math
from dataclasses import dataclass
from typing import Final

from aurora.routing.errors import InputError
from aurora.routing.evaluation.comparison import MIN_SAMPLES, Moments

__all__ = ["AlwaysValid", "always_valid"]

NARROWEST: Final = 100.0
"""Values at which the interval is narrowest for its level."""


@dataclass(frozen=True, slots=True)
class AlwaysValid:
    """A mean with its interval, and the p value (two-sided) of the hypothesis that it is 0."""

    mean: float
    lower: float
    upper: float
    p_value: float


def always_valid(
    moments: Moments, *, significance_level: float = 0.05, min_samples: int = MIN_SAMPLES
) -> AlwaysValid | None:
    """The interval of a mean, valid however often it is asked for; None of too few values.

    Raises:
        InputError: the significance level is not between 0 and 1.
    """
    if not 0.0 < significance_level < 1.0:
        raise InputError(f"a level must be between 0 and 1, not {significance_level!r}")
    count, mean, error = moments.count, moments.mean, moments.error
    if count < min_samples or error is None:
        return None
    grown = count * _tuning(significance_level) + 1.0
    # error = s / sqrt(n), so that s^2 2 (n r^2 + 1) / (n^2 r^2) is error^2 times this.
    factor = 2.0 * grown / (grown - 1.0)
    half = error * math.sqrt(factor * math.log(math.sqrt(grown) / significance_level))
    if error == 0.0:
        p_value = 1.0 if mean == 0.0 else 0.0
    else:
        p_value = min(1.0, math.sqrt(grown) * math.exp(-((mean / error) ** 2) / factor))
    return AlwaysValid(mean, mean - half, mean + half, p_value)


def _tuning(level: float) -> float:
    """r^2: the choice of the paper (section 2.4) for the narrowest interval at one n."""
    double = -2.0 * math.log(level)
    return (double + math.log(double + 1.0)) / NARROWEST
