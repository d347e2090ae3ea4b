"""Whether a short series rises or falls, and how sure that is."""

import math
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from statistics import NormalDist, median
from typing import Final, NamedTuple

__all__ = ["Trend", "TrendDirection", "neighbour_correlation", "trend_of"]

MIN_POINTS: Final = 8
MAX_POINTS: Final = 24
SIGNIFICANCE_LEVEL: Final = 0.05
MAX_CORRELATION: Final = 0.9
_NORMAL = NormalDist()


class TrendDirection(StrEnum):
    RISING = "Rising"
    FALLING = "Falling"
    FLAT = "Flat"
    UNKNOWN = "Unknown"
    """Too few readings."""


class Trend(NamedTuple):
    """Slope per second in the signal's unit (Theil-Sen), and the chance that it is luck."""

    direction: TrendDirection
    slope: float
    p_value: float


UNKNOWN: Final = Trend(TrendDirection.UNKNOWN, 0.0, 1.0)


def trend_of(points: Sequence[tuple[float, float]]) -> Trend:
    """Test for a trend by Mann and Kendall, with the slope of Theil and Sen.

    Neighbouring readings share most of their window, so the variance of the test is enlarged by
    (1 + r) / (1 - r), with r the correlation of neighbours once the slope is taken out.

    Args:
        points: times in seconds, rising, and values; the newest 24 count.
    """
    points = points[-MAX_POINTS:]
    if len(points) < MIN_POINTS:
        return UNKNOWN
    slopes = [
        (v - u) / (t - s) for i, (s, u) in enumerate(points) for t, v in points[i + 1 :] if t > s
    ]
    if not slopes:
        return UNKNOWN
    slope = median(slopes)
    n = len(points)
    score = sum((d > 0.0) - (d < 0.0) for d in slopes)
    r = neighbour_correlation([v - slope * t for t, v in points])
    variance = n * (n - 1) * (2 * n + 5) / 18.0 * (1.0 + r) / (1.0 - r)
    z = max(0, abs(score) - 1) / math.sqrt(variance)
    p_value = 2.0 * (1.0 - _NORMAL.cdf(z))
    if p_value >= SIGNIFICANCE_LEVEL or slope == 0.0:
        return Trend(TrendDirection.FLAT, slope, p_value)
    direction = TrendDirection.RISING if slope > 0.0 else TrendDirection.FALLING
    return Trend(direction, slope, p_value)


def neighbour_correlation(values: Sequence[float]) -> float:
    """Correlation of each value with the next, 0 to 0.9: readings share parts of their windows."""
    centre = math.fsum(values) / len(values)
    around = [v - centre for v in values]
    total = math.fsum(v * v for v in around)
    if total <= 1e-18 * (centre * centre + 1e-18):
        return 0.0
    shared = math.fsum(a * b for a, b in pairwise(around))
    return min(max(shared / total, 0.0), MAX_CORRELATION)
