"""Objects as the API server gives them, small but whole."""

import json
import zlib
from typing import Any

CREATED = "2026-11-21T09:00:00Z"


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def obj(
    name: str, *, namespace: str = "models", uid: str = "", version: str = "1", **parts: Any
) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid or f"uid-{name}",
        "resourceVersion": version,
        "creationTimestamp": CREATED,
        "generation": 1,
    }
    return merged({"metadata": metadata}, parts)


def model(name: str, *, target: str = "llama", **over: Any) -> dict[str, Any]:
    base = obj(
        name,
        apiVersion="aurora.dev/v1alpha1",
        kind="ModelDeployment",
        spec={"targetRef": {"name": target}, "serviceRef": {"name": "llama"}},
    )
    made = merged(base, over)
    if "generation" not in over.get("metadata", {}):
        # Another spec is another generation, as the API server counts them.
        text = json.dumps(made["spec"], sort_keys=True)
        made["metadata"]["generation"] = 1 + zlib.crc32(text.encode()) % 1000
    return made


def deployment(name: str = "llama", **over: Any) -> dict[str, Any]:
    container = {
        "name": "engine",
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"nvidia.com/gpu": "1"},
        },
    }
    base = obj(
        name,
        spec={
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"spec": {"containers": [container]}},
        },
        status={
            "observedGeneration": 1,
            "readyReplicas": 2,
            "availableReplicas": 1,
            "updatedReplicas": 2,
        },
    )
    return merged(base, over)


def pod(name: str, *, workload: str = "llama", **over: Any) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": f"{workload}-abc", "controller": True}
    base = obj(
        name,
        metadata={
            "labels": {"app": workload, "pod-template-hash": "abc"},
            "ownerReferences": [owner],
        },
        spec={
            "nodeName": "node-1",
            "containers": [{"resources": {"limits": {"nvidia.com/gpu": 1}}}],
        },
        status={
            "phase": "Running",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": CREATED},
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": CREATED},
            ],
        },
    )
    return merged(base, over)


def hpa(name: str = "llama", **over: Any) -> dict[str, Any]:
    base = obj(
        name,
        spec={
            "scaleTargetRef": {"kind": "Deployment", "name": "llama"},
            "minReplicas": 2,
            "maxReplicas": 6,
        },
        status={"currentReplicas": 3, "desiredReplicas": 4},
    )
    return merged(base, over)


def scaled_object(name: str = "llama", **over: Any) -> dict[str, Any]:
    return merged(obj(name, spec={"scaleTargetRef": {"name": "llama"}}), over)


def endpoints(
    name: str, *, ready: int, unready: int = 0, service: str = "llama", **over: Any
) -> dict[str, Any]:
    base = obj(
        name,
        metadata={"labels": {"kubernetes.io/service-name": service}},
        addressType="IPv4",
        endpoints=[{"conditions": {"ready": True}}] * ready
        + [{"conditions": {"ready": False}}] * unready,
    )
    return merged(base, over)


def route(name: str, *rules: list[dict[str, Any]]) -> dict[str, Any]:
    return obj(name, spec={"rules": [{"backendRefs": backends} for backends in rules]})


def node(name: str, *, gpus: int, ready: str = "True", **over: Any) -> dict[str, Any]:
    base = obj(
        name,
        namespace="",
        status={
            "allocatable": {"nvidia.com/gpu": str(gpus), "cpu": "8"},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    )
    return merged(base, over)
