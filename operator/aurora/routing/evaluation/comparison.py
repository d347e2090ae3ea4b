"""Two policies that ran side by side: the difference of their means, and whether it is one."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final
from zlib import crc32

from aurora.routing.errors import InputError

__all__ = ["Comparison", "Moments", "Side", "Verdict", "compare", "side_of"]

MIN_SAMPLES: Final = 30
"""Below this the normal approximation of Welch's statistic is not to be trusted."""
_BUCKETS: Final = 10_000


class Side(StrEnum):
    """Which policy a request belongs to."""

    A = "a"
    B = "b"


class Verdict(StrEnum):
    """What the difference says at the wanted significance level."""

    A_BETTER = "ABetter"
    B_BETTER = "BBetter"
    NO_DIFFERENCE = "NoDifference"
    TOO_FEW = "TooFew"


def side_of(key: str, percent: float, *, salt: str = "") -> Side:
    """The side of a request, always the same for the same key: `percent` of all keys go to A.

    The key should be what a user keeps (session or tenant), or the request's id where every
    request stands alone; steps of 0.01 percent.
    """
    if not 0.0 <= percent <= 100.0:
        raise InputError(f"percent must be from 0 to 100, not {percent!r}")
    bucket = crc32(f"{salt}\0{key}".encode()) % _BUCKETS
    return Side.A if bucket < round(percent * _BUCKETS / 100.0) else Side.B


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and sum of squared deviations of a side's rewards."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> "Moments":
        """With one more value (Welford, 1962). Raises InputError when it is not finite."""
        if not math.isfinite(value):
            raise InputError(f"a reward must be finite, not {value!r}")
        count = self.count + 1
        gap = value - self.mean
        mean = self.mean + gap / count
        return Moments(count, mean, self.squares + gap * (value - mean))

    @classmethod
    def of(cls, values: Iterable[float]) -> "Moments":
        found = cls()
        for value in values:
            found = found.add(value)
        return found

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None for fewer than two values."""
        return math.sqrt(self.squares / (self.count - 1) / self.count) if self.count > 1 else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A minus B.

    `difference`, its bounds and `p_value` (two-sided) are None while a side has too few values.
    """

    a: Moments
    b: Moments
    verdict: Verdict
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_value: float | None = None


def compare(
    a: Moments, b: Moments, *, significance_level: float = 0.05, min_samples: int = MIN_SAMPLES
) -> Comparison:
    """Welch's test for unequal variances (Biometrika 34, 1947), by the normal approximation.

    The verdict is meant for one look at the end. Whoever looks again and again should divide the
    significance level by the number of looks (Bonferroni).
    """
    if min(a.count, b.count) < max(2, min_samples):
        return Comparison(a, b, Verdict.TOO_FEW)
    difference = a.mean - b.mean
    error = math.hypot(a.error or 0.0, b.error or 0.0)
    normal = NormalDist()
    half = normal.inv_cdf(1.0 - significance_level / 2.0) * error
    if error > 0.0:
        p_value = 2.0 * normal.cdf(-abs(difference) / error)
    else:
        p_value = 1.0 if difference == 0.0 else 0.0
    verdict = Verdict.NO_DIFFERENCE
    if p_value < significance_level:
        verdict = Verdict.A_BETTER if difference > 0.0 else Verdict.B_BETTER
    return Comparison(a, b, verdict, difference, difference - half, difference + half, p_value)
