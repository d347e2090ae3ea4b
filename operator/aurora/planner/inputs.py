"""What a rule may look at, and the small readings that rules share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final

from aurora.observe.facts import AutoscalerFacts
from aurora.observe.sample import UNITS, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Evidence
from aurora.planner.routing.past import BackendPast
from aurora.resources.modeldeployment import ModelDeploymentSpec
from aurora.state.curve import place_of
from aurora.state.system_state import SystemState
from aurora.values import quick

__all__ = ["Doubt", "PlanInput", "confidence_from", "evidence_of", "less"]


@unique  # equal values would be one doubt under two names
class Doubt(Enum):
    """What speaks against a proposal, and how much confidence it costs.

    The values order the doubts and are not measured: measured outcomes of similar cases correct
    them (confidence.py).
    """

    FEW_REQUESTS = 0.20
    """The window held fewer requests than metrics.minSamples."""
    UNCOUNTED = 0.10
    """It is not known how many requests the value stands on."""
    NAME_UNKNOWN = 0.09
    """It is not known under which names the primary or the fallback serves: callers might ask the
    fallback for a model that it does not have. Alone it turns an automatic action into a watched
    one."""
    SOME_PODS_SILENT = 0.08
    """Some pods did not report."""
    CAPACITY_UNKNOWN = 0.12
    """The capacity model is not identified yet; the latency ratio stood in."""
    BEYOND_LOAD_SEEN = 0.05
    """The capacity model was extrapolated beyond the highest load seen."""
    FORECAST_YOUNG = 0.04
    """No forecast was checked against what came yet."""
    EFFECT_ESTIMATED = 0.15
    """The effect is an estimate that nothing measured yet."""


_CERTAIN = 0.97
"""Confidence of a proposal that nothing speaks against: one in thirty still goes wrong."""


def confidence_from(doubts: Iterable[Doubt]) -> float:
    """Confidence of the evidence alone, 0 to 1."""
    return less(_CERTAIN, doubts)


def less(confidence: float, doubts: Iterable[Doubt]) -> float:
    """A confidence with more doubts, 0 to 1."""
    return max(0.0, confidence - sum(doubt.value for doubt in doubts))


SEEN_WINDOWS: Final = 3.0
"""Windows at a load, or above it, from which on it counts as served before."""


@quick
@dataclass(frozen=True, slots=True)
class PlanInput:
    """One model in one cycle.

    Attributes:
        at: seconds since the epoch.
        cycle_s: time between two cycles, which an action waits before it is taken.
        adopted_floor: floor of the autoscaler before AURORA first changed it, if it did.
        fallback_open: id of the decision that sent traffic to the fallback and is in force.
        fallback_since: when that was, or when the last way back failed.
        fallbacks_recently: how often traffic had to go there within the last day, failed ways back
            counted.
        cache_on_since: when the cache was switched on, None while it is off.
        taken_away_at: when replicas were last taken away and not given back; None if never.
        failed_backends: of a RoutingPolicy, by name, those that failed within the last day.
    """

    observation: ModelObservation
    state: SystemState
    at: float
    cycle_s: float
    adopted_floor: int | None = None
    fallback_open: str = ""
    fallback_since: float = 0.0
    fallbacks_recently: int = 0
    cache_on_since: float | None = None
    taken_away_at: float | None = None
    failed_backends: Mapping[str, BackendPast] = field(default_factory=dict)

    @property
    def spec(self) -> ModelDeploymentSpec:
        return self.observation.model.spec

    @property
    def cache_on(self) -> bool:
        return self.cache_on_since is not None

    @property
    def autoscaler(self) -> AutoscalerFacts | None:
        """The one autoscaler of the target; two are a conflict that the critic names."""
        found = self.observation.autoscalers
        return found[0] if len(found) == 1 else None

    @property
    def replicas(self) -> int | None:
        """Replicas that are wanted now, by whoever decides on them."""
        return self.state.replicas.spec

    def unexplained(self, signal: Signal) -> float | None:
        """How many times the latency that the load explains was measured.

        None where that is not known, and where such a load was hardly seen before: what an
        overload does to latency is not to be told from a fault by extrapolation.
        """
        load, curve = self.state.load.per_replica, self.state.capacity.curves.get(signal)
        if load is None or load <= 0.0 or curve is None:
            return None
        here = place_of(load)
        seen = sum(one.weight for one in curve.bins if one.place >= here)
        return self.state.unexplained(signal) if seen >= SEEN_WINDOWS else None

    def doubts_about(self, *signals: Signal) -> list[Doubt]:
        """Doubts that follow from how the signals were measured."""
        found = []
        if any(signal in self.state.thin for signal in signals):
            found.append(Doubt.FEW_REQUESTS)
        if any(signal in self.state.partial for signal in signals):
            found.append(Doubt.SOME_PODS_SILENT)
        return found


def evidence_of(
    given: PlanInput, signal: Signal, *, threshold: float | None = None
) -> tuple[Evidence, ...]:
    """The reading of a signal as evidence; nothing when there is no number."""
    reading = given.state.reading(signal)
    if not isinstance(reading, Sample):
        return ()
    query = given.observation.queries.get(signal, "")
    return (
        Evidence(
            signal=signal.value,
            value=reading.value,
            unit=UNITS[signal],
            at=reading.at,
            query=query,
            threshold=threshold,
            samples=reading.samples,
            window_s=reading.window_s,
        ),
    )
