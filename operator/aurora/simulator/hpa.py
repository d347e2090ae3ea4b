"""The HorizontalPodAutoscaler's own mechanics, shared by every baseline that drives one.

Source: kubernetes/pkg/controller/podautoscaler (horizontal.go, replica_calculator.go) and the
autoscaling/v2 API's defaults.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from aurora.simulator.view import PoolFacts, Reading, known

__all__ = [
    "DEFAULT_BEHAVIOR",
    "TOLERANCE",
    "Behavior",
    "HpaMemory",
    "average_value",
    "utilisation_target",
]

# --horizontal-pod-autoscaler-tolerance
TOLERANCE: Final = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """`spec.behavior` of an HPA; of two policies in one direction the larger step counts.

    Attributes:
        up_window_s: scaling up takes the lowest recommendation of this time, seconds.
        up_percent: share of the replicas that may be added per period, percent.
        up_pods: replicas that may be added per period.
        up_period_s: seconds.
        down_window_s: scaling down takes the highest recommendation of this time, seconds.
        down_percent: share of the replicas that may be removed per period, percent.
        down_pods: replicas that may be removed per period.
        down_period_s: seconds.
    """

    up_window_s: float = 0.0
    up_percent: int = 100
    up_pods: int = 4
    up_period_s: float = 15.0
    down_window_s: float = 300.0
    down_percent: int = 100
    down_pods: int = 0
    down_period_s: float = 15.0


# What an HPA without `spec.behavior` gets.
DEFAULT_BEHAVIOR: Final = Behavior()


class HpaMemory:
    """The recommendations and scale events that one HPA remembers."""

    def __init__(self, behavior: Behavior = DEFAULT_BEHAVIOR) -> None:
        self.behavior = behavior
        self._recommendations: deque[tuple[float, int]] = deque()
        self._events: deque[tuple[float, int]] = deque()

    def apply(self, recommended: int, pool: PoolFacts) -> int:
        """Stabilise, limit the rate, clip to the bounds, and remember."""
        recommended = min(max(recommended, pool.minimum), pool.maximum)
        stable = self._stabilise(recommended, pool)
        limited = self._limit(stable, pool)
        wanted = min(max(limited, pool.minimum), pool.maximum)
        if wanted != pool.desired:
            self._events.append((pool.now, wanted - pool.desired))
        return wanted

    def _stabilise(self, recommended: int, pool: PoolFacts) -> int:
        b = self.behavior
        if not self._recommendations:  # a new HPA remembers what it found
            self._recommendations.append((pool.now, pool.desired))
        horizon = pool.now - max(b.up_window_s, b.down_window_s)
        while self._recommendations and self._recommendations[0][0] <= horizon:
            self._recommendations.popleft()
        lowest = min([recommended, *self._since(pool.now - b.up_window_s)])
        highest = max([recommended, *self._since(pool.now - b.down_window_s)])
        self._recommendations.append((pool.now, recommended))
        if pool.desired < lowest:
            return lowest
        return min(pool.desired, highest)

    def _since(self, begin: float) -> list[int]:
        return [value for at, value in self._recommendations if at > begin]

    def _limit(self, stable: int, pool: PoolFacts) -> int:
        b = self.behavior
        longest = max(b.up_period_s, b.down_period_s)
        while self._events and self._events[0][0] <= pool.now - longest:
            self._events.popleft()
        if stable > pool.desired:
            begin = pool.desired - self._changed(b.up_period_s, pool.now, sign=1)
            limit = max(begin + b.up_pods, math.ceil(begin * (1 + b.up_percent / 100)))
            return min(stable, max(limit, pool.desired))
        begin = pool.desired + self._changed(b.down_period_s, pool.now, sign=-1)
        limit = min(begin - b.down_pods, math.floor(begin * (1 - b.down_percent / 100)))
        return max(stable, min(limit, pool.desired))

    def _changed(self, period_s: float, now: float, *, sign: int) -> int:
        """Give the replicas added (sign 1) or removed (-1) during the last period."""
        recent = (delta for at, delta in self._events if at > now - period_s)
        return sum(sign * delta for delta in recent if sign * delta > 0)


def utilisation_target(average: Reading, target: float, pool: PoolFacts) -> int:
    """Give the HPA's recommendation for a per-pod utilisation target.

    Not ready pods are taken as unused when scaling up, so that a cold start damps the next step.
    Without a metric the HPA holds.
    """
    value = known(average)
    if value is None or pool.ready == 0:
        return pool.desired
    ratio = value / target
    if abs(ratio - 1) <= TOLERANCE:
        return pool.desired
    if pool.starting == 0 or ratio < 1:
        return math.ceil(ratio * pool.ready)
    total = pool.ready + pool.starting
    damped = ratio * pool.ready / total
    if damped <= 1 + TOLERANCE:
        return pool.desired
    return math.ceil(damped * total)


def average_value(total: Reading, target: float, pool: PoolFacts) -> int:
    """Give the HPA's recommendation for an external metric of type AverageValue (KEDA's)."""
    value = known(total)
    if value is None:
        return pool.desired
    ratio = value / (target * max(1, pool.desired))
    if abs(ratio - 1) <= TOLERANCE:
        return pool.desired
    return math.ceil(value / target)
