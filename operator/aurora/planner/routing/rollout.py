"""The step plan of a canary or an A/B test: which share comes next, and what it waits for."""

from dataclasses import dataclass

from aurora.observe.backends import BackendFacts
from aurora.observe.sample import Missing, Signal
from aurora.planner.decision import Evidence
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.health import reading_of
from aurora.resources.routing_policy_parts import Rollout, Strategy

__all__ = ["RolloutStep", "next_share"]


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """The share that the plan wants now."""

    backend: str
    percent: int
    message: str
    evidence: tuple[Evidence, ...] = ()


def next_share(given: RoutingInput) -> RolloutStep | str:
    """The share of the step that is due, or the sentence that says what it waits for."""
    plan = given.spec.rollout
    if plan is None:
        return "The policy has no step plan."
    one = given.backend(plan.backend)
    if one.name in given.closed:
        return f"{one.name}: {given.closed[one.name]}"
    now = given.now[one.name]
    reached = [step for step in plan.steps if step <= now]
    ahead = [step for step in plan.steps if step > now]
    if not ahead:
        return _at(plan, plan.steps[-1], one)
    if not reached or now != reached[-1]:
        return _at(plan, ahead[0], one)  # on its way: a step may be larger than maxStepPercent
    waits = _worse(given, plan, one) if given.spec.strategy is Strategy.CANARY else ""
    if waits:
        return waits
    return _at(plan, ahead[0], one)


def _at(plan: Rollout, percent: int, one: BackendFacts) -> RolloutStep:
    where = f"step {plan.steps.index(percent) + 1} of {len(plan.steps)}"
    message = f"The rollout of {one.name} is due at {percent} % ({where})."
    evidence = (
        *reading_of(one, Signal.SERVER_ERROR_RATIO),
        *reading_of(one, Signal.LATENCY_P95),
    )
    return RolloutStep(one.name, percent, message, evidence)


def _worse(given: RoutingInput, plan: Rollout, one: BackendFacts) -> str:
    """Why the next step waits; empty when the backend is measured and no worse than the others."""
    for signal in (Signal.SERVER_ERROR_RATIO, Signal.LATENCY_P95):
        if given.measured(one, signal) is None:
            reading = one.reading(signal)
            why = reading.gap.value if isinstance(reading, Missing) else "PartialResponse"
            return f"{one.name} waits for {signal.value} ({why})."
    errors = _others(given, Signal.SERVER_ERROR_RATIO)
    own = given.measured(one, Signal.SERVER_ERROR_RATIO)
    if errors is not None and own is not None:
        allowed = errors + plan.max_extra_error_percent / 100
        if own.value > allowed:
            return f"{one.name} waits: it fails more of its requests than the others."
    return _slower(given, plan, one)


def _slower(given: RoutingInput, plan: Rollout, one: BackendFacts) -> str:
    theirs, own = _others(given, Signal.LATENCY_P95), given.measured(one, Signal.LATENCY_P95)
    if theirs is None or own is None or own.value <= theirs * plan.max_latency_percent / 100:
        return ""
    return f"{one.name} waits: its p95 is above {plan.max_latency_percent} % of the others'."


def _others(given: RoutingInput, signal: Signal) -> float | None:
    """The mean of the other backends by their weights; None when none of them is measured."""
    found = [
        (given.now[one.name], reading.value)
        for one in given.backends
        if not given.rolls_out(one.name) and (reading := given.measured(one, signal)) is not None
    ]
    total = sum(weight for weight, _ in found)
    return sum(weight * value for weight, value in found) / total if total else None
