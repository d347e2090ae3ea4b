"""The planner's rules. Reading the list is reading what AURORA may propose."""

from collections.abc import Callable

from aurora.planner import alert_rules, cache_rules, route_rules, scale_rules, shift_rules
from aurora.planner.decision import Candidate
from aurora.planner.inputs import PlanInput

__all__ = ["ROUTING_RULES", "RULES", "candidates"]

RULES: tuple[Callable[[PlanInput], Candidate | None], ...] = (
    route_rules.primary_failed,
    route_rules.primary_recovered,
    scale_rules.below_minimum,
    scale_rules.above_maximum,
    scale_rules.more_needed,
    scale_rules.saturated,
    scale_rules.capacity_unused,
    cache_rules.switch_on,
    cache_rules.switch_off,
    cache_rules.arm,
    cache_rules.disarm,
    alert_rules.failed_without_fallback,
    alert_rules.fallback_failing,
    alert_rules.pods_unschedulable,
    cache_rules.batching_advised,
    alert_rules.latency_unexplained,
    alert_rules.error_objective_missed,
    alert_rules.client_errors,
    alert_rules.accuracy_low,
    alert_rules.data_drift,
)
"""Priority, not the order here, decides between two that speak (priority.py)."""

ROUTING_RULES: tuple[Callable[[PlanInput], Candidate | None], ...] = (
    shift_rules.backend_failed,
    shift_rules.weights_wanted,
    shift_rules.nobody_serves,
)
"""The same for a RoutingPolicy."""


def candidates(given: PlanInput) -> tuple[Candidate, ...]:
    """What every rule proposes, best first."""
    rules = RULES if given.observation.routing is None else ROUTING_RULES
    found = [candidate for rule in rules if (candidate := rule(given)) is not None]
    return tuple(sorted(found, key=lambda one: one.priority))
