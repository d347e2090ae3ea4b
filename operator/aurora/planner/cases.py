"""Past cases as the planner asks for them; the memory implements the Protocol.

A case is one decision's situation and how the decision turned out. Names of models and namespaces
are no part of it: what was learned on one model helps the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, Self

__all__ = ["CaseFeatures", "NoPrecedents", "Precedent", "Precedents"]


@dataclass(frozen=True, slots=True)
class Precedent:
    """A similar past decision and how it turned out.

    Attributes:
        similarity: 0 to 1.
        verdict: Improved, Neutral, Regressed, Confounded or NoData.
        age_days: since it was decided.
    """

    decision: str
    similarity: float
    verdict: str
    action: str
    age_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFeatures:
    """The situation of a decision in numbers; None where there was no data, never 0.

    Attributes:
        action, direction: of the proposal; only cases of the same pair are compared.
        step: size of the change, log2(after / before) of the replicas; None for a switch.
        load_to_forecast: measured load / the load forecast for the cold-start horizon.
        load_to_capacity: load per ready replica / the load that keeps the objectives.
        latency_to_objective, ttft_to_objective, tpot_to_objective: p95 / objective.
        latency_to_baseline: p95 / its normal value.
        saturation: 0 to 1, the fullest resource.
        server_errors, client_errors: share of the requests, 0 to 1.
        replicas_to_maximum: replicas / maxReplicas.
        load_trend: relative change of the load an hour, negative when it falls.
        repeats: share of requests seen before, 0 to 1.
        cache_hits: measured hit ratio, 0 to 1.
        drift: score, 0 to 1.
        accuracy: 0 to 1.
        hour: of the day in UTC, 0 to 24.
        missing: share of the wanted signals without a number, 0 to 1.
    """

    action: str
    direction: str = ""
    step: float | None = None
    load_to_forecast: float | None = None
    load_to_capacity: float | None = None
    latency_to_objective: float | None = None
    ttft_to_objective: float | None = None
    tpot_to_objective: float | None = None
    latency_to_baseline: float | None = None
    saturation: float | None = None
    server_errors: float | None = None
    client_errors: float | None = None
    replicas_to_maximum: float | None = None
    load_trend: float | None = None
    repeats: float | None = None
    cache_hits: float | None = None
    drift: float | None = None
    accuracy: float | None = None
    hour: float | None = None
    missing: float | None = None

    def to_json(self) -> dict[str, str | float]:
        """What is known, by name: the form that a record keeps."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return {k: v for k, v in known.items() if isinstance(v, str) or math.isfinite(v)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read a record of any version: an unknown name is left out, an absent one is None.

        Raises:
            ValueError: the record has no action, or a value of another type.
        """
        values: dict[str, Any] = {}
        for known in fields(cls):
            value = record.get(known.name)
            if value is None:
                continue
            kinds = (str,) if known.name in {"action", "direction"} else (int, float)
            if not isinstance(value, kinds):
                kind = type(value).__name__  # a damaged record, not a mistake in the code
                raise ValueError(f"feature {known.name} of a case is {kind}")  # noqa: TRY004
            values[known.name] = value
        if not values.get("action"):
            raise ValueError("the features of a case have no action")
        return cls(**values)


class Precedents(Protocol):
    """Where the planner finds how similar cases turned out."""

    def similar(self, features: CaseFeatures, text: str, limit: int) -> Sequence[Precedent]:
        """At most `limit` cases of the same action and direction, the most similar first."""
        ...


class NoPrecedents:
    """Nothing was learned yet: every decision rests on its evidence alone."""

    def similar(self, features: CaseFeatures, text: str, limit: int) -> Sequence[Precedent]:  # noqa: ARG002
        return ()
