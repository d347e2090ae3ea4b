"""What a decision is measured against: what would have happened without it, or its limit."""

import math
from collections.abc import Sequence
from typing import Final

from aurora.memory.contract import Contract
from aurora.observe.sample import Signal
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action
from aurora.state.counterfactual import (
    MIN_ERROR_SPREAD,
    Expected,
    ExpectedPoint,
    expected_unchanged,
    expected_without_action,
)
from aurora.state.history import LATENCIES, Moment
from aurora.state.interval import Interval
from aurora.state.memory import ModelMemory

__all__ = ["expected_of", "load_outside"]

ONE_READING_SPREAD: Final = 0.1
"""Spread of one reading of a percentile, of its logarithm, before any was compared."""
LOAD_PROBABILITY: Final = 0.98
"""A mean load outside of this range of the forecast makes the comparison meaningless."""
BEFORE: Final = 8
"""Cycles before the action whose level is taken to have gone on."""
HIT_S: Final = 0.001
"""What the cache takes to answer, about (docs/cache-sidecar.md)."""


def expected_of(
    contract: Contract,
    signal: Signal,
    window: Sequence[Moment],
    before: ModelMemory,
    window_s: float,
) -> Expected | None:
    """The signal at each moment of the window; None where too little is known to say."""
    if contract.keeps:
        return None if contract.limit is None else _constant(signal, contract.limit, window)
    if contract.without is not None:
        return _constant(signal, contract.without, window)
    if _switches_cache_on(contract, signal):
        return _expected_of_misses(window)
    if signal in LATENCIES and contract.replicas_before is not None:
        return expected_without_action(
            before,
            window,
            signal=signal,
            replicas=contract.replicas_before,
            window_s=window_s,
        )
    return expected_unchanged(before.history[-BEFORE:], window, signal=signal, window_s=window_s)


def _switches_cache_on(contract: Contract, signal: Signal) -> bool:
    on = contract.action is Action.CACHE and contract.direction is Direction.ON
    return on and signal is Signal.LATENCY_MEAN


def _expected_of_misses(window: Sequence[Moment]) -> Expected | None:
    """Every request would have taken what the misses beside the hits took.

    Misses and hits meet the same pods at the same time, whatever else goes on there, so the misses
    are the control group: their mean follows from the mean of all and the share of hits. Without
    the cache the engine would have had the work of the hits too, so this credits it with too little
    rather than too much.
    """
    place = LATENCIES.index(Signal.LATENCY_MEAN)
    points: list[ExpectedPoint] = []
    for moment in window:
        mean, hits = moment.latencies[place], moment.hits
        if mean is None or hits is None or hits >= 1.0 or mean <= hits * HIT_S:
            continue
        missed = (mean - hits * HIT_S) / (1.0 - hits)
        points.append(ExpectedPoint(moment.at, math.log(missed), 0.0, 0))
    if not points:
        return None
    typical = math.exp(math.fsum(p.level for p in points) / len(points))
    return Expected(
        Signal.LATENCY_MEAN,
        tuple(points),
        ONE_READING_SPREAD,
        0.0,
        logarithmic=True,
        interval=Interval(typical, typical, typical),
    )


def _constant(signal: Signal, value: float, window: Sequence[Moment]) -> Expected | None:
    """One value that is known: a promise to stay below a limit is compared with the limit."""
    logarithmic = signal in LATENCIES
    if logarithmic and value <= 0:
        return None
    level = math.log(value) if logarithmic else value
    spread = ONE_READING_SPREAD if logarithmic else MIN_ERROR_SPREAD
    points = tuple(ExpectedPoint(m.at, level, 0.0, 0) for m in window)
    exact = Interval(value, value, value)
    return Expected(signal, points, spread, 0.0, logarithmic=logarithmic, interval=exact)


def load_outside(window: Sequence[Moment], before: ModelMemory, contract: Contract) -> str:
    """In a sentence, how the load left its forecast; empty when it did not."""
    loads = [m.load for m in window if m.load is not None]
    if not loads or not window:
        return ""
    horizon = window[-1].at - contract.executed_at
    found = before.work.forecast(contract.executed_at, max(0.0, horizon), LOAD_PROBABILITY)
    mean = math.fsum(loads) / len(loads)
    if found is None or not found.errors or found.low <= mean <= found.high:
        return ""
    return (
        f"the load was {mean:.3g} on average, outside of the {found.low:.3g} to {found.high:.3g} "
        "that were forecast"
    )
