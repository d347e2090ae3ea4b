"""When a model may be served by fewer replicas at all, whatever its load."""

from typing import Final

from aurora.observe.sample import Sample, Signal
from aurora.planner.inputs import PlanInput
from aurora.planner.route_rules import surely_above
from aurora.planner.sizing import STABILIZATION_S
from aurora.state.history import values_of

__all__ = ["may_shrink", "near_objective"]

NEAR: Final = 0.9
"""Share of an objective above which a latency leaves nothing to take away."""


def may_shrink(given: PlanInput) -> bool:
    """Nothing is taken away while pods start or fail, requests do, or traffic goes elsewhere.

    Nor for the cooldown of steps down after an objective was missed, by whatever it was mended.
    """
    missed, wait = given.state.memory.missed_at, given.spec.autonomy.cooldown.down
    if missed is not None and given.at - missed <= wait.total_seconds():
        return False
    replicas, pods = given.state.replicas, given.state.pods
    starting = replicas.spec is None or (replicas.ready or 0) < replicas.spec
    failing = pods.crash_looping or _requests_fail(given)
    return not (starting or failing or given.fallback_open) and given.state.settled


def _requests_fail(given: PlanInput) -> bool:
    """Whether server errors are above their threshold beyond luck, be it for a moment only."""
    limit, errors = given.spec.triggers.error_rate_percent, Signal.SERVER_ERROR_RATIO
    reading = given.state.reading(errors)
    return isinstance(reading, Sample) and surely_above(limit / 100, reading)


def near_objective(given: PlanInput) -> bool:
    """Whether a latency came near its objective lately, for as long as the highest load counts."""
    began, history = given.at - STABILIZATION_S, given.state.history
    return any(
        value > NEAR * goal
        for signal, goal in given.state.objectives.items()
        for at, value in values_of(history, signal)
        if at >= began
    )
