"""A fleet of any size as the API server gives it, for bench.cycle and bench.startup.

Each model has a Deployment with two pods, a Service with its EndpointSlice, an
HorizontalPodAutoscaler and a ModelDeployment that may act by itself. A hundred models share a
namespace; every tenth has a fallback, every tenth an objective for accuracy. Everything follows
from the number alone, so two processes make the same objects.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aurora.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HPA,
    MODEL_DEPLOYMENT,
    NODE,
    POD,
    SERVICE,
    Kind,
)

__all__ = ["PODS", "SYSTEM", "Named", "every_object", "named", "objects_of", "shared"]

PER_NAMESPACE = 100
PODS = 2
PODS_PER_NODE = 100
SYSTEM = "aurora-system"
CREATED = "2026-01-05T08:00:00Z"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_UIDS = uuid.UUID("9d0b7d3a-8f5e-4c8e-9b52-0a6c3c9f1e11")

Object = tuple[Kind, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Named:
    """The names of one model's objects."""

    number: int

    @property
    def namespace(self) -> str:
        return f"team-{self.number // PER_NAMESPACE:03d}"

    @property
    def name(self) -> str:
        return f"llama-3-8b-instruct-{self.number:05d}"

    @property
    def replica_set(self) -> str:
        return f"{self.name}-7c9d8f6b5d"

    @property
    def pods(self) -> tuple[str, ...]:
        return tuple(f"{self.replica_set}-{_random(self.number, place)}" for place in range(PODS))

    @property
    def has_fallback(self) -> bool:
        return self.number % 10 == 5

    @property
    def has_accuracy(self) -> bool:
        return self.number % 10 == 3


def named(models: int) -> Iterator[Named]:
    return (Named(number) for number in range(models))


def every_object(models: int) -> Iterator[Object]:
    """What there is once, then every model's objects, each kind after what it refers to."""
    yield from shared(models)
    for one in named(models):
        yield from objects_of(one)


