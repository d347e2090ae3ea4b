"""Reads the metrics of the whole fleet, once per cycle: plan, ask, tabulate, read."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from aurora.observe.answers import MetricsSource, QueryAnswer, QueryFailure, Unread
from aurora.observe.custom import CustomPlan, custom_name, plan_custom, read_custom
from aurora.observe.plain import read_signals
from aurora.observe.queries.fleet import fleet_queries
from aurora.observe.queries.preset import Batch, Source
from aurora.observe.queries.promql import workload_key, workload_of
from aurora.observe.queries.recording import recorded_answer, recorded_queries
from aurora.observe.queries.settings import MetricsSettings
from aurora.observe.readings import Terms, read_pod
from aurora.observe.sample import Gap, Missing, Reading, Signal
from aurora.observe.snapshot import PodReading, SourceFacts
from aurora.observe.table import Facet, Table, Tags, add_answer, facet_of
from aurora.observe.view import (
    Key,
    MetricsView,
    ResolvedQueries,
    Wanted,
    WorkloadReadings,
    chosen,
    engine_of,
    groups_of,
    sources_of,
)

__all__ = ["MetricsReader"]

_BREATH = 200  # workloads after which the event loop gets a turn
_MAX_PER_POD = 100  # workloads read pod by pod: the matcher of pod names must stay short
_MAX_NAMES = 64  # of one workload; with more, nobody can tell which one its callers ask for
_NO_TAGS: Tags = {}
_NOT_OF_PODS = frozenset({Source.ACCURACY, Source.DRIFT})  # one evaluator may speak for all pods


class MetricsReader:
    """Reads the fleet's metrics. Holds no state between cycles, so recovery needs no restart."""

    def __init__(
        self, source: MetricsSource, settings: MetricsSettings, *, allow_custom: bool = False
    ) -> None:
        self._source = source
        self._settings = settings
        self._allow_custom = allow_custom

    async def read(self, at: float, wanted: Mapping[Key, Wanted]) -> MetricsView:
        """Read every wanted signal; what cannot be read is Missing with its reason.

        Args:
            at: the caller's wall clock in seconds since the epoch.
            wanted: by (namespace, workload).
        """
        plan = plan_custom(
            {key: want.queries for key, want in wanted.items() if want.queries},
            allowed=self._allow_custom,
            settings=self._settings,
        )
        namespaces = sorted({namespace for namespace, _ in wanted})
        requests = fleet_queries(
            self._settings,
            sorted({source for want in _kinds(wanted.values()) for source in _needed(want)}),
            namespaces=namespaces,
            per_pod=sorted(key for key, want in wanted.items() if want.per_pod)[:_MAX_PER_POD],
            named=sorted(key for key, want in wanted.items() if want.names),
        )
        requests |= recorded_queries(self._settings, requests, namespaces)
        unread = await self._source.fetch(requests | plan.requests())
        table, answers = await asyncio.to_thread(_tabulated, unread, requests, self._settings)
        facts = _source_facts(answers)
        cycle = _Cycle(at, self._settings, plan, answers, table)
        workloads: dict[Key, WorkloadReadings] = {}
        for place, (key, want) in enumerate(wanted.items()):
            workloads[key] = cycle.read(key, want)
            if place % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
        return MetricsView(at, workloads, facts)


def _kinds(wanted: Iterable[Wanted]) -> Iterable[Wanted]:
    """One of each kind that may need other exporters: most of a fleet are of a handful."""
    kinds = {(w.engine, w.signals, w.armed, frozenset(w.queries)): w for w in wanted}
    return kinds.values()


def _needed(want: Wanted) -> Iterator[Source]:
    engine = engine_of(want)
    if engine is not None:
        yield engine
    for signal in want.signals:
        if signal not in want.queries:
            yield from sources_of(signal, engine, want.armed)


def _tabulated(
    unread: dict[str, Unread], presets: Collection[str], settings: MetricsSettings
) -> tuple[Table, dict[str, QueryAnswer | QueryFailure]]:
    """All answers, unpacked one after the other; rows of presets are in the table alone."""
    table = Table()
    answers: dict[str, QueryAnswer | QueryFailure] = {}
    for name in list(unread):
        answer = recorded_answer(name, unread.pop(name)(), settings)
        if name in presets:
            add_answer(table, name, answer, settings)
            answer = replace(answer, rows=()) if isinstance(answer, QueryAnswer) else answer
        answers[name] = answer
    return table, answers


