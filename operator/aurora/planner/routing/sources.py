"""Where wanted weights come from: one function per strategy, with one shape.

Every one gets the same input and answers shares or why it holds; everything after it (who may gain,
the step, the contract, the guardrails) is the same for all. The one that learns is in learned.py.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from aurora.observe.backends import BackendFacts
from aurora.observe.sample import Signal
from aurora.planner.decision import Evidence
from aurora.planner.inputs import Doubt
from aurora.planner.reasons import PlanReason
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.health import reading_of
from aurora.planner.routing.learned import by_learning
from aurora.planner.routing.rollout import RolloutStep, next_share
from aurora.planner.routing.wanted import Hold, Shares, Wanted
from aurora.resources.routing_policy_parts import Strategy

__all__ = ["SOURCES"]

UNEVEN: Final = 1.25
"""LatencyWeighted holds while the slowest p95 is below so many times the fastest: noise."""
LEAST_LOAD: Final = 0.1
"""Requests per pod below which a pod counts as idle, so that a ratio of loads stays finite."""
MOST_CHANGE: Final = 2.0
"""LoadBalanced changes a share at most by this factor at once: what moves has to be measured."""


class Source(Protocol):
    """One strategy. Pure: the same input gives the same answer."""

    def __call__(self, given: RoutingInput) -> Wanted: ...


def equal(given: RoutingInput) -> Wanted:
    """Every backend the same."""
    message = "Every backend gets the same weight."
    return Shares({one.name: 1.0 for one in given.open}, PlanReason.WEIGHTS_DECLARED, message)


def declared(given: RoutingInput) -> Wanted:
    """In proportion to backends[].weight."""
    shares = {one.name: float(one.spec.weight) for one in given.open}
    if not any(shares.values()):
        return Hold("No backend with a weight can take traffic.")
    message = "Weights as the policy declares them."
    return Shares(shares, PlanReason.WEIGHTS_DECLARED, message)


def by_latency(given: RoutingInput) -> Wanted:
    """In inverse proportion to the p95: who answers in half the time gets twice the share."""
    found = {one.name: given.measured(one, Signal.LATENCY_P95) for one in given.open}
    p95 = {name: one.value for name, one in found.items() if one is not None and one.value > 0}
    unknown = [name for name in found if name not in p95]
    if len(p95) < 2:
        return _without_numbers(given, "Fewer than two backends have a p95 to compare.")
    if max(p95.values()) < UNEVEN * min(p95.values()) and not _unexplored(given, unknown):
        return Hold("The backends are about equally fast.")
    shares = {name: 1.0 / value for name, value in p95.items()}
    return Shares(
        _with_floor(given, shares, unknown),
        PlanReason.LATENCY_UNEVEN,
        "Faster backends get more of the traffic, in inverse proportion to their p95.",
        _evidence(given, p95, Signal.LATENCY_P95),
        (Doubt.EFFECT_ESTIMATED,),
        Signal.LATENCY_P95,
    )


def by_load(given: RoutingInput) -> Wanted:
    """So that every ready pod carries the same load."""
    loads = {one.name: _load(given, one) for one in given.open if given.now[one.name] > 0}
    known = {name: max(LEAST_LOAD, load) for name, load in loads.items() if load is not None}
    unknown = [one.name for one in given.open if one.name not in known]
    if len(known) < 2:
        return _without_numbers(given, "Fewer than two backends have a load to compare.")
    limit = given.spec.load_imbalance_percent / 100
    if max(known.values()) <= limit * min(known.values()) and not _unexplored(given, unknown):
        return Hold("The pods of all backends carry about the same load.")
    middle = sum(known.values()) / len(known)
    shares = {
        name: given.now[name] * min(MOST_CHANGE, max(1 / MOST_CHANGE, middle / load))
        for name, load in known.items()
    }
    return Shares(
        _with_floor(given, shares, unknown),
        PlanReason.LOAD_UNEVEN,
        f"The busiest pods carry more than {limit:.2g} times the load of the idlest.",
        _evidence(given, known, Signal.RUNNING),
        (Doubt.EFFECT_ESTIMATED,),
        Signal.LATENCY_P95,
    )


def by_plan(given: RoutingInput) -> Wanted:
    """The rollout's backend gets the share of its step; the others share the rest as declared."""
    step = next_share(given)
    if not isinstance(step, RolloutStep):
        return Hold(step)
    others = [one for one in given.open if not given.rolls_out(one.name)]
    parts = {one.name: float(one.spec.weight) for one in others}
    total = sum(parts.values())
    if step.percent < 100 and total <= 0:
        return Hold("No other backend can take what the rollout leaves.")
    rest = {name: (100 - step.percent) * part / total for name, part in parts.items() if total}
    return Shares(
        {**rest, step.backend: float(step.percent)},
        PlanReason.ROLLOUT_STEP,
        step.message,
        step.evidence,
    )


SOURCES: Final[Mapping[Strategy, Source]] = {
    Strategy.EQUAL: equal,
    Strategy.WEIGHTED: declared,
    Strategy.LATENCY_WEIGHTED: by_latency,
    Strategy.LOAD_BALANCED: by_load,
    Strategy.CANARY: by_plan,
    Strategy.AB_TEST: by_plan,
    Strategy.LEARNED: by_learning,
}


def _load(given: RoutingInput, one: BackendFacts) -> float | None:
    """Requests per ready pod: those inside it, or the rate where the engine counts none."""
    running = given.measured(one, Signal.RUNNING)
    waiting = given.measured(one, Signal.WAITING)
    if running is not None and waiting is not None:
        return (running.value + waiting.value) / one.ready
    rate = given.measured(one, Signal.REQUEST_RATE)
    return rate.value / one.ready if rate is not None else None


def _unexplored(given: RoutingInput, names: list[str]) -> bool:
    least = given.spec.exploration.min_percent
    return least > 0 and any(given.now[name] < least for name in names)


def _without_numbers(given: RoutingInput, why: str) -> Wanted:
    """Nothing to weigh by: those without any traffic are explored, the rest stays."""
    least = given.spec.exploration.min_percent
    dark = [one.name for one in given.open if given.now[one.name] < least]
    if not dark or not any(given.now[one.name] for one in given.open):
        return Hold(why)
    shares = {one.name: float(given.now[one.name]) for one in given.open}
    explored = _with_floor(given, {n: s for n, s in shares.items() if n not in dark}, dark)
    message = "Backends without traffic get a little of it, to learn how they do."
    return Shares(explored, PlanReason.EXPLORATION, message)


def _with_floor(
    given: RoutingInput, shares: Mapping[str, float], unknown: list[str]
) -> dict[str, float]:
    """Percent with the exploration floor; who was not measured keeps what it has."""
    least = float(given.spec.exploration.min_percent)
    kept = {name: max(least, float(given.now[name])) for name in unknown}
    rest = max(0.0, 100.0 - sum(kept.values()))
    total = sum(shares.values())
    spread = {name: rest * share / total for name, share in shares.items()}
    low = {name for name, share in spread.items() if share < least}
    high = sum(share for name, share in spread.items() if name not in low)
    if not low or high <= 0:
        return {**spread, **kept}
    room = max(0.0, rest - least * len(low))
    lifted = {n: least if n in low else room * share / high for n, share in spread.items()}
    return {**lifted, **kept}


def _evidence(
    given: RoutingInput, names: Mapping[str, float], signal: Signal
) -> tuple[Evidence, ...]:
    found = (reading_of(given.backend(name), signal) for name in names)
    return tuple(one for part in found for one in part)
