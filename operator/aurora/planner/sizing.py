"""How many replicas a load needs, by the learned capacity or, without it, by the latency ratio."""

import math
from dataclasses import dataclass
from typing import Final

from aurora.observe.sample import Gap, Signal
from aurora.planner.inputs import Doubt, PlanInput
from aurora.state.capacity import Bound, Sustainable, Unidentified
from aurora.state.forecast import Forecast

__all__ = ["Sizing", "enough", "size_down", "size_up"]

HEADROOM: Final = 0.1
"""Share of the sustainable load that stays free."""
DOWN_HEADROOM: Final = 0.6
"""The same when taking replicas away: the gap to HEADROOM keeps the two from chasing each other.

A load may rise (1 - 0.1) / (1 - 0.6), 2.2 times, before replicas that were taken away are wanted
back: a load that comes in bursts does 1.2 times, the gap of 0.25, every hour. In simulated days the
larger gap left no step down reversed within two cold starts (docs/simulator.md)."""
UP_PROBABILITY: Final = 0.8
"""The load stays inside the forecast's range with it: one load in ten is above."""
DOWN_PROBABILITY: Final = 0.95
CURVE_PROBABILITY: Final = 0.0
"""More are added by the middle of the capacity curve: the forecast's range carries the risk, and
counting the scatter of single readings as well held half as many replicas again for nothing
(docs/simulator.md). The critic judges by the curve alone too."""
MOST_BY_RATIO: Final = 1.5
"""Without a capacity model at most this multiple of the replicas that serve, and none before an
objective is missed: one burst says how far a latency went, not how many replicas the load needs for
good, and those that it brought stay for hours. Until the first half has come, no second follows."""
RATIO_DOWN: Final = 0.40
"""llm-d's SLO-aware scaling guide removes below it."""
STABILIZATION_S: Final = 300.0
"""Taking away looks at the highest load of this time, as the HPA's downscale stabilisation does."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """A number of replicas and what it rests on.

    Attributes:
        load: that the replicas are sized for; per_replica what one of them carries; 0 when the
            latency ratio decided.
        violated: an objective is violated now.
        seen: `load` came before and `per_replica` was served well: neither is forecast.
    """

    replicas: int
    load: float
    per_replica: float
    unit: str
    horizon_s: float
    forecast: Forecast | None
    limited_by: Signal | None
    violated: bool
    doubts: tuple[Doubt, ...]
    seen: bool = False


def horizon_s(given: PlanInput) -> float:
    """How far ahead to look: until a replica asked for in the next cycle is ready."""
    return given.state.cold_start.p90_s + given.cycle_s


def size_up(given: PlanInput) -> Sizing | None:
    """Replicas for the load forecast for when new ones are ready; None while it is unknown."""
    state = given.state
    # A forecast outlives its last reading: with no load measured now it is no evidence.
    known_load = state.load.work is not None
    forecast = state.forecast(horizon_s(given), UP_PROBABILITY) if known_load else None
    sustainable = state.capacity.sustainable_load_per_replica(
        state.objectives, headroom=HEADROOM, probability=CURVE_PROBABILITY
    )
    ratio = state.saturation.slo_ratio
    violated = ratio is not None and ratio > 1.0
    if forecast is None or not isinstance(sustainable, Sustainable):
        return _by_ratio(given, forecast)
    demand = max(forecast.high, state.load.demand or 0.0)
    # What was served well before is not what makes it slow now; beyond it, the latency decides.
    served = demand <= sustainable.load * (given.replicas or 0)
    if sustainable.bound is Bound.AT_LEAST and not served:
        return _by_ratio(given, forecast)
    wanted = math.ceil(demand / sustainable.load)
    doubts = _forecast_doubts(forecast)
    if sustainable.bound is Bound.EXTRAPOLATED:
        doubts.append(Doubt.BEYOND_LOAD_SEEN)
    return Sizing(
        wanted,
        demand,
        sustainable.load,
        sustainable.unit.value,
        horizon_s(given),
        forecast,
        sustainable.limited_by,
        violated,
        tuple(doubts),
    )


def enough(given: PlanInput, replicas: int) -> bool:
    """Whether `size_up` surely asks for no more than these replicas; False says nothing."""
    state, ahead = given.state, horizon_s(given)
    if state.load.work is None or replicas < 1:
        return False
    highest = state.memory.work.highest(state.at, ahead)  # most are as far from their limits
    if highest is not None and _carried(given, highest, replicas):
        return True
    forecast = state.forecast(ahead, UP_PROBABILITY)
    return forecast is not None and _carried(given, forecast.high, replicas)


def _carried(given: PlanInput, high: float, replicas: int) -> bool:
    state, ratio = given.state, given.state.saturation.slo_ratio
    return state.capacity.carries(
        state.objectives,
        max(high, state.load.demand or 0.0) / replicas,
        headroom=HEADROOM,
        probability=CURVE_PROBABILITY,
        # Beyond a load that is only known to be served, more are asked for by the ratio alone.
        beyond_known=ratio is None or ratio <= 1.0,
    )


def _by_ratio(given: PlanInput, forecast: Forecast | None) -> Sizing | None:
    ratio, replicas = given.state.saturation.slo_ratio, given.replicas
    if ratio is None or replicas is None or ratio <= 1.0:
        return None
    # llm-d's c: replicas that are still starting will share the load, so they count.
    serving = min(given.state.replicas.ready or 0, replicas)
    wanted = math.ceil(serving * min(ratio, MOST_BY_RATIO))
    return Sizing(
        max(replicas, wanted),
        0.0,
        0.0,
        "",
        horizon_s(given),
        forecast,
        given.state.saturation.slo_signal,
        violated=True,
        doubts=(Doubt.CAPACITY_UNKNOWN,),
    )


def _forecast_doubts(forecast: Forecast) -> list[Doubt]:
    return [] if forecast.errors else [Doubt.FORECAST_YOUNG]


def size_down(given: PlanInput) -> Sizing | None:
    """Fewest replicas that keep the objectives at the highest load to expect; None if unknown."""
    state = given.state
    forecast = state.forecast(2 * horizon_s(given), DOWN_PROBABILITY)
    if forecast is None or _blind(given):
        return None
    demand = max(forecast.high, _highest_load(given))
    sustainable = state.capacity.sustainable_load_per_replica(state.objectives, headroom=0.0)
    if isinstance(sustainable, Unidentified):
        return _down_by_ratio(given, forecast, demand)
    if sustainable.bound is Bound.AT_LEAST:
        seen = _down_to_seen(given, forecast, sustainable)
        return seen or _down_by_ratio(given, forecast, demand)
    load = sustainable.load * (1.0 - DOWN_HEADROOM)
    wanted = max(1, math.ceil(demand / load))
    doubts = _forecast_doubts(forecast)
    if sustainable.bound is Bound.EXTRAPOLATED:
        doubts.append(Doubt.BEYOND_LOAD_SEEN)
    return Sizing(
        wanted,
        demand,
        load,
        sustainable.unit.value,
        forecast.horizon_s,
        forecast,
        sustainable.limited_by,
        violated=False,
        doubts=tuple(doubts),
    )


def _down_to_seen(given: PlanInput, forecast: Forecast, served: Sustainable) -> Sizing | None:
    """As many as put no more on one replica at the highest load of late than it served well."""
    demand = max(given.state.memory.peak_load, forecast.mean)
    if demand > served.load * ((given.replicas or 0) - 1):
        return None
    return Sizing(
        max(1, math.ceil(demand / served.load)),
        demand,
        served.load,
        served.unit.value,
        forecast.horizon_s,
        forecast,
        served.limited_by,
        violated=False,
        doubts=tuple(_forecast_doubts(forecast)),
        seen=True,
    )


def _blind(given: PlanInput) -> bool:
    """Something that fewer replicas would be judged by is not seen whole."""
    state = given.state
    if state.load.work is None or state.load.partial:
        return True
    missing = state.missing
    return any(
        signal in state.partial or (signal in missing and missing[signal].gap is not Gap.NO_DATA)
        for signal in state.objectives
    )


def _highest_load(given: PlanInput) -> float:
    since = given.at - STABILIZATION_S
    return max((m.load for m in given.state.history if m.at >= since and m.load), default=0.0)


def _down_by_ratio(given: PlanInput, forecast: Forecast, demand: float) -> Sizing | None:
    """Step below the load seen per replica, while latencies are far below their objectives."""
    replicas, ratio = given.replicas, given.state.saturation.slo_ratio
    if replicas is None:
        return None
    idle = demand <= 0.0
    # An objective without a reading is no objective that is kept with ease.
    unseen = any(signal in given.state.missing for signal in given.state.objectives)
    if not idle and (ratio is None or ratio >= RATIO_DOWN or unseen):
        return None
    wanted = (
        1 if idle or ratio is None else replicas - math.floor(replicas * (1 - ratio / RATIO_DOWN))
    )
    return Sizing(
        max(1, wanted),
        demand,
        0.0,
        given.state.capacity.unit.value,
        forecast.horizon_s,
        forecast,
        given.state.saturation.slo_signal,
        violated=False,
        doubts=(Doubt.CAPACITY_UNKNOWN,),
    )
