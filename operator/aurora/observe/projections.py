"""Objects of the cluster as facts: pure, small, and never raising whatever the object holds.

None means that the object cannot be identified (no name) or does not concern AURORA.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aurora.observe.facts import (
    AutoscalerFacts,
    ObjectKey,
    QuotaFacts,
    WorkloadFacts,
    WorkloadKey,
)
from aurora.observe.podtemplates import (
    cpu_request_m,
    gpus,
    is_armed,
    memory_request_bytes,
    ports,
)
from aurora.observe.raw import dig, entries, flag, name, quantity, strings, table, text, whole
from aurora.resources import ModelDeployment

__all__ = [
    "LAST_APPLIED",
    "SCALED_OBJECT_KIND",
    "NodeShare",
    "annotations_of",
    "autoscaler_of_hpa",
    "autoscaler_of_scaled_object",
    "key_of",
    "node",
    "quota",
    "scalable",
    "target_of",
    "workload",
]

HPA_KIND: Final = "HorizontalPodAutoscaler"
SCALED_OBJECT_KIND: Final = "ScaledObject"

KEDA_PAUSED: Final = "autoscaling.keda.sh/paused"
KEDA_PAUSED_REPLICAS: Final = "autoscaling.keda.sh/paused-replicas"

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""A copy of the whole object that kubectl keeps in an annotation; nothing reads it here."""

KEDA_FLOOR: Final = 0
KEDA_CEILING: Final = 100
"""KEDA's own defaults of minReplicaCount and maxReplicaCount."""


@dataclass(frozen=True, slots=True)
class NodeShare:
    """What one node adds to the cluster's GPUs."""

    gpus: int
    schedulable: bool


def key_of(obj: Any) -> ObjectKey | None:
    """Namespace (empty for cluster-wide kinds) and name, or None without a name."""
    own = name(obj, "metadata", "name")
    return ObjectKey(name(obj, "metadata", "namespace"), own) if own else None


def target_of(model: ModelDeployment) -> WorkloadKey:
    """The workload that a ModelDeployment points at; always of its own namespace."""
    target = model.spec.target_ref
    return WorkloadKey(target.kind, model.metadata.namespace, target.name)


def workload(obj: Any, *, kind: str, api_version: str = "apps/v1") -> WorkloadFacts | None:
    """A Deployment or StatefulSet. Absent `spec.replicas` is 1, as the API server reads it."""
    key = key_of(obj)
    if key is None:
        return None
    template = table(obj, "spec", "template")
    return WorkloadFacts(
        key=WorkloadKey(kind, *key),
        api_version=api_version,
        uid=text(obj, "metadata", "uid"),
        resource_version=text(obj, "metadata", "resourceVersion"),
        generation=whole(obj, "metadata", "generation"),
        observed_generation=whole(obj, "status", "observedGeneration"),
        replicas=whole(obj, "spec", "replicas", default=1),
        ready_replicas=whole(obj, "status", "readyReplicas"),
        available_replicas=whole(obj, "status", "availableReplicas"),
        updated_replicas=whole(obj, "status", "updatedReplicas"),
        match_labels=strings(obj, "spec", "selector", "matchLabels"),
        template_hash=_hash(template),
        annotations=annotations_of(obj),
        gpus_per_pod=gpus(template.get("spec")),
        cpu_request_m=cpu_request_m(template.get("spec")),
        memory_request_bytes=memory_request_bytes(template.get("spec")),
        armed=is_armed(template.get("spec")),
        deleting=_deleting(obj),
        ports=ports(template.get("spec")),
    )


def scalable(scale: Any, *, key: WorkloadKey, api_version: str) -> WorkloadFacts:
    """A workload of any kind by its subresource `scale`, which tells neither template nor health.

    Ready, available and updated replicas are those that exist; the fleet counts its pods instead
    where it knows them.
    """
    present = whole(scale, "status", "replicas")
    return WorkloadFacts(
        key=key,
        api_version=api_version,
        uid=text(scale, "metadata", "uid"),
        resource_version=text(scale, "metadata", "resourceVersion"),
        generation=0,
        observed_generation=0,
        replicas=whole(scale, "spec", "replicas"),
        ready_replicas=present,
        available_replicas=present,
        updated_replicas=present,
        match_labels=_selector(text(scale, "status", "selector")),
        template_hash="",
        deleting=_deleting(scale),
    )


