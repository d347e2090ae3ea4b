"""A number that was measured, or the reason why there is none.

"No data" is a fact of its own: a reading is never 0 because something was missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

__all__ = ["UNITS", "Gap", "Missing", "Reading", "Sample", "Signal", "value_of"]


class Signal(StrEnum):
    """What is measured of a model, whatever its engine calls it.

    Counts and rates are over the whole workload; ratios are 0 to 1; latencies are what the engine
    (or, with the cache on, the cache sidecar) saw, in seconds.
    """

    REQUEST_RATE = "requestRate"
    SERVER_ERROR_RATIO = "serverErrorRatio"
    CLIENT_ERROR_RATIO = "clientErrorRatio"
    LATENCY_P95 = "latencyP95"
    LATENCY_MEAN = "latencyMean"
    TTFT_P95 = "ttftP95"
    TPOT_P95 = "tpotP95"
    TPOT_MEAN = "tpotMean"
    RUNNING = "requestsRunning"
    WAITING = "requestsWaiting"
    KV_CACHE_RATIO = "kvCacheRatio"
    PROMPT_TOKEN_RATE = "promptTokenRate"  # noqa: S105
    GENERATION_TOKEN_RATE = "generationTokenRate"  # noqa: S105
    CPU_RATIO = "cpuRatio"
    MEMORY_RATIO = "memoryRatio"
    GPU_RATIO = "gpuRatio"
    ACCURACY = "accuracyRatio"
    DRIFT_SCORE = "driftScore"
    REPEAT_RATIO = "repeatRatio"
    CACHE_HIT_RATIO = "cacheHitRatio"


UNITS: Mapping[Signal, str] = {
    Signal.REQUEST_RATE: "req/s",
    Signal.SERVER_ERROR_RATIO: "ratio",
    Signal.CLIENT_ERROR_RATIO: "ratio",
    Signal.LATENCY_P95: "s",
    Signal.LATENCY_MEAN: "s",
    Signal.TTFT_P95: "s",
    Signal.TPOT_P95: "s",
    Signal.TPOT_MEAN: "s",
    Signal.RUNNING: "requests",
    Signal.WAITING: "requests",
    Signal.KV_CACHE_RATIO: "ratio",
    Signal.PROMPT_TOKEN_RATE: "tokens/s",
    Signal.GENERATION_TOKEN_RATE: "tokens/s",
    Signal.CPU_RATIO: "ratio",
    Signal.MEMORY_RATIO: "ratio",
    Signal.GPU_RATIO: "ratio",
    Signal.ACCURACY: "ratio",
    Signal.DRIFT_SCORE: "score",
    Signal.REPEAT_RATIO: "ratio",
    Signal.CACHE_HIT_RATIO: "ratio",
}


class Gap(StrEnum):
    """Why there is no number. The names are the reasons that a condition shows."""

    NO_DATA = "NoData"
    STALE = "Stale"
    QUERY_FAILED = "QueryFailed"
    NOT_FINITE = "NotFinite"
    PARTIAL = "PartialResponse"
    DUPLICATE = "DuplicateSeries"
    UNSUPPORTED = "SignalUnsupported"


@dataclass(frozen=True, slots=True, init=False)
class Sample:
    """One measured number.

    Attributes:
        value: finite, in the unit that `UNITS` gives for its signal.
        at: when the newest raw sample behind it was scraped, in seconds since the epoch.
        window_s: how far back it looks; 0 for a gauge.
        samples: requests (or raw observations) behind it, None where counting means nothing.
        partial: some of the workload's pods, or the source itself, did not answer; enough evidence
            to scale up on, never to scale down on.
    """

    value: float
    at: float
    window_s: float = 0.0
    samples: float | None = None
    partial: bool = False

    def __init__(
        self,
        value: float,
        at: float,
        window_s: float = 0.0,
        samples: float | None = None,
        partial: bool = False,
    ) -> None:
        # A cycle makes 150,000: by the slots it takes half of what a frozen dataclass takes.
        _set_value(self, value)
        _set_at(self, at)
        _set_window(self, window_s)
        _set_samples(self, samples)
        _set_partial(self, partial)


_set_value, _set_at, _set_window, _set_samples, _set_partial = (
    vars(Sample)[one.name].__set__ for one in fields(Sample)
)


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a signal has no number, with the detail that a person needs to mend it."""

    gap: Gap
    detail: str = ""


Reading = Sample | Missing


def value_of(reading: Reading | None) -> float | None:
    """The number of a reading, or None for every kind of absence."""
    return reading.value if isinstance(reading, Sample) else None
