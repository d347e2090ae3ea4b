"""One consistent view of the fleet, taken at the start of a cycle."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aurora.observe.backends import RoutingFacts
from aurora.observe.facts import (
    AutoscalerFacts,
    ControlFacts,
    EndpointFacts,
    NodeFacts,
    ObjectKey,
    PodFacts,
    ProbeFacts,
    QuotaFacts,
    RouteFacts,
    ServiceFacts,
    WorkloadFacts,
)
from aurora.observe.sample import Gap, Missing, Reading, Signal
from aurora.observe.subjects import policy_key
from aurora.resources import Approval, DecisionObject, ModelDeployment
from aurora.values import quick

__all__ = ["FleetSnapshot", "ModelObservation", "PodReading", "SourceFacts"]


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """How the metrics source answered this cycle.

    Attributes:
        queries: how many were sent.
        failure: why none or some of them were answered; empty when all were.
        warnings: what the source said of a partial answer.
    """

    queries: int = 0
    failure: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PodReading:
    """Health of one pod, read apart from the others while its workload gets no or mixed traffic."""

    request_rate: Reading
    server_error_ratio: Reading


@quick
@dataclass(frozen=True, slots=True)
class ModelObservation:
    """Everything one model is decided on. `signals` has an entry for each signal asked for."""

    model: ModelDeployment
    target: WorkloadFacts | None
    autoscalers: tuple[AutoscalerFacts, ...] = ()
    pods: tuple[PodFacts, ...] = ()
    service: ServiceFacts | None = None
    endpoints: EndpointFacts | None = None
    fallback_service: ServiceFacts | None = None
    fallback_endpoints: EndpointFacts | None = None
    fallback_model_names: frozenset[str] = frozenset()
    model_names: frozenset[str] = frozenset()
    route: RouteFacts | None = None
    probe: ProbeFacts | None = None
    signals: Mapping[Signal, Reading] = field(default_factory=dict)
    queries: Mapping[Signal, str] = field(default_factory=dict)
    pod_readings: Mapping[str, PodReading] = field(default_factory=dict)
    quotas: tuple[QuotaFacts, ...] = ()
    rivals: tuple[ObjectKey, ...] = ()
    """Older ModelDeployments that point at the same target: they act, this one does not."""
    routing: RoutingFacts | None = None
    """What a RoutingPolicy sees; `model` then says in a model's words what the policy asks for."""
    neighbours: tuple[ObjectKey, ...] = ()
    """Of a policy, the models that it routes to; of a model, the policies that route to it."""
    known_key: ObjectKey | None = None
    """What `key` is, where it was at hand: a cycle asks for it ten times a model."""

    @property
    def key(self) -> ObjectKey:
        if self.known_key is not None:
            return self.known_key
        metadata = self.model.metadata
        if self.routing is not None:
            return policy_key(metadata.namespace, metadata.name)
        return ObjectKey(metadata.namespace, metadata.name)

    def reading(self, signal: Signal) -> Reading:
        return self.signals.get(signal, Missing(Gap.NO_DATA, f"{signal} was not asked for"))


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """The fleet at one moment.

    Attributes:
        at: wall clock, seconds since the epoch: for windows, schedules and what people read.
        monotonic: for ages and cooldowns within one process.
        synced: every kind was listed at least once; nothing is decided before.
    """

    at: float
    monotonic: float
    synced: bool
    models: Mapping[ObjectKey, ModelObservation]
    decisions: Mapping[ObjectKey, DecisionObject]
    approvals: Mapping[ObjectKey, Approval]
    control: ControlFacts
    nodes: NodeFacts | None = None
    source: SourceFacts = SourceFacts()
