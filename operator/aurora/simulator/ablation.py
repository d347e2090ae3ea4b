"""AURORA with one part left out, put together from the operator's own code.

What a part is worth is the difference to the whole. Each is left out by configuration or by a
plain stand-in at the edge; planner, critic and state stay as they are shipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from aurora.planner.cases import Precedent
from aurora.planner.decision import Candidate
from aurora.planner.inputs import PlanInput
from aurora.state.forecast import Forecast, Series
from aurora.state.system_state import SystemState

__all__ = ["Part", "nothing_recalled", "without_forecast"]


class Part(Enum):
    """What can be left out; the values are what tables say."""

    CRITIC = "critic"
    """The planner's best proposal is carried out every cycle: no objective at risk, no cooldown,
    no budget, no step bound, no action in flight, no confidence tier."""
    FORECAST = "forecast"
    """The load of now is taken for the load to come, with no range around it. The verification of
    outcomes keeps its own look at the load."""
    CAPACITY = "capacity"
    """Latency against load is never learned: replicas follow the latency ratio."""
    MEMORY = "memory"
    """No precedent is ever found: the evidence alone sets the confidence."""


@dataclass(frozen=True, slots=True)
class _LoadOfNow(Series):
    def forecast(self, at: float, horizon_s: float, probability: float = 0.8) -> Forecast | None:
        found = Series.forecast(self, at, horizon_s, probability)
        if found is None or self.now is None:
            return None
        level: Final = self.now.level
        return replace(found, mean=level, low=level, high=level, seasonal=False)

    def highest(self, at: float, horizon_s: float) -> None:
        """Nothing to look at before the forecast."""


def without_forecast(state: SystemState) -> SystemState:
    """The same state to a planner that cannot look ahead."""
    work = state.memory.work
    flat = _LoadOfNow(work.now, work.tracks, work.errors, work.errors_at, work.trust, work.hours)
    return replace(state, memory=replace(state.memory, work=flat))


def nothing_recalled(given: PlanInput, candidate: Candidate) -> Sequence[Precedent]:
    """Find no similar case, whatever is asked."""
    del given, candidate
    return ()
