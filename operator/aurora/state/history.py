"""The last ten minutes of one model, cycle by cycle."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from aurora.observe.sample import Signal

__all__ = ["LATENCIES", "Moment", "load_is_falling", "replicas_settled", "values_of"]

LATENCIES: Final = (
    Signal.LATENCY_P95,
    Signal.LATENCY_MEAN,
    Signal.TTFT_P95,
    Signal.TPOT_P95,
    Signal.TPOT_MEAN,
)
"""The signals with a capacity curve and a baseline, in the order in which moments hold them."""

HISTORY: Final = 40
FALLING_SHARE: Final = 0.75
DRAIN_S: Final = 60.0
"""How long after a burst the queue that it left may still be draining."""


class Moment(NamedTuple):
    """What one cycle saw; None where there was no number.

    Attributes:
        at: end of the window that the load was read over, seconds since the epoch.
        load: of the whole workload, in the capacity model's unit.
        ready: ready replicas.
        latencies: in the order of `LATENCIES`, seconds.
        errors: share of requests that the server failed.
        hits: share of requests that the cache answered.
    """

    at: float
    load: float | None
    ready: int
    in_flight: float | None
    latencies: tuple[float | None, ...]
    errors: float | None
    hits: float | None = None

    @property
    def load_per_replica(self) -> float | None:
        if self.load is None or self.ready < 1:
            return None
        return self.load / self.ready


def appended(history: tuple[Moment, ...], moment: Moment) -> tuple[Moment, ...]:
    """Add the newest moment and forget the oldest beyond the bound."""
    return (*history[1 - HISTORY :], moment)


def since(history: tuple[Moment, ...], at: float) -> Iterator[Moment]:
    """The moments at or after a time, newest first."""
    for moment in reversed(history):
        if moment.at < at:
            return
        yield moment


def replicas_settled(history: tuple[Moment, ...], ready: int, after: float) -> bool:
    """Whether the ready replicas were the same in the whole window of a reading."""
    return all(m.ready == ready for m in since(history, after))


def load_is_falling(history: tuple[Moment, ...], load_per_replica: float, after: float) -> bool:
    """Whether a queue left by a higher load may explain a latency better than the load does."""
    for moment in since(history, after):
        earlier = moment.load_per_replica
        if earlier is not None and load_per_replica < FALLING_SHARE * earlier:
            return True
    return False


def values_of(history: tuple[Moment, ...], signal: Signal) -> list[tuple[float, float]]:
    """Times and values of one latency or of the load (REQUEST_RATE stands for it), oldest first."""
    if signal is Signal.REQUEST_RATE:
        return [(m.at, m.load) for m in history if m.load is not None]
    if signal is Signal.SERVER_ERROR_RATIO:
        return [(m.at, m.errors) for m in history if m.errors is not None]
    place = LATENCIES.index(signal)
    found = ((m.at, m.latencies[place]) for m in history)
    return [(at, value) for at, value in found if value is not None]
