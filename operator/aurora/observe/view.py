"""What a cycle asks of the metrics, and what it gets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from aurora.observe.queries.fleet import PRESETS, resolved
from aurora.observe.queries.preset import Source
from aurora.observe.queries.settings import MetricsSettings
from aurora.observe.sample import Reading, Signal
from aurora.observe.snapshot import PodReading, SourceFacts
from aurora.values import quick

__all__ = [
    "Key",
    "MetricsView",
    "ResolvedQueries",
    "Wanted",
    "WorkloadReadings",
    "chosen",
    "engine_of",
    "groups_of",
    "sources_of",
]

Key = tuple[str, str]
"""Namespace and name of a workload."""
_ENGINES = {str(s): s for s in (Source.VLLM, Source.TGI, Source.TRITON, Source.SDK)}
_ELSEWHERE: Mapping[Signal, Source] = {
    Signal.CPU_RATIO: Source.CONTAINERS,
    Signal.MEMORY_RATIO: Source.CONTAINERS,
    Signal.ACCURACY: Source.ACCURACY,
    Signal.DRIFT_SCORE: Source.DRIFT,
    Signal.CACHE_HIT_RATIO: Source.CACHE,
    Signal.REPEAT_RATIO: Source.CACHE,
}
_CALLERS = frozenset({Signal.LATENCY_P95, Signal.LATENCY_MEAN})


@quick
@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cycle wants to know of one workload.

    Attributes:
        engine: metric preset: vllm, tgi, triton, sdk, or custom for none.
        signals: what to read.
        queries: the object's own PromQL, which replaces the preset of its signal.
        min_samples: requests that a percentile must stand on.
        ready_pods: Ready pods by the pod watch; with fewer in the answer, samples are partial.
        armed: whether the cache sidecar is in the pods; None takes its word when it is scraped.
        per_pod: read each pod's health as well.
        names: read the names under which it serves models as well.
    """

    engine: str
    signals: frozenset[Signal]
    queries: Mapping[Signal, str] = field(default_factory=dict)
    min_samples: int = 0
    ready_pods: int | None = None
    armed: bool | None = None
    per_pod: bool = False
    names: bool = False


class ResolvedQueries(Mapping[Signal, str]):
    """The PromQL behind each signal of one workload, written when it is looked at.

    A fleet of 10,000 has 200,000 of them, of which a cycle shows a handful.
    """

    __slots__ = ("_key", "_own", "_settings", "_sources")

    def __init__(
        self,
        settings: MetricsSettings,
        key: Key,
        sources: Mapping[Signal, Source],
        own: Mapping[Signal, str],
    ) -> None:
        self._settings, self._key, self._sources, self._own = settings, key, sources, own

    def __getitem__(self, signal: Signal) -> str:
        if signal in self._own:
            return self._own[signal]
        return resolved(self._settings, self._sources[signal], signal, self._key)

    def __iter__(self) -> Iterator[Signal]:
        yield from dict.fromkeys((*self._own, *self._sources))

    def __len__(self) -> int:
        return len(self._own.keys() | self._sources.keys())


@cache
def groups_of(
    signals: frozenset[Signal], engine: Source | None, armed: bool | None
) -> tuple[tuple[tuple[Source, ...], frozenset[Signal]], ...]:
    """The signals by the exporters that may have them: workloads of one kind share the answer."""
    found: dict[tuple[Source, ...], set[Signal]] = {}
    for signal in signals:
        found.setdefault(sources_of(signal, engine, armed), set()).add(signal)
    return tuple((sources, frozenset(group)) for sources, group in found.items())


@cache
def chosen(choice: tuple[tuple[frozenset[Signal], Source], ...]) -> Mapping[Signal, Source]:
    """The exporter of each signal, one object for all workloads that have the same."""
    return {signal: source for group, source in choice for signal in group}


@quick
@dataclass(frozen=True, slots=True)
class WorkloadReadings:
    """What was read of one workload.

    Attributes:
        signals: a reading for each signal that was wanted.
        queries: the PromQL behind each, ready to be pasted.
        counts: requests behind a signal, also where the reading is Missing for being too few.
        pods_reporting: pods whose engine has a fresh sample; None if that could not be read.
        pods: health by pod name, where it was wanted.
        model_names: names that callers can ask for, where they were wanted; empty when unknown.
    """

    signals: Mapping[Signal, Reading]
    queries: Mapping[Signal, str]
    counts: Mapping[Signal, float] = field(default_factory=dict)
    pods_reporting: int | None = None
    pods: Mapping[str, PodReading] = field(default_factory=dict)
    model_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MetricsView:
    """Everything that was read in one cycle, by (namespace, workload)."""

    at: float
    workloads: Mapping[Key, WorkloadReadings]
    source: SourceFacts


def engine_of(want: Wanted) -> Source | None:
    """The exporter of the engine itself; None for custom."""
    return _ENGINES.get(want.engine)


@cache
def sources_of(signal: Signal, engine: Source | None, armed: bool | None) -> tuple[Source, ...]:
    """Exporters that may have the signal, the preferred one first.

    With the cache sidecar in the pods, callers' latency is the cache's: the engine's holds only
    the misses.
    """
    if signal in _ELSEWHERE:
        return (_ELSEWHERE[signal],)
    engines = () if engine is None else (engine,)
    if signal is Signal.GPU_RATIO:
        return (Source.GPU, *(e for e in engines if PRESETS[e].batch(signal)))
    may_be_cached = armed or (armed is None and engine is not None)
    return (Source.CACHE, *engines) if signal in _CALLERS and may_be_cached else engines
