"""Reads answers into one reading per workload and signal. Pure.

Each way of having no number is kept apart, in this order: the query failed, the exporter does not
have the signal, the same series is there twice, nothing was ever scraped, what was scraped is
stale, there was no traffic, the number is no number, too few requests are behind it.
"""

import math
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from aurora.observe.queries.fleet import AT, route, signal_tag
from aurora.observe.queries.preset import Batch, Preset, Source
from aurora.observe.queries.settings import MetricsSettings
from aurora.observe.sample import UNITS, Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import PodReading
from aurora.observe.table import Facet, Table, Tags

__all__ = [
    "BOUNDED",
    "GAUGES",
    "PERCENTILES",
    "TOLERANCE",
    "Terms",
    "fault_of",
    "never_scraped",
    "read_pod",
    "read_signal",
]

PERCENTILES = {Signal.LATENCY_P95, Signal.TTFT_P95, Signal.TPOT_P95}
GAUGES = {
    Signal.RUNNING,
    Signal.WAITING,
    Signal.KV_CACHE_RATIO,
    Signal.MEMORY_RATIO,
    Signal.GPU_RATIO,
    Signal.ACCURACY,
    Signal.DRIFT_SCORE,
}
# Use is set against the request where a container has no limit, so it may pass 1.
_UNBOUNDED_RATIOS = {Signal.CPU_RATIO, Signal.MEMORY_RATIO}
BOUNDED = frozenset(s for s in Signal if UNITS[s] == "ratio") - _UNBOUNDED_RATIOS
TOLERANCE = 1e-6  # of ratios, for rounding


class Terms(NamedTuple):
    """Under which terms a number is believed.

    `at` is the caller's clock; ages are by Prometheus' own, so that skew cannot hide staleness.
    """

    at: float
    settings: MetricsSettings
    min_samples: int = 0


class _Asked(NamedTuple):
    """One signal of one workload, with everything that bears on it."""

    signal: Signal
    facet: Facet
    value: float | None
    requests: float | None
    doubled: bool
    partial: bool
    terms: Terms


def read_signal(
    table: Table, key: tuple[str, str], signal: Signal, facet: Facet, terms: Terms
) -> tuple[Reading, float | None]:
    """The reading, and how many requests are behind it, which is known even of a Missing one."""
    preset = facet.preset
    where = route(preset.source, signal)
    if where is None:
        hint = preset.hints.get(signal, f"the preset {preset.source} has no such signal")
        return Missing(Gap.UNSUPPORTED, hint), None
    failed = _failed(table, where.batches)
    if failed is not None:
        return failed, None
    tags = table.workloads.get(key, {})
    count = tags.get(where.samples)
    if count is not None and not math.isfinite(count):
        return Missing(Gap.NOT_FINITE, f"the number of requests behind {signal} is {count}"), None
    asked = _Asked(
        signal,
        facet,
        tags.get(where.tag),
        count,
        bool(table.doubled) and (*key, where.tag) in table.doubled,
        facet.short or _warned(table, where.batches),
        terms,
    )
    return _read(asked), count


def read_pod(table: Table, tags: Tags, source: Source, terms: Terms) -> PodReading:
    """Health of one pod: its requests per second and the share that it fails."""
    failed = _failed(table, (Batch.PODS,))
    if failed is not None:
        return PodReading(failed, failed)
    stamp = tags.get(signal_tag(source, AT))
    if stamp is None or table.evaluated_at is None:
        gone = Missing(Gap.STALE, "the pod is no longer scraped")
        return PodReading(gone, gone)
    age = max(0.0, table.evaluated_at - stamp)
    if age > terms.settings.stale_after_s:
        old = Missing(Gap.STALE, f"the pod was last scraped {age:.0f} s ago")
        return PodReading(old, old)
    rate = tags.get(signal_tag(source, Signal.REQUEST_RATE))
    count = None if rate is None else rate * terms.settings.window_s

    def reading(signal: Signal) -> Reading:
        value = tags.get(signal_tag(source, signal))
        if value is None:
            return Missing(Gap.NO_DATA, f"the pod answers no {signal}")
        partial = _warned(table, (Batch.PODS,))
        sample = Sample(value, terms.at - age, float(terms.settings.window_s), count, partial)
        return _no_traffic(signal, value, count, terms) or fault_of(signal, value) or sample

    return PodReading(reading(Signal.REQUEST_RATE), reading(Signal.SERVER_ERROR_RATIO))


