"""The situation of a proposal as the features that past cases are found by."""

import math
from datetime import UTC, datetime

from aurora.observe.sample import Signal
from aurora.planner.cases import CaseFeatures
from aurora.planner.decision import Candidate
from aurora.planner.inputs import PlanInput
from aurora.planner.sizing import HEADROOM, UP_PROBABILITY, horizon_s
from aurora.state.capacity import Sustainable

__all__ = ["features_of"]


def features_of(given: PlanInput, candidate: Candidate) -> CaseFeatures:
    """Describe the model now; what is not known stays None."""
    state = given.state
    readings = len(state.readings)
    moment = datetime.fromtimestamp(given.at, UTC)
    return CaseFeatures(
        action=candidate.action.value,
        direction=candidate.direction.value,
        step=_step(candidate),
        load_to_forecast=_load_to_forecast(given),
        load_to_capacity=_load_to_capacity(given),
        latency_to_objective=_to_objective(given, Signal.LATENCY_P95),
        ttft_to_objective=_to_objective(given, Signal.TTFT_P95),
        tpot_to_objective=_to_objective(given, Signal.TPOT_P95),
        latency_to_baseline=state.ratio_to_baseline(Signal.LATENCY_P95),
        saturation=state.saturation.resource_ratio,
        server_errors=state.value(Signal.SERVER_ERROR_RATIO),
        client_errors=state.value(Signal.CLIENT_ERROR_RATIO),
        replicas_to_maximum=_share_of_maximum(given),
        repeats=state.value(Signal.REPEAT_RATIO),
        cache_hits=state.value(Signal.CACHE_HIT_RATIO),
        drift=state.value(Signal.DRIFT_SCORE),
        accuracy=state.value(Signal.ACCURACY),
        hour=moment.hour + moment.minute / 60,
        missing=len(state.missing) / readings if readings else None,
    )


def _step(candidate: Candidate) -> float | None:
    before, after = candidate.before.get("replicas"), candidate.after.get("replicas")
    if before is None or after is None or int(before) < 1 or int(after) < 1:
        return None
    return math.log2(int(after) / int(before))


def _load_to_forecast(given: PlanInput) -> float | None:
    found = given.state.forecast(horizon_s(given), UP_PROBABILITY)
    load = given.state.load.work
    return None if found is None or load is None or found.mean <= 0 else load / found.mean


def _load_to_capacity(given: PlanInput) -> float | None:
    state = given.state
    found = state.capacity.sustainable_load_per_replica(state.objectives, headroom=HEADROOM)
    load = state.load.per_replica
    if not isinstance(found, Sustainable) or load is None or found.load <= 0:
        return None
    return load / found.load


def _to_objective(given: PlanInput, signal: Signal) -> float | None:
    value, goal = given.state.value(signal), given.state.objectives.get(signal)
    return None if value is None or goal is None else value / goal


def _share_of_maximum(given: PlanInput) -> float | None:
    scaling, now = given.spec.scaling, given.replicas
    return None if scaling is None or now is None else now / scaling.max_replicas
