"""ALERT: what a person has to know, and what AURORA cannot mend by itself."""

from typing import Final

from aurora.observe.sample import Sample, Signal
from aurora.planner.decision import Candidate, Direction, Evidence
from aurora.planner.inputs import Doubt, PlanInput, confidence_from, evidence_of
from aurora.planner.lasting import lasts_above
from aurora.planner.priority import Priority
from aurora.planner.reasons import PlanReason
from aurora.planner.route_rules import failure_of, server_errors, surely_above
from aurora.planner.scale_rules import UNEXPLAINED
from aurora.resources.vocabulary import Action

__all__ = [
    "accuracy_low",
    "client_errors",
    "data_drift",
    "error_objective_missed",
    "failed_without_fallback",
    "fallback_failing",
    "latency_unexplained",
    "pods_unschedulable",
]

SLOW_FOR_S: Final = 600.0
"""A latency that the load does not explain is told of when it lasted longer than a burst does: on
one reading alone a simulated day without a fault had up to fifteen alerts, on five minutes one in
three to six (docs/simulator.md). It is all that the history holds."""
UNSCHEDULABLE_S: Final = 60.0
"""A pod without a node for longer than this is told of; a node may be coming before."""


def failed_without_fallback(given: PlanInput) -> Candidate | None:
    """The primary fails its callers and there is nowhere to send them."""
    failure, fallback = failure_of(given), given.state.fallback
    if failure is None or (fallback is not None and fallback.ready):
        return None
    wanted = given.spec.fallback
    advice = (
        "Set spec.fallback to let AURORA send callers elsewhere."
        if wanted is None
        else f"The fallback {wanted.service_ref.name} has no ready endpoint either."
    )
    return _alert(failure.reason, failure.message, failure.evidence, failure.confidence, advice)


def fallback_failing(given: PlanInput) -> Candidate | None:
    """Callers are answered by the fallback, and it fails them too: a person has to mend one."""
    spare, wanted = given.state.fallback, given.spec.fallback
    if not given.fallback_open or wanted is None:
        return None
    name = wanted.service_ref.name
    advice = f"Callers are answered by the fallback {name}: mend it, or the primary."
    limit = given.spec.triggers.no_endpoint_for.total_seconds()
    if spare is not None and not spare.ready and spare.not_ready_for_s >= limit:
        fact = Evidence(
            signal="endpointsReady",
            value=0.0,
            unit="endpoints",
            at=given.at,
            query="watch EndpointSlice",
            threshold=1.0,
            window_s=spare.not_ready_for_s,
        )
        message = f"The fallback {name} had no ready endpoint for {spare.not_ready_for_s:.0f} s."
        reason = PlanReason.NO_READY_ENDPOINT
        return _alert(reason, message, (fact,), confidence_from(()), advice)
    errors = server_errors(given)
    if errors is None:
        return None
    return _alert(errors.reason, errors.message, errors.evidence, errors.confidence, advice)


def error_objective_missed(given: PlanInput) -> Candidate | None:
    """More server errors than the objective allows, for a while, too few to route away from."""
    goal = given.spec.objectives.error_rate_percent
    if goal is None or not _surely_above(given, Signal.SERVER_ERROR_RATIO, goal / 100):
        return None
    if not _lasts(given, goal) or failure_of(given) is not None:
        return None
    found = evidence_of(given, Signal.SERVER_ERROR_RATIO, threshold=goal / 100)
    return _alert(
        PlanReason.ERROR_OBJECTIVE_MISSED,
        f"{found[0].value:.1%} of the requests fail, above the objective of {goal} %.",
        found,
        confidence_from(given.doubts_about(Signal.SERVER_ERROR_RATIO)),
        "Look at the engine's log.",
    )


def client_errors(given: PlanInput) -> Candidate | None:
    """Callers send requests that the server refuses: routing away would not help them."""
    limit = given.spec.triggers.client_error_rate_percent / 100
    if not _surely_above(given, Signal.CLIENT_ERROR_RATIO, limit):
        return None
    found = evidence_of(given, Signal.CLIENT_ERROR_RATIO, threshold=limit)
    return _alert(
        PlanReason.CLIENT_ERRORS,
        f"{found[0].value:.0%} of the requests were refused as malformed, above {limit:.0%}.",
        found,
        confidence_from(given.doubts_about(Signal.CLIENT_ERROR_RATIO)),
        "Validate input before it is sent: prompt length, parameters, model name, credentials.",
    )


