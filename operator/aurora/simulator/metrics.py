"""The metrics that a simulated server, its cache sidecar and the gateway expose.

Bucket bounds are vLLM's own (vllm/v1/metrics/loggers.py): quantiles are as coarse as in a
cluster.
"""

from bisect import bisect_left
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "E2E_BOUNDS",
    "GATEWAY_COUNTERS",
    "SERVER_COUNTERS",
    "TPOT_BOUNDS",
    "TTFT_BOUNDS",
    "Histogram",
    "Metrics",
]

# The bounds of time_to_first_token_seconds, seconds.
TTFT_BOUNDS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0),
    *(7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
# The bounds of request_time_per_output_token_seconds, seconds.
TPOT_BOUNDS: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0),
    *(7.5, 10.0, 20.0, 40.0, 80.0),
)
# The bounds of e2e_request_latency_seconds, seconds.
E2E_BOUNDS: Final = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0),
    *(60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)

SERVER_COUNTERS: Final = (
    "success",  # vllm:request_success_total
    "errors",  # 5xx answers
    "busy_s",  # seconds in steps: what a GPU's utilisation gauge averages
    "prompt_tokens",  # vllm:prompt_tokens_total
    "generation_tokens",  # vllm:generation_tokens_total
    "preemptions",  # vllm:num_preemptions_total
    "cache_hits",  # the cache sidecar's
    "cache_misses",
)
GATEWAY_COUNTERS: Final = ("requests", "errors")


class Histogram:
    """A cumulative histogram as a client library keeps it."""

    __slots__ = ("_counts", "bounds", "total_s")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.total_s = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one observation, seconds."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total_s += value

    def cumulative(self) -> npt.NDArray[np.float64]:
        """Give the count per bound and, last, of all."""
        return np.array(self.counts(), dtype=np.float64)

    def counts(self) -> list[int]:
        """Give the same as a list."""
        return list(accumulate(self._counts))


class Metrics:
    """The counters and histograms of one scrape target, flattened to a vector for storage."""

    __slots__ = ("counters", "histograms")

    def __init__(self, counters: tuple[str, ...], **bounds: tuple[float, ...]) -> None:
        self.counters = dict.fromkeys(counters, 0.0)
        self.histograms = {name: Histogram(edges) for name, edges in bounds.items()}

    def vector(self) -> npt.NDArray[np.float64]:
        """Give counters, then each histogram's cumulative counts and sum."""
        values: list[float] = [*self.counters.values()]
        for histogram in self.histograms.values():
            values += histogram.counts()
            values.append(histogram.total_s)
        return np.array(values)

    def layout(self) -> dict[str, slice]:
        """Tell where in the vector each counter and histogram stands, without its sum."""
        places = {name: slice(i, i + 1) for i, name in enumerate(self.counters)}
        at = len(self.counters)
        for name, histogram in self.histograms.items():
            size = len(histogram.bounds) + 1
            places[name] = slice(at, at + size)
            at += size + 1
        return places


def server_metrics() -> Metrics:
    """Give the metrics of one server, all zero."""
    return Metrics(SERVER_COUNTERS, ttft=TTFT_BOUNDS, tpot=TPOT_BOUNDS, e2e=E2E_BOUNDS)


def gateway_metrics() -> Metrics:
    """Give the metrics of the gateway in front of the pool, all zero."""
    return Metrics(GATEWAY_COUNTERS, e2e=E2E_BOUNDS)
