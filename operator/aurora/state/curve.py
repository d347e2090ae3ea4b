"""How one latency rises with the load on a replica, learned from readings.

Two layers. The shape comes from the queue: with batching a step takes a time linear in what is in
flight, and what is in flight is load x latency (Little), so 1/latency falls linearly with the
load. Bursts inside a window bend that line, so the readings themselves, kept as one average per
range of load, correct it wherever there are enough; isotonic regression keeps the whole monotone.
docs/capacity-model.md has the derivation and the measured accuracy.
"""

import math
from array import array
from typing import Final, NamedTuple

from aurora.state.points import Bin, Bins, Knots

__all__ = ["Curve", "Estimate", "fit", "learn", "levels", "place_of", "total_weight", "weighs"]

BIN_RATIO: Final = 1.25
MAX_BINS: Final = 24  # 24 ranges of 25 % span a factor of 200 in load
BIN_CAPACITY: Final = 40.0  # windows: more than this and the oldest fade as new ones come
HALF_LIFE_S: Final = 86_400.0  # of a range of load that is not visited
SHRINKAGE: Final = 1.0  # windows that the fitted line counts for against a bin's own average
SPREAD_PRIOR: Final = 3.0  # windows that the pooled spread counts for against a bin's own
UNKNOWN_SPREAD: Final = 0.3  # of ln latency; counts for two windows while there are few readings
MIN_SPREAD: Final = 0.05  # histogram buckets alone make readings wrong by a few percent
FLOOR_SHARE: Final = 0.02  # the line never predicts more than 50 x the latency at no load
MAX_EXTRAPOLATION: Final = math.log(4.0)
MAX_DISTANCE: Final = 1.0  # in ln load: further out the rise is bounded, and so is its error
OUTLIER_SPREADS: Final = 4.0
REFIT_EVERY: Final = 8  # at most; readings since the last fit
_LOG_RATIO: Final = math.log(BIN_RATIO)
_FADING: Final = math.log(2.0) / HALF_LIFE_S


_PLACE, _WEIGHT, _LOAD, _LEVEL, _SPREAD, _AT = range(Bins.WIDTH)
_ROW, _POINT = Bins.WIDTH, Knots.WIDTH


class Curve(NamedTuple):
    """What is known of one latency.

    Attributes:
        intercept, slope: 1/latency = intercept - slope x load; intercept 0 until fitted.
        significance: slope over its standard error.
        prior: the knots of an older pod template, which only guide until there are readings.
    """

    bins: Bins = Bins()
    knots: Knots = Knots()
    intercept: float = 0.0
    slope: float = 0.0
    significance: float = 0.0
    pending: int = 0
    prior: Knots = Knots()


class Estimate(NamedTuple):
    """Ln of a latency in seconds; spread of one reading around it; error of the curve itself."""

    level: float
    spread: float
    error: float


def place_of(load: float) -> int:
    """Number of the range of load that a load (above 0) belongs to."""
    return math.floor(math.log(load) / _LOG_RATIO)


def total_weight(curve: Curve, at: float) -> float:
    """Independent windows that the curve rests on, older ones faded."""
    return sum(_weights(curve.bins.flat, at))


def weighs(curve: Curve, at: float, least: float) -> bool:
    """Whether `total_weight` is so much at least; most curves tell by their first ranges."""
    flat, total = curve.bins.flat, 0.0
    for place in range(0, len(flat), _ROW):
        seen, weight = flat[place + _AT], flat[place + _WEIGHT]
        total += weight * math.exp(-_FADING * (at - seen)) if at > seen else weight
        if total >= least:
            return True
    return False


def learn(curve: Curve, *, load: float, latency: float, weight: float, at: float) -> Curve:
    """Take one reading in; refit when due.

    Args:
        curve: what was known.
        load: per ready replica, above 0.
        latency: seconds, above 0.
        weight: independent windows that the reading is worth, 0 to 1.
        at: seconds since the epoch.
    """
    level = _clipped(curve, load, math.log(latency))
    place = place_of(load)
    bins = _updated(curve.bins, Bin(place, weight, load, level, 0.0, at))
    young = len(curve.bins) != len(bins) or sum(bins.column(_WEIGHT)) < 5.0
    pending = curve.pending + 1
    old = curve
    curve = Curve(bins, old.knots, old.intercept, old.slope, old.significance, pending, old.prior)
    return fit(curve, at) if young or pending >= REFIT_EVERY else curve


