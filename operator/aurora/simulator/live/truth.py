"""What callers really saw, per Service and 5 s: the fleet knows every single request."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

__all__ = ["BUCKET_S", "Truth", "percentile"]

BUCKET_S: Final = 5.0
KEPT: Final = 720
"""Buckets kept per Service: one hour."""


@dataclass(slots=True)
class _Bucket:
    """Calls that ended within 5 s; times in seconds, successes only."""

    requests: int = 0
    errors: int = 0
    cached: int = 0
    latencies: list[float] = field(default_factory=list)
    ttfts: list[float] = field(default_factory=list)


class Truth:
    """The calls of one Service, by when they ended."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def succeeded(self, at: float, *, latency_s: float, ttft_s: float, cached: bool) -> None:
        """A call ended well at `at`."""
        bucket = self._bucket(at)
        bucket.requests += 1
        bucket.cached += cached
        bucket.latencies.append(latency_s)
        bucket.ttfts.append(ttft_s)

    def failed(self, at: float) -> None:
        """A call ended in a server error or was refused at `at`."""
        bucket = self._bucket(at)
        bucket.requests += 1
        bucket.errors += 1

    def told(self, *, epoch: float, since: float) -> list[dict[str, Any]]:
        """Give the buckets from `since` on as JSON.

        Args:
            epoch: wall time of the fleet's second 0, seconds since 1970.
            since: likewise; earlier buckets are left out.
        """
        return [
            {
                "at": epoch + index * BUCKET_S,
                "requests": bucket.requests,
                "errors": bucket.errors,
                "cached": bucket.cached,
                "latencyP95": percentile(bucket.latencies),
                "ttftP95": percentile(bucket.ttfts),
            }
            for index, bucket in sorted(self._buckets.items())
            if epoch + index * BUCKET_S >= since
        ]

    def _bucket(self, at: float) -> _Bucket:
        index = int(at // BUCKET_S)
        if index not in self._buckets:
            self._buckets[index] = _Bucket()
            while len(self._buckets) > KEPT:
                self._buckets.popitem(last=False)
        return self._buckets[index]


def percentile(values: list[float]) -> float | None:
    """The 95th percentile, or None without any value."""
    return float(np.percentile(values, 95)) if values else None
