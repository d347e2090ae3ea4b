"""The six checks of a provider against a request, as an ordered chain of tiny functions.

A limit that is set and a figure that is not known (missing, NaN, infinite) is a violation: what
cannot be shown to be within the limit is not within it. A limit that is not set checks nothing.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from aurora.routing.types import Constraints, ProviderState

__all__ = ["CHECKS", "Demand", "Finding", "ViolationType", "capacity_of", "findings"]


class ViolationType(StrEnum):
    """What can be wrong with a provider for a request."""

    PRICE_EXCEEDED = "price_exceeded"
    LATENCY_EXCEEDED = "latency_exceeded"
    REPUTATION_TOO_LOW = "reputation_too_low"
    REGION_MISMATCH = "region_mismatch"
    GPU_MISMATCH = "gpu_mismatch"
    CAPACITY_EXCEEDED = "capacity_exceeded"


class Finding(NamedTuple):
    """One violation with its figures in words."""

    type: ViolationType
    note: str


class Demand(NamedTuple):
    """What the request asks of a provider; empty text and 0 ask nothing."""

    gpu_type: str = ""
    region: str = ""
    gpu_hours: float = 0.0


def findings(
    provider: ProviderState, demand: Demand, constraints: Constraints
) -> tuple[Finding, ...]:
    """Every violation of one provider, in the order of `CHECKS`."""
    found = []
    for kind, check in CHECKS:
        note = check(provider, demand, constraints)
        if note is not None:
            found.append(Finding(kind, note))
    return tuple(found)


def capacity_of(provider: ProviderState) -> float:
    """Free GPU hours; infinite without a known limit, negative when it takes nothing at all."""
    capacity = provider.capacity_available
    if capacity is None or capacity is True:
        return math.inf
    if capacity is False or capacity <= 0.0:
        return -1.0
    return capacity if not math.isnan(capacity) else -1.0


def _above(value: float | None, limit: float | None, what: str) -> str | None:
    if limit is None:
        return None
    if value is None or not math.isfinite(value):
        return f"{what} unknown, limit {limit:g}"
    return f"{what} {value:g} above {limit:g}" if value > limit else None


def price_check(provider: ProviderState, _: Demand, constraints: Constraints) -> str | None:
    by_hour = constraints.max_price is not None and provider.price_usd_per_hour is not None
    by_token = (
        constraints.max_price_per_1k_tokens is not None
        and provider.price_usd_per_1k_tokens is not None
    )
    if by_hour:
        note = _above(provider.price_usd_per_hour, constraints.max_price, "USD/h")
        if note is not None or not by_token:
            return note
    if by_token:
        limit = constraints.max_price_per_1k_tokens
        return _above(provider.price_usd_per_1k_tokens, limit, "USD/1k tokens")
    if constraints.max_price is None and constraints.max_price_per_1k_tokens is None:
        return None
    return "no price in the unit of the limit (per hour or per 1k tokens)"


def latency_check(provider: ProviderState, _: Demand, constraints: Constraints) -> str | None:
    return _above(provider.latency_ms, constraints.max_latency_ms, "latency ms")


def reputation_check(provider: ProviderState, _: Demand, constraints: Constraints) -> str | None:
    limit, value = constraints.min_reputation, provider.reputation
    if limit is None:
        return None
    if value is None or not math.isfinite(value):
        return f"reputation unknown, least {limit:g}"
    return f"reputation {value:g} below {limit:g}" if value < limit else None


def region_check(provider: ProviderState, demand: Demand, constraints: Constraints) -> str | None:
    allowed, wanted = constraints.allowed_regions, demand.region
    if wanted and allowed is not None and wanted not in allowed:
        return f"region {wanted} is not among the allowed {', '.join(allowed)}"
    if wanted:
        elsewhere = bool(provider.regions) and wanted not in provider.regions
        return f"not in region {wanted}" if elsewhere else None
    if allowed is None or set(allowed) & set(provider.regions):
        return None
    return f"in none of the regions {', '.join(allowed)}"


def gpu_check(provider: ProviderState, demand: Demand, _: Constraints) -> str | None:
    if not demand.gpu_type or not provider.gpu_types or demand.gpu_type in provider.gpu_types:
        return None
    return f"has no {demand.gpu_type}"


def capacity_check(provider: ProviderState, demand: Demand, _: Constraints) -> str | None:
    capacity = capacity_of(provider)
    if demand.gpu_hours <= capacity:
        return None
    return f"{demand.gpu_hours:g} GPU hours wanted, {max(capacity, 0.0):g} free"


Check: TypeAlias = Callable[[ProviderState, Demand, Constraints], str | None]

CHECKS: Final[tuple[tuple[ViolationType, Check], ...]] = (
    (ViolationType.PRICE_EXCEEDED, price_check),
    (ViolationType.LATENCY_EXCEEDED, latency_check),
    (ViolationType.REPUTATION_TOO_LOW, reputation_check),
    (ViolationType.REGION_MISMATCH, region_check),
    (ViolationType.GPU_MISMATCH, gpu_check),
    (ViolationType.CAPACITY_EXCEEDED, capacity_check),
)
