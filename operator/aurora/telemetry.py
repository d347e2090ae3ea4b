"""AURORA's own metrics. Label sets are fixed here; rare counters exist at 0 from the start."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from aurora.critic.reasons import CheckReason
from aurora.resources.vocabulary import OutcomeVerdict

__all__ = ["Telemetry"]

_STAGES = (
    "observe",
    "state",
    "followup",
    "decide",
    "routers",
    "status",
    "housekeeping",
    "remember",
)
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)


class Telemetry:
    """The metrics of one process, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.cycle = Histogram(
            "aurora_cycle_seconds",
            "Time of a control cycle, by stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.decisions = Counter(
            "aurora_decisions",
            "Decisions by action and by what the critic answered.",
            ["action", "verdict"],
            registry=self.registry,
        )
        self.outcomes = Counter(
            "aurora_decision_outcomes",
            "Measured decisions.",
            ["action", "outcome"],
            registry=self.registry,
        )
        self.rejections = Counter(
            "aurora_rejections",
            "Proposals that a guardrail held back, by its reason.",
            ["reason"],
            registry=self.registry,
        )
        self.failures = Counter(
            "aurora_model_failures",
            "Times that a stage of the cycle passed one model over because of an error.",
            ["stage", "error"],
            registry=self.registry,
        )
        self.models = Gauge("aurora_models", "ModelDeployments.", registry=self.registry)
        self.in_flight = Gauge(
            "aurora_decisions_in_flight",
            "Decisions that hold their target.",
            registry=self.registry,
        )
        self.queries = Gauge(
            "aurora_cycle_queries", "Prometheus queries of the last cycle.", registry=self.registry
        )
        self.writes = Gauge(
            "aurora_cycle_writes",
            "API writes of the last cycle, the Lease's not counted.",
            registry=self.registry,
        )
        self.missing = Gauge(
            "aurora_missing_readings",
            "Readings without a number in the last cycle, by why.",
            ["reason"],
            registry=self.registry,
        )
        self.store_failed = Gauge(
            "aurora_store_failed", "1 while records cannot be kept.", registry=self.registry
        )
        self._initialise()

    def _initialise(self) -> None:
        for stage in _STAGES:
            self.cycle.labels(stage)
            self.failures.labels(stage, "Unexpected")
        for reason in CheckReason:
            self.rejections.labels(reason.value)
        for verdict in OutcomeVerdict:
            self.outcomes.labels("SCALE", verdict.value)
