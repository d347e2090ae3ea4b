"""What one replica can carry: predictions of latency, and the load that keeps the objectives."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from aurora.observe.sample import Signal
from aurora.state.curve import Curve, Estimate, fit, learn, levels, total_weight, weighs
from aurora.state.interval import Interval, log_interval, normal_quantile
from aurora.state.points import Knots
from aurora.values import changed, quick

__all__ = ["Bound", "CapacityModel", "Estimate", "LoadUnit", "Sustainable", "Unidentified"]

MIN_WINDOWS: Final = 5.0
MIN_LOAD_FACTOR: Final = 1.5
MIN_SIGNIFICANCE: Final = 2.0
PRIOR_ERROR: Final = 0.5
"""Error of ln latency when only another pod template's curve is known."""
EXTRAPOLATION_FACTOR: Final = 2.0
"""A sustainable load is never claimed beyond twice the highest load seen."""

_ROUNDED_UP: Final = 1.0 + 1e-9
SEARCH_HALVINGS: Final = 12
SEARCH_STEPS: Final = 2**SEARCH_HALVINGS


class LoadUnit(StrEnum):
    """Load is counted in what costs the server: tokens where they are measured, else requests."""

    TOKENS = "tokens/s"
    REQUESTS = "req/s"


class Bound(StrEnum):
    """How a sustainable load is known."""

    MEASURED = "Measured"
    """The objective was crossed inside the range of load seen."""
    EXTRAPOLATED = "Extrapolated"
    """Beyond the highest load seen, by the fitted line."""
    AT_LEAST = "AtLeast"
    """The objective still held at the highest load seen, and where it ends is not known."""


