"""SCALE: the floor of an autoscaler when there is one, else the scale subresource."""

from typing import Any

from aurora.critic.finding import replicas_in
from aurora.critic.ledger import LedgerEntry
from aurora.errors import ConfigurationError
from aurora.executor.changes import Change, ObjectRef
from aurora.executor.plan import Plan, owner_reference
from aurora.kube.kinds import HPA
from aurora.observe.facts import AutoscalerFacts, WorkloadFacts
from aurora.observe.snapshot import ModelObservation

__all__ = ["FLOOR_PATH", "scale_plan"]

FLOOR_PATH = {
    "HorizontalPodAutoscaler": "/spec/minReplicas",
    "ScaledObject": "/spec/minReplicaCount",
}


def scale_plan(entry: LedgerEntry, observation: ModelObservation) -> Plan:
    """The one leaf that gives the target its new number of replicas.

    With an autoscaler only its floor is written, never its maximum and never spec.replicas: a
    raised floor acts at once, and a lowered one leaves the rest to the autoscaler. Without one,
    and only where spec.scaling.createAutoscaler asks for it, a HorizontalPodAutoscaler is made.

    Raises:
        ConfigurationError: the target is gone, has two autoscalers, or was changed by somebody
            since; decide again.
    """
    wanted = int(entry.after["replicas"])
    target, scaling = observation.target, observation.model.spec.scaling
    if target is None or len(observation.autoscalers) > 1:
        raise ConfigurationError(f"{entry.model.name} cannot be scaled now: decide again")
    scalers = observation.autoscalers
    now = scalers[0].floor if scalers else target.replicas
    if now not in {wanted, replicas_in(entry.before)}:
        # Decided on another number: 2 to 3 must not take a model from 5 to 3.
        raise ConfigurationError(f"{target.key.name} stands at {now} replicas now: decide again")
    if scalers:
        return Plan(_floor(scalers[0], wanted))
    if scaling is not None and scaling.create_autoscaler:
        return _made(observation, target, wanted)
    return Plan(_replicas(target, wanted))


def _made(observation: ModelObservation, target: WorkloadFacts, wanted: int) -> Plan:
    """A new autoscaler, whose floor is the change: undoing lets it fall back, so that it acts.

    Its uid is not known before it exists; being AURORA's own, it needs no guard.
    """
    ref = ObjectRef(HPA.api_version, HPA.kind, target.key.namespace, target.key.name, "")
    floor = Change(ref, FLOOR_PATH[HPA.kind], target.replicas, wanted)
    return Plan((floor,), ((HPA, _autoscaler(observation, target, wanted)),))


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
            "ownerReferences": [owner_reference(model) | {"controller": True}],
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
    return (Change(ref, FLOOR_PATH[scaler.kind], scaler.floor, wanted),)


def _replicas(target: WorkloadFacts, wanted: int) -> tuple[Change, ...]:
    ref = ObjectRef(
        target.api_version, target.key.kind, target.key.namespace, target.key.name, target.uid
    )
    if target.replicas == wanted:
        return ()
    return (Change(ref, "/spec/replicas", target.replicas, wanted, subresource="scale"),)
