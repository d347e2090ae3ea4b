"""Faults as events of a run: what happens to the pool and to the scraper, and when."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from aurora.simulator.faults import (
    ErrorFault,
    ErrorNoise,
    Fault,
    LatencyFault,
    LoadSpikes,
    LoadStep,
    LyingMetrics,
    MetricsGone,
    PodLoss,
    RepeatedPrompts,
)
from aurora.simulator.pool import Pool
from aurora.simulator.scraper import Scraper

__all__ = ["fault_events"]

Event: TypeAlias = tuple[float, Callable[[], None]]


def fault_events(
    faults: Sequence[Fault], pool: Pool, scraper: Scraper, rng: random.Random
) -> list[Event]:
    """List (time in s, effect) in order of time; what changes the load is in the trace already."""
    events = [event for fault in faults for event in _events(fault, pool, scraper, rng)]
    return sorted(events, key=lambda event: event[0])


def _events(fault: Fault, pool: Pool, scraper: Scraper, rng: random.Random) -> list[Event]:
    match fault:
        case PodLoss(start, _, count):
            return [(start, partial(pool.lose, count))]
        case ErrorNoise():
            return _noise(pool, fault, rng)
        case LoadStep() | LoadSpikes() | RepeatedPrompts():
            return []
        case _:
            begin, end = _effects(fault, pool, scraper)
            return [(fault.start, begin), (fault.end, end)]


def _effects(
    fault: LatencyFault | ErrorFault | MetricsGone | LyingMetrics, pool: Pool, scraper: Scraper
) -> tuple[Callable[[], None], Callable[[], None]]:
    """What the beginning of a fault does, and what its end does."""
    match fault:
        case LatencyFault():
            return partial(pool.slow_down, fault.factor), partial(pool.slow_down, 1.0)
        case ErrorFault():
            name, value, healthy = "error_ratio", fault.ratio, 0.0
            return partial(setattr, pool, name, value), partial(setattr, pool, name, healthy)
        case MetricsGone():
            name = "blackout"
            return partial(setattr, scraper, name, True), partial(setattr, scraper, name, False)
        case LyingMetrics():
            name, value = "latency_factor", fault.factor
            return partial(setattr, scraper, name, value), partial(setattr, scraper, name, 1.0)


def _noise(pool: Pool, fault: ErrorNoise, rng: random.Random) -> list[Event]:
    events: list[Event] = []
    at = fault.start
    while at < fault.end:
        share = min(1.0, rng.expovariate(1.0 / fault.ratio))
        events.append((at, partial(setattr, pool, "error_ratio", share)))
        at += fault.length_s
    return [*events, (fault.end, partial(setattr, pool, "error_ratio", 0.0))]
