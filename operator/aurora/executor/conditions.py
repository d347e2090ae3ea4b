"""The conditions of a ModelDeployment, from what was observed and decided. Pure.

Messages hold no number that moves by itself: a status is written only when something changes that
a reader would act on.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from aurora.critic.reservations import REVERTS_TOLERATED
from aurora.deliberation import cache_on_since
from aurora.executor.entries import ledger_entries
from aurora.executor.subjects import Subject
from aurora.observe.sample import Gap, Missing, Sample, Signal
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.reasons import ConditionReason as Reason
from aurora.resources import (
    Condition,
    ConditionType,
    DecisionObject,
    find_condition,
    set_condition,
)
from aurora.resources.vocabulary import Action, ConditionStatus, Phase
from aurora.state.system_state import SystemState

__all__ = [
    "GAPS",
    "Fact",
    "conditions_of",
    "paused_fact",
    "pending_fact",
    "ready_fact",
    "with_facts",
]

GAPS: Final = {
    Gap.NO_DATA: Reason.METRICS_MISSING,
    Gap.STALE: Reason.METRICS_STALE,
    Gap.QUERY_FAILED: Reason.PROMETHEUS_ERROR,
    Gap.NOT_FINITE: Reason.NOT_FINITE,
    Gap.PARTIAL: Reason.PARTIAL_RESPONSE,
    Gap.DUPLICATE: Reason.DUPLICATE_SERIES,
    Gap.UNSUPPORTED: Reason.METRICS_MISSING,
}
Fact = tuple[ConditionType, ConditionStatus, Reason, str]
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def conditions_of(
    observation: ModelObservation,
    state: SystemState,
    snapshot: FleetSnapshot,
    decisions: Sequence[DecisionObject],
    reverted: int,
) -> tuple[Condition, ...]:
    """Every condition that holds now, `Ready` first; see `status_of` for the arguments."""
    model = observation.model
    facts = [
        _metrics(state),
        _scaling(observation),
        _cache(observation, decisions),
        paused_fact(observation, snapshot),
        pending_fact(decisions),
        _autoscalers(observation),
        _target(observation),
        _reverted(reverted),
        *_drift(observation, state),
    ]
    return with_facts(model, (_ready(observation, facts), *facts), at=state.at)


def with_facts(found: Subject, facts: Sequence[Fact], *, at: float) -> tuple[Condition, ...]:
    """The conditions of an object with what holds at `at`, in seconds since the epoch."""
    made, generation = found.status.conditions, found.metadata.generation
    standing = {one.type: one for one in reversed(made)}
    for fact in facts:
        if _stands(standing.get(fact[0]), fact, generation):
            continue  # nearly always, for 10,000 objects
        type_, status, reason, message = fact
        made = set_condition(
            made,
            type_=type_,
            status=status,
            reason=str(reason),
            now=datetime.fromtimestamp(at, UTC),
            message=message,
            observed_generation=generation,
        )
    return made


def _stands(known: Condition | None, fact: Fact, generation: int) -> bool:
    """Whether a condition says the fact already."""
    return (
        known is not None
        and known.status is fact[1]
        and known.reason == fact[2]
        and known.message == fact[3]
        and known.observed_generation == generation
    )


def ready_fact(facts: Sequence[Fact], bad: Mapping[ConditionType, ConditionStatus]) -> Fact:
    """False with the first fact that is bad."""
    for type_, status, reason, message in facts:
        if status is bad.get(type_):
            return ConditionType.READY, FALSE, reason, message
    return ConditionType.READY, TRUE, Reason.RECONCILED, Reason.RECONCILED.sentence


def _ready(observation: ModelObservation, facts: Sequence[Fact]) -> Fact:
    """False with the first reason that keeps AURORA from doing its work."""
    spec = observation.model.spec
    if observation.target is None:
        what = f"{spec.target_ref.kind} {spec.target_ref.name}"
        return (
            ConditionType.READY,
            FALSE,
            Reason.TARGET_NOT_FOUND,
            f"{what} does not exist in this namespace: create it or correct spec.targetRef",
        )
    if observation.service is None:
        return (
            ConditionType.READY,
            FALSE,
            Reason.SERVICE_NOT_FOUND,
            f"Service {spec.service_ref.name} does not exist: create it or correct spec.serviceRef",
        )
    if spec.fallback is not None and observation.fallback_service is None:
        return (
            ConditionType.READY,
            FALSE,
            Reason.FALLBACK_NOT_FOUND,
            (
                f"Service {spec.fallback.service_ref.name} does not exist: create it or correct "
                "spec.fallback"
            ),
        )
    return ready_fact(facts, _BAD)


_BAD: Final = {
    ConditionType.METRICS_AVAILABLE: FALSE,
    ConditionType.PAUSED: TRUE,
    ConditionType.AUTOSCALER_CONFLICT: TRUE,
    ConditionType.TARGET_CONFLICT: TRUE,
    ConditionType.EXTERNALLY_REVERTED: TRUE,
}


def _metrics(state: SystemState) -> Fact:
    """The first signal that AURORA needs and does not have."""
    needed = (Signal.REQUEST_RATE, *state.objectives)
    rate = state.reading(Signal.REQUEST_RATE)
    idle = isinstance(rate, Sample) and rate.value == 0.0
    for signal in needed:
        reading = state.reading(signal)
        if isinstance(reading, Missing) and not (idle and reading.gap is Gap.NO_DATA):
            thin = reading.gap is Gap.NO_DATA and signal is not Signal.REQUEST_RATE
            reason = Reason.TOO_FEW_SAMPLES if thin else GAPS[reading.gap]
            status = TRUE if thin else FALSE
            return (
                ConditionType.METRICS_AVAILABLE,
                status,
                Reason.METRICS_FOUND if thin else reason,
                Reason.METRICS_FOUND.sentence if thin else _why(signal, reading, reason),
            )
    if any(isinstance(r, Sample) and r.partial for r in map(state.reading, needed)):
        return (
            ConditionType.METRICS_AVAILABLE,
            TRUE,
            Reason.PARTIAL_RESPONSE,
            "Some pods did not report: replicas may be added, none is taken away.",
        )
    found = Reason.METRICS_FOUND
    return ConditionType.METRICS_AVAILABLE, TRUE, found, found.sentence


def _why(signal: Signal, reading: Missing, reason: Reason) -> str:
    """Only a failed query adds its detail: other details hold numbers that move every cycle."""
    if reading.gap is Gap.QUERY_FAILED and reading.detail:
        return f"{signal}: {reading.detail[:300]}. {reason.sentence}"
    return f"{signal}: {reason.sentence}"


def _scaling(observation: ModelObservation) -> Fact:
    if observation.model.spec.scaling is None:
        reason = Reason.SCALING_NOT_CONFIGURED
        return ConditionType.SCALING_ACTIVE, FALSE, reason, reason.sentence
    if len(observation.autoscalers) == 1:
        scaler = observation.autoscalers[0]
        message = f"AURORA moves the floor of {scaler.kind} {scaler.key.name}."
        return ConditionType.SCALING_ACTIVE, TRUE, Reason.SCALING_ACTIVE, message
    reason = Reason.SCALING_ACTIVE
    return ConditionType.SCALING_ACTIVE, TRUE, reason, reason.sentence


def _cache(observation: ModelObservation, decisions: Sequence[DecisionObject]) -> Fact:
    armed = observation.target is not None and observation.target.armed
    if armed and cache_on_since(ledger_entries(decisions)) is not None:
        reason = Reason.CACHE_ACTIVE
        return ConditionType.CACHE_ACTIVE, TRUE, reason, reason.sentence
    if armed:
        reason = Reason.CACHE_ARMED
        return ConditionType.CACHE_ACTIVE, FALSE, reason, reason.sentence
    refused = next((one for one in decisions if one.spec.action is Action.CACHE), None)
    if refused is not None and refused.status.phase is Phase.FAILED:
        executed = find_condition(refused.status.conditions, ConditionType.EXECUTED)
        why = executed.message if executed is not None else Reason.CACHE_PRECONDITION.sentence
        return ConditionType.CACHE_ACTIVE, FALSE, Reason.CACHE_PRECONDITION, why
    reason = Reason.CACHE_OFF
    return ConditionType.CACHE_ACTIVE, FALSE, reason, "No cache sidecar is in the pods."


def paused_fact(observation: ModelObservation, snapshot: FleetSnapshot) -> Fact:
    """Whether the kill switch or the annotation stops every write."""
    if not snapshot.control.writes_allowed:
        message = snapshot.control.detail or Reason.STOPPED.sentence
        return ConditionType.PAUSED, TRUE, Reason.STOPPED, message
    if observation.model.is_paused:
        return ConditionType.PAUSED, TRUE, Reason.PAUSED, Reason.PAUSED.sentence
    return ConditionType.PAUSED, FALSE, Reason.NOT_PAUSED, Reason.NOT_PAUSED.sentence


def pending_fact(decisions: Sequence[DecisionObject]) -> Fact:
    """Whether a decision waits for a person."""
    waiting = [one for one in decisions if one.status.phase is Phase.AWAITING_APPROVAL]
    if not waiting:
        reason = Reason.NOTHING_PENDING
        return ConditionType.APPROVAL_PENDING, FALSE, reason, reason.sentence
    name = waiting[0].metadata.name
    message = f"Run `kubectl aurora approve {name}` or `kubectl aurora deny {name}`."
    return ConditionType.APPROVAL_PENDING, TRUE, Reason.APPROVAL_REQUIRED, message


def _autoscalers(observation: ModelObservation) -> Fact:
    found = observation.autoscalers
    if len(found) < 2:
        reason = Reason.NO_CONFLICT
        return ConditionType.AUTOSCALER_CONFLICT, FALSE, reason, reason.sentence
    names = " and ".join(f"{one.kind} {one.key.name}" for one in found)
    return (
        ConditionType.AUTOSCALER_CONFLICT,
        TRUE,
        Reason.AUTOSCALER_CONFLICT,
        f"{names} act on the target: delete one, AURORA scales nothing until then.",
    )


def _target(observation: ModelObservation) -> Fact:
    if not observation.rivals:
        reason = Reason.NO_CONFLICT
        return ConditionType.TARGET_CONFLICT, FALSE, reason, reason.sentence
    message = f"{observation.rivals[0].name} is older and acts on the target: delete one of the two"
    return ConditionType.TARGET_CONFLICT, TRUE, Reason.TARGET_CONFLICT, message


def _reverted(reverted: int) -> Fact:
    if reverted < REVERTS_TOLERATED:
        reason = Reason.NO_CONFLICT
        return ConditionType.EXTERNALLY_REVERTED, FALSE, reason, reason.sentence
    reason = Reason.EXTERNALLY_REVERTED
    return ConditionType.EXTERNALLY_REVERTED, TRUE, reason, reason.sentence


def _drift(observation: ModelObservation, state: SystemState) -> list[Fact]:
    """Told only where drift is measured at all."""
    reading = state.readings.get(Signal.DRIFT_SCORE)
    if reading is None:
        return []
    if isinstance(reading, Missing):
        reason = GAPS[reading.gap]
        return [
            (
                ConditionType.DRIFT_DETECTED,
                UNKNOWN,
                reason,
                _why(Signal.DRIFT_SCORE, reading, reason),
            )
        ]
    drifted = reading.value * 100 > observation.model.spec.triggers.drift_percent
    reason = Reason.DRIFT_DETECTED if drifted else Reason.NO_DRIFT
    return [(ConditionType.DRIFT_DETECTED, TRUE if drifted else FALSE, reason, reason.sentence)]
