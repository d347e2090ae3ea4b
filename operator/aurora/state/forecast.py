"""Where the load will be when a replica that is asked for now is ready.

A level and a damped slope (Holt) give the middle. The range comes from the errors that the same
forecast made during the last hour, so that a load that comes in bursts is forecast with its
bursts and a calm one tightly. The hour of the day joins in once it was seen on an earlier day.
"""

import math
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from aurora.state.daytime import DAY_S, HOUR_S, hour_and_day
from aurora.state.interval import normal_quantile, tails
from aurora.state.packed import Hours, Numbers
from aurora.state.tracks import DAMPING_S, SlopeTrust, Track, Tracks
from aurora.state.turns import is_turn
from aurora.values import quick

__all__ = ["GONE_S", "Forecast", "HourLoad", "Series", "SlopeTrust", "Track"]

LEVEL_TIME_S: Final = 10.0  # readings are rates over a window: smooth already
SLOPE_TIME_S: Final = 180.0
TRACK_EVERY_S: Final = 15.0
TRACKS: Final = 24
TRACK_LATE_S: Final = 60.0
LEARN_EVERY_S: Final = 60.0
ERRORS: Final = 48
MIN_ERRORS: Final = 6
HORIZONS_S: Final = (30.0, 120.0, 300.0)
UNKNOWN_ERROR: Final = 0.25  # share of the level, while fewer errors than MIN_ERRORS are known
GONE_S: Final = 900.0
"""A load that is so much older than the last one is of a clock that was set back. For as long the
answers of a Prometheus whose clock was set back are Stale (`aurora.observe.punctual`)."""
SEASON_TIME_S: Final = 900.0  # horizon at which the hour of the day counts as much as the slope
HOUR_GAIN_S: Final = 1200.0
HOUR_FORGOTTEN_S: Final = 8 * DAY_S


class HourLoad(NamedTuple):
    """Mean load of one hour of the day, on how many days it was seen, and when last."""

    mean: float
    days: int
    at: float


class Hourly(Hours[HourLoad]):
    """The load of each hour of the day (UTC) that was seen."""

    __slots__ = ()
    WIDTH = 4
    ROWS = dict[int, HourLoad]

    @staticmethod
    def _unpacked(numbers: "array[float]") -> HourLoad:
        mean, days, at = numbers
        return HourLoad(mean, int(days), at)


UNTRIED: Final = SlopeTrust()
NO_ERRORS: Final = (Numbers(), Numbers(), Numbers())


@quick
@dataclass(frozen=True, slots=True)
class Forecast:
    """Load at a time ahead, in the unit of the series.

    Attributes:
        mean: the middle.
        low, high: the load is between them with the probability asked for.
        horizon_s: how far ahead, seconds.
        errors: past errors that the range rests on; 0 where it is assumed.
        seasonal: the hour of the day took part.
    """

    mean: float
    low: float
    high: float
    horizon_s: float
    errors: int
    seasonal: bool


