"""What the cluster's watches say, as small projections of the objects.

Facts hold only what a decision reads, so that 10,000 models with 20,000 pods stay small in memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from aurora.values import quick

__all__ = [
    "AutoscalerFacts",
    "ControlFacts",
    "EndpointFacts",
    "NodeFacts",
    "ObjectKey",
    "PodFacts",
    "ProbeFacts",
    "QuotaFacts",
    "RouteBackend",
    "RouteFacts",
    "ServiceFacts",
    "ServicePort",
    "WorkloadFacts",
    "WorkloadKey",
]


class ObjectKey(NamedTuple):
    """Namespace and name of one object of a known kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class WorkloadKey(NamedTuple):
    """The workload that a ModelDeployment points at."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class WorkloadFacts:
    """A Deployment, StatefulSet or other workload with a scale subresource.

    Attributes:
        replicas: `spec.replicas`; ready, updated and available are of `status`.
        template_hash: changes when, and only when, the pod template changes.
        gpus_per_pod: sum of the containers' GPU limits of one pod.
        armed: the cache sidecar is part of the pod template.
        ports: the containers' named ports.
    """

    key: WorkloadKey
    api_version: str
    uid: str
    resource_version: str
    generation: int
    observed_generation: int
    replicas: int
    ready_replicas: int
    available_replicas: int
    updated_replicas: int
    match_labels: Mapping[str, str]
    template_hash: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    gpus_per_pod: int = 0
    cpu_request_m: int = 0
    memory_request_bytes: int = 0
    armed: bool = False
    deleting: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod of a workload. Times are seconds since the epoch; None where it has not happened.

    Attributes:
        workload: name of the workload that made it, and workload_kind its kind; empty for a pod of
            its own.
        template_hash: the label that its controller set; compare it among pods only.
        node: where it runs, empty until it is scheduled.
        gpus: GPUs that it holds once it is scheduled.
        finished: it succeeded or failed and will never serve again.
        ip: its address, empty until it has one.
    """

    key: ObjectKey
    uid: str
    workload: str
    created_at: float
    scheduled_at: float | None
    ready: bool
    ready_at: float | None
    restarts: int
    crash_looping: bool
    unschedulable: str
    deleting: bool
    template_hash: str
    labels: Mapping[str, str] = field(default_factory=dict)
    workload_kind: str = ""
    node: str = ""
    gpus: int = 0
    finished: bool = False
    ip: str = ""


@dataclass(frozen=True, slots=True)
class AutoscalerFacts:
    """A HorizontalPodAutoscaler or KEDA ScaledObject that scales the target.

    Attributes:
        floor: minReplicas of an HPA, minReplicaCount of a ScaledObject.
        ceiling: the maximum, which AURORA never writes.
        owner: kind/name of the controlling owner, for example the ScaledObject behind an HPA.
        annotated: it has annotations, were it only those that are not kept here.
    """

    kind: str
    key: ObjectKey
    api_version: str
    uid: str
    resource_version: str
    target: WorkloadKey
    floor: int
    ceiling: int
    current: int | None = None
    desired: int | None = None
    owner: str = ""
    paused: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    annotated: bool = False

    def is_of(self, model: ObjectKey) -> bool:
        """Whether AURORA made it for that ModelDeployment: nothing was found there before."""
        return self.owner == f"ModelDeployment/{model.name}"


class ServicePort(NamedTuple):
    """One port of a Service; target_port is a name or a number as text."""

    name: str
    port: int
    target_port: str


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A Service: what it selects and where it sends."""

    key: ObjectKey
    uid: str
    resource_version: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    headless: bool
    annotations: Mapping[str, str] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """Endpoints of a Service over all of its EndpointSlices.

    Attributes:
        not_ready_since: when the number of ready endpoints last became 0, None while there is one.
    """

    service: ObjectKey
    ready: int
    total: int
    not_ready_since: float | None = None


class RouteBackend(NamedTuple):
    """One backendRef, as it stands in the HTTPRoute; port is None where it has none."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int | None
    weight: int


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """An HTTPRoute with the backends and weights of each rule.

    Attributes:
        backends: per rule, each backendRef whole.
        writer: the manager that wrote the rules last, empty where the object does not tell.
    """

    key: ObjectKey
    uid: str
    resource_version: str
    rules: tuple[tuple[tuple[str, int, int], ...], ...]
    """Per rule, per backendRef: Service name, port, weight."""
    backends: tuple[tuple[RouteBackend, ...], ...] = ()
    writer: str = ""


@dataclass(frozen=True, slots=True)
class ProbeFacts:
    """Requests that AURORA sent to the primary's pods while traffic goes to the fallback.

    Attributes:
        successes: answers with a 2xx status in a row, over all ready pods; one failure clears it.
        failure: what the last failure said, empty after a success.
    """

    successes: int
    failure: str = ""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Allocatable and requested GPUs over the schedulable nodes of the cluster."""

    gpus_allocatable: int
    gpus_requested: int

    @property
    def gpus_free(self) -> int:
        return max(0, self.gpus_allocatable - self.gpus_requested)


@dataclass(frozen=True, slots=True)
class QuotaFacts:
    """What is left of a ResourceQuota: resource name to (hard, used) in base units."""

    key: ObjectKey
    remaining: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ControlFacts:
    """The ConfigMap `aurora-control`. Absent or unreadable counts as a set kill switch."""

    readable: bool
    stopped: bool
    detail: str = ""

    @property
    def writes_allowed(self) -> bool:
        return self.readable and not self.stopped
