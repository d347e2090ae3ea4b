"""The fleet, put together per model: everything that is decided on but the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from aurora.kube.kinds import NODE
from aurora.observe.facts import (
    AutoscalerFacts,
    ControlFacts,
    NodeFacts,
    ObjectKey,
    PodFacts,
    RouteFacts,
    WorkloadFacts,
    WorkloadKey,
)
from aurora.observe.fleet import Fleet
from aurora.observe.projections import SCALED_OBJECT_KIND, target_of
from aurora.observe.snapshot import ModelObservation
from aurora.resources import Approval, DecisionObject, ModelDeployment

__all__ = ["ClusterView", "observations", "unwatched_targets", "view"]

WATCHED_TARGETS = ("Deployment", "StatefulSet")


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The part of a snapshot that comes from the cluster; observations lack their signals."""

    synced: bool
    models: Mapping[ObjectKey, ModelObservation]
    decisions: Mapping[ObjectKey, DecisionObject]
    approvals: Mapping[ObjectKey, Approval]
    control: ControlFacts
    nodes: NodeFacts | None


def view(
    fleet: Fleet, *, at: float, others: Mapping[WorkloadKey, WorkloadFacts] | None = None
) -> ClusterView:
    """Take the view at the wall time `at`, in seconds since the epoch.

    Args:
        fleet: what the watches said.
        at: time of the snapshot.
        others: targets of kinds that are not watched, read by their subresource `scale`.
    """
    return ClusterView(
        synced=fleet.synced,
        models=observations(fleet, at=at, others=others),
        decisions=dict(fleet.decisions.items()),
        approvals=dict(fleet.approvals.items()),
        control=fleet.control,
        nodes=_nodes(fleet),
    )


def observations(
    fleet: Fleet, *, at: float, others: Mapping[WorkloadKey, WorkloadFacts] | None = None
) -> dict[ObjectKey, ModelObservation]:
    """Every ModelDeployment with the facts about its target, in the order of their names."""
    taken = _Round(fleet, at, others or {}, _routes_by_service(fleet), _pods_by_namespace(fleet))
    models = sorted(fleet.models.items(), key=lambda item: item[0])
    return {key: _observe(taken, key, model) for key, model in models}


def unwatched_targets(fleet: Fleet) -> dict[WorkloadKey, str]:
    """Targets whose kind no watch covers, with their apiVersion: to be read by `scale`."""
    return {
        target_of(model): model.spec.target_ref.api_version
        for model in fleet.models.values()
        if not _is_watched(model)
    }


@dataclass(frozen=True, slots=True)
class _Round:
    """What is worked out once for all models."""

    fleet: Fleet
    at: float
    others: Mapping[WorkloadKey, WorkloadFacts]
    routes: Mapping[ObjectKey, list[RouteFacts]]
    pods: Mapping[str, list[PodFacts]]


def _observe(taken: _Round, key: ObjectKey, model: ModelDeployment) -> ModelObservation:
    fleet, at = taken.fleet, taken.at
    namespace = model.metadata.namespace
    service = ObjectKey(namespace, model.spec.service_ref.name)
    fallback = model.spec.fallback
    spare = ObjectKey(namespace, fallback.service_ref.name) if fallback else None
    target_key, watched = target_of(model), _is_watched(model)
    target = _target(taken, target_key) if watched else taken.others.get(target_key)
    pods = _pods(taken, target_key, target)
    return ModelObservation(
        model=model,
        target=target if target is None or watched else _counted(target, pods),
        autoscalers=_autoscalers(fleet, target_key),
        pods=pods,
        service=fleet.services.get(service),
        endpoints=fleet.endpoints.of(service, at=at),
        fallback_service=fleet.services.get(spare) if spare else None,
        fallback_endpoints=fleet.endpoints.of(spare, at=at) if spare else None,
        route=_route(taken, model, service),
        quotas=tuple(sorted(fleet.quotas.in_group(namespace), key=_key_of)),
        rivals=_rivals(fleet, model, target_key),
        known_key=key,
    )


def _is_watched(model: ModelDeployment) -> bool:
    target = model.spec.target_ref
    return target.kind in WATCHED_TARGETS and target.api_version == "apps/v1"


def _target(taken: _Round, key: WorkloadKey) -> WorkloadFacts | None:
    fleet = taken.fleet
    shelf = fleet.deployments if key.kind == "Deployment" else fleet.stateful_sets
    return shelf.get(ObjectKey(key.namespace, key.name))


