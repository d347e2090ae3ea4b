"""What one exporter can say, as expressions by signal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aurora.observe.queries.promql import Frame
from aurora.observe.queries.settings import LabelNames, MetricsSettings
from aurora.observe.sample import Signal

__all__ = ["Batch", "Expression", "Preset", "Source"]

Expression = Callable[[Frame], str]


class Source(StrEnum):
    """Which exporter a number comes from."""

    VLLM = "vllm"
    TGI = "tgi"
    TRITON = "triton"
    SDK = "sdk"
    CACHE = "cache"
    CONTAINERS = "containers"
    GPU = "gpu"
    ACCURACY = "accuracy"
    DRIFT = "drift"


class Batch(StrEnum):
    """The preset queries of a cycle; each answers for all models and all sources at once."""

    TRAFFIC = "traffic"
    LATENCY = "latency"
    LOAD = "load"
    RESOURCES = "resources"
    CALLERS = "callers"
    SAMPLES = "samples"
    FRESHNESS = "freshness"
    PODS = "pods"
    NAMES = "names"


_COUNTED_BY: Mapping[Signal, tuple[Signal, ...]] = {
    Signal.LATENCY_MEAN: (Signal.LATENCY_P95,),
    Signal.TPOT_MEAN: (Signal.TPOT_P95,),
    Signal.SERVER_ERROR_RATIO: (Signal.REQUEST_RATE,),
    Signal.CLIENT_ERROR_RATIO: (Signal.SERVER_ERROR_RATIO, Signal.REQUEST_RATE),
}


@dataclass(frozen=True, slots=True)
class Preset:
    """One exporter.

    Attributes:
        alive: a series that the exporter always has; its timestamps tell when it was scraped.
        alive_labels: labels that tell apart the series of `alive` within one pod. More than one
            series with the same ones is a pod that is scraped twice, which doubles every sum.
            None where the expressions cannot be doubled.
        signals: what it exports, by the batch that asks for it.
        samples: how many requests are behind a signal over the window.
        remembered: a series that stopped is looked for in the past; off where the metric covers
            the whole cluster, which would be dear.
        hints: what to do about a signal that it does not export.
        labels: picks the label names among the settings.
        name_label: label of `alive` that is the name under which callers ask for the model; empty
            where the exporter does not tell.
    """

    source: Source
    alive: str
    alive_labels: tuple[str, ...] | None
    signals: Mapping[Batch, Mapping[Signal, Expression]]
    samples: Mapping[Signal, Expression] = field(default_factory=dict)
    hints: Mapping[Signal, str] = field(default_factory=dict)
    remembered: bool = True
    labels: Callable[[MetricsSettings], LabelNames] = lambda settings: settings.labels
    name_label: str = ""

    def expression(self, signal: Signal) -> Expression | None:
        found = (batch[signal] for batch in self.signals.values() if signal in batch)
        return next(found, None)

    def samples_of(self, signal: Signal) -> Signal | None:
        """The key in `samples` of the requests behind a signal."""
        candidates = (signal, *_COUNTED_BY.get(signal, ()))
        return next((name for name in candidates if name in self.samples), None)

    def batch(self, signal: Signal) -> Batch | None:
        return next((name for name, batch in self.signals.items() if signal in batch), None)

    def frame(self, settings: MetricsSettings) -> Frame:
        return Frame(settings, self.labels(settings))
