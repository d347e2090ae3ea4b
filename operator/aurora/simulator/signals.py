"""What a query gives for the growth of counters and histograms, or for gauges, of one window."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from aurora.simulator.promql import histogram_quantile
from aurora.simulator.view import Missing, Reading

__all__ = [
    "NO_SAMPLES",
    "NO_TRAFFIC",
    "count_of",
    "mean_gauge",
    "mean_of",
    "quantile_of",
    "rate",
    "ratio",
    "sum_of",
]

Floats = npt.NDArray[np.float64]

NO_SAMPLES = Missing("fewer than two samples in the window")
NO_TRAFFIC = Missing("no observation in the window")


def rate(grown: Floats | None, layout: dict[str, slice], name: str, window_s: float) -> Reading:
    """Growth of a counter in the window, per second."""
    if grown is None:
        return NO_SAMPLES
    return float(grown[layout[name]][0]) / window_s


def ratio(grown: Floats | None, layout: dict[str, slice], part: str, whole: str) -> Reading:
    """Share of one counter's growth in another's; no traffic is no number."""
    if grown is None:
        return NO_SAMPLES
    total = float(grown[layout[whole]][0])
    if total <= 0.0:
        return NO_TRAFFIC
    return min(1.0, float(grown[layout[part]][0]) / total)


def quantile_of(
    grown: Floats | None, place: slice, bounds: Sequence[float], quantile: float
) -> Reading:
    """A quantile of a histogram's growth."""
    if grown is None:
        return NO_SAMPLES
    value = histogram_quantile(quantile, bounds, grown[place])
    return NO_TRAFFIC if np.isnan(value) else value


def mean_of(grown: Floats | None, place: slice) -> Reading:
    """Sum over count of a histogram; the sum follows the last bucket."""
    if grown is None:
        return NO_SAMPLES
    count = float(grown[place][-1])
    return float(grown[place.stop]) / count if count > 0.0 else NO_TRAFFIC


def count_of(grown: Floats | None, place: slice) -> float:
    """Observations of a histogram in the window."""
    return 0.0 if grown is None else float(grown[place][-1])


def sum_of(gauges: list[tuple[float, ...]], index: int) -> Reading:
    """Sum of a gauge over the targets."""
    if not gauges:
        return Missing("no target has a sample in 5 min")
    return sum(row[index] for row in gauges)


def mean_gauge(gauges: list[tuple[float, ...]], index: int) -> Reading:
    """Mean of a gauge over the targets."""
    if not gauges:
        return Missing("no target has a sample in 5 min")
    return sum(row[index] for row in gauges) / len(gauges)
