"""What a Decision is about, as the key of the loop and as the object in the cluster."""

from collections.abc import Mapping
from typing import Any, Final

from aurora.kube.kinds import MODEL_DEPLOYMENT, ROUTING_POLICY, Kind, Ref
from aurora.observe.facts import ObjectKey
from aurora.observe.subjects import kind_of, name_of, subject_key
from aurora.resources import DecisionObject, ModelDeployment, RoutingPolicy
from aurora.resources.vocabulary import SubjectKind

__all__ = [
    "SUBJECT_KINDS",
    "Subject",
    "guard_of",
    "identity_of",
    "parse_subject",
    "ref_of_object",
    "ref_of_subject",
    "subject_of",
]

Subject = ModelDeployment | RoutingPolicy

_KINDS: Final[Mapping[SubjectKind, Kind]] = {
    SubjectKind.MODEL_DEPLOYMENT: MODEL_DEPLOYMENT,
    SubjectKind.ROUTING_POLICY: ROUTING_POLICY,
}
SUBJECT_KINDS: Final = tuple(_KINDS.values())


def subject_of(found: DecisionObject) -> ObjectKey:
    """The key of the ModelDeployment or RoutingPolicy that a Decision is about."""
    ref = found.spec.model_ref
    return subject_key(ref.kind, found.metadata.namespace, ref.name)


def ref_of_subject(key: ObjectKey) -> Ref:
    """Where the object is in the cluster."""
    return Ref(_KINDS[kind_of(key)], key.namespace, name_of(key))


def ref_of_object(found: Subject) -> Ref:
    """Where an object that was read is in the cluster."""
    kind = _KINDS[SubjectKind(found.kind)]
    return Ref(kind, found.metadata.namespace, found.metadata.name)


def guard_of(found: Subject | DecisionObject) -> dict[str, Any]:
    """What the write of a status is guarded by, and the status that stands there."""
    status = found.status.to_kubernetes() if found.status is not None else {}
    return {**identity_of(found), "status": status}


def identity_of(found: Subject | DecisionObject) -> dict[str, Any]:
    """What the write of a status is guarded by, where the status is known to be another one."""
    metadata = {"uid": found.metadata.uid, "resourceVersion": found.metadata.resource_version}
    return {"metadata": metadata}


def parse_subject(raw: Mapping[str, Any]) -> Subject:
    """Read an object as the API server gives it.

    Raises:
        MalformedObjectError: it is neither kind, or has not its shape.
    """
    if raw.get("kind") == RoutingPolicy.kind:
        return RoutingPolicy.parse(raw)
    return ModelDeployment.parse(raw)
