"""SCALE: up for the load to come, down as carefully as up."""

import math
from typing import Final

from aurora.observe.sample import UNITS, Signal
from aurora.planner.decision import Candidate, Direction, Effect, Rollback
from aurora.planner.inputs import Doubt, PlanInput, confidence_from, evidence_of
from aurora.planner.lasting import may_pass
from aurora.planner.priority import Priority
from aurora.planner.reasons import PlanReason
from aurora.planner.shrinking import may_shrink, near_objective
from aurora.planner.sizing import Sizing, enough, size_down, size_up
from aurora.resources.vocabulary import Action
from aurora.state.interval import Interval

__all__ = ["above_maximum", "below_minimum", "capacity_unused", "more_needed", "saturated"]

UNEXPLAINED: Final = 2.0
"""A latency above this multiple of what the load explains is a fault: replicas do not mend it."""
MOST_AT_ONCE: Final = 4
"""At most twice the replicas, or four more, in one step up, as llm-d's HPA policy allows."""
LEAST_SAVED: Final = 0.2
"""A step down has to save more than this share of the replicas: whatever it saves, it is a chance
to meet a burst before the replicas are back (docs/simulator.md)."""
BUSY_RATIO: Final = 0.5
"""A used-up resource counts only when a latency is past half of its objective: an engine that
batches keeps its GPU at 100 % long before callers notice anything."""


def below_minimum(given: PlanInput) -> Candidate | None:
    """The target has fewer replicas than its minimum."""
    scaling, now = given.spec.scaling, _base(given)
    if scaling is None or now is None or now >= scaling.min_replicas:
        return None
    return _candidate(
        given,
        now,
        scaling.min_replicas,
        reason=PlanReason.BELOW_MINIMUM,
        message=f"{now} replicas are fewer than minReplicas {scaling.min_replicas}.",
        doubts=(),
    )


def above_maximum(given: PlanInput) -> Candidate | None:
    """The target has more replicas than its maximum."""
    scaling, now = given.spec.scaling, _base(given)
    if scaling is None or now is None or given.autoscaler or now <= scaling.max_replicas:
        return None
    return _candidate(
        given,
        now,
        max(scaling.max_replicas, now - _step(given, now)),
        reason=PlanReason.ABOVE_MAXIMUM,
        message=f"{now} replicas are more than maxReplicas {scaling.max_replicas}.",
        doubts=(),
    )


def more_needed(given: PlanInput) -> Candidate | None:
    """The replicas cannot keep the objectives at the load to expect when new ones are ready."""
    now = _base(given)
    if now is None or given.replicas is None:
        return None
    # An autoscaler may stand far above its floor: the step is counted from there.
    most = max(now, given.replicas)
    missed = (given.state.saturation.slo_ratio or 0.0) > 1.0
    if not missed and _bounded(given, most) <= most and enough(given, most):
        return None  # most models in most cycles
    sizing = size_up(given)
    if sizing is None or _is_fault(given, sizing) or may_pass(given):
        return None
    wanted = _bounded(given, min(sizing.replicas, max(2 * most, most + MOST_AT_ONCE)))
    if wanted <= most or given.fallback_open:
        return None
    reason = (
        PlanReason.OBJECTIVE_VIOLATED if sizing.violated else PlanReason.FORECAST_ABOVE_CAPACITY
    )
    doubts = (*sizing.doubts, *given.doubts_about(Signal.REQUEST_RATE, *_limit(sizing)))
    why = _why_more(given, sizing, wanted)
    return _candidate(given, now, wanted, reason=reason, message=why, doubts=doubts, sizing=sizing)


