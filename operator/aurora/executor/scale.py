"""SCALE: the floor of an autoscaler when there is one, else the scale subresource."""

from typing import Any

from aurora.critic.ledger import LedgerEntry
from aurora.errors import ConfigurationError
from aurora.executor.changes import Change, ObjectRef
from aurora.executor.plan import Plan, owner_reference
from aurora.kube.kinds import HPA
from aurora.observe.facts import AutoscalerFacts, WorkloadFacts
from aurora.observe.snapshot import ModelObservation

__all__ = ["scale_plan"]

_FLOOR_PATH = {
    "HorizontalPodAutoscaler": "/spec/minReplicas",
    "ScaledObject": "/spec/minReplicaCount",
}


def scale_plan(entry: LedgerEntry, observation: ModelObservation) -> Plan:
    """The one leaf that gives the target its new number of replicas.

    With an autoscaler only its floor is written, never its maximum and never spec.replicas: a
    raised floor acts at once, and a lowered one leaves the rest to the autoscaler. Without one,
    and only where spec.scaling.createAutoscaler asks for it, a HorizontalPodAutoscaler is made.

    Raises:
        ConfigurationError: the target is gone or has two autoscalers; decide again.
    """
    wanted = int(entry.after["replicas"])
    target, scaling = observation.target, observation.model.spec.scaling
    if target is None or len(observation.autoscalers) > 1:
        raise ConfigurationError(f"{entry.model.name} cannot be scaled now: decide again")
    if observation.autoscalers:
        return Plan(_floor(observation.autoscalers[0], wanted))
    if scaling is not None and scaling.create_autoscaler:
        return Plan(manifests=((HPA, _autoscaler(observation, target, wanted)),))
    return Plan(_replicas(target, wanted))


def _autoscaler(
    observation: ModelObservation, target: WorkloadFacts, wanted: int
) -> dict[str, Any]:
    """An HPA on CPU that AURORA owns; it goes with its ModelDeployment."""
    model, scaling = observation.model, observation.model.spec.scaling
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return {
        "apiVersion": HPA.api_version,
        "kind": HPA.kind,
        "metadata": {
            "name": target.key.name,
            "namespace": target.key.namespace,
            "ownerReferences": [owner_reference(model)],
        },
        "spec": {
            "scaleTargetRef": {
                "apiVersion": target.api_version,
                "kind": target.key.kind,
                "name": target.key.name,
            },
            "minReplicas": wanted,
            "maxReplicas": scaling.max_replicas if scaling is not None else wanted,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }


def _floor(scaler: AutoscalerFacts, wanted: int) -> tuple[Change, ...]:
    ref = ObjectRef(scaler.api_version, scaler.kind, *scaler.key, scaler.uid)
    if scaler.floor == wanted:
        return ()
    return (Change(ref, _FLOOR_PATH[scaler.kind], scaler.floor, wanted),)


def _replicas(target: WorkloadFacts, wanted: int) -> tuple[Change, ...]:
    ref = ObjectRef(
        target.api_version, target.key.kind, target.key.namespace, target.key.name, target.uid
    )
    if target.replicas == wanted:
        return ()
    return (Change(ref, "/spec/replicas", target.replicas, wanted, subresource="scale"),)