@quick
@dataclass(frozen=True, slots=True)
class Series:
    """What is remembered of one load. `errors` has numbers for each of `HORIZONS_S`."""

    now: Track | None = None
    tracks: Tracks = field(default_factory=Tracks)
    errors: tuple[Numbers, ...] = NO_ERRORS
    errors_at: float = 0.0
    trust: SlopeTrust = UNTRIED
    hours: Hourly = field(default_factory=Hourly)

    def learned(self, value: float, at: float, *, phase: float = 0.0) -> "Series":
        """Take in the load measured at a time; a gap before it only makes it count for more.

        After a quarter of an hour, and where the clock was set back so far, it begins anew.

        Args:
            value: in the unit of the series.
            at: seconds since the epoch.
            phase: of the model, see `aurora.state.turns`.
        """
        old = self.now
        if old is None or abs(at - old.at) > GONE_S:
            fresh = Track(at, value, 0.0)
            hours = self._hours_with(value, at)
            return Series(fresh, Tracks(), self.errors, at, self.trust, hours)
        if at <= old.at:
            return self
        now = _advanced(old, value, at)
        tracks = self.tracks
        if not tracks or at - tracks.flat[-Tracks.WIDTH] >= TRACK_EVERY_S - 1.0:
            tracks = tracks.appended(now, keep=TRACKS)
        if not is_turn(phase, last=self.errors_at, at=at, every_s=LEARN_EVERY_S):
            return Series(now, tracks, self.errors, self.errors_at, self.trust, self.hours)
        errors, trust = self._errors_with(value, at), self._tried(value, at)
        return Series(now, tracks, errors, at, trust, self._hours_with(value, at))

    def forecast(self, at: float, horizon_s: float, probability: float = 0.8) -> Forecast | None:
        """Forecast the load at `at + horizon_s`.

        Args:
            at: now, seconds since the epoch.
            horizon_s: 0 or more; beyond 300 s the range widens with the square root.
            probability: that the load lies in the range, above 0 and below 1.

        Returns:
            None when the load was never measured, or not for a quarter of an hour.
        """
        now = self.now
        if now is None or at - now.at > GONE_S:
            return None
        ahead = horizon_s + max(0.0, at - now.at)
        season = self._season(now.at, at + horizon_s)
        mean = self._middle(now, ahead, season)
        low, high, count = self._range(ahead, probability, now.level)
        return Forecast(
            mean, max(0.0, mean + low), mean + high, horizon_s, count, season is not None
        )

    def highest(self, at: float, horizon_s: float) -> float | None:
        """A load that no range of `forecast` passes, at a third of its work.

        None where there is no forecast, or its range is assumed.
        """
        now = self.now
        if now is None or at - now.at > GONE_S:
            return None
        known = zip(HORIZONS_S, self.errors, strict=True)
        usable = [(h, max(e.flat)) for h, e in known if len(e.flat) >= MIN_ERRORS]
        if not usable:
            return None
        ahead = horizon_s + max(0.0, at - now.at)
        wider = max(1.0, math.sqrt(ahead / usable[-1][0]))
        worst = wider * max([0.0, *[error for _, error in usable]])
        season = self._season(now.at, at + horizon_s)
        return (self._middle(now, ahead, season) + worst) * (1.0 + 1e-9)  # whatever is rounded

    def _middle(self, now: Track, ahead: float, season: float | None) -> float:
        mean = now.ahead(ahead, self.trust.share)
        if season is None:
            return mean
        share = ahead / (ahead + SEASON_TIME_S)
        return mean + share * (max(0.0, now.level + season) - mean)

    def _errors_with(self, value: float, at: float) -> tuple[Numbers, ...]:
        found = []
        trust = self.trust.share
        for horizon, known in zip(HORIZONS_S, self.errors, strict=True):
            past = _track_at(self.tracks, at - horizon)
            if past is None:
                found.append(known)
                continue
            error = value - past.ahead(at - past.at, trust)
            found.append(known.appended(error, keep=ERRORS))
        return tuple(found)

    def _tried(self, value: float, at: float) -> SlopeTrust:
        past = _track_at(self.tracks, at - HORIZONS_S[1])
        if past is None:
            return self.trust
        return self.trust.learned(value - past.level, past.rise(at - past.at))

    def _range(self, ahead: float, probability: float, level: float) -> tuple[float, float, int]:
        """Lower and upper error to expect at a horizon, and how many past ones say so."""
        known = zip(HORIZONS_S, self.errors, strict=True)
        usable = [(h, e) for h, e in known if len(e.flat) >= MIN_ERRORS]
        if not usable:
            half = normal_quantile(probability) * UNKNOWN_ERROR * level
            return -half, half, 0
        count = min([len(e.flat) for _, e in usable])
        tail = (1.0 - probability) / 2.0
        (first, nearest), (last, furthest) = usable[0], usable[-1]
        if ahead <= first:
            low, high = tails(nearest.flat, tail)
            return min(0.0, low), max(0.0, high), count
        if ahead >= last:
            wider, (low, high) = math.sqrt(ahead / last), tails(furthest.flat, tail)
            return min(0.0, wider * low), max(0.0, wider * high), count
        for (h, errors), (later, later_errors) in pairwise(usable):
            if ahead <= later:
                share = (ahead - h) / (later - h)
                (low, high), (lower, higher) = (
                    tails(errors.flat, tail),
                    tails(later_errors.flat, tail),
                )
                return (
                    min(0.0, low + share * (lower - low)),
                    max(0.0, high + share * (higher - high)),
                    count,
                )
        raise AssertionError("horizons are ordered")

    def _hours_with(self, value: float, at: float) -> Hourly:
        hour, today = hour_and_day(at)
        old = self.hours.known(hour)
        if old is None:
            return self.hours.with_hour(hour, HourLoad(value, 1, at))
        gain = 1.0 - math.exp(-max(0.0, min(at - old.at, 300.0)) / HOUR_GAIN_S)
        days = old.days + (today != hour_and_day(old.at)[1])
        mean = old.mean + gain * (value - old.mean)
        return self.hours.with_hour(hour, HourLoad(mean, days, at))

    def _season(self, begin: float, end: float) -> float | None:
        """Change of the daily load between two times; None before both hours are known."""
        before = self._daily(begin)
        after = None if before is None else self._daily(end)
        return None if before is None or after is None else after - before

    def _daily(self, at: float) -> float | None:
        """Load of the time of day, linear between the middles of the hours."""
        middle = at - HOUR_S / 2.0
        share = (middle % HOUR_S) / HOUR_S
        this = self._hour_mean(hour_and_day(middle)[0], at)
        if this is None:
            return None
        following = self._hour_mean(hour_and_day(middle + HOUR_S)[0], at)
        if following is None:
            return None
        return this + share * (following - this)

    def _hour_mean(self, hour: int, at: float) -> float | None:
        known = self.hours.known(hour)
        if known is None or at - known.at > HOUR_FORGOTTEN_S:
            return None
        seen_today = hour_and_day(known.at)[1] == hour_and_day(at)[1]
        return known.mean if known.days - seen_today >= 1 else None


def _advanced(old: Track, value: float, at: float) -> Track:
    passed = at - old.at
    expected = max(0.0, old.level + old.rise(passed))
    level = expected + (1.0 - math.exp(-passed / LEVEL_TIME_S)) * (value - expected)
    kept = old.slope * math.exp(-passed / DAMPING_S)
    gain = 1.0 - math.exp(-passed / SLOPE_TIME_S)
    slope = kept + gain * ((level - old.level) / passed - kept)
    return Track(at, level, slope)


def _track_at(tracks: Tracks, at: float) -> Track | None:
    """The newest track not after a time; None when the nearest is far older."""
    place = bisect_right(tracks.column(0), at + 1.0) - 1
    if place < 0:
        return None
    track = tracks[place]
    return track if at - track.at <= TRACK_LATE_S else None
