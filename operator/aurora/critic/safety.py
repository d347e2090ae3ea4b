"""Whether the result would be a state that is allowed and safe."""

from aurora.critic.finding import Finding, replicas_in
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, NodeProvisioning

_NAMES_SHOWN, _NAME_SHOWN = 3, 80  # names, and characters of each


def out_of_bounds(given: CriticInput) -> Finding:
    """A step down from above the maximum may end above it still: the step limit wants that."""
    scaling = given.observation.model.spec.scaling
    wanted, before = replicas_in(given.request.after), replicas_in(given.request.before)
    if given.request.action is not Action.SCALE:
        return None
    if scaling is None:
        return CheckReason.OUT_OF_BOUNDS, "spec.scaling is not set: add minReplicas and maxReplicas"
    if wanted is None:
        return CheckReason.OUT_OF_BOUNDS, "the number of replicas wanted is no number"
    ceilings = [scaler.ceiling for scaler in given.observation.autoscalers]
    low, high = _lowest(given, scaling.min_replicas), min([scaling.max_replicas, *ceilings])
    if low <= wanted <= high or high < wanted < (before or 0):
        return None
    return CheckReason.OUT_OF_BOUNDS, f"{wanted} replicas are outside of {low} to {high}"


def _lowest(given: CriticInput, minimum: int) -> int:
    """An autoscaler's floor is never lowered below where it was found."""
    if not given.request.takes_away:
        return minimum
    found = [
        scaler.floor if given.adopted_floor is None else given.adopted_floor
        for scaler in given.observation.autoscalers
        if not scaler.is_of(given.request.model)
    ]
    return max([minimum, *found])


def no_healthy_backend(given: CriticInput) -> Finding:
    if given.request.action is not Action.ROUTE or given.request.direction is Direction.SHIFT:
        return None
    to_fallback = given.request.direction is Direction.FALLBACK
    seen = given.observation
    endpoints = seen.fallback_endpoints if to_fallback else seen.endpoints
    ready = endpoints.ready if endpoints is not None else 0
    primary_ready = sum(1 for pod in seen.pods if pod.ready and not pod.deleting)
    if (ready if to_fallback else primary_ready) > 0:
        return None
    return CheckReason.NO_HEALTHY_BACKEND, "the backend that would take the traffic is not ready"


def model_name_differs(given: CriticInput) -> Finding:
    seen = given.observation
    if given.request.direction is not Direction.FALLBACK or not seen.fallback_model_names:
        return None
    if not seen.model_names or seen.model_names & seen.fallback_model_names:
        return None
    return (
        CheckReason.MODEL_NAME_DIFFERS,
        (
            f"the fallback serves {_few(seen.fallback_model_names)} and the primary "
            f"{_few(seen.model_names)}: callers would get an error for the name, so serve both "
            "under the same one"
        ),
    )


def _few(names: frozenset[str]) -> str:
    """A few of the names, quoted: they are whatever an exporter says."""
    shown = [repr(name[:_NAME_SHOWN]) for name in sorted(names)[:_NAMES_SHOWN]]
    more = [f"{len(names) - _NAMES_SHOWN} more"] if len(names) > _NAMES_SHOWN else []
    return ", ".join([*shown, *more])


def quota_exceeded(given: CriticInput) -> Finding:
    target, more = given.observation.target, _added(given)
    if target is None or more <= 0:
        return None
    needs = {
        "pods": more,
        "requests.cpu": more * target.cpu_request_m / 1000,
        "requests.memory": more * target.memory_request_bytes,
        "requests.nvidia.com/gpu": more * target.gpus_per_pod,
    }
    for quota in given.observation.quotas:
        for resource, needed in needs.items():
            left = quota.remaining.get(resource)
            if left is not None and needed > left:
                return (
                    CheckReason.QUOTA_EXCEEDED,
                    (
                        f"ResourceQuota {quota.key.name} has {left:g} {resource} left, "
                        f"{needed:g} are needed"
                    ),
                )
    return None


def gpu_shortage(given: CriticInput) -> Finding:
    target, more, nodes = given.observation.target, _added(given), given.fleet.nodes
    scaling = given.observation.model.spec.scaling
    if target is None or scaling is None or nodes is None or more <= 0:
        return None
    needed = more * target.gpus_per_pod
    on_demand = scaling.node_provisioning is NodeProvisioning.AUTO
    if on_demand or needed <= nodes.gpus_free:
        return None
    return (
        CheckReason.GPU_SHORTAGE,
        (
            f"{needed} GPUs are needed and {nodes.gpus_free} are free: add nodes, or set "
            "scaling.nodeProvisioning to Auto where nodes appear on demand"
        ),
    )


def _added(given: CriticInput) -> int:
    before, after = replicas_in(given.request.before), replicas_in(given.request.after)
    return 0 if before is None or after is None else after - before
