"""Faults that a run may inject; times are seconds from the start of the run."""

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "ErrorFault",
    "ErrorNoise",
    "Fault",
    "LatencyFault",
    "LoadSpikes",
    "LoadStep",
    "LyingMetrics",
    "MetricsGone",
    "PodLoss",
    "RepeatedPrompts",
]


@dataclass(frozen=True, slots=True)
class LatencyFault:
    """Every step takes `factor` times as long between `start` and `end`."""

    start: float
    end: float
    factor: float


@dataclass(frozen=True, slots=True)
class ErrorFault:
    """A share of the requests to replicas fails at once between `start` and `end`."""

    start: float
    end: float
    ratio: float


@dataclass(frozen=True, slots=True)
class PodLoss:
    """`count` ready replicas die at `start`; replacements start cold. `end` closes scoring."""

    start: float
    end: float
    count: int


@dataclass(frozen=True, slots=True)
class MetricsGone:
    """No scrape succeeds between `start` and `end`."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class LoadStep:
    """The load is `factor` times as high between `start` and `end`."""

    start: float
    end: float
    factor: float


@dataclass(frozen=True, slots=True)
class RepeatedPrompts:
    """A share of the requests repeats one of `distinct` prompts between `start` and `end`."""

    start: float
    end: float
    share: float
    distinct: int = 50


@dataclass(frozen=True, slots=True)
class LoadSpikes:
    """Load `factor` times as high for `length_s` each, at times that nothing tells beforehand.

    The times are a Poisson process with a mean gap of `gap_s`, drawn anew for each seed.
    """

    start: float
    end: float
    factor: float
    length_s: float = 120.0
    gap_s: float = 600.0


@dataclass(frozen=True, slots=True)
class LyingMetrics:
    """Every latency that controllers read is `factor` times the true one."""

    start: float
    end: float
    factor: float


@dataclass(frozen=True, slots=True)
class ErrorNoise:
    """A share of the requests fails that is drawn anew every `length_s`, exponentially distributed.

    Its mean is `ratio`, so that single draws are several times as high, and all pass by
    themselves. It is no fault: whatever is done about it is a false action.
    """

    start: float
    end: float
    ratio: float
    length_s: float = 30.0


Fault: TypeAlias = (
    LatencyFault
    | ErrorFault
    | PodLoss
    | MetricsGone
    | LoadStep
    | LoadSpikes
    | LyingMetrics
    | ErrorNoise
    | RepeatedPrompts
)