def _pods(taken: _Round, key: WorkloadKey, target: WorkloadFacts | None) -> tuple[PodFacts, ...]:
    """Pods of a workload that may serve now or later.

    A pod belongs to it by its owner, and only while the selector still matches: taking a label
    off a pod releases it from its workload.
    """
    selector = target.match_labels if target else {}
    asked = selector.items()
    found = [
        pod
        for pod in _candidates(taken, key, selector)
        if not pod.finished and asked <= pod.labels.items()
    ]
    if len(found) > 1:
        found.sort(key=_key_of)
    return tuple(found)


_key_of: Final = attrgetter("key")


def _candidates(taken: _Round, key: WorkloadKey, selector: Mapping[str, str]) -> list[PodFacts]:
    kind, namespace, name = key
    if kind in WATCHED_TARGETS:
        owned = taken.fleet.pods.in_group((namespace, name))
        return [pod for pod in owned if pod.workload_kind == kind]
    # Other kinds name their pods' owners as they like: there the selector alone tells.
    return taken.pods.get(namespace, []) if selector else []


def _pods_by_namespace(fleet: Fleet) -> dict[str, list[PodFacts]]:
    """Only of namespaces with a target whose kind no watch covers, which are few."""
    found: dict[str, list[PodFacts]] = {key.namespace: [] for key in unwatched_targets(fleet)}
    for pod in fleet.pods.values() if found else ():
        if pod.key.namespace in found:
            found[pod.key.namespace].append(pod)
    return found


def _counted(target: WorkloadFacts, pods: tuple[PodFacts, ...]) -> WorkloadFacts:
    """Replicas that are ready, counted, where the target's kind does not tell."""
    if not target.match_labels:
        return target
    ready = sum(pod.ready and not pod.deleting for pod in pods)
    return replace(target, ready_replicas=ready, available_replicas=ready)


def _autoscalers(fleet: Fleet, target: WorkloadKey) -> tuple[AutoscalerFacts, ...]:
    """Autoscalers of a target; the HPA that a ScaledObject made is that ScaledObject.

    KEDA's HPA knows the current and desired replicas, so the ScaledObject takes them from it.
    """
    objects, hpas = fleet.scaled_objects.in_group(target), fleet.hpas.in_group(target)
    if not objects and len(hpas) <= 1:  # as nearly always
        return tuple(hpas)
    scaled = {one.key.name: one for one in objects}
    found: list[AutoscalerFacts] = []
    for hpa in hpas:
        kind, _, name = hpa.owner.partition("/")
        if kind == SCALED_OBJECT_KIND and name in scaled:
            scaled[name] = replace(scaled[name], current=hpa.current, desired=hpa.desired)
        else:
            found.append(hpa)
    return tuple(sorted([*found, *scaled.values()], key=lambda one: (one.kind, one.key)))


def _rivals(fleet: Fleet, model: ModelDeployment, target: WorkloadKey) -> tuple[ObjectKey, ...]:
    """Older objects with the same target: by creation, then by name, then by uid."""
    all_of_them = fleet.models.in_group(target)
    if len(all_of_them) == 1:  # as nearly always
        return ()
    others = (one for one in all_of_them if _age(one) < _age(model))
    return tuple(ObjectKey(*one.key) for one in sorted(others, key=_age))


def _age(model: ModelDeployment) -> tuple[float, str, str]:
    created = model.metadata.creation_timestamp
    at = created.timestamp() if created else float("inf")
    return at, model.metadata.name, model.metadata.uid


def _routes_by_service(fleet: Fleet) -> dict[ObjectKey, list[RouteFacts]]:
    found: dict[ObjectKey, list[RouteFacts]] = {}
    for route in sorted(fleet.routes.values(), key=lambda one: one.key):
        names = {backend[0] for rule in route.rules for backend in rule}
        for name in sorted(names):
            found.setdefault(ObjectKey(route.key.namespace, name), []).append(route)
    return found


def _route(taken: _Round, model: ModelDeployment, service: ObjectKey) -> RouteFacts | None:
    """The HTTPRoute that the fallback names, else the only one that sends to the Service."""
    fallback = model.spec.fallback
    if fallback is not None and fallback.http_route_ref is not None:
        name = fallback.http_route_ref.name
        return taken.fleet.routes.get(ObjectKey(service.namespace, name))
    candidates = taken.routes.get(service, [])
    return candidates[0] if len(candidates) == 1 else None


def _nodes(fleet: Fleet) -> NodeFacts | None:
    """GPUs of the nodes that pods can go to, and what the pods on them hold.

    None where nodes are not watched: no data is not 0.
    """
    if NODE not in fleet.watched:
        return None
    open_nodes = {key.name: node for key, node in fleet.nodes.items() if node.schedulable}
    requested = sum(
        pod.gpus for pod in fleet.pods.values() if pod.node in open_nodes and not pod.finished
    )
    return NodeFacts(sum(node.gpus for node in open_nodes.values()), requested)
