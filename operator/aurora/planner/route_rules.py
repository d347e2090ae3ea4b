"""ROUTE: to the fallback when the primary fails its callers, and back when it is well again."""

import math
from dataclasses import dataclass
from typing import Final

from aurora.observe.sample import Sample, Signal
from aurora.planner.decision import Candidate, Direction, Effect, Evidence, Rollback
from aurora.planner.inputs import Doubt, PlanInput, confidence_from, evidence_of, less
from aurora.planner.lasting import lasts_above
from aurora.planner.priority import Priority
from aurora.planner.reasons import OUTAGES, PlanReason
from aurora.resources.vocabulary import Action
from aurora.state.history import values_of
from aurora.state.interval import normal_quantile

__all__ = [
    "Failure",
    "failure_of",
    "primary_failed",
    "primary_recovered",
    "server_errors",
    "surely_above",
]

_OUTSIDE: Final = 0.1
"""What an interval of one look leaves outside, half of it below."""
LEAST_FAILED: Final = 5.0
"""Requests that have to fail before their share is looked at."""
USUAL_FACTOR: Final = 3.0
"""A share of errors is a failure at once when it is above the threshold by this multiple of what
the model fails by anyway; otherwise when it lasts. Noise with a mean of 2 % that is drawn anew
every 30 s reaches 12 % in a window of 120 s now and then (docs/simulator.md)."""
UNKNOWN_FACTOR: Final = 3.0
"""The same as a multiple of the threshold, while nobody can say what is usual."""
FAILING_FOR_S: Final = 420.0
"""What lasts so long is no noise: the 5 min that Flagger's tutorials wait, 5 checks of 1 minute,
and the 2 min that the first of the readings looks back."""
MOST_DOUBLINGS: Final = 6
"""The wait before the next way back doubles with each failure, up to 64 times."""


def lower_bound(ratio: float, count: float, *, looks: float = 1.0) -> float:
    """Lower end of the 90 % interval of a share (Wilson, JASA 22, 1927, p. 209).

    Of several looks each is held to its part of what is left outside (Bonferroni).
    """
    if count <= 0:
        return 0.0
    z = normal_quantile(1.0 - _OUTSIDE / looks)
    centre = ratio + z**2 / (2 * count)
    spread = z * math.sqrt(ratio * (1 - ratio) / count + z**2 / (4 * count**2))
    return max(0.0, (centre - spread) / (1 + z**2 / count))


def surely_above(limit: float, reading: Sample, *, looks: float = 1.0) -> bool:
    """Whether a share is above a limit beyond what luck explains, where requests are counted.

    One request of one that fails is no failing model, whatever the interval says: in a large
    fleet somebody is that unlucky every minute.
    """
    if reading.value <= limit or reading.samples is None:
        return reading.value > limit
    if reading.value * reading.samples < LEAST_FAILED:
        return False
    return lower_bound(min(1.0, reading.value), reading.samples, looks=looks) > limit


@dataclass(frozen=True, slots=True)
class Failure:
    """A model, or a backend of a policy, fails its callers."""

    reason: PlanReason
    message: str
    evidence: tuple[Evidence, ...]
    confidence: float


def failure_of(given: PlanInput) -> Failure | None:
    """How the primary fails its callers, the plainest fact first; None when it serves them."""
    if given.fallback_open:
        return None
    return _no_ready_endpoint(given) or _crash_looping(given) or server_errors(given)


def server_errors(given: PlanInput) -> Failure | None:
    """The share of server errors is above its threshold, beyond luck and the usual noise."""
    limit = given.spec.triggers.error_rate_percent / 100
    reading = given.state.reading(Signal.SERVER_ERROR_RATIO)
    if not isinstance(reading, Sample) or not surely_above(limit, reading):
        return None
    if _is_noise(given, reading, limit):
        return None
    doubts = given.doubts_about(Signal.SERVER_ERROR_RATIO)
    if reading.samples is None:
        doubts.append(Doubt.UNCOUNTED)
    message = (
        f"{reading.value:.0%} of the requests of the last {reading.window_s:.0f} s failed with a "
        f"server error, above {limit:.0%}."
    )
    evidence = evidence_of(given, Signal.SERVER_ERROR_RATIO, threshold=limit)
    return Failure(PlanReason.SERVER_ERRORS, message, evidence, confidence_from(doubts))


def _is_noise(given: PlanInput, reading: Sample, limit: float) -> bool:
    """Whether a model that fails a little all along may fail so much for a moment only.

    Its errors are looked at every cycle until they have lasted. Were one look in twenty wrong,
    one of these would be: together they may be as often wrong as one look.
    """
    usual = _usual_errors(given, reading, limit)
    if usual == 0.0:
        return False
    above = UNKNOWN_FACTOR * limit if usual is None else limit + USUAL_FACTOR * usual
    if surely_above(min(1.0, above), reading, looks=max(1.0, FAILING_FOR_S / given.cycle_s)):
        return False
    return not lasts_above(given, Signal.SERVER_ERROR_RATIO, limit, seconds=FAILING_FOR_S)


def _usual_errors(given: PlanInput, reading: Sample, limit: float) -> float | None:
    """The highest share, 0 to `limit`, of the minutes before the reading's window.

    Only what counted as well then: a fault that goes on is never usual. While the fallback answers,
    what is known is of the primary, and says nothing. None while fewer than `FAILING_FOR_S` of
    readings are known: nobody can say what is usual then.
    """
    if given.fallback_open:
        return 0.0
    before = given.at - (reading.window_s or 0.0)
    errors = values_of(given.state.history, Signal.SERVER_ERROR_RATIO)
    if len(errors) * given.cycle_s < FAILING_FOR_S:
        return None
    return max((value for at, value in errors if at < before and value <= limit), default=0.0)


