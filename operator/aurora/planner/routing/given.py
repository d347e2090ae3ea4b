"""What the weights of one policy are decided on in one cycle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from aurora.observe.backends import BackendFacts, RoutingFacts
from aurora.observe.sample import Sample, Signal
from aurora.planner.route_rules import Failure
from aurora.planner.routing.audit import violations
from aurora.planner.routing.health import failure_of
from aurora.planner.routing.past import BackendPast
from aurora.planner.routing.points import completed, points
from aurora.resources.routing_policy import RoutingPolicySpec
from aurora.resources.routing_policy_parts import Enforcement, Strategy
from aurora.state.routing_memory import RoutingMemory

__all__ = ["RoutingInput"]

MOST_DOUBLINGS = 6
"""The wait before a failed backend gets traffic again doubles up to 64 times."""


@dataclass(frozen=True)
class RoutingInput:
    """One policy in one cycle.

    Attributes:
        at: seconds since the epoch.
        past: of the backends that failed within the last day.
        learned: what the strategy Learned learned, None with any other.
    """

    facts: RoutingFacts
    at: float
    past: Mapping[str, BackendPast] = field(default_factory=dict)
    learned: RoutingMemory | None = None

    @property
    def spec(self) -> RoutingPolicySpec:
        return self.facts.policy.spec

    @property
    def backends(self) -> tuple[BackendFacts, ...]:
        return self.facts.backends

    def backend(self, name: str) -> BackendFacts:
        return next(one for one in self.backends if one.name == name)

    @cached_property
    def is_priced(self) -> bool:
        """Whether every backend but outside providers has a price: else none can be compared."""
        inside = [one.spec for one in self.backends if one.spec.provider is None]
        return all(one.cost_per_replica_hour is not None for one in inside)

    @cached_property
    def now(self) -> dict[str, int]:
        """Points in force; all 0 while the rule sends nothing anywhere."""
        return points(self.facts.shares)

    @cached_property
    def failures(self) -> dict[str, Failure]:
        """The backends that fail their callers now."""
        found = {one.name: failure_of(one, self.spec.health, at=self.at) for one in self.backends}
        return {name: failure for name, failure in found.items() if failure is not None}

    @cached_property
    def closed(self) -> dict[str, str]:
        """The backends that may not get more traffic now, with the sentence that says why."""
        found = {one.name: self._why_closed(one) for one in self.backends}
        return {name: why for name, why in found.items() if why}

    @property
    def leaving(self) -> frozenset[str]:
        """The closed backends that are to have no traffic; the other closed ones keep theirs.

        One that has no ready endpoint for a moment only gets no more of it.
        """
        strict = self.spec.constraints.enforcement is Enforcement.STRICT
        broken = [
            one.name for one in self.backends if strict and violations(one, self.spec.constraints)
        ]
        return frozenset({*self.failures, *broken})

    def _why_closed(self, one: BackendFacts) -> str:
        if one.name in self.failures:
            return self.failures[one.name].message
        if one.ready == 0:
            return "It has no ready endpoint."
        if self.spec.constraints.enforcement is Enforcement.STRICT:
            broken = violations(one, self.spec.constraints)
            if broken:
                return f"It violates {', '.join(broken)}."
        return self._on_probation(one)

    def _on_probation(self, one: BackendFacts) -> str:
        """A backend without traffic proves nothing: it waits, and longer each time."""
        past = self.past.get(one.name)
        if past is None or self.now[one.name] > 0:
            return ""
        if self.rolls_out(one.name) and self.spec.strategy is Strategy.CANARY:
            newer = one.pods_since is not None and one.pods_since > past.failed_at
            return "" if newer else "It failed: roll out new pods to try again."
        doublings = min(MOST_DOUBLINGS, past.failures - 1)
        wait = self.spec.autonomy.verification.window.total_seconds() * 2**doublings
        return "" if self.at - past.failed_at >= wait else "It failed and has to wait."

    def rolls_out(self, name: str) -> bool:
        """Whether the step plan is about this backend."""
        return self.spec.rollout is not None and self.spec.rollout.backend == name

    @property
    def open(self) -> list[BackendFacts]:
        """The backends that may get more traffic."""
        return [one for one in self.backends if one.name not in self.closed]

    def spread(self, shares: Mapping[str, float]) -> dict[str, int]:
        """Points of 100: what closed backends keep, and by the shares what is left of them."""
        leaving = self.leaving
        fixed = {name: 0 if name in leaving else self.now[name] for name in self.closed}
        return completed(fixed, shares)

    def measured(self, one: BackendFacts, signal: Signal) -> Sample | None:
        """A reading to weigh by: whole, not of some of the pods."""
        reading = one.reading(signal)
        return reading if isinstance(reading, Sample) and not reading.partial else None
