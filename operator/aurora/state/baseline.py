"""What is normal for a signal: of the same hour on earlier days, else of the last hours.

Normal is learned only from undisturbed cycles, so that a fault never becomes its own baseline.
"""

import math
from array import array
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aurora.state.daytime import DAY_S, hour_and_day
from aurora.state.packed import Hours, Packed
from aurora.state.turns import is_turn
from aurora.values import quick

__all__ = ["Baseline", "BaselineMemory", "HourLevel"]

RECENT: Final = 36
RECENT_EVERY_S: Final = 300.0  # 36 values every 5 min look back 3 h
YOUNG: Final = 12
YOUNG_EVERY_S: Final = 20.0  # the first values come faster, so that there is a baseline in minutes
MIN_RECENT: Final = 8
RECENT_FOR_S: Final = 6 * 3600.0
HOUR_EVERY_S: Final = 60.0
HOUR_TIME_S: Final = 1800.0
STEP: Final = 0.3  # of ln value: one outlier moves an hour's level by no more than a third
HOUR_FORGOTTEN_S: Final = 8 * DAY_S


class HourLevel(NamedTuple):
    """Ln value of one hour of the day, on how many days it was seen, and when last."""

    level: float
    days: int
    day: int
    at: float

    def seen_before(self, today: int, at: float) -> bool:
        """Whether an earlier day, not too long ago, is part of it."""
        return self.days - (self.day == today) >= 1 and at - self.at <= HOUR_FORGOTTEN_S


class Hourly(Hours[HourLevel]):
    """A level for each hour of the day (UTC) that was seen."""

    __slots__ = ()
    WIDTH = 5
    ROWS = dict[int, HourLevel]

    @staticmethod
    def _unpacked(numbers: "array[float]") -> HourLevel:
        level, days, day, at = numbers
        return HourLevel(level, int(days), int(day), at)


class Recent(Packed[tuple[float, float]]):
    """Times and values, oldest first."""

    __slots__ = ()
    WIDTH = 2
    ROWS = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Normal values of a signal, in its unit.

    Attributes:
        median: the middle of the normal values.
        p95: one normal value in twenty is higher; None for an hour of the day.
        same_hour: taken from the same hour on earlier days, not from the last hours.
    """

    median: float
    p95: float | None
    same_hour: bool

    def ratio(self, value: float) -> float:
        """How many times the normal value this is."""
        return value / self.median


@quick
@dataclass(frozen=True, slots=True)
class BaselineMemory:
    """Values taken at intervals, with their times, and a level for each hour of the day (UTC)."""

    recent: Recent = field(default_factory=Recent)
    hours: Hourly = field(default_factory=Hourly)
    at: float = 0.0

    def learned(self, value: float, at: float, *, phase: float = 0.0) -> "BaselineMemory":
        """Take in an undisturbed value (above 0), unless the last was taken just before.

        Args:
            value: in the signal's unit.
            at: seconds since the epoch.
            phase: of the model, see `aurora.state.turns`.
        """
        recent = self.recent
        if len(recent) < YOUNG:
            if abs(at - self.at) < YOUNG_EVERY_S:
                return self
        elif not is_turn(phase, last=self.at, at=at, every_s=HOUR_EVERY_S):
            return self
        if len(recent) < YOUNG or abs(at - recent.flat[-Recent.WIDTH]) >= RECENT_EVERY_S:
            recent = recent.appended((at, value), keep=RECENT)
        return BaselineMemory(recent, self._hours_with(math.log(value), at), at)

    def baseline(self, at: float) -> Baseline | None:
        """What is normal now; None while too little was seen."""
        hour, today = hour_and_day(at)
        level = self.hours.known(hour)
        if level is not None and level.seen_before(today, at):
            return Baseline(math.exp(level.level), None, same_hour=True)
        seen = zip(self.recent.column(0), self.recent.column(1), strict=True)
        values = sorted([v for t, v in seen if at - t <= RECENT_FOR_S])
        if len(values) < MIN_RECENT:
            return None
        p95 = values[min(len(values) - 1, math.ceil(0.95 * len(values)) - 1)]
        return Baseline(values[len(values) // 2], p95, same_hour=False)

    def _hours_with(self, level: float, at: float) -> Hourly:
        hour, today = hour_and_day(at)
        old = self.hours.known(hour)
        if old is None:
            return self.hours.with_hour(hour, HourLevel(level, 1, today, at))
        gain = 1.0 - math.exp(-max(0.0, min(at - old.at, 300.0)) / HOUR_TIME_S)
        step = min(max(level - old.level, -STEP), STEP) * gain
        days = old.days + (today != old.day)
        return self.hours.with_hour(hour, HourLevel(old.level + step, days, today, at))
