"""The values that callers pass in, and their reading from plain mappings.

Every value is frozen. A number that is not known is None and never 0; a number that is not finite
is an `InputError` where the caller states a fact about the request, and counts as unknown where it
describes a provider, because one provider with broken telemetry must not stop all routing.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from numbers import Real
from typing import Any, Final, NamedTuple

from aurora.routing.errors import InputError

__all__ = ["Constraints", "Outcome", "ProviderState", "StateKey", "WorkloadContext"]

MOST_FIGURE: Final = 1e100
"""Costs, latencies and rewards are squared and summed: 1e154 squared is no number any more."""
MOST_FEATURE: Final = 1e6
"""An embedding's numbers are about 1; far beyond, a regression on them has no digits left."""
ANY: Final = ""
"""An empty text in a context or an empty list in a provider leaves that property open."""
CONTEXT_TEXTS: Final = (
    "workload_type",
    "gpu_type",
    "region",
    "task_type",
    "tenant",
    "required_capability",
    "session_key",
)
PROVIDER_NUMBERS: Final = (
    "price_usd_per_hour",
    "price_usd_per_1k_tokens",
    "latency_ms",
    "reputation",
)


class StateKey(NamedTuple):
    """The tabular state of a request; equal to, and hashed as, the plain tuple of its parts."""

    workload_type: str
    gpu_type: str
    region: str

    @classmethod
    def of(cls, value: "StateKey | tuple[str, str, str] | str") -> "StateKey":
        """Read a triple, or the text `workload|gpu|region`."""
        parts = value.split("|") if isinstance(value, str) else list(value)
        if len(parts) != 3 or not all(isinstance(part, str) for part in parts):
            raise InputError(f"a state is three texts, or 'workload|gpu|region', not {value!r}")
        return cls(*parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadContext:
    """One request that needs a provider.

    Attributes:
        workload_type: for example `inference` or `training`.
        gpu_type: GPU that the request needs, for example `A100`; empty when any will do.
        region: where it must run, for example `eu-west`; empty when anywhere will do.
        gpu_hours: GPU hours that it will take, compared with the provider's free capacity.
        task_type: for example `chat`, `code`, `embedding`; empty when unknown.
        complexity: 0 (trivial) to 1 (hard); None when nobody estimated it.
        tenant: on whose behalf; empty when it does not matter.
        token_estimate: prompt and answer, in tokens; None when unknown.
        required_capability: the provider must declare it, for example `vision`; empty for none.
        session_key: requests with the same key stick together where a strategy supports it.
        features: explicit numbers from -1e6 to 1e6, for example a prompt embedding; when given they
            are the whole feature vector of contextual strategies.
    """

    workload_type: str = ANY
    gpu_type: str = ANY
    region: str = ANY
    gpu_hours: float = 0.0
    task_type: str = ANY
    complexity: float | None = None
    tenant: str = ANY
    token_estimate: float | None = None
    required_capability: str = ANY
    session_key: str = ANY
    features: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in CONTEXT_TEXTS:
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be a text, not {getattr(self, name)!r}")
        _within("gpu_hours", self.gpu_hours)
        if self.complexity is not None:
            _within("complexity", self.complexity, most=1.0)
        if self.token_estimate is not None:
            _within("token_estimate", self.token_estimate)
        if self.features is not None:
            if not isinstance(self.features, Iterable):
                raise InputError(f"features must be a list of numbers, not {self.features!r}")
            object.__setattr__(self, "features", tuple(self.features))
            for value in self.features:
                _within("a feature", value, least=-MOST_FEATURE, most=MOST_FEATURE)

    @property
    def state_key(self) -> StateKey:
        return StateKey(self.workload_type, self.gpu_type, self.region)

    @classmethod
    def of(cls, value: "WorkloadContext | Mapping[str, Any]") -> "WorkloadContext":
        """Read a mapping with the attribute names as keys; InputError names an unknown key."""
        if isinstance(value, WorkloadContext):
            return value
        return cls(**_known(cls, value, "context"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """One place that could serve the request, as the caller knows it now.

    Attributes:
        provider_id: unique among the candidates.
        price_usd_per_hour: None when it is not sold by the hour.
        price_usd_per_1k_tokens: None when it is not sold by the token.
        latency_ms: recent latency (the same percentile for all candidates); None when unknown.
        reputation: 0 (never again) to 100; None when unknown.
        capacity_available: free GPU hours; True or None without a known limit, False for none.
        gpu_types: GPUs it has; empty when that is its own affair (an outside provider).
        regions: where it runs; empty for everywhere.
        capabilities: what it declares, for `required_capability`.
    """

    provider_id: str
    price_usd_per_hour: float | None = None
    price_usd_per_1k_tokens: float | None = None
    latency_ms: float | None = None
    reputation: float | None = None
    capacity_available: float | bool | None = None
    gpu_types: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.provider_id or not isinstance(self.provider_id, str):
            raise InputError(f"provider_id must be a text, not {self.provider_id!r}")
        for name in PROVIDER_NUMBERS:
            value = getattr(self, name)
            if value is not None and not _is_number(value):
                raise InputError(f"{name} of {self.provider_id} must be a number, not {value!r}")
        capacity = self.capacity_available
        if not (capacity is None or isinstance(capacity, bool) or _is_number(capacity)):
            raise InputError(f"capacity_available of {self.provider_id} must be a number or a bool")
        for name in ("gpu_types", "regions", "capabilities"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))

    @classmethod
    def of(cls, value: "ProviderState | Mapping[str, Any]") -> "ProviderState":
        """Read a mapping with the attribute names as keys; InputError names an unknown key."""
        if isinstance(value, ProviderState):
            return value
        known = _known(cls, value, "provider")
        if "provider_id" not in known:
            raise InputError("a provider has no provider_id; each needs one of its own")
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What the caller will accept. None leaves a property open.

    Attributes:
        max_price: USD per hour.
        max_price_per_1k_tokens: USD; for providers sold by the token.
        max_latency_ms: bound on the provider's latency.
        min_reputation: 0 to 100.
        allowed_regions: regions that the provider must overlap.
        allowed_providers: only these are candidates at all, audited or not.
    """

    max_price: float | None = None
    max_price_per_1k_tokens: float | None = None
    max_latency_ms: float | None = None
    min_reputation: float | None = None
    allowed_regions: tuple[str, ...] | None = None
    allowed_providers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("max_price", "max_price_per_1k_tokens", "max_latency_ms", "min_reputation"):
            limit = getattr(self, name)
            if limit is not None:
                _within(name, limit, least=-math.inf)
        for name in ("allowed_regions", "allowed_providers"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _texts(name, getattr(self, name)))

    @classmethod
    def of(cls, value: "Constraints | Mapping[str, Any] | None") -> "Constraints":
        """Read a mapping with the attribute names as keys; InputError names an unknown key."""
        if value is None:
            return UNCONSTRAINED
        if isinstance(value, Constraints):
            return value
        return cls(**_known(cls, value, "constraints"))


UNCONSTRAINED = Constraints()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one routed request turned out to be.

    Attributes:
        success: it was answered as it should be.
        cost_usd: what it cost; finite and not negative.
        latency_ms: from sending to the full answer; finite and not negative.
        reputation: 0 to 100 as judged now; None when nobody judged.
        quality: 0 to 1, a judgement of the answer itself; None when nobody judged.
    """

    success: bool
    cost_usd: float
    latency_ms: float
    reputation: float | None = None
    quality: float | None = None

    def __post_init__(self) -> None:
        # By value: 0, 1 and numpy's booleans are meant, a text such as "no" would count as true.
        if self.success not in (True, False):
            raise InputError(f"success must be true or false, not {self.success!r}")
        _within("cost_usd", self.cost_usd, most=MOST_FIGURE)
        _within("latency_ms", self.latency_ms, most=MOST_FIGURE)
        if self.reputation is not None:
            _within("reputation", self.reputation, most=100.0)
        if self.quality is not None:
            _within("quality", self.quality, most=1.0)


def _is_number(value: object) -> bool:
    """Whether it is a number that the engine can count with: some integers are too long."""
    if type(value) is float:
        return True
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _within(name: str, value: float, *, least: float = 0.0, most: float = math.inf) -> None:
    """Raise unless the value is a finite number within the bounds."""
    if _is_number(value) and math.isfinite(value) and least <= value <= most:
        return
    bounds = "not negative" if most == math.inf else f"from {least:g} to {most:g}"
    raise InputError(
        f"{name} must be a finite number{'' if least == -math.inf else ', ' + bounds}, "
        f"not {value!r}"
    )


def _texts(name: str, value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(f"{name} must be a list of texts, not {value!r}")
    texts = tuple(value)
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{name} must be a list of texts, not {texts!r}")
    return texts


@lru_cache(maxsize=8)
def _names(cls: type) -> frozenset[str]:
    return frozenset(field.name for field in fields(cls))


def _known(cls: type, value: Mapping[str, Any], what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(
            f"{what} must be a mapping or a {cls.__name__}, not {type(value).__name__}"
        )
    unknown = set(value) - _names(cls)
    if unknown:
        raise InputError(
            f"{what} has unknown keys {sorted(map(str, unknown))}; known are {sorted(_names(cls))}"
        )
    return dict(value)
