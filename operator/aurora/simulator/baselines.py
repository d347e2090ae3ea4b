"""Controllers to compare with: static, the HPA family, and a threshold runbook."""

from dataclasses import dataclass
from typing import Final

from aurora.simulator.hpa import HpaMemory, average_value, utilisation_target
from aurora.simulator.view import (
    Action,
    ActionKind,
    Desired,
    MetricsView,
    PoolFacts,
    Reading,
    known,
)

__all__ = ["Hpa", "HpaQueue", "KedaRate", "Runbook", "Static"]

# The HPA's and KEDA's usual query window.
_WINDOW_S: Final = 60.0


class Static:
    """A fixed number of replicas."""

    window_s = _WINDOW_S

    def __init__(self, replicas: int) -> None:
        self.name = f"static-{replicas}"
        self._replicas = replicas

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        del view, pool
        return Desired(self._replicas)


class Hpa:
    """HPA on GPU utilisation: 15 s period, 10 % tolerance, 300 s stabilisation downwards."""

    name = "hpa"
    window_s = _WINDOW_S

    def __init__(self, target: float) -> None:
        self._target = target
        self._memory = HpaMemory()

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        wanted = utilisation_target(view.utilisation, self._target, pool)
        return Desired(self._memory.apply(wanted, pool))


class HpaQueue:
    """HPA on running plus waiting requests per replica (vllm:num_requests_*)."""

    name = "hpa-queue"
    window_s = _WINDOW_S

    def __init__(self, target: float) -> None:
        self._target = target
        self._memory = HpaMemory()

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        running, waiting = known(view.running), known(view.waiting)
        if running is None or waiting is None:
            return Desired(self._memory.apply(pool.desired, pool))
        held = running + waiting + (known(view.gateway_waiting) or 0.0)
        return Desired(self._memory.apply(average_value(held, self._target, pool), pool))


class KedaRate:
    """KEDA on the request rate: rate over the calibrated capacity of a replica."""

    name = "keda-rate"
    window_s = _WINDOW_S

    def __init__(self, per_replica: float) -> None:
        self._per_replica = per_replica
        self._memory = HpaMemory()

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        wanted = average_value(view.request_rate, self._per_replica, pool)
        return Desired(self._memory.apply(wanted, pool))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookRules:
    """What the on-call page says.

    Attributes:
        ttft_s: objective for the p95 time to first token, seconds.
        tpot_s: objective for the p95 time per output token, seconds.
        for_s: how long a condition must hold, seconds.
        calm_for_s: how long p95 must stay below half of both objectives to remove one, seconds.
        error_ratio: server errors above this are a failure.
    """

    ttft_s: float
    tpot_s: float
    for_s: float = 300.0
    calm_for_s: float = 900.0
    error_ratio: float = 0.05


class Runbook:
    """A person with thresholds: p95 too high for 5 min is one more; errors go to the fallback."""

    name = "runbook"
    window_s = 300.0

    def __init__(self, rules: RunbookRules) -> None:
        self._rules = rules
        self._since: dict[str, float] = {}

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        rules = self._rules
        slow = _above(view.ttft_p95, rules.ttft_s) or _above(view.tpot_p95, rules.tpot_s)
        calm = _below(view.ttft_p95, rules.ttft_s / 2) and _below(view.tpot_p95, rules.tpot_s / 2)
        failing = _above(view.error_ratio, rules.error_ratio)
        actions: tuple[Action, ...] = ()
        if self._held("failing", failing, pool.now, rules.for_s) and not pool.to_fallback:
            kind = ActionKind.ROUTE_TO_FALLBACK if pool.fallback_ready else ActionKind.ALERT
            actions = (Action(kind, "server errors above the threshold"),)
        if self._held("slow", slow, pool.now, rules.for_s):
            return Desired(min(pool.desired + 1, pool.maximum), actions)
        if self._held("calm", calm, pool.now, rules.calm_for_s):
            return Desired(max(pool.desired - 1, pool.minimum), actions)
        return Desired(pool.desired, actions)

    def _held(self, name: str, holds: bool, now: float, for_s: float) -> bool:
        """Tell whether a condition has held for a while; then its clock starts anew."""
        if not holds:
            self._since.pop(name, None)
            return False
        if now - self._since.setdefault(name, now) < for_s:
            return False
        self._since[name] = now
        return True


def _above(reading: Reading, limit: float) -> bool:
    value = known(reading)
    return value is not None and value > limit


def _below(reading: Reading, limit: float) -> bool:
    value = known(reading)
    return value is not None and value < limit