@quick
@dataclass(frozen=True, slots=True)
class Sustainable:
    """The load per replica that keeps every objective.

    Attributes:
        load: per ready replica, in `unit`, headroom already taken off.
        limited_by: the signal whose objective ends it.
        unjudged: signals with an objective that this load says nothing about, and why.
    """

    load: float
    unit: LoadUnit
    limited_by: Signal
    bound: Bound
    unjudged: Mapping[Signal, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unidentified:
    """No load can be named yet; `reason` is a sentence for a person."""

    reason: str


@quick
@dataclass(frozen=True, slots=True)
class CapacityModel:
    """Latency against load per ready replica, for each latency signal, of one pod template.

    Attributes:
        unit: what load is counted in.
        template_hash: the pod template that the curves belong to.
        at: when it last learned, seconds since the epoch.
    """

    unit: LoadUnit = LoadUnit.REQUESTS
    template_hash: str = ""
    at: float = 0.0
    curves: Mapping[Signal, Curve] = field(default_factory=dict)

    def learned(
        self, latencies: Mapping[Signal, tuple[float, float]], *, load: float, at: float
    ) -> "CapacityModel":
        """Take in one cycle: for each signal its latency (s) and weight in windows, 0 to 1."""
        curves = dict(self.curves)
        for signal, (latency, weight) in latencies.items():
            curve = curves.get(signal, Curve())
            curves[signal] = learn(curve, load=load, latency=latency, weight=weight, at=at)
        return CapacityModel(self.unit, self.template_hash, at, curves)

    def for_template(self, template_hash: str) -> "CapacityModel":
        """Begin anew for another pod template; what was learned only guides."""
        curves = {
            signal: Curve(prior=curve.knots or curve.prior) for signal, curve in self.curves.items()
        }
        return replace(self, template_hash=template_hash, curves=curves)

    def in_unit(self, unit: LoadUnit) -> "CapacityModel":
        """Begin anew in another unit; the old readings cannot be converted."""
        return CapacityModel(unit, self.template_hash, self.at)

    def effective_samples(self, signal: Signal) -> float:
        """Independent windows behind the curve of a signal, older ones faded."""
        curve = self.curves.get(signal)
        return total_weight(curve, self.at) if curve else 0.0

    def distrust(self, signal: Signal) -> str:
        """Why the curve must not be extrapolated; empty when it may."""
        curve = self.curves.get(signal)
        if curve is None or not curve.knots:
            return f"{signal} has no readings under load with this pod template yet"
        weight = total_weight(curve, self.at)
        if weight < MIN_WINDOWS:
            return f"only {weight:.1f} of {MIN_WINDOWS:g} windows of {signal} under load were seen"
        return _shape(signal, curve, self.unit)

    def trusted(self, signal: Signal) -> bool:
        """Whether load against latency is identified for this signal."""
        return not self.distrust(signal)

    def predict(
        self,
        signal: Signal,
        load_per_replica: float,
        *,
        probability: float = 0.9,
        readings: float = 1.0,
    ) -> Interval | None:
        """Latency (s) at a load per ready replica, None while nothing is known.

        Args:
            signal: one of the latency signals.
            load_per_replica: in `unit`, 0 or more.
            probability: that the mean of the readings falls into the interval.
            readings: independent windows averaged; `math.inf` asks for the curve alone.
        """
        found = self.estimate(signal, load_per_replica)
        if found is None:
            return None
        spread = found.spread / math.sqrt(readings)
        half = normal_quantile(probability) * math.hypot(spread, found.error)
        return log_interval(found.level, half)

    def estimate(self, signal: Signal, load_per_replica: float) -> Estimate | None:
        """The same in logarithms, with its two kinds of doubt apart."""
        curve = self.curves.get(signal)
        if curve is None or not (curve.knots or curve.prior):
            return None
        level, spread, error = levels(curve, max(0.0, load_per_replica))
        if not curve.knots:
            error = math.hypot(error, PRIOR_ERROR)
        return Estimate(level, spread, error)

    def sustainable_load_per_replica(
        self,
        objectives: Mapping[Signal, float],
        *,
        headroom: float = 0.1,
        probability: float = 0.6,
    ) -> Sustainable | Unidentified:
        """Name the highest load per ready replica at which every latency objective is kept.

        Args:
            objectives: upper bounds in seconds; signals that are no latency are passed over.
            headroom: share of the load that is kept free, 0 to 1.
            probability: of the central interval that must lie below the objective, so that 0.6
                lets one window in five miss it.
        """
        found: list[Sustainable] = []
        unjudged: dict[Signal, str] = {}
        for signal, objective in objectives.items():
            answer = self._limit(signal, objective, normal_quantile(probability))
            if isinstance(answer, str):
                unjudged[signal] = answer
            else:
                load = answer[0] * (1.0 - headroom)
                found.append(Sustainable(load, self.unit, signal, answer[1]))
        if not found:
            return Unidentified("; ".join(unjudged.values()) or "no latency objective is set")
        return changed(min(found, key=lambda s: s.load), unjudged=unjudged)

    def carries(
        self,
        objectives: Mapping[Signal, float],
        load: float,
        *,
        headroom: float = 0.1,
        probability: float = 0.6,
        beyond_known: bool = False,
    ) -> bool:
        """Whether `sustainable_load_per_replica` surely names this load or a higher one.

        What most models of a fleet are asked in most cycles, at a tenth of the work: the load where
        an objective ends is not searched for. False says nothing. With `beyond_known` a load counts
        as carried as well where no curve judges it, or one that only tells the least (`AT_LEAST`).
        """
        judged = beyond_known
        needed = load / (1.0 - headroom) * _ROUNDED_UP  # rounding never makes it true
        asked = (needed, normal_quantile(probability), beyond_known)
        for signal, objective in objectives.items():
            curve = self.curves.get(signal)
            if curve is None or not curve.knots or not weighs(curve, self.at, MIN_WINDOWS):
                continue  # unjudged
            if not self._surely(signal, curve, objective, asked):
                return False
            judged = True
        return judged

    def _surely(
        self, signal: Signal, curve: Curve, objective: float, asked: tuple[float, float, bool]
    ) -> bool:
        """Whether one objective is kept at a load; `_limit` finds up to where."""
        needed, z, beyond_known = asked
        goal = math.log(objective)
        seen, level, spread, error = curve.knots.flat[-Knots.WIDTH :]
        if level + z * math.hypot(spread, error) > goal:
            limit = self._limit(signal, objective, z)
            return not isinstance(limit, str) and limit[0] > needed
        if _shape(signal, curve, self.unit):
            return beyond_known and not needed / _ROUNDED_UP**2 <= seen <= needed
        beyond = needed + seen / SEARCH_STEPS
        return needed <= seen or (
            beyond <= EXTRAPOLATION_FACTOR * seen and _upper(curve, beyond, z) <= goal
        )

    def _limit(self, signal: Signal, objective: float, z: float) -> tuple[float, Bound] | str:
        curve = self.curves.get(signal)
        if curve is None or not curve.knots or not weighs(curve, self.at, MIN_WINDOWS):
            return self.distrust(signal)
        goal = math.log(objective)
        # From the top: what held at a load holds below it too, whatever was seen there by chance.
        above: tuple[float, float] | None = None
        flat = curve.knots.flat
        for place in range(len(flat) - Knots.WIDTH, -1, -Knots.WIDTH):
            load, level, spread, error = flat[place : place + Knots.WIDTH]
            upper = level + z * math.hypot(spread, error)
            if upper <= goal:
                if above is None:
                    return self._beyond_seen(signal, curve, goal, z)
                share = (goal - upper) / (above[1] - upper)
                return load + share * (above[0] - load), Bound.MEASURED
            above = (load, upper)
        return (
            f"{signal} is above its objective even at {flat[0]:.3g} {self.unit}"
            " per replica, the lowest load seen"
        )

    def _beyond_seen(
        self, signal: Signal, curve: Curve, goal: float, z: float
    ) -> tuple[float, Bound] | str:
        """Follow the line from the highest load seen; the curve has windows enough (`_limit`)."""
        seen = curve.knots.flat[-Knots.WIDTH]
        if _shape(signal, curve, self.unit):
            return seen, Bound.AT_LEAST
        low, high = seen, EXTRAPOLATION_FACTOR * seen
        if _upper(curve, high, z) <= goal:  # what most models of a healthy fleet have
            return high, Bound.EXTRAPOLATED
        for _ in range(SEARCH_HALVINGS):
            middle = (low + high) / 2.0
            if _upper(curve, middle, z) > goal:
                high = middle
            else:
                low = middle
        return low, Bound.EXTRAPOLATED


def _shape(signal: Signal, curve: Curve, unit: LoadUnit) -> str:
    """Why the shape of a curve must not be extrapolated; empty when it may."""
    flat = curve.knots.flat
    low, high = flat[0], flat[-Knots.WIDTH]
    if high < MIN_LOAD_FACTOR * low:
        return (
            f"load per replica was only seen from {low:.3g} to {high:.3g} {unit}:"
            f" a factor of {MIN_LOAD_FACTOR:g} is needed"
        )
    if curve.significance < MIN_SIGNIFICANCE:
        return f"{signal} does not rise with load up to {high:.3g} {unit} per replica"
    return ""


def _upper(curve: Curve, load: float, z: float) -> float:
    """Ln of the latency that a reading at a load stays below, for z spreads and errors."""
    level, spread, error = levels(curve, load)
    return level + z * math.hypot(spread, error)


def refitted(model: CapacityModel) -> CapacityModel:
    """Fit every curve again, after loading bins alone."""
    curves = {s: fit(c, model.at) if c.bins else c for s, c in model.curves.items()}
    return replace(model, curves=curves)
