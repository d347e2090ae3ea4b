"""Whether a shift of weights leaves a rule that answers: the critic's own look, from the numbers.

Nothing here trusts the planner: points, backends and readiness are read again from the request and
from what is observed.
"""

from collections.abc import Mapping

from aurora.critic.finding import Finding
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.observe.backends import RoutingFacts
from aurora.planner.decision import WEIGHT, WHOLE, Direction

__all__ = [
    "no_ready_backend",
    "refs_unresolved",
    "weight_step_too_large",
    "weights_are_no_whole",
]


def _shift(given: CriticInput) -> RoutingFacts | None:
    return given.observation.routing if given.request.direction is Direction.SHIFT else None


def _points(parameters: Mapping[str, str]) -> dict[str, int] | None:
    """Points by backend; None when a value is no number: what comes back to us is input."""
    made: dict[str, int] = {}
    for name, value in parameters.items():
        if not name.startswith(WEIGHT) or not (value.isascii() and value.isdecimal()):
            return None
        made[name.removeprefix(WEIGHT)] = int(value)
    return made


def refs_unresolved(given: CriticInput) -> Finding:
    """Weights are set only where the policy lists every backend of the rule."""
    routing = _shift(given)
    if routing is None or routing.unresolved is None:
        return None
    return CheckReason.REFS_UNRESOLVED, routing.unresolved.message


def weights_are_no_whole(given: CriticInput) -> Finding:
    """Every backend has one weight, and all of them sum to 100."""
    routing = _shift(given)
    if routing is None:
        return None
    after = _points(given.request.after)
    if after is None or set(after) != {one.name for one in routing.backends}:
        return CheckReason.OUT_OF_BOUNDS, "the weights are not one number for each backend"
    if sum(after.values()) != WHOLE:
        return CheckReason.OUT_OF_BOUNDS, f"the weights sum to {sum(after.values())} and not to 100"
    return None


def no_ready_backend(given: CriticInput) -> Finding:
    """Nobody gains who cannot answer, and somebody is left who can."""
    routing = _shift(given)
    after, before = _points(given.request.after), _points(given.request.before)
    if routing is None or after is None or before is None:
        return None
    ready = {one.name: one.ready for one in routing.backends}
    shares = _shares(before)
    for name, points in after.items():
        if points > shares.get(name, 0.0) + _rounding(before) and not ready.get(name):
            return CheckReason.NO_HEALTHY_BACKEND, f"{name} would get traffic and is not ready"
    if not any(points and ready.get(name) for name, points in after.items()):
        return CheckReason.NO_HEALTHY_BACKEND, "no backend that would get traffic is ready"
    return None


def weight_step_too_large(given: CriticInput) -> Finding:
    """At most autonomy.maxStepPercent points change hands, but to protect callers."""
    if _shift(given) is None or given.request.protective:
        return None
    after, before = _points(given.request.after), _points(given.request.before)
    if after is None or before is None or not sum(before.values()):
        return None
    shares, most = _shares(before), given.observation.model.spec.autonomy.max_step_percent
    moved = sum(max(0.0, points - shares.get(name, 0.0)) for name, points in after.items())
    if moved <= most + _rounding(before) * len(after):
        return None
    return CheckReason.STEP_TOO_LARGE, f"{moved:.0f} points would move, {most} at most in one step"


def _shares(weights: Mapping[str, int]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: WHOLE * one / total if total else 0.0 for name, one in weights.items()}


def _rounding(before: Mapping[str, int]) -> float:
    """Weights that are no percents yet are rounded to whole points: up to one for each backend."""
    return 0.0 if sum(before.values()) in {0, WHOLE} else 1.0
