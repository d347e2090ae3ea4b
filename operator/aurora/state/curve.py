"""How one latency rises with the load on a replica, learned from readings.

Two layers. The shape comes from the queue: with batching a step takes a time linear in what is in
flight, and what is in flight is load x latency (Little), so 1/latency falls linearly with the
load. Bursts inside a window bend that line, so the readings themselves, kept as one average per
range of load, correct it wherever there are enough; isotonic regression keeps the whole monotone.
docs/capacity-model.md has the derivation and the measured accuracy.
"""

import math
from typing import Final, NamedTuple

__all__ = ["Bin", "Curve", "Knot", "fit", "learn", "levels", "place_of", "total_weight"]

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


class Bin(NamedTuple):
    """Readings at similar load: their weight in windows, mean load, mean and variance of ln y."""

    place: int
    weight: float
    load: float
    level: float
    spread: float
    at: float


class Knot(NamedTuple):
    """One point of the fitted curve: ln latency, spread of one reading, error of the curve."""

    load: float
    level: float
    spread: float
    error: float


class Curve(NamedTuple):
    """What is known of one latency.

    Attributes:
        intercept, slope: 1/latency = intercept - slope x load; intercept 0 until fitted.
        significance: slope over its standard error.
        prior: the knots of an older pod template, which only guide until there are readings.
    """

    bins: tuple[Bin, ...] = ()
    knots: tuple[Knot, ...] = ()
    intercept: float = 0.0
    slope: float = 0.0
    significance: float = 0.0
    pending: int = 0
    prior: tuple[Knot, ...] = ()


def place_of(load: float) -> int:
    """Number of the range of load that a load (above 0) belongs to."""
    return math.floor(math.log(load) / _LOG_RATIO)


def total_weight(curve: Curve, at: float) -> float:
    """Independent windows that the curve rests on, older ones faded."""
    return sum(_faded(b, at) for b in curve.bins)


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
    bins = _updated(curve.bins, place, Bin(place, weight, load, level, 0.0, at))
    young = len(curve.bins) != len(bins) or sum(b.weight for b in bins) < 5.0
    pending = curve.pending + 1
    curve = curve._replace(bins=bins, pending=pending)
    return fit(curve, at) if young or pending >= REFIT_EVERY else curve