def accuracy_low(given: PlanInput) -> Candidate | None:
    """Accuracy is below its objective; far below, and with drift, retraining is due."""
    # While callers are answered by the fallback, the reading is the fallback's.
    accuracy = None if given.fallback_open else given.state.value(Signal.ACCURACY)
    goal = given.spec.objectives.accuracy_percent or given.spec.triggers.fine_tune_accuracy_percent
    if accuracy is None or accuracy * 100 >= goal:
        return None
    retrain = given.spec.triggers.retrain_accuracy_percent
    drift = given.state.value(Signal.DRIFT_SCORE)
    drifted = drift is not None and drift * 100 > given.spec.triggers.drift_percent
    found = evidence_of(given, Signal.ACCURACY, threshold=goal / 100)
    if accuracy * 100 < retrain and drifted:
        reason, advice = PlanReason.ACCURACY_LOW_WITH_DRIFT, "Retrain on recent data."
        found += evidence_of(
            given, Signal.DRIFT_SCORE, threshold=given.spec.triggers.drift_percent / 100
        )
    else:
        reason, advice = PlanReason.ACCURACY_LOW, "Look at what was changed last, then fine-tune."
    message = f"Accuracy is {accuracy:.1%}, below {goal} %."
    doubts = given.doubts_about(Signal.ACCURACY)
    return _alert(reason, message, found, confidence_from(doubts), advice)


def data_drift(given: PlanInput) -> Candidate | None:
    """The data drifted: fine-tuning is due."""
    limit, score = given.spec.triggers.drift_percent / 100, given.state.value(Signal.DRIFT_SCORE)
    if score is None or score <= limit:
        return None
    found = evidence_of(given, Signal.DRIFT_SCORE, threshold=limit)
    return _alert(
        PlanReason.DATA_DRIFT,
        f"The drift score is {found[0].value:.2f}, above {limit:.2f}.",
        found,
        confidence_from(given.doubts_about(Signal.DRIFT_SCORE)),
        "Fine-tune on recent data.",
    )


def pods_unschedulable(given: PlanInput) -> Candidate | None:
    """Pods find no node for longer than a cold start takes."""
    pods = given.state.pods
    limit = max(UNSCHEDULABLE_S, given.state.cold_start.pending_p50_s or 0.0)
    if not pods.unschedulable or pods.oldest_unschedulable_s <= limit:
        return None
    fact = Evidence(
        signal="podsUnschedulable",
        value=float(pods.unschedulable),
        unit="pods",
        at=given.at,
        query="watch Pod",
        threshold=0.0,
        window_s=pods.oldest_unschedulable_s,
    )
    message = (
        f"{pods.unschedulable} pods found no node for {pods.oldest_unschedulable_s:.0f} s: "
        f"{pods.why[:200]}"
    )
    return _alert(
        PlanReason.PODS_UNSCHEDULABLE,
        message,
        (fact,),
        confidence_from(()),
        "Add nodes or lower maxReplicas.",
    )


def latency_unexplained(given: PlanInput) -> Candidate | None:
    """A latency is, and stays, far above its objective at a load that was served well before."""
    signal = given.state.saturation.slo_signal
    ratio = given.state.saturation.slo_ratio
    if signal is None or ratio is None or ratio <= 1.0 or given.fallback_open:
        return None
    factor = given.unexplained(signal)
    goal = given.state.objectives[signal]
    if factor is None or factor <= UNEXPLAINED:
        return None
    if not lasts_above(given, signal, goal, seconds=SLOW_FOR_S):
        return None
    message = (
        f"{signal.value} is {ratio:.1f} times its objective of {goal:.3g} s and {factor:.1f} "
        "times what this load explains: more replicas would not mend it."
    )
    return _alert(
        PlanReason.LATENCY_UNEXPLAINED,
        message,
        evidence_of(given, signal, threshold=goal),
        confidence_from([*given.doubts_about(signal), Doubt.EFFECT_ESTIMATED]),
        "Look at the pods: throttled or shared GPUs, slow storage, a slower model version.",
    )


def _lasts(given: PlanInput, goal_percent: float) -> bool:
    """Whether every reading of a whole window missed the objective.

    A fault that begins passes through every share between none and all: the first reading above
    the objective is often only that, and a cycle later a ROUTE.
    """
    reading = given.state.reading(Signal.SERVER_ERROR_RATIO)
    if not isinstance(reading, Sample):
        return False
    window = reading.window_s or 0.0
    return lasts_above(given, Signal.SERVER_ERROR_RATIO, goal_percent / 100, seconds=window)


def _surely_above(given: PlanInput, signal: Signal, limit: float) -> bool:
    reading = given.state.reading(signal)
    return isinstance(reading, Sample) and surely_above(limit, reading)


def _alert(
    reason: PlanReason,
    message: str,
    evidence: tuple[Evidence, ...],
    confidence: float,
    advice: str,
) -> Candidate:
    return Candidate(
        action=Action.ALERT,
        direction=Direction.NONE,
        reason=reason,
        message=message,
        priority=Priority.ALERT,
        evidence_confidence=confidence,
        evidence=evidence,
        advice=advice,
    )