def saturated(given: PlanInput) -> Candidate | None:
    """CPU, memory or GPU is used above the threshold, and latency shows that it matters."""
    resource, ratio = given.state.saturation.resource, given.state.saturation.resource_ratio
    limit = given.spec.triggers.utilization_percent / 100
    now, replicas = _base(given), given.replicas
    if resource is None or ratio is None or now is None or replicas is None or ratio <= limit:
        return None
    if given.fallback_open:
        return None
    slo = given.state.saturation.slo_ratio
    # A latency that has an objective and no reading yet is no sign that use matters.
    if given.state.objectives and (slo is None or slo < BUSY_RATIO):
        return None
    wanted = _bounded(given, math.ceil(replicas * ratio / limit))
    if wanted <= max(now, replicas):
        return None
    message = (
        f"{resource.value} is at {ratio:.0%}, above {limit:.0%}: {wanted} replicas bring it to "
        f"about {ratio * replicas / wanted:.0%}."
    )
    return _candidate(
        given,
        now,
        wanted,
        reason=PlanReason.RESOURCE_SATURATED,
        message=message,
        doubts=(Doubt.CAPACITY_UNKNOWN, *given.doubts_about(resource)),
        extra=evidence_of(given, resource, threshold=limit),
    )


def capacity_unused(given: PlanInput) -> Candidate | None:
    """Fewer replicas keep the objectives at the highest load to expect."""
    now = _base(given)
    if now is None or now <= _bounded(given, 0) or not may_shrink(given):
        return None
    sizing = size_down(given)
    if sizing is None or now - sizing.replicas <= LEAST_SAVED * now:
        return None
    wanted = max(_bounded(given, sizing.replicas), now - _step(given, now))
    if wanted >= now or near_objective(given):  # the history is read for those alone
        return None
    doubts = (*sizing.doubts, *given.doubts_about(Signal.REQUEST_RATE))
    return _candidate(
        given,
        now,
        wanted,
        reason=PlanReason.CAPACITY_UNUSED,
        message=_why_fewer(given, sizing, now, wanted),
        doubts=doubts,
        sizing=sizing,
    )


def _base(given: PlanInput) -> int | None:
    """What AURORA would change: the autoscaler's floor where there is one, else the replicas.

    None without `spec.scaling`: its absence says that replicas are nobody's to change, and a
    proposal that cannot be carried out would stand before one that can. None as well where
    somebody scaled to zero or paused the autoscaler: that switches scaling off, as for an HPA.
    """
    scaler = given.autoscaler
    if given.spec.scaling is None or given.replicas == 0:
        return None
    if scaler is None:
        return given.replicas
    return None if scaler.paused else scaler.floor


def _bounded(given: PlanInput, wanted: int) -> int:
    scaling, scaler = given.spec.scaling, given.autoscaler
    if scaling is None:
        return wanted
    low, high = scaling.min_replicas, scaling.max_replicas
    if scaler is not None:
        floor = given.adopted_floor if given.adopted_floor is not None else scaler.floor
        low = low if scaler.is_of(given.observation.key) else max(low, floor)
        high = min(high, scaler.ceiling)
    return min(max(wanted, low), high)  # a ceiling below the minimum is the harder bound


