"""llm-d's SLO-aware autoscaling law, as its guide gives it.

Source: llm-d/llm-d, guides/workload-autoscaling (SLO-aware): recording rules every 15 s over
1-minute windows, the formula of the ScaledObject, and the behaviour of its HPA.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from aurora.simulator.hpa import Behavior, HpaMemory
from aurora.simulator.view import Desired, MetricsView, PoolFacts, known

__all__ = ["LlmdLaw", "LlmdSlo", "desired_replicas"]

_BEHAVIOR: Final = Behavior(
    up_window_s=30.0,
    up_percent=100,
    up_pods=4,
    up_period_s=60.0,
    down_window_s=180.0,
    down_percent=0,
    down_pods=1,
    down_period_s=120.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmdLaw:
    """The tunables of the law.

    Attributes:
        ttft_s: objective for the p90 time to first token, seconds.
        tpot_s: objective for the p90 time per output token, seconds.
        up: saturation above which replicas are added.
        down: saturation below which replicas are removed.
        clamp: highest saturation that one sample may report.
        smoothing_s: window of the moving average, seconds.
    """

    ttft_s: float
    tpot_s: float
    up: float = 0.55
    down: float = 0.40
    clamp: float = 2.0
    smoothing_s: float = 45.0


def desired_replicas(saturation: float, *, provisioned: int, ready: int, law: LlmdLaw) -> int:
    """Give the replicas that the law asks for before the HPA limits the rate.

    Up: n + ceil(n (s c / up - 1)) with the in-flight credit c = ready / n when 0 < ready < n.
    Down: n - floor(n (1 - s / down)), without the credit. In between: n.
    """
    n = provisioned
    if saturation > law.up:
        credit = ready / n if 0 < ready < n else 1.0
        return n + math.ceil(n * (saturation * credit / law.up - 1))
    if saturation < law.down:
        return n - math.floor(n * (1 - saturation / law.down))
    return n


class LlmdSlo:
    """The law behind KEDA's HPA."""

    window_s = 60.0

    def __init__(self, law: LlmdLaw, name: str = "llmd-slo") -> None:
        self.name = name
        self._law = law
        self._memory = HpaMemory(_BEHAVIOR)
        self._samples: deque[tuple[float, float]] = deque()

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        saturation = self._smooth(view)
        wanted = desired_replicas(
            saturation, provisioned=pool.desired, ready=pool.ready, law=self._law
        )
        return Desired(self._memory.apply(wanted, pool))

    def _smooth(self, view: MetricsView) -> float:
        # The recording rule maps no traffic to 0: that is the law's own choice.
        ttft = (known(view.ttft_p90) or 0.0) / self._law.ttft_s
        tpot = (known(view.tpot_p90) or 0.0) / self._law.tpot_s
        self._samples.append((view.now, min(max(ttft, tpot), self._law.clamp)))
        while self._samples[0][0] <= view.now - self._law.smoothing_s:
            self._samples.popleft()
        return sum(value for _, value in self._samples) / len(self._samples)
