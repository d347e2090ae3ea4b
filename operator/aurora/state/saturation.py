"""How close a model is to the end of what it can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aurora.observe.sample import Reading, Sample, Signal, value_of
from aurora.resources.serving import Objectives
from aurora.values import quick

__all__ = ["Saturation", "latency_objectives", "saturation_of", "waiting_since"]

RESOURCES: Final = (Signal.CPU_RATIO, Signal.MEMORY_RATIO, Signal.GPU_RATIO)


@quick
@dataclass(frozen=True, slots=True)
class Saturation:
    """Signs of saturation; None where there is no number to say it with.

    Attributes:
        waiting_for_s: how long requests have been waiting without a break, 0 when none waits.
        kv_cache_ratio: share of the KV cache in use.
        resource: the most used of CPU, memory and GPU, and `resource_ratio` its use.
        slo_ratio: the highest latency over its objective (llm-d's saturation signal), of
            `slo_signal`; above 1 an objective is missed.
    """

    waiting_for_s: float | None = None
    kv_cache_ratio: float | None = None
    resource: Signal | None = None
    resource_ratio: float | None = None
    slo_signal: Signal | None = None
    slo_ratio: float | None = None


def latency_objectives(objectives: Objectives) -> dict[Signal, float]:
    """The latency objectives that are set, in seconds."""
    bounds = (
        (Signal.LATENCY_P95, objectives.latency_p95),
        (Signal.TTFT_P95, objectives.ttft_p95),
        (Signal.TPOT_P95, objectives.tpot_p95),
    )
    return {signal: bound.total_seconds() for signal, bound in bounds if bound is not None}


def waiting_since(before: float | None, waiting: Reading | None, at: float) -> float | None:
    """When the queue last became non-empty; kept while there is no reading to say otherwise."""
    if before is not None and before > at:
        before = at  # of a clock that was set back
    if not isinstance(waiting, Sample):
        return before
    if waiting.value <= 0.0 and not waiting.partial:
        return None
    return before if before is not None or waiting.value <= 0.0 else at


def saturation_of(
    readings: Mapping[Signal, Reading],
    objectives: Mapping[Signal, float],
    *,
    queued_since: float | None,
    at: float,
) -> Saturation:
    """Read the signs of saturation off one cycle's readings."""
    used = _highest([(value_of(readings.get(s)), 1.0, s) for s in RESOURCES])
    missed = _highest([(value_of(readings.get(s)), bound, s) for s, bound in objectives.items()])
    waiting = None
    if isinstance(readings.get(Signal.WAITING), Sample):
        waiting = 0.0 if queued_since is None else max(0.0, at - queued_since)
    return Saturation(
        waiting_for_s=waiting,
        kv_cache_ratio=value_of(readings.get(Signal.KV_CACHE_RATIO)),
        resource=used[1] if used else None,
        resource_ratio=used[0] if used else None,
        slo_signal=missed[1] if missed else None,
        slo_ratio=missed[0] if missed else None,
    )


def _highest(found: list[tuple[float | None, float, Signal]]) -> tuple[float, Signal] | None:
    """The value that is the most times its bound, with its signal."""
    highest = None
    for value, bound, signal in found:
        if value is not None and (highest is None or (value / bound, signal) > highest):
            highest = (value / bound, signal)
    return highest
