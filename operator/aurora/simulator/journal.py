"""What a controller did in a run, and how long each request took: the input of the score."""

from dataclasses import dataclass, field

from aurora.simulator.pool import Outcome
from aurora.simulator.statistics import LittleLaw
from aurora.simulator.view import Action

__all__ = ["ActionRecord", "Journal", "Scaling"]


@dataclass(frozen=True, slots=True)
class Scaling:
    """One write of `spec.replicas` at `at`, seconds."""

    at: float
    before: int
    after: int

    @property
    def direction(self) -> int:
        """1 is up, -1 is down."""
        return 1 if self.after > self.before else -1


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """One action other than scaling at `at`, seconds."""

    at: float
    action: Action


@dataclass(slots=True)
class Journal:
    """Grows during a run.

    Attributes:
        scalings: writes of `spec.replicas`.
        actions: other actions.
        timeline: (time in s, desired, ready) at each decision.
        outcomes: how each request ended, arrivals inside the trace only.
        arrived: number of arrivals.
        replica_seconds: GPU time held until the trace's end.
        little: Little's law over the trace.
    """

    scalings: list[Scaling] = field(default_factory=list)
    actions: list[ActionRecord] = field(default_factory=list)
    timeline: list[tuple[float, int, int]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    arrived: int = 0
    replica_seconds: float = 0.0
    little: LittleLaw = field(default_factory=lambda: LittleLaw(0.0, 0.0))
