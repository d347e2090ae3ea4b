"""The preset queries of one cycle: at most one per batch, whatever the number of models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from aurora.observe.queries.cluster import CONTAINERS, GPU
from aurora.observe.queries.preset import Batch, Preset, Source
from aurora.observe.queries.promql import Frame, Label, pods_of, quoted, tagged, union
from aurora.observe.queries.sdk import ACCURACY, DRIFT, SDK
from aurora.observe.queries.settings import MetricsSettings
from aurora.observe.queries.sidecar import CACHE
from aurora.observe.queries.tgi import TGI
from aurora.observe.queries.triton import TRITON
from aurora.observe.queries.vllm import VLLM
from aurora.observe.sample import Signal

__all__ = [
    "AT",
    "COPIES",
    "MAX_PRESET_QUERIES",
    "NAME",
    "PODS",
    "PRESETS",
    "Route",
    "fleet_queries",
    "resolved",
    "route",
    "samples_tag",
    "signal_tag",
    "within",
]

MAX_PRESET_QUERIES = 10
PRESETS: Mapping[Source, Preset] = {
    preset.source: preset
    for preset in (VLLM, TGI, TRITON, SDK, CACHE, CONTAINERS, GPU, ACCURACY, DRIFT)
}
AT, PODS, COPIES, NAME = "at", "pods", "copies", "name"
_MAX_NAMESPACES = 50  # beyond it the matcher is longer than it is selective
_MAX_NAMED = 100  # workloads; beyond it the matcher of pod names is too long
_NAMESPACE, _PODS = "{namespace}", "{pods}"
_QUOTED_NAMESPACE, _QUOTED_PODS = quoted(_NAMESPACE), quoted(_PODS)
_OF_A_POD = (Signal.REQUEST_RATE, Signal.SERVER_ERROR_RATIO)


@cache
def signal_tag(source: Source, what: str) -> str:
    """The label `signal` of a row: its source and the signal, or `at`, `pods`, `copies`, `name`."""
    return f"{source}:{what}"


@cache
def samples_tag(source: Source, signal: Signal) -> str:
    return f"{source}:{signal}:samples"


class Route(NamedTuple):
    """Where a signal of a source is found in the answers.

    Attributes:
        tag: of its rows.
        samples: tag of the rows that count the requests behind it; empty if nothing counts them.
        batches: the queries that all have to be answered for it.
    """

    tag: str
    samples: str
    batches: tuple[Batch, ...]


@cache
def route(source: Source, signal: Signal) -> Route | None:
    """None if the source does not export the signal."""
    preset = PRESETS[source]
    batch = preset.batch(signal)
    if batch is None:
        return None
    counted = preset.samples_of(signal)
    return Route(
        tag=signal_tag(source, signal),
        samples=samples_tag(source, counted) if counted else "",
        batches=(batch, Batch.FRESHNESS, *((Batch.SAMPLES,) if counted else ())),
    )


@dataclass(frozen=True, slots=True)
class _Scope:
    settings: MetricsSettings
    namespaces: tuple[str, ...]

    def frame(self, preset: Preset) -> Frame:
        return within(preset.frame(self.settings), self.namespaces)


def within(frame: Frame, namespaces: Sequence[str]) -> Frame:
    """These namespaces only, unless they are too many for a matcher; none is all of them."""
    wide = not namespaces or len(namespaces) > _MAX_NAMESPACES
    return frame if wide else frame.within(namespaces)


def fleet_queries(
    settings: MetricsSettings,
    sources: Sequence[Source],
    *,
    namespaces: Sequence[str] = (),
    per_pod: Sequence[tuple[str, str]] = (),
    named: Sequence[tuple[str, str]] = (),
) -> dict[str, str]:
    """PromQL by batch name.

    Args:
        settings: label names and window.
        sources: the exporters that some object needs; others are not asked.
        namespaces: where the objects are; many of them are not worth a matcher.
        per_pod: (namespace, workload) to be read pod by pod.
        named: (namespace, workload) of which the served model names are to be read.
    """
    scope = _Scope(settings, tuple(sorted(set(namespaces))))
    presets = [PRESETS[source] for source in Source if source in set(sources)]
    parts = {batch: list(_signals(scope, presets, batch)) for batch in Batch}
    parts[Batch.SAMPLES] = list(_samples(scope, presets))
    parts[Batch.FRESHNESS] = list(_freshness(scope, presets))
    if per_pod:
        parts[Batch.PODS] = list(_pods(settings, presets, per_pod))
    if named:
        parts[Batch.NAMES] = list(_names(settings, presets, named))
    return {str(batch): union(found) for batch, found in parts.items() if found}


def resolved(
    settings: MetricsSettings, source: Source, signal: Signal, workload: tuple[str, str]
) -> str:
    """The signal's expression for one workload: what a person pastes to see the same number."""
    namespace, name = workload
    # In this order: an escaped name cannot be mistaken for the other place.
    text = _form(settings, source, signal).replace(_QUOTED_PODS, quoted(pods_of(name)))
    return text.replace(_QUOTED_NAMESPACE, quoted(namespace))


