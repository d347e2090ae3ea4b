"""What would have happened without an action, and whether what did happen differs from it.

For latencies the capacity model is asked for the load that came, on the replicas that there were
before. For everything else the level before the action is taken to have gone on. Both are
compared with the measurement by the mean difference of the cycles, with an interval that knows
that neighbouring cycles share most of their window.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, NamedTuple

from aurora.errors import UsageError
from aurora.observe.sample import Signal
from aurora.resources.vocabulary import OutcomeVerdict
from aurora.state.curve import place_of
from aurora.state.history import LATENCIES, Moment
from aurora.state.interval import Interval, student_quantile
from aurora.state.memory import ModelMemory
from aurora.state.trend import neighbour_correlation

__all__ = [
    "Effect",
    "Expected",
    "ExpectedPoint",
    "expected_unchanged",
    "expected_without_action",
    "judge",
]

PROBABILITY: Final = 0.9
"""Of the interval that must not contain zero for a verdict."""
MIN_READINGS: Final = 3
SPREAD_READINGS: Final = 4.0
"""Independent readings that the spread learned before counts for against the one measured."""
CORRECTION_READINGS: Final = 4.0
"""Independent readings before the action that halve the trust in the curve's own level.

An action follows a bad stretch, and a bad stretch is partly bad luck, which would have passed
without it: so what the curve missed before the action is only partly expected to go on."""
MIN_LOAD: Final = 1e-9
MIN_ERROR_SPREAD: Final = 0.005
"""Least spread of one reading of an error ratio: below it only the sample size speaks."""


class ExpectedPoint(NamedTuple):
    """What was expected of one moment: ln of a latency in seconds, or the ratio itself.

    `error` is what the curve may be wrong by in this range of load, which `place` names: points
    in one range are wrong together, those in different ranges apart.
    """

    at: float
    level: float
    error: float
    place: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What a signal would have been at each moment without the action.

    Attributes:
        spread: standard deviation of one reading around its point, on the points' scale.
        error: what all points may be wrong by together, on the same scale.
        logarithmic: the points are logarithms.
        interval: the mean over the moments, in the signal's unit.
    """

    signal: Signal
    points: tuple[ExpectedPoint, ...]
    spread: float
    error: float
    logarithmic: bool
    interval: Interval


@dataclass(frozen=True, slots=True)
class Effect:
    """Measured minus expected, for a signal where lower is better.

    Attributes:
        verdict: Improved, Regressed, or Neutral when the interval contains zero.
        difference: in the signal's unit.
        relative: as a share of what was expected; None for ratios.
        readings: moments that had a number, and `effective` how many independent ones they are
            worth.
    """

    verdict: OutcomeVerdict
    difference: Interval
    relative: Interval | None
    readings: int
    effective: float


def expected_without_action(
    before: ModelMemory,
    moments: Sequence[Moment],
    *,
    signal: Signal,
    replicas: int,
    window_s: float,
) -> Expected | None:
    """Predict a latency for the load seen since, had the replicas stayed as they were.

    Args:
        before: the memory as it was when the action was decided.
        moments: the cycles since, in order of time; those without a load are passed over.
        signal: one of the latencies.
        replicas: ready replicas before the action, at least 1.
        window_s: window of the readings, seconds.

    Returns:
        None without a curve or a load. Beyond the load seen the line is followed, up to four
        times the highest latency known; whoever needs more asks `CapacityModel.trusted`.
    """
    shift, shift_error = _missed_before(before, signal, window_s)
    points: list[ExpectedPoint] = []
    spreads: list[float] = []
    for moment in moments:
        load = None if moment.load is None else moment.load / max(1, replicas)
        found = None if load is None else before.capacity.estimate(signal, load)
        if found is None or load is None:
            continue
        place = place_of(max(load, MIN_LOAD))
        points.append(ExpectedPoint(moment.at, found.level + shift, found.error, place))
        spreads.append(found.spread)
    if not points:
        return None
    return _expected(signal, points, spread=fmean(spreads), error=shift_error)


def expected_unchanged(
    before: Sequence[Moment],
    moments: Sequence[Moment],
    *,
    signal: Signal,
    window_s: float,
) -> Expected | None:
    """Expect a latency or error ratio to go on as in the cycles before the action.

    Returns:
        None when there are fewer than three readings from before, or no moment since.
    """
    past = _series(before, signal)
    if len(past) < MIN_READINGS or not moments:
        return None
    level, spread, effective = _mean(past, window_s)
    spread = max(spread, 0.0 if _is_latency(signal) else MIN_ERROR_SPREAD)
    return _expected(
        signal,
        [ExpectedPoint(m.at, level, 0.0, 0) for m in moments],
        spread=spread,
        error=spread / math.sqrt(effective),
    )


