"""SCALE: the floor of an autoscaler when there is one, else the scale subresource."""

from aurora.errors import ConfigurationError
from aurora.executor.changes import Change, ObjectRef
from aurora.observe.facts import AutoscalerFacts, WorkloadFacts
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Decision

__all__ = ["scale_changes"]

_FLOOR_PATH = {
    "HorizontalPodAutoscaler": "/spec/minReplicas",
    "ScaledObject": "/spec/minReplicaCount",
}


def scale_changes(decision: Decision, observation: ModelObservation) -> tuple[Change, ...]:
    """The one leaf that gives the target its new number of replicas.

    With an autoscaler only its floor is written, never its maximum and never spec.replicas: a
    raised floor acts at once, and a lowered one leaves the rest to the autoscaler.

    Raises:
        ConfigurationError: the target is gone or has two autoscalers; decide again.
    """
    wanted = int(decision.after["replicas"])
    if observation.target is None or len(observation.autoscalers) > 1:
        raise ConfigurationError(f"{decision.target} cannot be scaled now: decide again")
    if observation.autoscalers:
        return _floor(observation.autoscalers[0], wanted)
    return _replicas(observation.target, wanted)


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
