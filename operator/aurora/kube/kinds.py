"""The kinds of objects that AURORA reads or writes, and the paths they live under."""

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from aurora.resources.names import GROUP, VERSION

__all__ = [
    "APPROVAL",
    "CONFIG_MAP",
    "CUSTOM_KINDS",
    "DECISION",
    "DEPLOYMENT",
    "ENDPOINT_SLICE",
    "EVENT",
    "HPA",
    "HTTP_ROUTE",
    "LEASE",
    "MODEL_DEPLOYMENT",
    "NETWORK_POLICY",
    "NODE",
    "OPTIONAL_KINDS",
    "POD",
    "RESOURCE_QUOTA",
    "ROUTING_POLICY",
    "SCALED_OBJECT",
    "SECRET",
    "SERVICE",
    "STATEFUL_SET",
    "WATCHED_KINDS",
    "Kind",
    "Ref",
    "ref_of",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object; `plural` is what discovery calls the resource."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """Path of the group and version, where discovery answers."""
        version = _quoted(self.version)
        return f"/apis/{_quoted(self.group)}/{version}" if self.group else f"/api/{version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of a collection, an object or a subresource; names are quoted."""
        scope = f"/namespaces/{_quoted(namespace)}" if self.namespaced and namespace else ""
        path = f"{self.root}{scope}/{_quoted(self.plural)}"
        for part in (name, subresource):
            path += f"/{_quoted(part)}" if part else ""
        return path

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _quoted(part: str) -> str:
    # Nearly every name is one that needs no quotes: that is told in a fifth of quoting it.
    return part if _PLAIN(part) else quote(part, safe="")


_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


@dataclass(frozen=True, slots=True)
class Ref:
    """One object: its kind, namespace (empty for cluster-wide kinds) and name."""

    kind: Kind
    namespace: str
    name: str

    def path(self, subresource: str = "") -> str:
        return self.kind.path(self.namespace, self.name, subresource)

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind.kind} {place}"


MODEL_DEPLOYMENT: Final = Kind(GROUP, VERSION, "modeldeployments", "ModelDeployment")
ROUTING_POLICY: Final = Kind(GROUP, VERSION, "routingpolicies", "RoutingPolicy")
DECISION: Final = Kind(GROUP, VERSION, "decisions", "Decision")
APPROVAL: Final = Kind(GROUP, VERSION, "approvals", "Approval")
DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
STATEFUL_SET: Final = Kind("apps", "v1", "statefulsets", "StatefulSet")
POD: Final = Kind("", "v1", "pods", "Pod")
SERVICE: Final = Kind("", "v1", "services", "Service")
SECRET: Final = Kind("", "v1", "secrets", "Secret")
CONFIG_MAP: Final = Kind("", "v1", "configmaps", "ConfigMap")
RESOURCE_QUOTA: Final = Kind("", "v1", "resourcequotas", "ResourceQuota")
NODE: Final = Kind("", "v1", "nodes", "Node", namespaced=False)
ENDPOINT_SLICE: Final = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
HPA: Final = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECT: Final = Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
NETWORK_POLICY: Final = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
LEASE: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")
EVENT: Final = Kind("events.k8s.io", "v1", "events", "Event")

CUSTOM_KINDS: Final = (MODEL_DEPLOYMENT, DECISION, APPROVAL)
OPTIONAL_KINDS: Final = (SCALED_OBJECT, HTTP_ROUTE, ROUTING_POLICY)
"""Watched only where they are served."""
WATCHED_KINDS: Final = (
    *CUSTOM_KINDS,
    DEPLOYMENT,
    STATEFUL_SET,
    POD,
    SERVICE,
    ENDPOINT_SLICE,
    HPA,
    NODE,
    RESOURCE_QUOTA,
    CONFIG_MAP,
    *OPTIONAL_KINDS,
)


def ref_of(kind: Kind, obj: dict[str, Any]) -> Ref:
    """The reference of an object that the API server gave or that is about to be sent."""
    metadata = obj["metadata"]
    return Ref(kind, metadata.get("namespace", "") if kind.namespaced else "", metadata["name"])