def _failed(table: Table, batches: Iterable[Batch]) -> Missing | None:
    if not table.failures:
        return None
    broken = next((batch for batch in batches if batch in table.failures), None)
    if broken is None:
        return None
    gap = Gap.STALE if broken in table.stale else Gap.QUERY_FAILED
    return Missing(gap, f"{broken}: {table.failures[broken]}")


def _warned(table: Table, batches: Iterable[Batch]) -> bool:
    return bool(table.warnings) and any(batch in table.warnings for batch in batches)


def _read(asked: _Asked) -> Reading:
    facet, value, terms = asked.facet, asked.value, asked.terms
    missing = _not_there(asked)
    if missing is not None:
        return missing
    if value is None:
        detail = f"{facet.preset.source} is scraped but answers no {asked.signal}"
        hint = facet.preset.hints.get(asked.signal)
        return Missing(Gap.UNSUPPORTED if hint else Gap.NO_DATA, hint or detail)
    fault = (
        _no_traffic(asked.signal, value, asked.requests, terms)
        or fault_of(asked.signal, value)
        or _too_few(asked)
    )
    return fault or Sample(
        value,
        terms.at - facet.age_s,
        0.0 if asked.signal in GAUGES else float(terms.settings.window_s),
        asked.requests,
        asked.partial,
    )


def _not_there(asked: _Asked) -> Missing | None:
    facet, source = asked.facet, asked.facet.preset.source
    if facet.times > 1 or asked.doubled:
        return Missing(
            Gap.DUPLICATE,
            f"{source} is scraped {max(2, facet.times)} times in one pod, so sums are too high: "
            "leave one ServiceMonitor, PodMonitor or replica",
        )
    if facet.at is None and asked.value is None:
        return never_scraped(facet.preset)
    if facet.at is None:
        return Missing(Gap.STALE, f"{source} is no longer scraped; what is left is of the past")
    if facet.age_s > asked.terms.settings.stale_after_s:
        return Missing(Gap.STALE, f"{source} was last scraped {facet.age_s:.0f} s ago")
    if facet.pods == 0:
        return Missing(
            Gap.STALE,
            f"no pod answers the scrape of {source}; the last was {facet.age_s:.0f} s ago",
        )
    return None


def never_scraped(preset: Preset) -> Missing:
    """One object for all workloads: in a fleet there are tens of thousands of them."""
    return _never_scraped(preset.alive)


@cache
def _never_scraped(alive: str) -> Missing:
    return Missing(
        Gap.NO_DATA,
        f"no series {alive} for this workload: is it scraped with the labels namespace and pod?",
    )


def _no_traffic(signal: Signal, value: float, count: float | None, terms: Terms) -> Missing | None:
    """A ratio of nothing is NaN: that is no traffic, not a broken exporter."""
    if not math.isnan(value) or count is None or count != 0:
        return None
    return Missing(Gap.NO_DATA, f"no requests in {terms.settings.window_s} s: no {signal}")


def fault_of(signal: Signal, value: float) -> Missing | None:
    """Why a number cannot be one of this signal, or None if it can."""
    if not math.isfinite(value):
        return Missing(Gap.NOT_FINITE, f"{signal} is {value}")
    if value < 0:
        return Missing(Gap.NOT_FINITE, f"{signal} is {value:g} {UNITS[signal]}, below 0")
    if signal in BOUNDED and value > 1 + TOLERANCE:
        return Missing(Gap.NOT_FINITE, f"{signal} is {value:g}; a ratio is at most 1")
    return None


def _too_few(asked: _Asked) -> Missing | None:
    count, terms = asked.requests, asked.terms
    if asked.signal not in PERCENTILES or count is None or count >= terms.min_samples:
        return None
    return Missing(
        Gap.NO_DATA,
        f"{count:.0f} requests in {terms.settings.window_s} s, {terms.min_samples} wanted",
    )
