"""Whether the objectives would survive: the critic's own look at the capacity model."""

import math
from typing import Final

from aurora.critic.finding import Finding
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.observe.sample import Signal
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action

__all__ = ["objective_at_risk"]

_PROBABILITY: Final = 0.6
"""One window in five may be above the objective, as in the capacity model's sustainable load."""


def objective_at_risk(given: CriticInput) -> Finding:
    """Taking replicas away must keep every latency objective at the load of now."""
    request, state = given.request, given.state
    if (request.action, request.direction) != (Action.SCALE, Direction.DOWN):
        return None
    wanted, load = request.after.get("replicas", ""), state.load.demand
    if not wanted.isdecimal() or load is None:
        return None
    failing = _errors_above(given)
    if failing:
        return CheckReason.OBJECTIVE_AT_RISK, failing
    for signal, goal in state.objectives.items():
        value = state.value(signal)
        if value is not None and value > goal:
            return (
                CheckReason.OBJECTIVE_AT_RISK,
                f"{signal.value} is {value:.3g} s, above its objective of {goal:.3g} s already",
            )
        found = state.capacity.predict(
            signal, load / max(1, int(wanted)), probability=_PROBABILITY, readings=math.inf
        )
        if found is not None and state.capacity.trusted(signal) and found.mean > goal:
            return (
                CheckReason.OBJECTIVE_AT_RISK,
                (
                    f"{signal.value} is expected to be {found.mean:.3g} s with {wanted} replicas, "
                    f"above its objective of {goal:.3g} s"
                ),
            )
    return None


def _errors_above(given: CriticInput) -> str:
    goal = given.observation.model.spec.objectives.error_rate_percent
    errors = given.state.value(Signal.SERVER_ERROR_RATIO)
    if goal is None or errors is None or errors * 100 <= goal:
        return ""
    return f"{errors:.1%} of the requests fail, above the objective of {goal} % already"
