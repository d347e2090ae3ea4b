"""Metrics of a policy's backends, and what callers of the whole rule see."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from aurora.observe.backends import BackendFacts
from aurora.observe.facts import ObjectKey
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.observe.view import Key, MetricsView, Wanted

__all__ = ["with_backend_readings", "with_backends_wanted"]

READ: Final = frozenset(
    {
        Signal.REQUEST_RATE,
        Signal.SERVER_ERROR_RATIO,
        Signal.LATENCY_P95,
        Signal.LATENCY_MEAN,
        Signal.RUNNING,
        Signal.WAITING,
    }
)
_MEANS: Final = (Signal.SERVER_ERROR_RATIO, Signal.LATENCY_P95, Signal.LATENCY_MEAN)


def with_backends_wanted(
    wanted: Mapping[Key, Wanted], models: Mapping[ObjectKey, ModelObservation]
) -> dict[Key, Wanted]:
    """What is asked anyway, and the backends' workloads that nobody asks about yet.

    They join the queries that are sent for all models, so a policy costs no query of its own.
    """
    asked = dict(wanted)
    for one in models.values():
        for backend in one.routing.backends if one.routing is not None else ():
            if backend.workload is not None and backend.workload not in asked:
                least = one.model.spec.metrics.min_samples
                asked[backend.workload] = Wanted(backend.engine, READ, min_samples=least)
    return asked


def with_backend_readings(one: ModelObservation, metrics: MetricsView) -> ModelObservation:
    """A policy's observation with what was read of each backend and of all of them together."""
    routing = one.routing
    if routing is None:
        return one
    backends = tuple(_read(backend, metrics) for backend in routing.backends)
    return replace(
        one,
        routing=replace(routing, backends=backends),
        signals=_together(backends),
        queries=_queries(backends),
    )


def _read(backend: BackendFacts, metrics: MetricsView) -> BackendFacts:
    found = metrics.workloads.get(backend.workload) if backend.workload is not None else None
    if found is None:
        return backend
    signals = {signal: found.signals[signal] for signal in READ if signal in found.signals}
    return replace(backend, signals=signals, queries=found.queries)


def _queries(backends: Iterable[BackendFacts]) -> dict[Signal, str]:
    """The first backend's expressions: the others' differ only in the workload's name."""
    first = next((one for one in backends if one.queries), None)
    if first is None:
        return {}
    return {signal: first.queries[signal] for signal in READ if signal in first.queries}


def _together(backends: tuple[BackendFacts, ...]) -> dict[Signal, Reading]:
    """What callers of the rule see over the backends that answer them."""
    serving = [one for one in backends if one.weight]
    found: dict[Signal, Reading] = {Signal.REQUEST_RATE: _sum(serving)}
    for signal in _MEANS:
        found[signal] = _mean(signal, serving)
    return found


def _sum(serving: list[BackendFacts]) -> Reading:
    readings = [one.reading(Signal.REQUEST_RATE) for one in serving]
    samples = [one for one in readings if isinstance(one, Sample)]
    if not samples:
        return next((r for r in readings if isinstance(r, Missing)), Missing(Gap.NO_DATA))
    return Sample(
        sum(one.value for one in samples),
        min(one.at for one in samples),
        max(one.window_s for one in samples),
        _total(one.samples for one in samples),
        partial=len(samples) < len(readings) or any(one.partial for one in samples),
    )


def _mean(signal: Signal, serving: list[BackendFacts]) -> Reading:
    """The mean by requests.

    Of a p95 that is between the best and the worst backend's, and moves the way that the p95 of
    all requests moves; the histograms are not merged for it.
    """
    parts = [(one, one.reading(signal)) for one in serving]
    known = [(one, reading) for one, reading in parts if isinstance(reading, Sample)]
    weighed = [(_requests(one, reading), reading) for one, reading in known]
    total = sum(weight for weight, _ in weighed)
    if not known or total <= 0:
        missing = (reading for _, reading in parts if isinstance(reading, Missing))
        return next(missing, Missing(Gap.NO_DATA, "no backend has requests"))
    return Sample(
        sum(weight * reading.value for weight, reading in weighed) / total,
        min(reading.at for _, reading in known),
        max(reading.window_s for _, reading in known),
        _total(reading.samples for _, reading in known),
        partial=any(reading.partial for _, reading in known) or _unseen(parts),
    )


def _unseen(parts: list[tuple[BackendFacts, Reading]]) -> bool:
    """Whether a backend with requests has no number: one without requests lacks nothing."""
    for one, reading in parts:
        rate = one.reading(Signal.REQUEST_RATE)
        quiet = isinstance(rate, Sample) and rate.value == 0.0
        if isinstance(reading, Missing) and not (quiet and reading.gap is Gap.NO_DATA):
            return True
    return False


def _requests(one: BackendFacts, reading: Sample) -> float:
    """Requests behind a reading; where nobody counts them, the rate stands in."""
    if reading.samples is not None:
        return reading.samples
    rate = one.reading(Signal.REQUEST_RATE)
    return rate.value * (reading.window_s or 1.0) if isinstance(rate, Sample) else 1.0


def _total(samples: Iterable[float | None]) -> float | None:
    known = [one for one in samples if one is not None]
    return sum(known) if known else None