def judge(
    moments: Sequence[Moment],
    expected: Expected,
    *,
    window_s: float,
    probability: float = PROBABILITY,
) -> Effect | None:
    """Compare what was measured with what was expected, cycle by cycle.

    Args:
        moments: the cycles of the verification window.
        expected: for the same cycles; cycles without a counterpart are passed over.
        window_s: window of the readings, seconds.
        probability: of the interval that must not contain zero for a verdict.

    Returns:
        None with fewer than three readings: that is NoData, and not for this function to name.
    """
    forecast = {p.at: p for p in expected.points}
    pairs = [
        (value, forecast[at]) for at, value in _series(moments, expected.signal) if at in forecast
    ]
    if len(pairs) < MIN_READINGS:
        return None
    points = [point for _, point in pairs]
    mean, spread, effective = _mean([(p.at, value - p.level) for value, p in pairs], window_s)
    degrees = effective - 1.0 + SPREAD_READINGS
    variance = ((effective - 1.0) * spread**2 + SPREAD_READINGS * expected.spread**2) / degrees
    error = math.hypot(expected.error, _shared_error(points))
    half = student_quantile(probability, degrees) * math.sqrt(variance / effective + error**2)
    interval = Interval(mean, mean - half, mean + half)
    base = fmean(p.level for p in points)
    return _effect(expected, interval, base, readings=len(pairs), effective=effective)


def _effect(
    expected: Expected, interval: Interval, base: float, *, readings: int, effective: float
) -> Effect:
    verdict = OutcomeVerdict.NEUTRAL
    if interval.high < 0.0:
        verdict = OutcomeVerdict.IMPROVED
    elif interval.low > 0.0:
        verdict = OutcomeVerdict.REGRESSED
    if not expected.logarithmic:
        return Effect(verdict, interval, None, readings, effective)
    relative = Interval(*(math.expm1(min(x, 50.0)) for x in interval))
    typical = math.exp(min(base, 50.0))
    difference = Interval(*(typical * x for x in relative))
    return Effect(verdict, difference, relative, readings, effective)


def _expected(
    signal: Signal,
    points: list[ExpectedPoint],
    *,
    spread: float,
    error: float,
) -> Expected:
    logarithmic = _is_latency(signal)
    mean = fmean(p.level for p in points)
    half = student_quantile(PROBABILITY, SPREAD_READINGS) * math.hypot(error, _shared_error(points))
    low, high = mean - half, mean + half
    interval = Interval(mean, max(0.0, low), high)
    if logarithmic:
        interval = Interval(*(math.exp(min(x, 50.0)) for x in (mean, low, high)))
    return Expected(signal, tuple(points), spread, error, logarithmic, interval)


def _shared_error(points: Sequence[ExpectedPoint]) -> float:
    """Error of the mean of the points: ranges of load count by how many points they hold."""
    places: dict[int, float] = {}
    for point in points:
        places[point.place] = places.get(point.place, 0.0) + point.error
    return math.sqrt(math.fsum(e * e for e in places.values())) / len(points)


def _missed_before(before: ModelMemory, signal: Signal, window_s: float) -> tuple[float, float]:
    """How far the curve was off before the action, halved by doubt, and the error of that."""
    place = LATENCIES.index(signal)
    missed: list[tuple[float, float]] = []
    for moment in before.history:
        load, value = moment.load_per_replica, moment.latencies[place]
        if load is None or value is None or value <= 0.0:
            continue
        found = before.capacity.estimate(signal, load)
        if found is not None:
            missed.append((moment.at, math.log(value) - found.level))
    if len(missed) < MIN_READINGS:
        return 0.0, 0.0
    mean, spread, effective = _mean(missed, window_s)
    trust = effective / (effective + CORRECTION_READINGS)
    return trust * mean, trust * spread / math.sqrt(effective)


def _series(moments: Sequence[Moment], signal: Signal) -> list[tuple[float, float]]:
    """Times and values, latencies in logarithms; moments without a number are left out."""
    if not _is_latency(signal):
        return [(m.at, m.errors) for m in moments if m.errors is not None]
    place = LATENCIES.index(signal)
    found = ((m.at, m.latencies[place]) for m in moments)
    return [(at, math.log(v)) for at, v in found if v is not None and v > 0.0]


def _mean(points: Sequence[tuple[float, float]], window_s: float) -> tuple[float, float, float]:
    """Mean, standard deviation, and how many independent readings the points are worth.

    Bounded by the number of whole windows that they span and by n (1 - r) / (1 + r), with r the
    correlation of neighbours.
    """
    values = [v for _, v in points]
    n = len(values)
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / max(1, n - 1))
    r = neighbour_correlation(values)
    windows = (points[-1][0] - points[0][0]) / max(window_s, 1.0) + 1.0
    return mean, spread, max(1.0, min(n, windows, n * (1.0 - r) / (1.0 + r)))


def _is_latency(signal: Signal) -> bool:
    """Whether a signal is compared in logarithms.

    Raises:
        UsageError: for a signal of which moments keep no values.
    """
    if signal in LATENCIES:
        return True
    if signal is Signal.SERVER_ERROR_RATIO:
        return False
    raise UsageError(f"an effect is judged on a latency or {Signal.SERVER_ERROR_RATIO}: {signal}")