def _source_facts(answers: Mapping[str, QueryAnswer | QueryFailure]) -> SourceFacts:
    failures = {name: a.reason for name, a in answers.items() if isinstance(a, QueryFailure)}
    warnings = [w for a in answers.values() if isinstance(a, QueryAnswer) for w in a.warnings]
    failure = ""
    if failures:
        name, reason = next(iter(failures.items()))
        failure = f"{len(failures)} of {len(answers)} queries failed; {name}: {reason}"
    return SourceFacts(len(answers), failure, tuple(dict.fromkeys(warnings)))


class _Cycle:
    """The answers of one cycle, read workload by workload."""

    def __init__(
        self,
        at: float,
        settings: MetricsSettings,
        plan: CustomPlan,
        own: Mapping[str, QueryAnswer | QueryFailure],
        table: Table,
    ) -> None:
        self._at, self._settings, self._plan, self._answers = at, settings, plan, own
        self._table = table
        self._pods: dict[Key, dict[str, Tags]] = {}
        for (namespace, pod), tags in self._table.pods.items():
            workload = workload_of(pod)
            if workload is not None:
                self._pods.setdefault((namespace, workload), {})[pod] = tags

    def read(self, key: Key, want: Wanted) -> WorkloadReadings:
        row, engine = (key[0], workload_key(key[1])), engine_of(want)
        own: dict[Signal, Reading] = {}
        if want.queries:
            own = {s: self._own(key, s) for s in want.signals if s in want.queries}
        signals: dict[Signal, Reading] = dict(own)
        counts: dict[Signal, float] = {}
        choice: list[tuple[frozenset[Signal], Source]] = []
        terms = Terms(self._at, self._settings, want.min_samples)
        tags = self._table.workloads.get(row, _NO_TAGS)
        wanted = frozenset(want.signals - own.keys()) if own else frozenset(want.signals)
        for sources, group in groups_of(wanted, engine, want.armed):
            facet = self._choose(tags, sources, want)
            if facet is None:
                detail = f"engine {want.engine} has no preset for it: set an own query"
                signals |= dict.fromkeys(group, Missing(Gap.UNSUPPORTED, detail))
                continue
            choice.append((group, facet.preset.source))
            read_signals(self._table, row, group, facet, terms, into=(signals, counts))
        return WorkloadReadings(
            signals=signals,
            queries=ResolvedQueries(
                self._settings, key, chosen(tuple(choice)), self._own_texts(key)
            ),
            counts=counts,
            pods_reporting=self._reporting(tags, engine),
            pods=self._pod_readings(row, want),
            model_names=self._names(row, want),
        )

    def _choose(self, tags: Tags, sources: tuple[Source, ...], want: Wanted) -> Facet | None:
        """The first exporter that is there, else the last; an armed cache counts when it stopped.

        An exporter that was left out must not hide the engine, and one that stopped while the
        cache answers must not be replaced by numbers that hold only the misses.
        """
        facet = None
        for source in sources:
            expected = None if source in _NOT_OF_PODS else want.ready_pods
            facet = facet_of(self._table, tags, source, expected)
            if facet.pods > 0 or (want.armed and facet.at is not None):
                return facet
        return facet

    def _own(self, key: Key, signal: Signal) -> Reading:
        refused = self._plan.refused.get(key, {}).get(signal)
        if refused is not None:
            return refused
        answer = self._answers[custom_name(key, signal)]
        return read_custom(signal, answer, at=self._at, settings=self._settings)

    def _own_texts(self, key: Key) -> dict[Signal, str]:
        return {signal: own.text for signal, own in self._plan.accepted.get(key, {}).items()}

    def _reporting(self, tags: Tags, engine: Source | None) -> int | None:
        if engine is None or Batch.FRESHNESS in self._table.failures:
            return None
        return facet_of(self._table, tags, engine).pods

    def _names(self, row: Key, want: Wanted) -> frozenset[str]:
        found = self._table.names.get(row, ()) if want.names else ()
        return frozenset(found) if len(found) <= _MAX_NAMES else frozenset()

    def _pod_readings(self, row: Key, want: Wanted) -> dict[str, PodReading]:
        engine = engine_of(want)
        if not want.per_pod or engine is None:
            return {}
        terms = Terms(self._at, self._settings)
        return {
            pod: read_pod(self._table, tags, engine, terms)
            for pod, tags in self._pods.get(row, {}).items()
        }
