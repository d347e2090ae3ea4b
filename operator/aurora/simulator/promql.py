"""What Prometheus computes from counters and histograms, on vectors of series.

Semantics of `rate()`, `increase()` (promql/functions.go, `extrapolatedRate`) and
`histogram_quantile()` (promql/quantile.go, `bucketQuantile`), so that a controller in the
simulator sees the numbers that it would see in a cluster.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["histogram_quantile", "increase"]

Floats = npt.NDArray[np.float64]

# A gap to the edge of the window longer than this many mean intervals means that the series
# began or ended inside the window.
_EDGE_INTERVALS = 1.1


def increase(
    times: Sequence[float], rows: Sequence[Floats], *, start: float, end: float
) -> Floats | None:
    """Give the extrapolated increase of counters over `(start, end]`; None below two samples.

    Args:
        times: sample times inside the window, rising, seconds.
        rows: one vector of counter values per sample; a value that falls is a counter reset.
        start: begin of the window, seconds.
        end: end of the window, seconds.
    """
    if len(times) < 2:
        return None
    values = np.stack(rows)
    steps = np.diff(values, axis=0)
    delta = np.where(steps < 0, values[1:], steps).sum(axis=0)
    sampled = times[-1] - times[0]
    mean_interval = sampled / (len(times) - 1)
    to_start, to_end = times[0] - start, end - times[-1]
    if to_start >= _EDGE_INTERVALS * mean_interval:
        to_start = mean_interval / 2
    if to_end >= _EDGE_INTERVALS * mean_interval:
        to_end = mean_interval / 2
    # A counter is not extrapolated to before it was zero.
    to_zero = np.divide(
        sampled * values[0], delta, out=np.full(delta.shape, np.inf), where=delta > 0
    )
    covered = sampled + np.minimum(to_start, to_zero) + to_end
    return np.asarray(delta * covered / sampled)


def histogram_quantile(quantile: float, bounds: Sequence[float], cumulative: Floats) -> float:
    """Interpolate a quantile inside the bucket that holds it; NaN without observations.

    Args:
        quantile: 0 to 1.
        bounds: finite upper bounds, rising.
        cumulative: count per bound, then the count of all (the +Inf bucket).
    """
    # Extrapolation per bucket may break monotony by a hair; Prometheus repairs it likewise.
    counts = np.maximum.accumulate(cumulative)
    total = float(counts[-1])
    if not total > 0:
        return float("nan")
    rank = quantile * total
    index = int(np.searchsorted(counts, rank, side="left"))
    if index >= len(bounds):
        return float(bounds[-1])
    below = float(counts[index - 1]) if index else 0.0
    low = float(bounds[index - 1]) if index else 0.0
    inside = float(counts[index]) - below
    if inside <= 0.0:  # quantile 0 with an empty first bucket
        return low
    return low + (float(bounds[index]) - low) * (rank - below) / inside
