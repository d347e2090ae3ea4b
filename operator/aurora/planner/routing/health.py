"""Whether a backend fails its callers, the plainest fact first."""

from aurora.observe.backends import BackendFacts
from aurora.observe.sample import UNITS, Sample, Signal
from aurora.planner.decision import Evidence
from aurora.planner.inputs import Doubt, confidence_from
from aurora.planner.reasons import PlanReason
from aurora.planner.route_rules import Failure, surely_above
from aurora.resources.routing_policy_parts import Health

__all__ = ["failure_of", "reading_of"]


def failure_of(one: BackendFacts, health: Health, *, at: float) -> Failure | None:
    """How a backend fails its callers; None while it serves them, or while nobody knows.

    Args:
        one: the backend.
        health: the policy's thresholds.
        at: seconds since the epoch.
    """
    return _no_endpoint(one, health, at) or _errors(one, health) or _slow(one, health)


def _no_endpoint(one: BackendFacts, health: Health, at: float) -> Failure | None:
    """A watch fact: no metric is needed."""
    endpoints, limit = one.endpoints, health.no_endpoint_for.total_seconds()
    if endpoints is None or endpoints.ready or endpoints.not_ready_since is None:
        return None
    dry = at - endpoints.not_ready_since
    if dry < limit:
        return None
    fact = Evidence(
        signal="endpointsReady",
        value=0.0,
        unit="endpoints",
        at=at,
        query="watch EndpointSlice",
        threshold=1.0,
        window_s=dry,
    )
    message = f"{one.name} had no ready endpoint for {limit:.0f} s."
    return Failure(PlanReason.NO_READY_ENDPOINT, message, (fact,), confidence_from(()))


def _errors(one: BackendFacts, health: Health) -> Failure | None:
    limit = health.error_rate_percent / 100
    reading = one.reading(Signal.SERVER_ERROR_RATIO)
    if not isinstance(reading, Sample) or not surely_above(limit, reading):
        return None
    message = f"{one.name} fails more than {limit:.0%} of its requests with a server error."
    evidence = reading_of(one, Signal.SERVER_ERROR_RATIO, threshold=limit)
    confidence = confidence_from(_doubts(reading))
    return Failure(PlanReason.SERVER_ERRORS, message, evidence, confidence)


def _slow(one: BackendFacts, health: Health) -> Failure | None:
    if health.latency_p95 is None:
        return None
    limit = health.latency_p95.total_seconds()
    reading = one.reading(Signal.LATENCY_P95)
    if not isinstance(reading, Sample) or reading.value <= limit:
        return None
    message = f"The p95 of {one.name} is above {limit:g} s."
    evidence = reading_of(one, Signal.LATENCY_P95, threshold=limit)
    return Failure(PlanReason.BACKEND_SLOW, message, evidence, confidence_from(_doubts(reading)))


def _doubts(reading: Sample) -> list[Doubt]:
    doubts = [Doubt.SOME_PODS_SILENT] if reading.partial else []
    return [*doubts, Doubt.UNCOUNTED] if reading.samples is None else doubts


def reading_of(
    one: BackendFacts, signal: Signal, *, threshold: float | None = None
) -> tuple[Evidence, ...]:
    """A backend's reading as evidence; nothing when there is no number."""
    reading = one.reading(signal)
    if not isinstance(reading, Sample):
        return ()
    return (
        Evidence(
            signal=f"{signal.value}.{one.name}",
            value=reading.value,
            unit=UNITS[signal],
            at=reading.at,
            query=one.queries.get(signal, ""),
            threshold=threshold,
            samples=reading.samples,
            window_s=reading.window_s,
        ),
    )