def fit(curve: Curve, at: float) -> Curve:
    """Fit the line, then the monotone curve through bins and line."""
    flat = curve.bins.flat
    weights, loads, means = _weights(flat, at), flat[_LOAD::_ROW], flat[_LEVEL::_ROW]
    intercept, slope, spread_of_slope = _line(loads, means, weights)
    pooled = _pooled_spread(flat[_SPREAD::_ROW], weights)
    if curve.prior:
        expected = [levels(Curve(prior=curve.prior), load)[0] for load in loads]
    else:
        expected = [_line_level(intercept, slope, load) for load in loads]
    monotone = _isotonic(_guided(means, weights, expected))
    knots = _knots(curve.bins, weights, monotone, pooled)
    noise = math.sqrt(max(pooled, MIN_SPREAD**2))
    significance = slope / (spread_of_slope * noise) if spread_of_slope > 0.0 else 0.0
    # A head start out of the data keeps the curves of a fleet from being fitted in one cycle.
    pending = int(1e6 * intercept * loads[-1]) % (REFIT_EVERY // 2)
    return Curve(curve.bins, knots, intercept, slope, significance, pending, curve.prior)


def levels(curve: Curve, load: float) -> tuple[float, float, float]:
    """Ln latency at a load, spread of one reading, and error of the curve, both in ln.

    The curve must have knots or a prior.
    """
    flat = curve.knots.flat or curve.prior.flat
    if load <= flat[0]:
        return _beyond(curve, flat[:_POINT], load)
    if load >= flat[-_POINT]:
        return _beyond(curve, flat[-_POINT:], load)
    for place in range(_POINT, len(flat), _POINT):
        if load <= flat[place]:
            below, level_a, spread_a, error_a = flat[place - _POINT : place]
            above, level_b, spread_b, error_b = flat[place : place + _POINT]
            share = (load - below) / (above - below)
            return (
                level_a + share * (level_b - level_a),
                spread_a + share * (spread_b - spread_a),
                error_a + share * (error_b - error_a),
            )
    raise AssertionError("knots are ordered by load")


def _weights(flat: "array[float]", at: float) -> list[float]:
    """Weight of each bin, faded since it was last visited."""
    exp = math.exp
    return [
        weight * exp(-_FADING * (at - seen)) if at > seen else weight
        for weight, seen in zip(flat[_WEIGHT::_ROW], flat[_AT::_ROW], strict=True)
    ]


def _clipped(curve: Curve, load: float, level: float) -> float:
    """Pull a wild reading in: one stalled request must not bend the curve."""
    flat = curve.knots.flat
    if len(flat) < 2 * _POINT or not flat[0] <= load <= flat[-_POINT]:
        return level
    expected, spread, error = levels(curve, load)
    reach = OUTLIER_SPREADS * math.hypot(max(spread, 0.1), error)
    return min(max(level, expected - reach), expected + reach)


def _updated(bins: Bins, reading: Bin) -> Bins:
    numbers = bins.flat[:]
    for position, place in enumerate(bins.column(_PLACE)):
        begin = position * _ROW
        if place == reading.place:
            numbers[begin : begin + _ROW] = _merged(numbers[begin : begin + _ROW], reading)
            return Bins(numbers=numbers)
        if place > reading.place:
            numbers[begin:begin] = array("d", reading)
            return _bounded(numbers)
    numbers.extend(reading)
    return _bounded(numbers)


def _merged(old: "array[float]", reading: Bin) -> "array[float]":
    place, held, load, level, spread, seen = old
    faded = held * math.exp(-_FADING * max(0.0, reading.at - seen))
    weight = min(faded, BIN_CAPACITY) + reading.weight
    share = reading.weight / weight
    difference = reading.level - level
    merged = (
        place,
        weight,
        load + share * (reading.load - load),
        level + share * difference,
        (1.0 - share) * (spread + share * difference * difference),
        reading.at,
    )
    return array("d", merged)


def _bounded(numbers: "array[float]") -> Bins:
    if len(numbers) > MAX_BINS * _ROW:
        weights = numbers[_WEIGHT::_ROW]
        lightest = weights.index(min(weights)) * _ROW
        del numbers[lightest : lightest + _ROW]
    return Bins(numbers=numbers)


def _line(
    loads: "array[float]", means: "array[float]", weights: list[float]
) -> tuple[float, float, float]:
    """Weighted least squares of 1/y on load with relative errors; slope error for unit noise.

    The weights y^2 make an error of 10 % count the same at every latency; they come from the fit
    itself after the first pass, else the readings that are high by chance would weigh most.
    """
    fitted = [math.exp(level) for level in means]
    inverses = [math.exp(-level) for level in means]
    intercept, slope, spread = 0.0, 0.0, 0.0
    for _ in range(2):
        n = sx = sy = sxx = sxy = 0.0
        for load, inverse, w, y in zip(loads, inverses, weights, fitted, strict=True):
            weight = w * y * y
            n += weight
            sx += weight * load
            sy += weight * inverse
            sxx += weight * load * load
            sxy += weight * load * inverse
        determinant = n * sxx - sx * sx
        identified = determinant > 1e-9 * n * sxx
        slope = max(0.0, (sx * sy - n * sxy) / determinant) if identified else 0.0
        intercept = (sy + slope * sx) / n
        spread = math.sqrt(n / determinant) if identified else 0.0
        fitted = [math.exp(_line_level(intercept, slope, load)) for load in loads]
    return intercept, slope, spread


def _line_level(intercept: float, slope: float, load: float) -> float:
    return -math.log(max(intercept - slope * load, FLOOR_SHARE * intercept))


def _pooled_spread(spreads: "array[float]", weights: list[float]) -> float:
    """Variance of one reading over all bins; each bin's mean takes one degree of freedom."""
    known = sum([w * spread for w, spread in zip(weights, spreads, strict=True)])
    degrees = sum([max(0.0, w - 1.0) for w in weights])
    return (known + 2.0 * UNKNOWN_SPREAD**2) / (degrees + 2.0)


def _guided(
    means: "array[float]", weights: list[float], expected: list[float]
) -> list[tuple[float, float]]:
    """Level and weight of each bin after shrinking it towards what is expected there."""
    return [
        ((w * level + SHRINKAGE * guess) / (w + SHRINKAGE), w + SHRINKAGE)
        for level, w, guess in zip(means, weights, expected, strict=True)
    ]


def _isotonic(blocks: list[tuple[float, float]]) -> list[float]:
    """Pool adjacent violators: the nearest sequence that never falls."""
    pools: list[list[float]] = []
    for level, weight in blocks:
        pools.append([level, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            level_b, weight_b, count_b = pools.pop()
            level_a, weight_a, count_a = pools[-1]
            total = weight_a + weight_b
            pools[-1] = [
                (level_a * weight_a + level_b * weight_b) / total,
                total,
                count_a + count_b,
            ]
    return [level for level, _, count in pools for _ in range(int(count))]


def _knots(bins: Bins, weights: list[float], monotone: list[float], pooled: float) -> Knots:
    """Spread and error of each knot: few readings, and readings that monotony overruled."""
    loads, means, spreads = (bins.column(place) for place in (_LOAD, _LEVEL, _SPREAD))
    numbers = array("d")
    rows = zip(loads, means, spreads, weights, monotone, strict=True)
    for load, mean, spread, weight, level in rows:
        degrees = max(0.0, weight - 1.0) + SPREAD_PRIOR
        variance = (weight * spread + SPREAD_PRIOR * pooled) / degrees
        variance = max(variance, MIN_SPREAD**2)
        misfit = (mean - level) / 2.0
        error = math.sqrt(variance / (weight + SHRINKAGE) + misfit * misfit)
        numbers.extend((load, level, math.sqrt(variance), error))
    return Knots(numbers=numbers[:])  # without the room that an array keeps for growing


def _beyond(curve: Curve, edge: "array[float]", load: float) -> tuple[float, float, float]:
    """Follow the line from the last knot; the error grows with the distance in ln load."""
    at, level, spread, error = edge
    distance = min(abs(math.log(max(load, 1e-3 * at) / at)), MAX_DISTANCE)
    if not curve.intercept:
        return level, spread, error + distance
    intercept, slope = curve.intercept, curve.slope
    rise = _line_level(intercept, slope, load) - _line_level(intercept, slope, at)
    rise = min(rise, MAX_EXTRAPOLATION)
    return level + rise, spread, math.hypot(error, 0.5 * distance)