def shared(models: int) -> Iterator[Object]:
    """The kill switch, not set, and the nodes."""
    yield (
        CONFIG_MAP,
        _object(CONFIG_MAP, SYSTEM, "aurora-control", data={"stop": "false"}),
    )
    for number in range(max(1, models * PODS // PODS_PER_NODE)):
        gpus = {"nvidia.com/gpu": str(2 * PODS_PER_NODE), "cpu": "192"}
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": CREATED}]
        status = {"allocatable": gpus, "conditions": ready}
        yield NODE, _object(NODE, "", f"node-{number:04d}", status=status)


def objects_of(one: Named) -> Iterator[Object]:
    """Deployment, pods, Service, EndpointSlice, autoscaler and ModelDeployment of one model."""
    labels = {"app": one.name, "app.kubernetes.io/part-of": "llm"}
    yield DEPLOYMENT, _deployment(one, labels)
    for place, pod in enumerate(one.pods):
        yield POD, _pod(one, place, pod, labels)
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    spec = {"selector": {"app": one.name}, "ports": ports, "clusterIP": "10.0.0.1"}
    yield SERVICE, _object(SERVICE, one.namespace, one.name, spec=spec)
    yield ENDPOINT_SLICE, _slice(one)
    yield HPA, _hpa(one)
    yield MODEL_DEPLOYMENT, _model(one)


def _deployment(one: Named, labels: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": "vllm",
        "image": "registry.example/vllm:v0.11.0",
        "args": ["--model", f"org/{one.name}", "--max-model-len", "8192"],
        "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
        "resources": {
            "requests": {"cpu": "4", "memory": "32Gi"},
            "limits": {"nvidia.com/gpu": "1", "memory": "48Gi"},
        },
    }
    spec = {
        "replicas": PODS,
        "selector": {"matchLabels": {"app": one.name}},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    status = {
        "observedGeneration": 1,
        "replicas": PODS,
        "readyReplicas": PODS,
        "availableReplicas": PODS,
        "updatedReplicas": PODS,
    }
    return _object(
        DEPLOYMENT, one.namespace, one.name, spec=spec, status=status, metadata={"labels": labels}
    )


def _pod(one: Named, place: int, name: str, labels: dict[str, str]) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": one.replica_set}
    owner |= {"uid": _uid("ReplicaSet", one.namespace, one.name)}
    metadata = {
        "labels": labels | {"pod-template-hash": "7c9d8f6b5d"},
        "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
    }
    serial = one.number * PODS + place
    true = {"status": "True", "lastTransitionTime": CREATED}
    status = {
        "phase": "Running",
        "podIP": f"10.{64 + serial // 65536}.{serial // 256 % 256}.{serial % 256}",
        "conditions": [{"type": "PodScheduled", **true}, {"type": "Ready", **true}],
        "containerStatuses": [{"name": "vllm", "ready": True, "restartCount": 0}],
    }
    limits = {"nvidia.com/gpu": "1", "memory": "48Gi"}
    spec = {
        "nodeName": f"node-{serial // PODS_PER_NODE:04d}",
        "containers": [{"name": "vllm", "resources": {"limits": limits}}],
    }
    return _object(POD, one.namespace, name, spec=spec, status=status, metadata=metadata)


def _slice(one: Named) -> dict[str, Any]:
    ready = {"ready": True, "serving": True, "terminating": False}
    endpoints = [
        {"addresses": ["10.64.0.1"], "conditions": ready, "targetRef": {"kind": "Pod", "name": pod}}
        for pod in one.pods
    ]
    made = _object(
        ENDPOINT_SLICE,
        one.namespace,
        f"{one.name}-x7k2q",
        metadata={"labels": {"kubernetes.io/service-name": one.name}},
    )
    ports = [{"name": "http", "port": 8000, "protocol": "TCP"}]
    return made | {"addressType": "IPv4", "endpoints": endpoints, "ports": ports}


def _hpa(one: Named) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": one.name}
    target_cpu = {"type": "Utilization", "averageUtilization": 80}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target_cpu}}]
    spec = {"scaleTargetRef": target, "minReplicas": PODS, "maxReplicas": 8, "metrics": metrics}
    status = {"currentReplicas": PODS, "desiredReplicas": PODS}
    return _object(HPA, one.namespace, one.name, spec=spec, status=status)


def _model(one: Named) -> dict[str, Any]:
    objectives: dict[str, Any] = {"ttftP95": "1s", "tpotP95": "100ms", "errorRatePercent": 1}
    if one.has_accuracy:
        objectives["accuracyPercent"] = 90
    spec: dict[str, Any] = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": one.name},
        "serviceRef": {"name": one.name},
        "engine": "vllm",
        "objectives": objectives,
        "scaling": {"minReplicas": 1, "maxReplicas": 8, "costPerReplicaHour": "2.50"},
        "autonomy": {"mode": "Auto"},
    }
    if one.has_fallback:
        spec["fallback"] = {"serviceRef": {"name": Named(one.number - 1).name, "port": 80}}
    return _object(MODEL_DEPLOYMENT, one.namespace, one.name, spec=spec)


def _object(kind: Kind, namespace: str, name: str, **parts: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name,
        "uid": _uid(kind.kind, namespace, name),
        "generation": 1,
        "creationTimestamp": CREATED,
    }
    if namespace:
        metadata["namespace"] = namespace
    metadata |= parts.pop("metadata", {})
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **parts}


def _uid(*parts: str) -> str:
    return str(uuid.uuid5(_UIDS, "/".join(parts)))


def _random(number: int, place: int) -> str:
    """Five characters as the API server draws them, different for every pod of a model."""
    value, found = (number * 7919 + 13) * PODS + place, []
    for _ in range(5):
        value, rest = divmod(value, len(_LETTERS))
        found.append(_LETTERS[rest])
    return "".join(found)