@cache
def _form(settings: MetricsSettings, source: Source, signal: Signal) -> str:
    """The same for any workload: every cycle needs it for thousands."""
    preset = PRESETS[source]
    expression = preset.expression(signal)
    frame = preset.frame(settings).matching(_NAMESPACE, _PODS)
    return expression(frame) if expression is not None else ""


def _signals(scope: _Scope, presets: Sequence[Preset], batch: Batch) -> Iterator[str]:
    for preset in presets:
        frame = scope.frame(preset)
        for signal, expression in preset.signals.get(batch, {}).items():
            yield tagged(expression(frame), signal_tag(preset.source, signal))


def _samples(scope: _Scope, presets: Sequence[Preset]) -> Iterator[str]:
    for preset in presets:
        frame = scope.frame(preset)
        for signal, expression in preset.samples.items():
            yield tagged(expression(frame), samples_tag(preset.source, signal))


def _freshness(scope: _Scope, presets: Sequence[Preset]) -> Iterator[str]:
    for preset in presets:
        frame = scope.frame(preset)
        yield tagged(newest(preset, frame), signal_tag(preset.source, AT))
        yield tagged(pods_reporting(preset, frame), signal_tag(preset.source, PODS))
        if preset.alive_labels is not None:
            yield tagged(copies(preset, frame), signal_tag(preset.source, COPIES))


def newest(preset: Preset, frame: Frame) -> str:
    """When the newest raw sample was scraped, in seconds since the epoch.

    A series that stopped has no instant value, so its last timestamp is looked for in the past.
    """
    stamp = f"timestamp({frame.select(preset.alive)})"
    now = frame.grouped(stamp, operator="max")
    if not preset.remembered:
        return now
    back = f"[{frame.settings.remember_s}s:{frame.settings.step_s}s]"
    past = frame.grouped(f"max_over_time({stamp}{back})", operator="max")
    return f"{now}\nor\n{past}"


def pods_reporting(preset: Preset, frame: Frame) -> str:
    """How many pods have a raw sample that is not stale."""
    labels = frame.labels
    pods = f"max by ({labels.namespace}, {labels.pod}) (timestamp({frame.select(preset.alive)}))"
    return frame.grouped(f"{pods} > time() - {frame.settings.stale_after_s}", operator="count")


def copies(preset: Preset, frame: Frame) -> str:
    """How many times the same series of one pod is there, where that is more than once."""
    labels = ", ".join((*frame.labels, *(preset.alive_labels or ())))
    same = f"count by ({labels}) ({frame.select(preset.alive)}) > 1"
    return frame.grouped(same, operator="max")


def _pods(
    settings: MetricsSettings, presets: Sequence[Preset], per_pod: Sequence[tuple[str, str]]
) -> Iterator[str]:
    for preset in presets:
        frame = preset.frame(settings).pods_of(per_pod)
        expressions = {signal: preset.expression(signal) for signal in _OF_A_POD}
        for signal, expression in expressions.items():
            if expression is not None:
                yield tagged(expression(frame), signal_tag(preset.source, signal))
        if expressions[Signal.REQUEST_RATE] is not None:
            stamp = f"timestamp({frame.select(preset.alive)})"
            newest_of_pod = frame.grouped(stamp, operator="max")
            yield tagged(newest_of_pod, signal_tag(preset.source, AT))


def _names(
    settings: MetricsSettings, presets: Sequence[Preset], named: Sequence[tuple[str, str]]
) -> Iterator[str]:
    """One row per workload and name, with the label as the exporter wrote it."""
    wide = _Scope(settings, tuple(sorted({namespace for namespace, _ in named})))
    for preset in presets:
        if not preset.name_label:
            continue
        few = len(named) <= _MAX_NAMED
        frame = preset.frame(settings).among(named) if few else wide.frame(preset)
        series = frame.select(preset.alive, Label(preset.name_label, "!=", ""))
        grouped = frame.grouped(series, operator="group", keep=(preset.name_label,))
        yield tagged(grouped, signal_tag(preset.source, NAME))
