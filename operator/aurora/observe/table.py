"""All answers of a cycle as one table: who, which tag, which number. Pure."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from aurora.observe.answers import QueryAnswer, QueryFailure
from aurora.observe.parsing import Pieces, rows_of
from aurora.observe.queries.fleet import AT, COPIES, NAME, PODS, PRESETS, signal_tag
from aurora.observe.queries.preset import Batch, Preset, Source
from aurora.observe.queries.settings import LabelNames, MetricsSettings
from aurora.observe.rows import Row, numbers_of, plain_rows

__all__ = ["Facet", "Table", "Tags", "add_answer", "facet_of"]

Tags = dict[str, float]
_NAME_LABELS = {
    signal_tag(preset.source, NAME): preset.name_label
    for preset in PRESETS.values()
    if preset.name_label
}


@dataclass(slots=True)
class Table:
    """All rows of the preset queries, by who they are about.

    Attributes:
        workloads: (namespace, workload) to the value of each tag.
        pods: (namespace, pod) to the value of each tag.
        names: (namespace, workload) to the names that models are served under.
        doubled: (namespace, workload, tag) that an answer held twice.
        failures: batch to why it has no answer.
        stale: batches among them that were answered with the past.
        warnings: batch to what the source said.
        evaluated_at: Prometheus' clock, seconds since the epoch.
    """

    workloads: dict[tuple[str, str], Tags] = field(default_factory=dict)
    pods: dict[tuple[str, str], Tags] = field(default_factory=dict)
    names: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    doubled: set[tuple[str, str, str]] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    evaluated_at: float | None = None


def add_answer(
    table: Table, name: str, answer: QueryAnswer | QueryFailure, settings: MetricsSettings
) -> None:
    """Sort the rows of one answer by workload and pod."""
    if isinstance(answer, QueryFailure):
        table.failures[name] = answer.reason
        table.stale.update({name} if answer.stale else ())
        return
    if answer.warnings:
        table.warnings[name] = answer.warnings
    kinds = (settings.labels, settings.container_labels, settings.gpu_labels)
    try:
        if name == Batch.NAMES:
            _add_names(table, answer.rows, settings.labels.namespace)
        elif name == Batch.PODS or not isinstance(answer.rows, Pieces):
            _add_rows(table, answer.rows, kinds, by_pod=name == Batch.PODS)
        else:
            _add_pieces(table, answer.rows, kinds)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        table.failures[name] = "the answer has a row without labels, time or number"


def _add_pieces(table: Table, rows: Pieces, kinds: tuple[LabelNames, ...]) -> None:
    spaces = tuple(dict.fromkeys(names.namespace for names in kinds))
    for piece in rows.pieces():
        found = plain_rows(piece, spaces)
        if found is None:
            _add_rows(table, rows_of(piece), kinds, by_pod=False)
        else:
            _add_plain(table, found)
    _add_rows(table, rows.tail, kinds, by_pod=False)


def _add_plain(table: Table, rows: Sequence[Row]) -> None:
    """As `_add_rows`, at half of its time."""
    workloads, last_time, last_tag = table.workloads, "", ""
    numbers = numbers_of([row[4] for row in rows])
    for (namespace, tag, workload, time, _), number in zip(rows, numbers, strict=True):
        if time != last_time:
            last_time, at = time, float(time)
            table.evaluated_at = max(at, table.evaluated_at or at)
        if not namespace or not workload:
            continue
        if tag != last_tag:
            last_tag = sys.intern(tag)  # one string for the thousands of workloads that have it
        tags = workloads.get((namespace, workload))
        if tags is None:
            tags = workloads[namespace, workload] = {}
        if last_tag in tags:
            table.doubled.add((namespace, workload, tag))
        tags[last_tag] = number


def _add_rows(
    table: Table, rows: Iterable[Mapping[str, Any]], kinds: tuple[LabelNames, ...], *, by_pod: bool
) -> None:
    spaces = tuple(dict.fromkeys(names.namespace for names in kinds))
    names = tuple(dict.fromkeys(n.pod for n in kinds)) if by_pod else ("workload",)
    found = table.pods if by_pod else table.workloads
    at = table.evaluated_at
    for row in rows:
        labels: Mapping[str, str] = row["metric"]
        stamp, text = row["value"]
        at = stamp if at is None or stamp > at else at
        namespace = labels.get(spaces[0]) or _first(labels, spaces)
        name = labels.get(names[0]) or _first(labels, names)
        if not namespace or not name:
            continue  # a pod of no workload, such as a bare one
        tag = labels["signal"]
        tags = found.setdefault((namespace, name), {})
        if tag in tags:
            table.doubled.add((namespace, name, tag))
        tags[tag] = float(text)
    table.evaluated_at = None if at is None else float(at)


def _add_names(table: Table, rows: Iterable[Mapping[str, Any]], space: str) -> None:
    for row in rows:
        labels: Mapping[str, str] = row["metric"]
        workload = labels.get("workload")
        if workload:
            name = labels[_NAME_LABELS[labels["signal"]]]
            table.names.setdefault((labels[space], workload), set()).add(name)


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        value = labels.get(name)
        if value:
            return value
    return ""


class Facet(NamedTuple):
    """What is known of one exporter of one workload, apart from its signals.

    Attributes:
        at: newest scrape by Prometheus' clock, None if there was none in memory.
        pods: how many pods have a fresh sample.
        times: how often each series is there, where that is more than once.
        age_s: of `at`.
        short: fewer pods than the pod watch says are Ready.
    """

    preset: Preset
    at: float | None
    pods: int
    times: int
    age_s: float
    short: bool


@cache
def _facet_tags(source: Source) -> tuple[Preset, str, str, str]:
    found = signal_tag(source, AT), signal_tag(source, PODS), signal_tag(source, COPIES)
    return PRESETS[source], *found


def facet_of(table: Table, tags: Tags, source: Source, ready_pods: int | None = None) -> Facet:
    preset, newest, reporting, copies = _facet_tags(source)
    at = _finite(tags.get(newest))
    age = math.inf if at is None or table.evaluated_at is None else table.evaluated_at - at
    pods = int(_finite(tags.get(reporting)) or 0)
    times = int(_finite(tags.get(copies)) or 1) if copies in tags else 1  # nearly never
    short = ready_pods is not None and pods < ready_pods
    return Facet(preset, at, pods, times, max(0.0, age), short)


def _finite(value: float | None) -> float | None:
    """None for what is no number: a broken source has no fresh pod and no newest scrape."""
    return value if value is not None and math.isfinite(value) else None
