"""Faults that a run may inject; times are seconds from the start of the run."""

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "ErrorFault",
    "Fault",
    "LatencyFault",
    "LoadStep",
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


Fault: TypeAlias = LatencyFault | ErrorFault | PodLoss | MetricsGone | LoadStep | RepeatedPrompts
