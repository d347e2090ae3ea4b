"""The points that one step of a policy sets: away from who fails, or towards what is wanted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aurora.planner.reasons import PlanReason
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.points import LEAST_MOVED, completed, moved, stepped
from aurora.planner.routing.sources import SOURCES
from aurora.planner.routing.wanted import Hold, Shares

__all__ = ["MEASURED_REASONS", "Step", "away", "goal", "towards"]

PROBE_POINTS: Final = 5
"""The first weight of a backend that failed within the last day."""
MEASURED_REASONS: Final = frozenset(
    {PlanReason.LATENCY_UNEVEN, PlanReason.LOAD_UNEVEN, PlanReason.WEIGHTS_LEARNED}
)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step sets, and where it is going."""

    points: Mapping[str, int]
    goal: Mapping[str, int]
    shares: Shares


def away(given: RoutingInput) -> dict[str, int] | None:
    """Points with nothing for the backends that fail; None when they have none or nobody is left.

    It is all at once: a request to a backend that is known to fail helps nobody.
    """
    failing = {name for name in given.failures if given.now[name] > 0}
    takers = _takers(given)
    if not failing or not takers:
        return None
    kept = {n: p for n, p in given.now.items() if n not in failing and n not in takers}
    return completed({**dict.fromkeys(failing, 0), **kept}, takers)


def _takers(given: RoutingInput) -> dict[str, float]:
    """Who takes the traffic: the healthy ones, those that carry some of it already first."""
    healthy = [one for one in given.open if one.name not in given.failures]
    if not healthy:  # a constraint is no reason to leave callers without an answer
        healthy = [one for one in given.backends if one.ready and one.name not in given.failures]
    carrying = {one.name: float(given.now[one.name]) for one in healthy}
    if any(carrying.values()):
        return {name: share for name, share in carrying.items() if share > 0}
    declared = {one.name: float(one.spec.weight) for one in healthy}
    return declared if any(declared.values()) else dict.fromkeys(declared, 1.0)


def goal(given: RoutingInput) -> tuple[dict[str, int], Shares] | Hold:
    """The points that the strategy wants of what may move; the rest stays as it is."""
    if not given.open:
        return Hold("No backend can take traffic.")
    wanted = SOURCES[given.spec.strategy](given)
    if isinstance(wanted, Hold):
        return wanted
    found = given.spread(wanted.shares)
    return (found, wanted) if any(found.values()) else Hold("No backend can take traffic.")


def towards(given: RoutingInput) -> Step | None:
    """One step towards the goal; None while there is nothing to do."""
    found = goal(given)
    if isinstance(found, Hold):
        return None
    wanted, shares = found
    change = moved(given.now, wanted)
    if change == 0 or (shares.reason in MEASURED_REASONS and change < LEAST_MOVED):
        return None
    if not any(given.now.values()):
        return Step(wanted, wanted, shares)
    most = given.spec.autonomy.max_step_percent
    step = stepped(given.now, _probing(given, wanted), most)
    return Step(step, wanted, shares) if moved(given.now, step) else None


def _probing(given: RoutingInput, wanted: Mapping[str, int]) -> dict[str, int]:
    """The goal of this step: a backend that failed lately gets little at first."""
    made = dict(wanted)
    for name in given.past:
        over = made.get(name, 0) - PROBE_POINTS
        if given.now.get(name, 0) == 0 and over > 0:
            holder = max(given.now, key=lambda one: (given.now[one], one))
            made[name] -= over
            made[holder] += over
    return made
