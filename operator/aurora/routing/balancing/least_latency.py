"""Least latency: the arm that answered fastest lately.

A moving average that forgets by time, so that it means the same at 1 and at 1,000 requests a second
(the idea of Finagle's peak EWMA balancer). An arm that was not measured lately counts with the
latency that its provider states; one that states none counts as average.
"""

import math
from collections.abc import Sequence

import numpy as np

from aurora.routing.balancing.base import Balancer
from aurora.routing.bandits.options import positive
from aurora.routing.contract import Arms, Distribution
from aurora.routing.errors import InputError
from aurora.routing.types import Outcome, ProviderState, WorkloadContext

__all__ = ["LeastLatency"]


class LeastLatency(Balancer):
    """The fastest arms share.

    Options: `memory_s`, the time constant of the average in seconds; `failure_ms`, what a failed
    request counts as, since failing fast is not being fast; `tolerance`, arms within this share of
    the fastest are equals and share, or all requests would swing to one arm and back.
    """

    name = "least-latency"

    def __init__(
        self, *, memory_s: float = 30.0, failure_ms: float = 30_000.0, tolerance: float = 0.1
    ) -> None:
        self._memory = positive("memory_s", memory_s)
        self._failure = positive("failure_ms", failure_ms)
        if not 0.0 <= tolerance < math.inf:
            raise InputError(f"tolerance must be finite and not negative, not {tolerance!r}")
        self._tolerance = tolerance
        self._measured: dict[str, tuple[float, float]] = {}
        self._stated: dict[str, float] = {}

    def fleet(self, providers: Sequence[ProviderState]) -> None:
        self._stated = {
            one.provider_id: one.latency_ms
            for one in providers
            if one.latency_ms is not None and math.isfinite(one.latency_ms)
        }

    def outcome(
        self, context: WorkloadContext, arm: str, outcome: Outcome | None, at: float
    ) -> None:
        del context
        if outcome is None:
            return
        seen = outcome.latency_ms if outcome.success else max(self._failure, outcome.latency_ms)
        average, since = self._measured.get(arm, (seen, at))
        kept = math.exp(-max(0.0, at - since) / self._memory)
        # Two samples at one instant must count both: a tenth is the least that a sample weighs.
        kept = min(kept, 0.9)
        self._measured[arm] = (kept * average + (1.0 - kept) * seen, at)

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        del context, rng, exploration
        known = [self._latency(arm) for arm in arms]
        have = [value for value in known if value is not None]
        average = sum(have) / len(have) if have else 0.0
        latencies = [average if value is None else value for value in known]
        limit = min(latencies) * (1.0 + self._tolerance)
        fast = [value <= limit for value in latencies]
        return [one / sum(fast) for one in fast], [-value for value in latencies]

    def _latency(self, arm: str) -> float | None:
        measured = self._measured.get(arm)
        return self._stated.get(arm) if measured is None else measured[0]

    def forget(self, arm: str) -> None:
        self._measured.pop(arm, None)
