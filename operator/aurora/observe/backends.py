"""What is seen of a RoutingPolicy: its backends, and the rule that it programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aurora.observe.facts import EndpointFacts, ObjectKey, RouteFacts
from aurora.observe.sample import Gap, Missing, Reading, Signal
from aurora.reasons import ConditionReason
from aurora.resources.routing_policy import RoutingPolicy
from aurora.resources.routing_policy_parts import Backend

__all__ = ["BackendFacts", "Identity", "RoutingFacts", "Unresolved"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What names a backendRef: an entry that differs in one of these is another backend."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int | None

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.kind} {self.name}{port}"


@dataclass(frozen=True, slots=True)
class BackendFacts:
    """One backend of a policy in one cycle.

    Attributes:
        identity: the backendRef that it stands for; None when it cannot be told.
        place: index among the rule's backendRefs, None where the rule does not list it.
        weight: as it stands in the HTTPRoute.
        endpoints: None where nothing is known of them.
        workload: whose metrics are its own, namespace and name.
        pods_since: creation of its oldest pod, seconds since the epoch; None without pods.
        model: the ModelDeployment behind it.
        problem: why it cannot be resolved, empty when it can.
    """

    spec: Backend
    identity: Identity | None = None
    place: int | None = None
    weight: int | None = None
    endpoints: EndpointFacts | None = None
    workload: tuple[str, str] | None = None
    engine: str = ""
    pods_since: float | None = None
    model: ObjectKey | None = None
    problem: str = ""
    signals: Mapping[Signal, Reading] = field(default_factory=dict)
    queries: Mapping[Signal, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def ready(self) -> int:
        return self.endpoints.ready if self.endpoints is not None else 0

    def reading(self, signal: Signal) -> Reading:
        return self.signals.get(signal, Missing(Gap.NO_DATA, f"no workload to ask for {signal}"))


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why the rule cannot be programmed: a reason of ResolvedRefs or Accepted, and a sentence."""

    reason: ConditionReason
    message: str


@dataclass(frozen=True, slots=True)
class RoutingFacts:
    """A policy with everything that it is decided on.

    Attributes:
        unresolved: None when every reference was resolved and the rule lists what the policy lists.
        rival: who else programs the same rule and goes first; empty when nobody does.
    """

    policy: RoutingPolicy
    backends: tuple[BackendFacts, ...]
    route: RouteFacts | None = None
    unresolved: Unresolved | None = None
    rival: str = ""

    @property
    def rule(self) -> int:
        ref = self.policy.spec.route_ref
        return ref.rule if ref is not None else 0

    @property
    def shares(self) -> dict[str, float]:
        """Each backend's part of the traffic in percent; all 0 while the rule sends nothing."""
        weights = {one.name: one.weight or 0 for one in self.backends}
        total = sum(weights.values())
        return {name: 100 * weight / total if total else 0.0 for name, weight in weights.items()}