def autoscaler_of_hpa(obj: Any) -> AutoscalerFacts | None:
    """A HorizontalPodAutoscaler of autoscaling/v2. Absent minReplicas is 1."""
    key = key_of(obj)
    if key is None:
        return None
    target = table(obj, "spec", "scaleTargetRef")
    return AutoscalerFacts(
        kind=HPA_KIND,
        key=key,
        api_version="autoscaling/v2",
        uid=text(obj, "metadata", "uid"),
        resource_version=text(obj, "metadata", "resourceVersion"),
        target=WorkloadKey(name(target, "kind"), key.namespace, name(target, "name")),
        floor=whole(obj, "spec", "minReplicas", default=1),
        ceiling=whole(obj, "spec", "maxReplicas"),
        current=_number(obj, "status", "currentReplicas"),
        desired=_number(obj, "status", "desiredReplicas"),
        owner=_controller(obj),
        annotations=annotations_of(obj),
        annotated="annotations" in table(obj, "metadata"),
    )


def autoscaler_of_scaled_object(obj: Any) -> AutoscalerFacts | None:
    """A KEDA ScaledObject. Its HPA, not it, knows the current and desired replicas."""
    key = key_of(obj)
    if key is None:
        return None
    target = table(obj, "spec", "scaleTargetRef")
    annotations = annotations_of(obj)
    paused = annotations.get(KEDA_PAUSED, "").lower() == "true"
    return AutoscalerFacts(
        kind=SCALED_OBJECT_KIND,
        key=key,
        api_version="keda.sh/v1alpha1",
        uid=text(obj, "metadata", "uid"),
        resource_version=text(obj, "metadata", "resourceVersion"),
        target=WorkloadKey(
            name(target, "kind") or "Deployment", key.namespace, name(target, "name")
        ),
        floor=whole(obj, "spec", "minReplicaCount", default=KEDA_FLOOR),
        ceiling=whole(obj, "spec", "maxReplicaCount", default=KEDA_CEILING),
        owner=_controller(obj),
        paused=paused or KEDA_PAUSED_REPLICAS in annotations,
        annotations=annotations,
        annotated="annotations" in table(obj, "metadata"),
    )


def quota(obj: Any) -> QuotaFacts | None:
    """A ResourceQuota: hard minus used, for every resource that has both."""
    key = key_of(obj)
    if key is None:
        return None
    used = table(obj, "status", "used")
    remaining = {}
    for resource, hard in table(obj, "status", "hard").items():
        limit, taken = quantity(hard), quantity(used.get(resource))
        if limit is not None and taken is not None:
            remaining[resource] = limit - taken
    return QuotaFacts(key=key, remaining=remaining)


def node(obj: Any) -> NodeShare:
    """A node's GPUs, and whether pods can go there: Ready, not cordoned, not being deleted."""
    ready = any(
        text(condition, "type") == "Ready" and text(condition, "status") == "True"
        for condition in entries(obj, "status", "conditions")
    )
    schedulable = ready and not flag(obj, "spec", "unschedulable") and not _deleting(obj)
    return NodeShare(gpus({"containers": [{"resources": _limits(obj)}]}), schedulable)


def annotations_of(obj: Any) -> dict[str, str]:
    """Annotations without kubectl's copy of the whole object."""
    found = strings(obj, "metadata", "annotations")
    found.pop(LAST_APPLIED, None)
    return found


def _limits(obj: Any) -> dict[str, Any]:
    return {"limits": dict(table(obj, "status", "allocatable"))}


def _selector(selector: str) -> dict[str, str]:
    """The equalities of a label selector's text; a set-based term cannot be a mapping."""
    pairs = (term.split("=", 1) for term in selector.split(",") if "=" in term and "!" not in term)
    return {name.strip(): value.lstrip("=").strip() for name, value in pairs}


def _controller(obj: Any) -> str:
    for owner in entries(obj, "metadata", "ownerReferences"):
        if flag(owner, "controller"):
            return f"{text(owner, 'kind')}/{text(owner, 'name')}"
    return ""


def _number(obj: Any, *path: str) -> int | None:
    found = dig(obj, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _deleting(obj: Any) -> bool:
    return bool(text(obj, "metadata", "deletionTimestamp"))


def _hash(template: Mapping[str, Any]) -> str:
    plain = json.dumps(template, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()[:16]