def _step(given: PlanInput, now: int) -> int:
    return max(1, now * given.spec.autonomy.max_step_percent // 100)


def _limit(sizing: Sizing) -> tuple[Signal, ...]:
    return () if sizing.limited_by is None else (sizing.limited_by,)


def _is_fault(given: PlanInput, sizing: Sizing) -> bool:
    """Whether a latency is high at a load that was served well before."""
    if not sizing.violated or sizing.limited_by is None:
        return False
    factor = given.unexplained(sizing.limited_by)
    queued = (given.state.saturation.waiting_for_s or 0.0) > 0.0
    return factor is not None and factor > UNEXPLAINED and not queued


def _why_more(given: PlanInput, sizing: Sizing, wanted: int) -> str:
    state = given.state
    signal = sizing.limited_by or Signal.LATENCY_P95
    goal = state.objectives.get(signal)
    value = state.value(signal)
    now = f"{signal.value} is {value:.3g} s" if value is not None else f"{signal.value} is unknown"
    objective = f" against an objective of {goal:.3g} s" if goal is not None else ""
    if sizing.per_replica <= 0.0:
        return (
            f"{now}{objective} with {given.replicas} replicas; what one replica carries is not "
            f"learned yet, so the ratio of the two asks for {wanted}."
        )
    return (
        f"In {sizing.horizon_s:.0f} s, when a new replica is ready, the load may reach "
        f"{sizing.load:.3g} {sizing.unit}; one replica keeps the objectives up to "
        f"{sizing.per_replica:.3g}, so {given.replicas} are too few and {wanted} are needed. "
        f"{now[0].upper()}{now[1:]}{objective}."
    )


def _why_fewer(given: PlanInput, sizing: Sizing, now: int, wanted: int) -> str:
    if sizing.per_replica <= 0.0:
        ratio = given.state.saturation.slo_ratio
        share = "nothing is asked of it" if ratio is None else f"latency is at {ratio:.0%} of it"
        return f"The objective is kept with ease ({share}): {wanted} of {now} replicas may do."
    if sizing.seen:
        return (
            f"The highest load of the last hours was {sizing.load:.3g} {sizing.unit}, what is "
            f"older counting less; one replica served {sizing.per_replica:.3g} well, so {wanted} "
            f"of {now} replicas are enough."
        )
    return (
        f"At most {sizing.load:.3g} {sizing.unit} are expected in the next "
        f"{sizing.horizon_s:.0f} s; one replica keeps the objectives up to "
        f"{sizing.per_replica:.3g}, so {wanted} of {now} replicas are enough."
    )


def _candidate(  # noqa: PLR0913 - the parts of one proposal, all by keyword
    given: PlanInput,
    now: int,
    wanted: int,
    *,
    reason: PlanReason,
    message: str,
    doubts: tuple[Doubt, ...],
    sizing: Sizing | None = None,
    extra: tuple = (),  # type: ignore[type-arg]
) -> Candidate:
    up = wanted > now
    signal = sizing.limited_by if sizing is not None else None
    evidence = [*extra, *evidence_of(given, Signal.REQUEST_RATE)]
    if signal is not None:
        evidence += evidence_of(given, signal, threshold=given.state.objectives.get(signal))
    expected = _effect(given, wanted, signal, up=up) if signal is not None else None
    return Candidate(
        action=Action.SCALE,
        direction=Direction.UP if up else Direction.DOWN,
        reason=reason,
        message=f"{message}{_price(given, wanted - now)}",
        priority=Priority.SCALE_UP if up else Priority.SCALE_DOWN,
        evidence_confidence=confidence_from(doubts),
        evidence=tuple(evidence),
        before={"replicas": str(now), **_standing(given)},
        after={"replicas": str(wanted)},
        expected=expected,
        rollback_if=_rollback(given, signal, up=up),
        protective=up,
    )


def _standing(given: PlanInput) -> dict[str, str]:
    """The replicas that serve now, where the change is to a floor below them."""
    if given.autoscaler is None or given.replicas is None:
        return {}
    return {"current": str(given.replicas)}


def _price(given: PlanInput, added: int) -> str:
    """What the step costs or saves, where the price of a replica is known."""
    scaling = given.spec.scaling
    if scaling is None or scaling.cost_per_replica_hour is None:
        return ""
    amount = scaling.cost_per_replica_hour * abs(added)
    return f" This {'costs' if added > 0 else 'saves'} {amount:.2f} an hour."


def _effect(given: PlanInput, wanted: int, signal: Signal, *, up: bool) -> Effect | None:
    """What the capacity model expects of the signal at the load of now with the new replicas."""
    load = given.state.load.demand
    if load is None or wanted < 1:
        return None
    found: Interval | None = given.state.capacity.predict(signal, load / wanted)
    if found is None:
        return None
    wait = given.state.cold_start.p90_s if up else 0.0
    by = wait + given.spec.autonomy.verification.after.total_seconds()
    return Effect(signal, found.mean, found.low, found.high, UNITS[signal], by, keeps=not up)


def _rollback(given: PlanInput, signal: Signal | None, *, up: bool) -> tuple[Rollback, ...]:
    """Fewer replicas are given back when the objective is missed; more are never harmful."""
    goal = given.state.objectives.get(signal) if signal is not None else None
    if up or signal is None or goal is None:
        return ()
    return (Rollback(signal, goal, UNITS[signal]),)
