"""ROUTE of a RoutingPolicy: weight away from who fails, then towards what the strategy wants."""

from collections.abc import Mapping
from typing import Final

from aurora.observe.sample import UNITS, Sample, Signal
from aurora.planner.decision import WEIGHT, Candidate, Direction, Effect, Evidence, Rollback
from aurora.planner.inputs import Doubt, PlanInput, confidence_from, evidence_of, less
from aurora.planner.priority import Priority
from aurora.planner.reasons import OUTAGES, PlanReason
from aurora.planner.route_rules import Failure
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.shift import Step, away, towards
from aurora.resources.vocabulary import Action

__all__ = ["backend_failed", "nobody_serves", "routing_input", "weights_wanted"]

WORSE: Final = 1.2
"""A p95 that is so many times what it was undoes a shift that was to lower it."""
_EVIDENCE: Final = 16  # as many as a Decision holds


def routing_input(given: PlanInput) -> RoutingInput | None:
    """What the weights are decided on; None where no weight may be set at all."""
    facts = given.observation.routing
    if facts is None or facts.route is None or facts.unresolved is not None or facts.rival:
        return None
    learned = given.state.memory.routing
    return RoutingInput(facts, given.at, given.failed_backends, learned)


def backend_failed(given: PlanInput) -> Candidate | None:
    """A backend fails its callers and another one can answer them."""
    routing = routing_input(given)
    then = away(routing) if routing is not None else None
    if routing is None or then is None:
        return None
    lost = [name for name, points in then.items() if points == 0 and routing.now[name] > 0]
    worst = [routing.failures[name] for name in lost]
    gaining = sorted(name for name, points in then.items() if points > routing.now[name])
    message = " ".join(one.message for one in worst)
    return _candidate(
        given,
        routing,
        then,
        reason=worst[0].reason,
        message=f"{message} Its traffic goes to {', '.join(gaining)}.",
        evidence=tuple(fact for one in worst for fact in one.evidence),
        confidence=_sure(given, worst),
        judged=Signal.SERVER_ERROR_RATIO,
        protective=True,
    )


def _sure(given: PlanInput, worst: list[Failure]) -> float:
    counted = [fact.samples for one in worst for fact in one.evidence if fact.samples is not None]
    thin = any(count < given.spec.metrics.min_samples for count in counted)
    return less(min(one.confidence for one in worst), [Doubt.FEW_REQUESTS] if thin else [])


def weights_wanted(given: PlanInput) -> Candidate | None:
    """The strategy wants other weights than are in force."""
    routing = routing_input(given)
    step = towards(routing) if routing is not None else None
    if routing is None or step is None:
        return None
    return _candidate(
        given,
        routing,
        step.points,
        reason=step.shares.reason,
        message=f"{step.shares.message} {_told(step)}",
        evidence=step.shares.evidence,
        confidence=confidence_from(step.shares.doubts),
        judged=step.shares.judged,
        protective=False,
    )


def _told(step: Step) -> str:
    goal = " ".join(f"{name}={points}" for name, points in step.goal.items())
    here = " ".join(f"{name}={points}" for name, points in step.points.items())
    return f"Now {here}." if here == goal else f"Now {here}, on the way to {goal}."


def nobody_serves(given: PlanInput) -> Candidate | None:
    """Every backend fails: weights cannot help, people have to."""
    routing = routing_input(given)
    if routing is None or not routing.failures or away(routing) is not None:
        return None
    carrying = [name for name, points in routing.now.items() if points > 0]
    failing = [routing.failures[name] for name in carrying if name in routing.failures]
    if not failing:
        return None
    return Candidate(
        action=Action.ALERT,
        direction=Direction.NONE,
        reason=failing[0].reason,
        message=f"{failing[0].message} No other backend can take its traffic.",
        priority=Priority.ALERT,
        evidence_confidence=failing[0].confidence,
        evidence=failing[0].evidence,
    )


def _candidate(  # noqa: PLR0913 - one proposal, all by name
    given: PlanInput,
    routing: RoutingInput,
    then: Mapping[str, int],
    *,
    reason: PlanReason,
    message: str,
    evidence: tuple[Evidence, ...],
    confidence: float,
    judged: Signal,
    protective: bool,
) -> Candidate:
    seen = evidence_of(given, Signal.SERVER_ERROR_RATIO) if protective else ()
    return Candidate(
        action=Action.ROUTE,
        direction=Direction.SHIFT,
        reason=reason,
        message=message,
        priority=Priority.FALLBACK if protective else Priority.SHIFT,
        evidence_confidence=confidence,
        evidence=(*seen, *evidence)[:_EVIDENCE],
        before={f"{WEIGHT}{one.name}": str(one.weight or 0) for one in routing.backends},
        after={f"{WEIGHT}{one.name}": str(then[one.name]) for one in routing.backends},
        expected=_protected(given, reason) if protective else _kept(given, judged),
        rollback_if=() if protective else _rollback(given, judged),
        protective=protective,
        identity=_identity(routing, then),
    )


def _identity(routing: RoutingInput, then: Mapping[str, int]) -> dict[str, str]:
    """Who gains and who loses: the numbers between follow the measurements."""
    now = routing.now
    return {
        "gains": " ".join(sorted(name for name in then if then[name] > now[name])),
        "loses": " ".join(sorted(name for name in then if then[name] < now[name])),
    }


def _limit(given: PlanInput, judged: Signal) -> tuple[Signal, float]:
    """The signal that the shift is held to, and what it may not be above."""
    latency = given.state.reading(Signal.LATENCY_P95)
    if judged is Signal.LATENCY_P95 and isinstance(latency, Sample):
        return judged, latency.value * WORSE
    return Signal.SERVER_ERROR_RATIO, given.spec.triggers.error_rate_percent / 100


def _kept(given: PlanInput, judged: Signal) -> Effect:
    """Callers are to be served no worse than now."""
    signal, limit = _limit(given, judged)
    now = given.state.value(signal)
    expected = 0.0 if signal is Signal.SERVER_ERROR_RATIO or now is None else now
    return Effect(signal, expected, 0.0, limit, UNITS[signal], _by(given), keeps=True)


def _protected(given: PlanInput, reason: PlanReason) -> Effect:
    """Fewer errors than all callers see now.

    Cycles before cannot say what they would be without the shift, which follows the first of them
    that failed; of a dead backend nobody counts the requests, so there they have to.
    """
    signal, limit = _limit(given, Signal.SERVER_ERROR_RATIO)
    without = None if reason in OUTAGES else given.state.value(signal)
    return Effect(signal, 0.0, 0.0, limit, UNITS[signal], _by(given), without=without)


def _by(given: PlanInput) -> float:
    return given.spec.autonomy.verification.after.total_seconds()


def _rollback(given: PlanInput, judged: Signal) -> tuple[Rollback, ...]:
    signal, limit = _limit(given, judged)
    return (Rollback(signal, limit, UNITS[signal]),)
