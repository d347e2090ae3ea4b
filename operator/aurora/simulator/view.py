"""What a controller may know: metrics as Prometheus computes them, and facts from watches."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, Protocol, TypeAlias

__all__ = [
    "Action",
    "ActionKind",
    "Controller",
    "Desired",
    "MetricsView",
    "Missing",
    "PoolFacts",
    "Reading",
    "distorted",
    "known",
]


@dataclass(frozen=True, slots=True)
class Missing:
    """No value, and why; it is never 0 and refuses to be used as a condition."""

    reason: str

    def __bool__(self) -> bool:
        raise TypeError("a missing reading is neither true nor false: use known()")


Reading: TypeAlias = float | Missing


def known(reading: Reading) -> float | None:
    """Give the value, or None when it is missing."""
    return None if isinstance(reading, Missing) else reading


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """One evaluation of every query over one window.

    Attributes:
        now: evaluation time, seconds.
        window_s: length of the window, seconds.
        request_rate: arrivals per second at the gateway.
        completion_rate: answers per second of the servers (vllm:request_success_total).
        error_ratio: share of the gateway's requests that failed, 0 to 1.
        ttft_p90: seconds, as are all latencies here.
        ttft_p95: seconds.
        tpot_p90: seconds per token.
        tpot_p95: seconds per token.
        tpot_mean: seconds per token, mean over requests.
        e2e_p95: seconds, as the servers measure it: cache hits are not in it.
        e2e_mean: seconds, likewise.
        caller_e2e_p95: seconds, as the gateway measures it: cache hits are in it.
        running: sequences that hold KV cache, sum over pods.
        waiting: sequences in the servers' queues, sum over pods.
        gateway_waiting: requests waiting because no replica was ready.
        kv_usage: fraction of the KV cache in use, mean over pods.
        utilisation: share of the time that a GPU was computing, mean over pods.
        prompt_token_rate: prompt tokens per second, sum over pods.
        generation_token_rate: generated tokens per second, sum over pods.
        cache_hit_ratio: hits over lookups of the cache sidecars.
        ttft_samples: observations behind the TTFT quantiles.
        tpot_samples: observations behind the TPOT quantiles.
        age_s: age of the newest sample, seconds.
        pods_reporting: pods with a sample that is not stale.
    """

    now: float
    window_s: float
    request_rate: Reading
    completion_rate: Reading
    error_ratio: Reading
    ttft_p90: Reading
    ttft_p95: Reading
    tpot_p90: Reading
    tpot_p95: Reading
    tpot_mean: Reading
    e2e_p95: Reading
    e2e_mean: Reading
    caller_e2e_p95: Reading
    running: Reading
    waiting: Reading
    gateway_waiting: Reading
    kv_usage: Reading
    utilisation: Reading
    prompt_token_rate: Reading
    generation_token_rate: Reading
    cache_hit_ratio: Reading
    ttft_samples: float
    tpot_samples: float
    age_s: Reading
    pods_reporting: int
    source: Callable[[float], "MetricsView"] = field(repr=False, compare=False)

    def over(self, window_s: float) -> "MetricsView":
        """Evaluate the same queries now over another window, seconds."""
        return self.source(window_s)


_LATENCIES: Final = (
    *("ttft_p90", "ttft_p95", "tpot_p90", "tpot_p95", "tpot_mean"),
    *("e2e_p95", "e2e_mean", "caller_e2e_p95"),
)


def distorted(view: MetricsView, factor: float) -> MetricsView:
    """Give the same view with every latency wrong by a factor."""
    seen = ((name, getattr(view, name)) for name in _LATENCIES)
    changes: dict[str, Any] = {name: v * factor for name, v in seen if isinstance(v, float)}
    return replace(view, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFacts:
    """What the API server tells at once: objects, not measurements.

    Attributes:
        now: seconds.
        desired: `spec.replicas`.
        ready: ready replicas.
        starting: replicas in their cold start.
        draining: replicas that finish their last requests.
        minimum: lowest number of replicas allowed.
        maximum: highest number of replicas allowed.
        cold_starts_s: observed times from creation to ready, oldest first, seconds.
        cache_available: whether a cache sidecar is armed.
        cache_on: whether it answers.
        fallback_ready: ready replicas of the fallback; 0 without one.
        to_fallback: whether the traffic goes there.
        healthy: whether every ready replica answered a probe request just now.
    """

    now: float
    desired: int
    ready: int
    starting: int
    draining: int
    minimum: int
    maximum: int
    cold_starts_s: tuple[float, ...] = ()
    cache_available: bool = False
    cache_on: bool = False
    fallback_ready: int = 0
    to_fallback: bool = False
    healthy: bool = True


class ActionKind(Enum):
    """What a controller may do besides scaling."""

    CACHE_ON = "CacheOn"
    CACHE_OFF = "CacheOff"
    ROUTE_TO_FALLBACK = "RouteToFallback"
    ROUTE_BACK = "RouteBack"
    ALERT = "Alert"


@dataclass(frozen=True, slots=True)
class Action:
    """One action and its reason."""

    kind: ActionKind
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Desired:
    """What a controller wants now.

    Attributes:
        replicas: wanted `spec.replicas`; it is clipped to the bounds. Equal is no write.
        actions: other actions, in order.
    """

    replicas: int
    actions: tuple[Action, ...] = ()


class Controller(Protocol):
    """Decides every control interval from metrics and facts alone.

    Attributes:
        name: what to call it in a table.
        window_s: window of the view that `step` gets, seconds.
    """

    name: str
    window_s: float

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        """Decide; called once per control interval in order of time."""
