"""What a soak's samples say: slopes, means and peaks."""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

__all__ = ["Sample", "slope_per_h", "summary"]


@dataclass(frozen=True)
class Sample:
    """One look at the process; rates are since the sample before."""

    at_s: float
    rss_mb: float
    fds: int
    calls_per_s: float
    writes_per_s: float
    queries_per_s: float
    fault: str
    load: float
    """The machine's load average over one minute, whoever caused it."""


def slope_per_h(points: list[tuple[float, float]]) -> float:
    """Theil-Sen: the median slope of all pairs, which single peaks do not move. Per hour."""
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 > x1]
    return 3600.0 * statistics.median(slopes) if slopes else 0.0


def summary(samples: Sequence[Sample], *, cycle_s: float, at_rest: int) -> dict[str, Any]:
    """The figures; the last `at_rest` samples are of the fleet at rest."""
    half = samples[len(samples) // 2 :]
    calm = [one for one in samples if not one.fault]

    def slope(name: str) -> float:
        return round(slope_per_h([(one.at_s, getattr(one, name)) for one in half]), 2)

    def middle(name: str) -> float:
        return round(statistics.fmean(getattr(one, name) for one in calm), 2)

    return {
        "cores": os.cpu_count(),
        "load_mean": round(statistics.fmean(one.load for one in samples), 1),
        "kinds_of_faults": sorted({one.fault for one in samples if one.fault}),
        "rss_mb_first": samples[0].rss_mb,
        "rss_mb_last": samples[-1].rss_mb,
        "rss_mb_most": max(one.rss_mb for one in samples),
        "rss_mb_per_h_second_half": slope("rss_mb"),
        "fds_first": samples[0].fds,
        "fds_last": samples[-1].fds,
        "fds_most": max(one.fds for one in samples),
        "fds_per_h_second_half": slope("fds"),
        "api_calls_per_cycle_calm": round(middle("calls_per_s") * cycle_s, 1),
        "writes_per_cycle_calm": round(middle("writes_per_s") * cycle_s, 1),
        "queries_per_cycle_calm": round(middle("queries_per_s") * cycle_s, 1),
        "api_calls_per_cycle_per_h_second_half": round(slope("calls_per_s") * cycle_s, 2),
        "writes_at_rest": sum(one.writes_per_s for one in samples[-at_rest:]),
    }
