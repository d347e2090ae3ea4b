"""A router's own metrics."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["RouterMetrics"]

MOST_PROVIDERS: Final = 256
"""Providers with a series of their own; the rest share `other`: callers name them freely."""
_BOTH: Final = (True, False)
BUCKETS_S: Final = (
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.05,
    0.25,
)


class RouterMetrics:
    """Counters of one router, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counted: dict[tuple[str, str], Counter] = {}
        self._named: set[str] = set()
        self._decisions = Counter(
            "aurora_router_decisions",
            "Decisions, by provider and mode.",
            ("provider", "mode"),
            registry=self.registry,
        )
        feedback = Counter(
            "aurora_router_feedback",
            "Outcomes that were learned, by success.",
            ("success",),
            registry=self.registry,
        )
        self._feedback = {success: feedback.labels(str(success).lower()) for success in _BOTH}
        self.refused = Counter(
            "aurora_router_refused",
            "Requests that got no answer, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self.decide_seconds = Histogram(
            "aurora_router_decide_seconds",
            "The engine's part of a decision.",
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.pending = Gauge(
            "aurora_router_feedback_pending",
            "Decisions that wait for feedback.",
            registry=self.registry,
        )
        self.policy_ok = Gauge(
            "aurora_router_policy_ok",
            "0 when the policy file was last refused or could not be read, else 1.",
            registry=self.registry,
        )
        self.policy_ok.set(1)  # a router without a policy file has nothing to refuse
        self.state_ok = Gauge(
            "aurora_router_state_ok",
            "0 when learned state had to be repaired or could not be saved.",
            registry=self.registry,
        )
        self.psi_connected = Gauge(
            "aurora_router_psi_field_connected",
            "1 when the psi field gave a usable answer lately.",
            registry=self.registry,
        )

    def decided(self, provider: str, mode: str, seconds: float) -> None:
        """Count one decision."""
        # Finding a child takes longer than counting.
        child = self._counted.get((provider, mode)) or self._child(provider, mode)
        child.inc()
        self.decide_seconds.observe(seconds)

    def learned(self, *, success: bool) -> None:
        """Count one outcome."""
        self._feedback[success].inc()

    def _child(self, provider: str, mode: str) -> Counter:
        if provider not in self._named and len(self._named) >= MOST_PROVIDERS:
            return self._decisions.labels("other", mode)
        self._named.add(provider)
        child = self._counted[provider, mode] = self._decisions.labels(provider, mode)
        return child
