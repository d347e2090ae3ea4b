"""The state stage: one observation in; what is remembered and what is known out. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aurora.observe.sample import Reading, Sample, Signal, value_of
from aurora.observe.snapshot import ModelObservation
from aurora.state.baseline import BaselineMemory
from aurora.state.capacity import CapacityModel
from aurora.state.coldstart import newest_template, observe_pods
from aurora.state.forecast import GONE_S, Series
from aurora.state.history import (
    DRAIN_S,
    LATENCIES,
    History,
    Moment,
    appended,
    load_is_falling,
    replicas_settled,
)
from aurora.state.load import capacity_unit, in_flight, load_of, peak_load
from aurora.state.memory import ModelMemory
from aurora.state.plausible import Seen, looked_through
from aurora.state.saturation import Saturation, latency_objectives, saturation_of, waiting_since
from aurora.state.summary import endpoint_state, pod_state, replicas_of
from aurora.state.system_state import Load, SystemState
from aurora.state.turns import is_turn, phase_of
from aurora.values import changed, quick

__all__ = ["Learning", "advance"]

FULL_WEIGHT_SAMPLES: Final = 50.0
"""Requests in a window from which on its percentile counts as a whole reading."""
MIN_LATENCY_S: Final = 1e-6
MIN_LOAD: Final = 1e-9
TURNS_A_WINDOW: Final = 2.0
"""How often a capacity curve learns: readings in between say the same again."""
MAX_ERROR_RATIO: Final = 0.05
"""With more failures than this, latencies say how fast the server fails, not what it carries."""


@quick
@dataclass(frozen=True, slots=True)
class Learning:
    """What may be learned from this cycle.

    Attributes:
        baseline: off while a fault or an action is open, so that neither becomes normal.
        capacity: off while a fault is open; an open SCALE is what teaches it best.
    """

    baseline: bool = True
    capacity: bool = True


@quick
@dataclass(frozen=True, slots=True)
class _Cycle:
    """One observation as the learning steps see it."""

    readings: Mapping[Signal, Reading]
    load: Load
    at: float
    window_s: float
    sample_at: float  # when the load was scraped
    fresh: bool  # the load was scraped since the last cycle that was learned from
    ready: int
    settled: bool
    phase: float  # see `aurora.state.turns`


_ALL: Final = Learning()


def advance(
    memory: ModelMemory, observation: ModelObservation, at: float, *, learning: Learning = _ALL
) -> tuple[ModelMemory, SystemState]:
    """Take in one cycle.

    Args:
        memory: what was known; `ModelMemory()` for a new model.
        observation: what this cycle saw of the model.
        at: wall clock, seconds since the epoch.
        learning: what is known to be disturbed and must not be learned from.
    """
    seen = looked_through(observation.signals, observation.model.spec.metrics.min_samples)
    readings = seen.readings
    memory = _prepared(memory, observation, readings)
    cycle = _cycle(memory, observation, readings, at)
    objectives = latency_objectives(observation.model.spec.objectives)
    queued_since = waiting_since(memory.queued_since, readings.get(Signal.WAITING), at)
    saturation = saturation_of(readings, objectives, queued_since=queued_since, at=at)
    memory = changed(
        memory,
        **(_learned(memory, cycle, learning) if cycle.fresh else {}),
        at=at,
        peak_load=peak_load(memory, cycle.load.work, at),
        missed_at=_missed_at(memory, saturation, at),
        queued_since=queued_since,
        cold_starts=observe_pods(
            memory.cold_starts,
            observation.pods,
            newest_template(observation.pods) or memory.cold_starts.template_hash,
        ),
        history=appended(memory.history, _moment(cycle)),
    )
    return memory, _state(memory, observation, cycle, seen, (objectives, saturation))


def _missed_at(memory: ModelMemory, saturation: Saturation, at: float) -> float | None:
    if (saturation.slo_ratio or 0.0) > 1.0 or (memory.missed_at or 0.0) > at:
        return at  # what lies ahead is of a clock that was set back
    return memory.missed_at


def _prepared(
    memory: ModelMemory, observation: ModelObservation, readings: Mapping[Signal, Reading]
) -> ModelMemory:
    """Start anew what belongs to another pod template or another unit of load."""
    capacity, work, cost = memory.capacity, memory.work, memory.work_per_request
    unit = capacity_unit(capacity, readings)
    if unit is not capacity.unit:
        capacity, work, cost = capacity.in_unit(unit), Series(), None
        memory = changed(memory, history=History(), peak_load=0.0)
    target = observation.target
    if target is not None and target.template_hash != capacity.template_hash:
        capacity = capacity.for_template(target.template_hash)
    if capacity is memory.capacity:
        return memory
    return changed(memory, capacity=capacity, work=work, work_per_request=cost)


def _cycle(
    memory: ModelMemory,
    observation: ModelObservation,
    readings: Mapping[Signal, Reading],
    at: float,
) -> _Cycle:
    target = observation.target
    ready = target.ready_replicas if target else 0
    rate = readings[Signal.REQUEST_RATE]
    window = rate.window_s if isinstance(rate, Sample) else 0.0
    sample_at = rate.at if isinstance(rate, Sample) else 0.0
    back = memory.sample_at - sample_at
    fresh = back < 0.0 or (back > GONE_S and isinstance(rate, Sample))
    load = load_of(memory, readings, ready=ready, at=at)
    settled = _settled(memory, observation, ready, at - window)
    phase = phase_of(observation.key)
    return _Cycle(readings, load, at, window, sample_at, fresh, ready, settled, phase)


def _settled(memory: ModelMemory, observation: ModelObservation, ready: int, after: float) -> bool:
    """Whether one set of pods of one template served during the whole window."""
    target = observation.target
    if target is None or ready < 1 or target.updated_replicas < ready:
        return False
    for pod in observation.pods:
        if pod.ready and pod.ready_at is not None and pod.ready_at > after:
            return False
    return replicas_settled(memory.history, ready, after)


def _learned(memory: ModelMemory, cycle: _Cycle, learning: Learning) -> dict[str, Any]:
    """The fields of the memory that a fresh reading of the load changes."""
    rate, load = cycle.readings[Signal.REQUEST_RATE], cycle.load
    assert isinstance(rate, Sample)
    requests = _followed(memory.requests, rate.value, cycle, partial=rate.partial)
    work, cost = memory.work, memory.work_per_request
    if load.demand is not None:
        work = _followed(work, load.demand, cycle, partial=load.partial)
        if rate.value > MIN_LOAD and load.work:
            cost = load.work / rate.value
    measured = _latencies(cycle)
    return {
        "sample_at": rate.at,
        "requests": requests,
        "work": work,
        "work_per_request": cost,
        "capacity": _capacity(memory, cycle, measured) if learning.capacity else memory.capacity,
        "baselines": _baselines(memory, cycle, measured) if learning.baseline else memory.baselines,
    }


def _capacity(
    memory: ModelMemory, cycle: _Cycle, measured: Mapping[Signal, tuple[float, float]]
) -> CapacityModel:
    """Learn when it is the model's turn; what was seen since the last counts for its share."""
    capacity, load = memory.capacity, cycle.load.per_replica
    window = max(cycle.window_s, 1.0)
    if not is_turn(cycle.phase, last=capacity.at, at=cycle.at, every_s=window / TURNS_A_WINDOW):
        return capacity
    belongs = cycle.settled and not cycle.load.partial  # the latency to the load per replica
    if not measured or load is None or load < MIN_LOAD or not belongs:
        return capacity
    if load_is_falling(memory.history, load, cycle.at - cycle.window_s - DRAIN_S):
        measured = {s: v for s, v in measured.items() if _below(capacity, s, load, v[0])}
        if not measured:
            return capacity
    fresh = min(1.0, abs(cycle.at - capacity.at) / window)  # a clock may be set back
    weighted = {s: (value, share * fresh) for s, (value, share) in measured.items()}
    return capacity.learned(weighted, load=load, at=cycle.at)