def fit(curve: Curve, at: float) -> Curve:
    """Fit the line, then the monotone curve through bins and line."""
    weights = [_faded(b, at) for b in curve.bins]
    intercept, slope, spread_of_slope = _line(curve.bins, weights)
    pooled = _pooled_spread(curve.bins, weights)
    guide = curve._replace(intercept=intercept, slope=slope, knots=())
    blocks = [_guided(b, w, guide, curve.prior) for b, w in zip(curve.bins, weights, strict=True)]
    knots = _knots(curve.bins, weights, _isotonic(blocks), pooled)
    noise = math.sqrt(max(pooled, MIN_SPREAD**2))
    significance = slope / (spread_of_slope * noise) if spread_of_slope > 0.0 else 0.0
    # A head start out of the data keeps the curves of a fleet from being fitted in one cycle.
    pending = int(1e6 * intercept * curve.bins[-1].load) % (REFIT_EVERY // 2)
    return Curve(curve.bins, knots, intercept, slope, significance, pending, curve.prior)


def levels(curve: Curve, load: float) -> tuple[float, float, float]:
    """Ln latency at a load, spread of one reading, and error of the curve, both in ln.

    The curve must have knots or a prior.
    """
    knots = curve.knots or curve.prior
    first, last = knots[0], knots[-1]
    if load <= first.load:
        return _beyond(curve, first, load)
    if load >= last.load:
        return _beyond(curve, last, load)
    before = first
    for knot in knots:
        if load <= knot.load:
            share = (load - before.load) / (knot.load - before.load)
            return (
                before.level + share * (knot.level - before.level),
                before.spread + share * (knot.spread - before.spread),
                before.error + share * (knot.error - before.error),
            )
        before = knot
    raise AssertionError("knots are ordered by load")


def _faded(b: Bin, at: float) -> float:
    return b.weight * math.exp(-_FADING * max(0.0, at - b.at))


def _clipped(curve: Curve, load: float, level: float) -> float:
    """Pull a wild reading in: one stalled request must not bend the curve."""
    knots = curve.knots
    if len(knots) < 2 or not knots[0].load <= load <= knots[-1].load:
        return level
    expected, spread, error = levels(curve, load)
    reach = OUTLIER_SPREADS * math.hypot(max(spread, 0.1), error)
    return min(max(level, expected - reach), expected + reach)


def _updated(bins: tuple[Bin, ...], place: int, reading: Bin) -> tuple[Bin, ...]:
    for position, old in enumerate(bins):
        if old.place == place:
            return (*bins[:position], _merged(old, reading), *bins[position + 1 :])
        if old.place > place:
            return _bounded((*bins[:position], reading, *bins[position:]))
    return _bounded((*bins, reading))


def _merged(old: Bin, reading: Bin) -> Bin:
    kept = min(_faded(old, reading.at), BIN_CAPACITY)
    weight = kept + reading.weight
    share = reading.weight / weight
    difference = reading.level - old.level
    return Bin(
        old.place,
        weight,
        old.load + share * (reading.load - old.load),
        old.level + share * difference,
        (1.0 - share) * (old.spread + share * difference * difference),
        reading.at,
    )


def _bounded(bins: tuple[Bin, ...]) -> tuple[Bin, ...]:
    if len(bins) <= MAX_BINS:
        return bins
    lightest = min(bins, key=lambda b: b.weight)
    return tuple(b for b in bins if b is not lightest)


def _line(bins: tuple[Bin, ...], weights: list[float]) -> tuple[float, float, float]:
    """Weighted least squares of 1/y on load with relative errors; slope error for unit noise.

    The weights y^2 make an error of 10 % count the same at every latency; they come from the fit
    itself after the first pass, else the readings that are high by chance would weigh most.
    """
    fitted = [math.exp(b.level) for b in bins]
    intercept, slope, spread = 0.0, 0.0, 0.0
    for _ in range(2):
        n = sx = sy = sxx = sxy = 0.0
        for b, w, y in zip(bins, weights, fitted, strict=True):
            weight = w * y * y
            inverse = math.exp(-b.level)
            n += weight
            sx += weight * b.load
            sy += weight * inverse
            sxx += weight * b.load * b.load
            sxy += weight * b.load * inverse
        determinant = n * sxx - sx * sx
        identified = determinant > 1e-9 * n * sxx
        slope = max(0.0, (sx * sy - n * sxy) / determinant) if identified else 0.0
        intercept = (sy + slope * sx) / n
        spread = math.sqrt(n / determinant) if identified else 0.0
        fitted = [math.exp(_line_level(intercept, slope, b.load)) for b in bins]
    return intercept, slope, spread


def _line_level(intercept: float, slope: float, load: float) -> float:
    return -math.log(max(intercept - slope * load, FLOOR_SHARE * intercept))


def _pooled_spread(bins: tuple[Bin, ...], weights: list[float]) -> float:
    """Variance of one reading over all bins; each bin's mean takes one degree of freedom."""
    known = sum(w * b.spread for w, b in zip(weights, bins, strict=True))
    degrees = sum(max(0.0, w - 1.0) for w in weights)
    return (known + 2.0 * UNKNOWN_SPREAD**2) / (degrees + 2.0)


def _guided(b: Bin, weight: float, line: Curve, prior: tuple[Knot, ...]) -> tuple[float, float]:
    """Level and weight of a bin after shrinking it towards what is expected there."""
    if prior:
        expected = levels(Curve(prior=prior), b.load)[0]
    else:
        expected = _line_level(line.intercept, line.slope, b.load)
    total = weight + SHRINKAGE
    return (weight * b.level + SHRINKAGE * expected) / total, total


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


def _knots(
    bins: tuple[Bin, ...], weights: list[float], monotone: list[float], pooled: float
) -> tuple[Knot, ...]:
    """Spread and error of each knot: few readings, and readings that monotony overruled."""
    knots = []
    for b, weight, level in zip(bins, weights, monotone, strict=True):
        degrees = max(0.0, weight - 1.0) + SPREAD_PRIOR
        variance = (weight * b.spread + SPREAD_PRIOR * pooled) / degrees
        variance = max(variance, MIN_SPREAD**2)
        misfit = (b.level - level) / 2.0
        error = math.sqrt(variance / (weight + SHRINKAGE) + misfit * misfit)
        knots.append(Knot(b.load, level, math.sqrt(variance), error))
    return tuple(knots)


def _beyond(curve: Curve, edge: Knot, load: float) -> tuple[float, float, float]:
    """Follow the line from the last knot; the error grows with the distance in ln load."""
    distance = min(abs(math.log(max(load, 1e-3 * edge.load) / edge.load)), MAX_DISTANCE)
    if not curve.intercept:
        return edge.level, edge.spread, edge.error + distance
    rise = _line_level(curve.intercept, curve.slope, load) - _line_level(
        curve.intercept, curve.slope, edge.load
    )
    rise = min(rise, MAX_EXTRAPOLATION)
    return edge.level + rise, edge.spread, math.hypot(edge.error, 0.5 * distance)
