"""What the demo sees: decisions, models and callers, as plain values. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aurora.resources import (
    ConditionType,
    DecisionObject,
    MalformedObjectError,
    ModelDeployment,
    find_condition,
    is_true,
)
from aurora.resources.vocabulary import Action, Direction, OutcomeVerdict, Phase

__all__ = [
    "Bucket",
    "Callers",
    "Scene",
    "SeenDecision",
    "SeenModel",
    "buckets_of",
    "callers",
    "decisions_of",
    "metrics_available",
]


@dataclass(frozen=True, slots=True)
class SeenDecision:
    """One Decision object; times are seconds since 1970.

    Attributes:
        executed_at: when its effect was written; None when it was not.
    """

    name: str
    model: str
    action: Action
    direction: Direction | None
    before: Mapping[str, str]
    after: Mapping[str, str]
    reason: str
    message: str
    confidence_percent: int
    phase: Phase
    decided_at: float
    executed_at: float | None = None
    verdict: OutcomeVerdict | None = None
    outcome: str = ""

    @property
    def move(self) -> tuple[Action, Direction | None]:
        return self.action, self.direction

    @property
    def title(self) -> str:
        """What is done, in a few words: `SCALE 2 to 4`."""
        parts = [
            f"{self.before[name]} to {value}" if name in self.before else value
            for name, value in self.after.items()
            if name != "undo"
        ]
        return " ".join((str(self.action), *parts))


def decisions_of(objects: Iterable[Mapping[str, Any]]) -> tuple[SeenDecision, ...]:
    """Read Decision objects, the oldest first; what is none is left out."""
    found = []
    for raw in objects:
        try:
            found.append(_decision(DecisionObject.parse(raw)))
        except MalformedObjectError:
            continue
    return tuple(sorted(found, key=lambda one: (one.decided_at, one.name)))


def _decision(one: DecisionObject) -> SeenDecision:
    spec, status = one.spec, one.status
    executed = find_condition(status.conditions, ConditionType.EXECUTED)
    done = is_true(status.conditions, ConditionType.EXECUTED)
    return SeenDecision(
        name=one.metadata.name,
        model=spec.model_ref.name,
        action=spec.action,
        direction=spec.direction,
        before=dict(spec.parameters.from_),
        after=dict(spec.parameters.to),
        reason=spec.reason,
        message=spec.message,
        confidence_percent=spec.confidence_percent,
        phase=status.phase or Phase.PROPOSED,
        decided_at=_seconds(one.metadata.creation_timestamp) or 0.0,
        executed_at=_seconds(executed.last_transition_time) if executed and done else None,
        verdict=status.outcome.verdict if status.outcome else None,
        outcome=status.outcome.message if status.outcome else "",
    )


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def metrics_available(model: ModelDeployment) -> bool:
    """Whether AURORA itself says that it reads this model's metrics."""
    return is_true(model.status.conditions, ConditionType.METRICS_AVAILABLE)


@dataclass(frozen=True, slots=True)
class Bucket:
    """What callers of one Service saw in 5 s from `at` on; p95 in seconds, None without any."""

    at: float
    requests: int
    errors: int
    cached: int
    latency_p95: float | None
    ttft_p95: float | None


def buckets_of(told: Iterable[Mapping[str, Any]]) -> tuple[Bucket, ...]:
    """Read the buckets of one Service as the fleet tells them."""
    return tuple(
        Bucket(
            at=one["at"],
            requests=one["requests"],
            errors=one["errors"],
            cached=one["cached"],
            latency_p95=one["latencyP95"],
            ttft_p95=one["ttftP95"],
        )
        for one in told
    )


@dataclass(frozen=True, slots=True)
class Callers:
    """What callers saw over a time: mean rate, and the request-weighted mean of the 5 s p95."""

    rate: float
    error_ratio: float
    cached_ratio: float
    latency_p95: float | None
    ttft_p95: float | None

    def value(self, key: str) -> float | None:
        """A signal by its name in the scenario: seconds, or a share of the requests."""
        known = {
            "ttftP95": self.ttft_p95,
            "latencyP95": self.latency_p95,
            "errorRatio": self.error_ratio,
        }
        return known[key]


def callers(buckets: Sequence[Bucket], start: float, end: float) -> Callers | None:
    """Sum up the whole buckets of a time (seconds since 1970); None without a request in it."""
    inside = [one for one in buckets if start <= one.at and one.at + 5.0 <= end]
    total = sum(one.requests for one in inside)
    if total == 0:
        return None
    return Callers(
        rate=total / (5.0 * len(inside)),
        error_ratio=sum(one.errors for one in inside) / total,
        cached_ratio=sum(one.cached for one in inside) / total,
        latency_p95=_mean((one.latency_p95, one.requests) for one in inside),
        ttft_p95=_mean((one.ttft_p95, one.requests) for one in inside),
    )


def _mean(pairs: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in pairs if value is not None]
    total = sum(weight for _, weight in known)
    if total == 0:
        return None
    return math.fsum(value * weight for value, weight in known) / total


@dataclass(frozen=True, slots=True)
class SeenModel:
    """One model at one moment.

    Attributes:
        objectives: upper bounds in seconds, by the name of the signal (ttftP95, latencyP95).
        cache: Off, armed or On; `route` primary or fallback.
        metrics: whether AURORA reads its metrics, and `why` it does not.
        buckets: what callers of its Service saw.
    """

    name: str
    replicas: int
    ready: int
    objectives: Mapping[str, float]
    cache: str
    route: str
    metrics: bool
    why: str
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything at one moment; `at` is seconds since 1970."""

    at: float
    models: Mapping[str, SeenModel]
    decisions: tuple[SeenDecision, ...]
    begun: Mapping[str, float] = field(default_factory=dict)
    """When each fault began, by its name."""

    def decisions_on(self, model: str) -> tuple[SeenDecision, ...]:
        """The decisions about a model, the oldest first."""
        return tuple(one for one in self.decisions if one.model == model)
