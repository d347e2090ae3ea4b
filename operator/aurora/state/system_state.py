"""What planner and critic read of one model: one frozen value for each cycle."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from aurora.observe.facts import ObjectKey
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal, value_of
from aurora.state.baseline import Baseline
from aurora.state.capacity import CapacityModel
from aurora.state.coldstart import ColdStart
from aurora.state.forecast import Forecast
from aurora.state.history import LATENCIES, History, values_of
from aurora.state.memory import ModelMemory
from aurora.state.saturation import Saturation
from aurora.state.trend import Trend, trend_of
from aurora.values import quick

__all__ = ["EndpointState", "Load", "PodState", "Replicas", "SystemState"]


@cache
def _not_asked(signal: Signal) -> Missing:
    return Missing(Gap.NO_DATA, f"{signal} was not asked for")


@quick
@dataclass(frozen=True, slots=True)
class Replicas:
    """Counts of the target's replicas; None where the object was not found.

    Attributes:
        spec: `spec.replicas`.
        ready: ready pods by the workload's status.
        updated: pods of the current template.
        floor, ceiling, desired: of the one autoscaler that scales the target, if any.
    """

    spec: int | None = None
    ready: int | None = None
    updated: int | None = None
    floor: int | None = None
    ceiling: int | None = None
    desired: int | None = None


@quick
@dataclass(frozen=True, slots=True)
class PodState:
    """Counts and ages (seconds) of the target's pods.

    Attributes:
        pending: without a node, or with one and not ready yet.
        oldest_pending_s: age of the oldest of them.
        unschedulable: pending because no node takes them; `why` is the scheduler's word.
    """

    total: int = 0
    ready: int = 0
    crash_looping: int = 0
    pending: int = 0
    oldest_pending_s: float = 0.0
    unschedulable: int = 0
    oldest_unschedulable_s: float = 0.0
    why: str = ""


@quick
@dataclass(frozen=True, slots=True)
class EndpointState:
    """Ready endpoints of a Service; `not_ready_for_s` is 0 while there is one."""

    ready: int
    total: int
    not_ready_for_s: float


@quick
@dataclass(frozen=True, slots=True)
class Load:
    """The load of the whole workload; None where it could not be told.

    Attributes:
        request_rate: as measured, requests/s.
        work: in the capacity model's unit (tokens/s or requests/s).
        per_replica: `work` per ready replica.
        demand: `work` plus what piled up in the queue meanwhile: what callers asked for.
        backlog: requests waiting now.
        partial: some pods are not in it, so that it may only be an underestimate.
    """

    request_rate: Reading
    work: float | None = None
    per_replica: float | None = None
    demand: float | None = None
    backlog: float | None = None
    partial: bool = False


@quick
@dataclass(frozen=True, slots=True)
class SystemState:
    """One model at one moment.

    Attributes:
        readings: every signal that was asked for, missing ones with their reason.
        objectives: upper bounds of the latencies, seconds.
        thin: signals whose window held fewer requests than `metrics.minSamples`.
        partial: signals that some pods did not report: evidence to scale up on, never down.
        memory: what was learned so far; forecast, capacity, baselines and trends read it.
        armed: the cache sidecar is part of the pod template.
        settled: ready replicas did not change within the window of the readings.
    """

    key: ObjectKey
    at: float
    replicas: Replicas
    pods: PodState
    load: Load
    readings: Mapping[Signal, Reading]
    objectives: Mapping[Signal, float]
    saturation: Saturation
    memory: ModelMemory
    service: EndpointState | None = None
    fallback: EndpointState | None = None
    thin: frozenset[Signal] = frozenset()
    partial: frozenset[Signal] = frozenset()
    armed: bool = False
    settled: bool = False
    template_hash: str = ""

    def reading(self, signal: Signal) -> Reading:
        """The reading of a signal, or why there is none."""
        found = self.readings.get(signal)
        return found if found is not None else _not_asked(signal)

    def value(self, signal: Signal) -> float | None:
        """The number of a signal, None for every kind of absence."""
        return value_of(self.readings.get(signal))

    def solid(self, signal: Signal) -> float | None:
        """The number, only where neither samples nor pods are missing behind it."""
        doubtful = signal in self.thin or signal in self.partial
        return None if doubtful else self.value(signal)

    @property
    def missing(self) -> Mapping[Signal, Missing]:
        """Why signals have no number."""
        return {s: r for s, r in self.readings.items() if isinstance(r, Missing)}

    @property
    def latencies(self) -> Mapping[Signal, Sample]:
        """The latencies that were measured, seconds."""
        found = ((s, self.readings.get(s)) for s in LATENCIES)
        return {s: r for s, r in found if isinstance(r, Sample)}

    @property
    def capacity(self) -> CapacityModel:
        """Latency against load per ready replica."""
        return self.memory.capacity

    @property
    def cold_start(self) -> ColdStart:
        """Time that a new replica takes until it is ready."""
        return self.memory.cold_starts.cold_start()

    @property
    def history(self) -> History:
        """The last ten minutes, this cycle included."""
        return self.memory.history

    def forecast(self, horizon_s: float, probability: float = 0.8) -> Forecast | None:
        """The load ahead, in the capacity model's unit; None when it is not known now."""
        return self.memory.work.forecast(self.at, horizon_s, probability)

    def forecast_requests(self, horizon_s: float, probability: float = 0.8) -> Forecast | None:
        """The same in requests/s."""
        return self.memory.requests.forecast(self.at, horizon_s, probability)

    def baseline(self, signal: Signal) -> Baseline | None:
        """What is normal for a latency; None while too little was seen."""
        memory = self.memory.baselines.get(signal)
        return memory.baseline(self.at) if memory else None

    def ratio_to_baseline(self, signal: Signal) -> float | None:
        """How many times its normal value a latency has; None without reading or baseline."""
        value, normal = self.value(signal), self.baseline(signal)
        return None if value is None or normal is None else normal.ratio(value)

    def trend(self, signal: Signal) -> Trend:
        """Trend of a latency, of the errors or (REQUEST_RATE) of the load over the history."""
        return trend_of(values_of(self.memory.history, signal))

    def unexplained(self, signal: Signal) -> float | None:
        """How many times the latency that this load explains was measured.

        None without a trusted curve: high values at a load that was served well before point at
        a fault rather than at a lack of replicas.
        """
        value, load = self.value(signal), self.load.per_replica
        if value is None or load is None or not self.capacity.trusted(signal):
            return None
        expected = self.capacity.predict(signal, load)
        return None if expected is None else value / expected.mean