def _no_ready_endpoint(given: PlanInput) -> Failure | None:
    """The Service had no ready endpoint for longer than the threshold; no metric is needed."""
    service = given.state.service
    limit = given.spec.triggers.no_endpoint_for.total_seconds()
    if service is None or service.ready or service.not_ready_for_s < limit:
        return None
    if (given.replicas or 0) == 0:
        return None
    fact = Evidence(
        signal="endpointsReady",
        value=0.0,
        unit="endpoints",
        at=given.at,
        query="watch EndpointSlice",
        threshold=1.0,
        window_s=service.not_ready_for_s,
    )
    message = f"The Service had no ready endpoint for {service.not_ready_for_s:.0f} s."
    return Failure(PlanReason.NO_READY_ENDPOINT, message, (fact,), confidence_from(()))


def _crash_looping(given: PlanInput) -> Failure | None:
    """No pod is ready and pods are in CrashLoopBackOff; no metric is needed."""
    pods = given.state.pods
    if not pods.crash_looping or pods.ready:
        return None
    fact = Evidence(
        signal="podsCrashLooping",
        value=float(pods.crash_looping),
        unit="pods",
        at=given.at,
        query="watch Pod",
        threshold=0.0,
    )
    message = f"{pods.crash_looping} of {pods.total} pods are in CrashLoopBackOff, none is ready."
    return Failure(PlanReason.CRASH_LOOPING, message, (fact,), confidence_from(()))


def primary_recovered(given: PlanInput) -> Candidate | None:
    """The primary's pods were Ready for the window and answered the probe requests.

    The window counts from the switch too: pods that were Ready while they failed their callers
    prove nothing, and a way back that failed has to wait longer for the next.
    """
    fallback, probe = given.spec.fallback, given.observation.probe
    if not given.fallback_open or fallback is None or probe is None:
        return None
    doublings = min(MOST_DOUBLINGS, max(0, given.fallbacks_recently - 1))
    window = given.spec.autonomy.verification.window.total_seconds() * 2**doublings
    ready_for = min(_ready_for(given), given.at - given.fallback_since)
    if ready_for < window or probe.successes < fallback.probe.count:
        return None
    fact = Evidence(
        signal="probeSuccesses",
        value=float(probe.successes),
        unit="requests",
        at=given.at,
        query=f"GET {fallback.probe.path} of each ready pod",
        threshold=float(fallback.probe.count),
    )
    return Candidate(
        action=Action.ROUTE,
        direction=Direction.PRIMARY,
        reason=PlanReason.PRIMARY_RECOVERED,
        message=(
            f"The primary's pods were Ready for {ready_for:.0f} s and answered "
            f"{probe.successes} probe requests in a row."
        ),
        priority=Priority.RETURN,
        evidence_confidence=confidence_from(()),
        evidence=(fact,),
        before={"route": "fallback"},
        after={"route": "primary", "undo": given.fallback_open},
        expected=_effect(given, keeps=True),
        rollback_if=(Rollback(Signal.SERVER_ERROR_RATIO, _limit(given), "ratio"),),
        protective=True,
    )


def _limit(given: PlanInput) -> float:
    return given.spec.triggers.error_rate_percent / 100


def _effect(given: PlanInput, *, keeps: bool, without: float | None = None) -> Effect:
    """Errors below the threshold that sends traffic away."""
    by = given.spec.autonomy.verification.after.total_seconds()
    limit = _limit(given)
    return Effect(
        Signal.SERVER_ERROR_RATIO, 0.0, 0.0, limit, "ratio", by, keeps=keeps, without=without
    )


def _ready_for(given: PlanInput) -> float:
    """Seconds since the last of the primary's pods became Ready; 0 while one is not."""
    pods = [pod for pod in given.observation.pods if not pod.deleting]
    wanted = given.replicas or 0
    ready = [pod.ready_at for pod in pods if pod.ready and pod.ready_at is not None]
    if not ready or len(ready) < wanted or len(ready) < len(pods):
        return 0.0
    return max(0.0, given.at - max(ready))


def primary_failed(given: PlanInput) -> Candidate | None:
    """The primary fails its callers and the fallback has ready endpoints."""
    failure, fallback = failure_of(given), given.state.fallback
    if failure is None or given.spec.fallback is None or fallback is None or not fallback.ready:
        return None
    service = given.spec.fallback.service_ref.name
    message = f"{failure.message} {service} has {fallback.ready} ready endpoints."
    doubts = _doubts_about_names(given)
    if doubts:
        message += " Whether it serves the same model name is not known."
    return Candidate(
        action=Action.ROUTE,
        direction=Direction.FALLBACK,
        reason=failure.reason,
        message=message,
        priority=Priority.FALLBACK,
        evidence_confidence=less(failure.confidence, doubts),
        evidence=failure.evidence,
        before={"route": "primary"},
        after={"route": "fallback"},
        expected=_effect(given, keeps=False, without=_going_on(failure)),
        protective=True,
    )


def _going_on(failure: Failure) -> float:
    """The share of errors to expect without the switch: as measured, or all with no ready pod.

    Cycles before cannot say it: the switch follows the first of them that failed.
    """
    return 1.0 if failure.reason in OUTAGES else failure.evidence[0].value


def _doubts_about_names(given: PlanInput) -> tuple[Doubt, ...]:
    """Names that are known and differ are no doubt: the critic rejects them."""
    seen = given.observation
    return () if seen.model_names and seen.fallback_model_names else (Doubt.NAME_UNKNOWN,)
