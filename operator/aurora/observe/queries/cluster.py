"""What the cluster's exporters say of a workload: cadvisor, kube-state-metrics, DCGM.

Use is set against the limit of each container, against its request where it has no limit; a
container with neither is left out on both sides, so that it cannot bend the ratio.
"""

from aurora.observe.queries.preset import Batch, Preset, Source
from aurora.observe.queries.promql import Frame, Label, block
from aurora.observe.sample import Signal

__all__ = ["CONTAINERS", "GPU"]

_NAMED = Label("container", "!=", "")  # the sum of a pod has no container name
_MEMORY = "container_memory_working_set_bytes"


def _per_container(f: Frame, inner: str) -> str:
    return block(f"max by ({f.labels.namespace}, {f.labels.pod}, container) (", inner)


def _bound(f: Frame, resource: str) -> str:
    of = Label("resource", "=", resource)
    limits = f.select("kube_pod_container_resource_limits", of)
    requests = f.select("kube_pod_container_resource_requests", of)
    return _per_container(f, f"{limits}\nor\n{requests}")


def _share(f: Frame, used: str, resource: str) -> str:
    both = f"and on ({f.labels.namespace}, {f.labels.pod}, container)"
    use, bound = _per_container(f, used), _bound(f, resource)
    return f.quotient(f"{use}\n{both}\n{bound}", f"{bound}\n{both}\n{use}")


def _cpu(f: Frame) -> str:
    return _share(f, f.rate("container_cpu_usage_seconds_total", _NAMED), "cpu")


def _memory(f: Frame) -> str:
    return _share(f, f.select(_MEMORY, _NAMED), "memory")


def _gpu(f: Frame) -> str:
    return f"{f.grouped(f.select('DCGM_FI_DEV_GPU_UTIL'), operator='avg')} / 100"


CONTAINERS = Preset(
    source=Source.CONTAINERS,
    alive=_MEMORY,
    alive_labels=None,
    signals={Batch.RESOURCES: {Signal.CPU_RATIO: _cpu, Signal.MEMORY_RATIO: _memory}},
    labels=lambda settings: settings.container_labels,
    remembered=False,
)

GPU = Preset(
    source=Source.GPU,
    alive="DCGM_FI_DEV_GPU_UTIL",
    alive_labels=None,
    signals={Batch.RESOURCES: {Signal.GPU_RATIO: _gpu}},
    labels=lambda settings: settings.gpu_labels,
    remembered=False,
)
