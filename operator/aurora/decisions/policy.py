"""What is told of a RoutingPolicy beside conditions and decisions: its backends, and AI or rules.

Pure.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from aurora.decisions.table import plain_table
from aurora.decisions.text import age, clean, rows, section
from aurora.resources import BackendStatus, RoutingPolicy
from aurora.resources.quantities import format_decimal
from aurora.resources.routing_learning import ComparisonStatus, ComparisonVerdict, SideStatus
from aurora.resources.routing_policy_parts import Strategy

__all__ = ["policy_sections"]

_SAID: Final = {
    ComparisonVerdict.LEARNED_BETTER: "the learned weights earn more than the rules",
    ComparisonVerdict.RULES_BETTER: "the rules earn more than the learned weights",
    ComparisonVerdict.NO_DIFFERENCE: "neither earns more, as far as was measured",
    ComparisonVerdict.TOO_FEW: "too few blocks were measured yet",
}


def policy_sections(policy: RoutingPolicy, now: datetime) -> Iterator[RenderableType]:
    """Weights with what they stand on, and the comparison where the policy learns."""
    yield _weights(policy, now)
    if policy.status.comparison is not None:
        yield _comparison(policy.status.comparison, now)


def _weights(policy: RoutingPolicy, now: datetime) -> RenderableType:
    status = policy.status
    told = rows(
        (
            ("strategy", _strategy(policy)),
            ("in force", status.weights or ""),
            ("wanted", status.wanted or ""),
            ("measured", f"{age(status.measured_at, now)} ago" if status.measured_at else ""),
        )
    )
    if not status.backends:
        return section("Weights", told, "no backend was looked at yet")
    table = plain_table(
        "backend", "weight", "wanted", "ready", "p95", "errors", "req/s", "cost/h", "audit", "why"
    )
    for one in status.backends:
        table.add_row(*(Text(clean(cell)) for cell in _backend(one)))
    return section("Weights", told, Text(""), table)


def _strategy(policy: RoutingPolicy) -> str:
    spec = policy.spec
    if spec.rollout is not None:
        return f"{spec.strategy.value} of {spec.rollout.backend}"
    if spec.strategy is not Strategy.LEARNED:
        return spec.strategy.value
    learning = spec.learns
    rest = f", the rest {learning.rules.value}" if learning.percent < 100 else ""
    return f"Learned ({learning.algorithm.value}), {learning.percent} % of the traffic{rest}"


def _backend(one: BackendStatus) -> tuple[str, ...]:
    return (
        one.name,
        _percent(one.weight_percent),
        _percent(one.wanted_percent),
        "" if one.ready is None else str(one.ready),
        _number(one.latency_p95, " s"),
        _number(one.error_ratio),
        _number(one.request_rate),
        _number(one.cost_per_hour),
        one.audit or "",
        one.message,
    )


def _comparison(found: ComparisonStatus, now: datetime) -> RenderableType:
    since = f", the first {age(found.since, now)} ago" if found.since is not None else ""
    difference = _interval(found.difference, found.difference_low, found.difference_high)
    told = rows(
        (
            ("verdict", f"{found.verdict.value}: {_SAID[found.verdict]}"),
            ("blocks", f"{found.blocks} of five minutes{since}"),
            ("difference", difference),
            ("p value", _number(found.p_value)),
        )
    )
    table = plain_table("side", "weights", "reward", "errors", "mean latency")
    for name, side in (("learned", found.learned), ("rules", found.rules)):
        table.add_row(*(Text(clean(cell)) for cell in (name, *_side(side))))
    return section("Learned weights against rules", told, Text(""), table)


def _side(one: SideStatus) -> tuple[str, ...]:
    return (
        one.weights,
        _interval(one.reward, one.reward_low, one.reward_high),
        _number(one.error_ratio),
        _number(one.latency_mean, " s"),
    )


def _interval(value: Decimal | None, low: Decimal | None, high: Decimal | None) -> str:
    if value is None:
        return ""
    if low is None or high is None:
        return f"{format_decimal(value)} points"
    between = f"(between {format_decimal(low)} and {format_decimal(high)})"
    return f"{format_decimal(value)} points {between}"


def _percent(value: int | None) -> str:
    return "" if value is None else f"{value}%"


def _number(value: Decimal | None, unit: str = "") -> str:
    return "" if value is None else f"{format_decimal(value)}{unit}"
