"""The status of a ModelDeployment, from what was observed and decided. Pure.

Messages hold no number that moves by itself: a status is written only when something changes that
a reader would act on.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from aurora.executor.conditions import conditions_of
from aurora.executor.projections import number
from aurora.observe.sample import UNITS, Sample, Signal
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.resources import (
    Condition,
    DecisionObject,
    DecisionSummary,
    ModelDeployment,
    ModelDeploymentStatus,
    ReplicaCounts,
    SignalStatus,
)
from aurora.resources.modeldeployment import RECENT_DECISIONS
from aurora.resources.vocabulary import Action, Phase
from aurora.state.system_state import SystemState

__all__ = ["status_of", "summary_of"]
_SHOWN: Final = (
    Signal.REQUEST_RATE,
    Signal.LATENCY_P95,
    Signal.TTFT_P95,
    Signal.TPOT_P95,
    Signal.SERVER_ERROR_RATIO,
    Signal.CLIENT_ERROR_RATIO,
    Signal.CACHE_HIT_RATIO,
    Signal.ACCURACY,
    Signal.DRIFT_SCORE,
)


def status_of(
    observation: ModelObservation,
    state: SystemState,
    snapshot: FleetSnapshot,
    decisions: Sequence[DecisionObject],
    *,
    reverted: int = 0,
) -> ModelDeploymentStatus:
    """The status that a reader should see now.

    Args:
        observation: the model as observed.
        state: what is known of it.
        snapshot: the whole fleet, for the kill switch and the metrics source.
        decisions: of this model, newest first.
        reverted: writes of ours that another manager took back lately.
    """
    model = observation.model
    shown = tuple(summary_of(one) for one in decisions[:RECENT_DECISIONS])
    previous = model.status.last_decision
    fresh = not shown or previous is None or previous.name != shown[0].name
    conditions = conditions_of(observation, state, snapshot, decisions, reverted)
    if not shown and _stands(model, state, conditions):
        return model.status
    return ModelDeploymentStatus(
        observed_generation=model.metadata.generation,
        conditions=conditions,
        replicas=_replicas(state, decisions),
        signals=_signals(state) if fresh and shown else model.status.signals,
        last_decision=shown[0] if shown else None,
        recent_decisions=shown,
    )


def _stands(model: ModelDeployment, state: SystemState, conditions: tuple[Condition, ...]) -> bool:
    """Whether the status of a model without decisions says everything already: nearly always."""
    old, counts = model.status, model.status.replicas
    return (
        old.observed_generation == model.metadata.generation
        and old.conditions is conditions
        and counts is not None
        and (counts.current, counts.ready, counts.desired)
        == (state.replicas.spec, state.replicas.ready, None)
        and old.last_decision is None
        and not old.recent_decisions
    )


def _replicas(state: SystemState, decisions: Sequence[DecisionObject]) -> ReplicaCounts:
    return ReplicaCounts(
        current=state.replicas.spec, ready=state.replicas.ready, desired=_desired(decisions)
    )


def _desired(decisions: Sequence[DecisionObject]) -> int | None:
    """Replicas of the newest SCALE that is or was in force."""
    for one in decisions:
        if one.spec.action is not Action.SCALE:
            continue
        if one.status.phase in {Phase.EXECUTING, Phase.VERIFYING, Phase.COMPLETED}:
            return int(one.spec.parameters.to["replicas"])
        if one.status.phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}:
            return int(one.spec.parameters.from_["replicas"])
    return None


def _signals(state: SystemState) -> tuple[SignalStatus, ...]:
    made = []
    for signal in _SHOWN:
        reading = state.reading(signal)
        if isinstance(reading, Sample):
            value = number(reading.value)
            one = {"name": signal.value, "value": value, "unit": UNITS[signal]}
            made.append(SignalStatus.model_validate(one))
        elif signal in state.readings:
            made.append(SignalStatus(name=signal.value, reason=reading.gap.value))
    return tuple(made)


def summary_of(one: DecisionObject) -> DecisionSummary:
    """A Decision in a few words."""
    created = one.metadata.creation_timestamp
    return DecisionSummary(
        name=one.metadata.name,
        action=one.spec.action,
        confidence_percent=one.spec.confidence_percent,
        reason=one.spec.reason,
        message=one.spec.message,
        outcome=one.status.outcome.verdict if one.status.outcome is not None else None,
        time=created if created is not None else datetime.fromtimestamp(0, UTC),
    )
