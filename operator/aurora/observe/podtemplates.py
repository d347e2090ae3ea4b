"""What a pod's spec asks for: GPUs, CPU, memory, and whether the cache sidecar is part of it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aurora.observe.raw import entries, quantity, table, text, whole

__all__ = [
    "CACHE_CONTAINER",
    "cpu_request_m",
    "gpus",
    "is_armed",
    "is_gpu",
    "memory_request_bytes",
    "ports",
]

CACHE_CONTAINER: Final = "aurora-cache"
"""Name of the cache sidecar's container."""

_ACCELERATORS: Final = frozenset(
    {
        "aws.amazon.com/neuron",
        "google.com/tpu",
        "gpu.intel.com/i915",
        "gpu.intel.com/xe",
        "habana.ai/gaudi",
    }
)


def is_gpu(resource: str) -> bool:
    """Tell whether an extended resource is an accelerator that a model is served on."""
    return (
        resource.endswith("/gpu")
        or resource.startswith("nvidia.com/mig-")
        or resource in _ACCELERATORS
    )


def gpus(spec: Any) -> int:
    """GPUs of one pod: limits, which for extended resources are the requests as well."""
    total = 0.0
    for container in _running(spec):
        for name, amount in table(container, "resources", "limits").items():
            total += (quantity(amount) or 0.0) if isinstance(name, str) and is_gpu(name) else 0.0
    return max(0, int(total))


def cpu_request_m(spec: Any) -> int:
    """Requested CPU of one pod, in thousandths of a core."""
    return round(_requested(spec, "cpu") * 1000)


def memory_request_bytes(spec: Any) -> int:
    """Requested memory of one pod."""
    return round(_requested(spec, "memory"))


def is_armed(spec: Any) -> bool:
    """Tell whether the cache sidecar is one of the pod's native sidecars."""
    return any(text(one, "name") == CACHE_CONTAINER for one in entries(spec, "initContainers"))


def ports(spec: Any) -> dict[str, int]:
    """Named ports of the containers that run as long as the pod."""
    found = {
        text(port, "name"): whole(port, "containerPort")
        for container in _running(spec)
        for port in entries(container, "ports")
    }
    return {name: number for name, number in found.items() if name and number}


def _requested(spec: Any, resource: str) -> float:
    """Sum of requests; a container without one takes its limit, as the API server does."""
    total = 0.0
    for container in _running(spec):
        asked = table(container, "resources", "requests").get(resource)
        limit = table(container, "resources", "limits").get(resource)
        total += quantity(limit if asked is None else asked) or 0.0
    return max(0.0, total)


def _running(spec: Any) -> Iterator[Mapping[str, Any]]:
    """Containers that run as long as the pod: native sidecars restart always."""
    yield from entries(spec, "containers")
    for one in entries(spec, "initContainers"):
        if text(one, "restartPolicy") == "Always":
            yield one
