"""The last ten minutes of one model, cycle by cycle."""

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from aurora.observe.sample import Signal
from aurora.state.packed import Packed

__all__ = ["LATENCIES", "History", "Moment", "load_is_falling", "replicas_settled", "values_of"]

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


_WIDTH: Final = 6 + len(LATENCIES)
_AT, _LOAD, _READY, _LATENCIES, _ERRORS = 0, 1, 2, 4, 4 + len(LATENCIES)


class History(Packed[Moment]):
    """Moments, oldest first; None is kept as NaN."""

    __slots__ = ()
    GAPS = True
    WIDTH = _WIDTH
    ROWS = tuple[Moment, ...]

    @staticmethod
    def _packed(row: Moment) -> tuple[float, ...]:
        at, load, ready, in_flight, latencies, errors, hits = row
        found = (at, load, ready, in_flight, *latencies, errors, hits)
        return tuple([math.nan if value is None else value for value in found])

    @staticmethod
    def _unpacked(numbers: "array[float]") -> Moment:
        found = [None if value != value else value for value in numbers]  # noqa: PLR0124 - NaN
        latencies = tuple(found[_LATENCIES:_ERRORS])
        at, ready = numbers[_AT], int(numbers[_READY])
        return Moment(
            at, found[_LOAD], ready, found[3], latencies, found[_ERRORS], found[_ERRORS + 1]
        )


def appended(history: Sequence[Moment], moment: Moment) -> History:
    """Add the newest moment; forget the oldest beyond the bound, and those after the newest."""
    known = History.of(history)
    if known and known.flat[-_WIDTH] > moment.at:  # a clock was set back
        known = History([one for one in known if one.at < moment.at])
    return known.appended(moment, keep=HISTORY)


def since(history: Sequence[Moment], at: float) -> Iterator[Moment]:
    """The moments at or after a time, newest first."""
    for moment in reversed(history):
        if moment.at < at:
            return
        yield moment


def replicas_settled(history: Sequence[Moment], ready: int, after: float) -> bool:
    """Whether the ready replicas were the same in the whole window of a reading."""
    numbers = History.of(history)
    times, counts = numbers.column(_AT), numbers.column(_READY)
    for at, count in zip(reversed(times), reversed(counts), strict=True):
        if at < after:
            return True
        if count != ready:
            return False
    return True


def load_is_falling(history: Sequence[Moment], load_per_replica: float, after: float) -> bool:
    """Whether a queue left by a higher load may explain a latency better than the load does."""
    numbers = History.of(history)
    columns = (numbers.column(place) for place in (_AT, _LOAD, _READY))
    for at, load, ready in zip(*map(reversed, columns), strict=True):
        if at < after:
            return False
        # A load that was not measured is NaN, which is not higher than anything.
        if ready >= 1 and load_per_replica < FALLING_SHARE * (load / ready):
            return True
    return False


def values_of(history: Sequence[Moment], signal: Signal) -> list[tuple[float, float]]:
    """Times and values of one latency or of the load (REQUEST_RATE stands for it), oldest first."""
    others = {Signal.REQUEST_RATE: _LOAD, Signal.SERVER_ERROR_RATIO: _ERRORS}
    place = others[signal] if signal in others else _LATENCIES + LATENCIES.index(signal)
    numbers = History.of(history)
    found = zip(numbers.column(_AT), numbers.column(place), strict=True)
    return [(at, value) for at, value in found if not math.isnan(value)]