def _baselines(
    memory: ModelMemory, cycle: _Cycle, measured: Mapping[Signal, tuple[float, float]]
) -> Mapping[Signal, BaselineMemory]:
    known, at, phase = memory.baselines, cycle.at, cycle.phase
    learned = {}
    for signal, (value, _) in measured.items():
        old = known.get(signal)
        new = (old or _NO_BASELINE).learned(value, at, phase=phase)
        if new is not old:  # in three cycles of four nothing is learned
            learned[signal] = new
    return {**known, **learned} if learned else known


_NO_BASELINE: Final = BaselineMemory()


def _followed(series: Series, value: float, cycle: _Cycle, *, partial: bool) -> Series:
    """Take a load in; a partial one is a lower bound, so it never lowers the level."""
    if partial and series.now is not None:
        value = max(value, series.now.level)
    return series.learned(max(0.0, value), cycle.sample_at, phase=cycle.phase)


def _latencies(cycle: _Cycle) -> dict[Signal, tuple[float, float]]:
    """Latencies to learn from, each with what its number of requests makes it worth, 0 to 1."""
    errors = cycle.readings.get(Signal.SERVER_ERROR_RATIO)
    if isinstance(errors, Sample) and errors.value > MAX_ERROR_RATIO:
        return {}
    found: dict[Signal, tuple[float, float]] = {}
    for signal in LATENCIES:
        reading = cycle.readings.get(signal)
        if not isinstance(reading, Sample) or reading.partial or reading.value < MIN_LATENCY_S:
            continue
        share = 1.0 if reading.samples is None else min(1.0, reading.samples / FULL_WEIGHT_SAMPLES)
        if share > 0.0:
            found[signal] = (reading.value, share)
    return found


def _below(capacity: CapacityModel, signal: Signal, load: float, value: float) -> bool:
    """Whether a latency is lower than what is known of its load.

    While a burst drains, a latency is an upper bound of what the load by itself would cause. The
    first requests of a burst are learned as they come, late at a load that is still low: without
    the quiet after it, low load would seem slow for good.
    """
    found = capacity.estimate(signal, load)
    return found is not None and math.log(value) < found.level


def _moment(cycle: _Cycle) -> Moment:
    reading = cycle.readings.get
    return Moment(
        cycle.at,
        cycle.load.work,
        cycle.ready,
        in_flight(cycle.readings),
        tuple([value_of(reading(signal)) for signal in LATENCIES]),
        errors=value_of(reading(Signal.SERVER_ERROR_RATIO)),
        hits=value_of(reading(Signal.CACHE_HIT_RATIO)),
    )


def _state(
    memory: ModelMemory,
    observation: ModelObservation,
    cycle: _Cycle,
    seen: Seen,
    judged: tuple[Mapping[Signal, float], Saturation],
) -> SystemState:
    at, target = cycle.at, observation.target
    objectives, saturation = judged
    return SystemState(
        key=observation.key,
        at=at,
        replicas=replicas_of(target, observation.autoscalers),
        pods=pod_state(observation.pods, at),
        load=cycle.load,
        readings=seen.readings,
        objectives=objectives,
        saturation=saturation,
        memory=memory,
        service=endpoint_state(observation.endpoints, at),
        fallback=endpoint_state(observation.fallback_endpoints, at),
        thin=seen.thin,
        partial=seen.partial,
        armed=target.armed if target else False,
        settled=cycle.settled,
        template_hash=target.template_hash if target else "",
    )
