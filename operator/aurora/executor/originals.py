"""The values found before the first change, kept on the ModelDeployment for its deletion."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from aurora.executor.cache import ARMED_PATH
from aurora.executor.changes import Change, ObjectRef
from aurora.executor.plan import status_changes, stored_changes
from aurora.executor.subjects import Subject
from aurora.kube.jsonpatch import ABSENT, Operation, guarded, pointer
from aurora.kube.jsonpatch import Change as FieldChange
from aurora.resources import ModelDeployment
from aurora.resources.names import FINALIZER, LAST_DECISION_ANNOTATION, ORIGINAL_ANNOTATION

__all__ = [
    "adopted_floor",
    "keep_originals",
    "last_decision",
    "originals_of",
    "release",
    "remember_decision",
]

Leaf = tuple[ObjectRef, str]


def originals_of(model: Subject) -> dict[Leaf, Change]:
    """What stood there before AURORA, by object and field; before = now, after = original."""
    text = model.metadata.annotations.get(ORIGINAL_ANNOTATION, "")
    try:
        kept = stored_changes({"changes": json.loads(text)}) if text else ()
        return {(one.ref, one.path): one for one in kept if _is_ours(one, model)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # The annotation is input like any other: what cannot be read restores nothing.
        return {}


def _is_ours(change: Change, model: Subject) -> bool:
    """Whether AURORA may have written it.

    Who may edit a ModelDeployment must not reach, through its annotation, what only AURORA may.
    """
    if change.ref.namespace != model.metadata.namespace:
        return False
    return any(pattern.fullmatch(change.path) for pattern in _LEAVES.get(change.ref.kind, ())) or (
        change.subresource == "scale" and change.path == "/spec/replicas"
    )


_LEAVES: Final = {
    "Deployment": (re.compile(re.escape(ARMED_PATH)),),
    "HorizontalPodAutoscaler": (re.compile("/spec/minReplicas"),),
    "ScaledObject": (re.compile("/spec/minReplicaCount"),),
    "Service": (re.compile("/spec/selector"), re.compile("/spec/ports/0/targetPort")),
    "HTTPRoute": (re.compile(r"/spec/rules/\d+/backendRefs/\d+/weight"),),
}
"""The leaves that the actuators write, by kind."""


def adopted_floor(model: ModelDeployment) -> int | None:
    """The autoscaler's floor before AURORA first changed it, None when it never did."""
    for (_, path), change in originals_of(model).items():
        if path in {"/spec/minReplicas", "/spec/minReplicaCount"} and type(change.after) is int:
            return change.after
    return None


def keep_originals(model: Subject, changes: Sequence[Change], *, text: str = "") -> dict[str, Any]:
    """The metadata that remembers the old values and holds the object until they are restored.

    It is sent before the first effect: a change must never be in force with nobody to undo it.
    Lists are replaced whole, so it has to be guarded by the resourceVersion that `model` has.

    Args:
        model: the ModelDeployment or RoutingPolicy as it is known.
        changes: what is about to be written.
        text: the last decision as `aurora.dev/last-decision` will have it, told by the same write.

    Returns:
        The part of a merge patch; empty where everything is remembered.
    """
    known = originals_of(model)
    fresh = {
        (one.ref, one.path): replace(one, before=one.after, after=one.before)
        for one in changes
        if one.ref.uid and (one.ref, one.path) not in known
    }
    held = model.metadata.finalizers
    if not fresh and (not known or FINALIZER in held):
        return {}
    kept = json.dumps(status_changes((known | fresh).values()), separators=(",", ":"))
    told = {LAST_DECISION_ANNOTATION: text} if text else {}
    made: dict[str, Any] = {"annotations": {ORIGINAL_ANNOTATION: kept, **told}}
    if FINALIZER not in held:
        made["finalizers"] = [*held, FINALIZER]
    return made


def release(found: dict[str, Any]) -> list[Operation]:
    """The patch that forgets the old values and lets the object go."""
    metadata = found["metadata"]
    held, annotations = metadata.get("finalizers") or [], metadata.get("annotations") or {}
    rest = [one for one in held if one != FINALIZER]
    made = []
    if FINALIZER in held:
        made.append(FieldChange("/metadata/finalizers", held, rest or ABSENT))
    if ORIGINAL_ANNOTATION in annotations:
        path = pointer("metadata", "annotations", ORIGINAL_ANNOTATION)
        made.append(FieldChange(path, annotations[ORIGINAL_ANNOTATION], ABSENT))
    return _guarded(found, made) if made else []


def remember_decision(found: dict[str, Any], text: str) -> list[Operation]:
    """The patch that puts the last decision on any object, as an annotation."""
    return _guarded(found, [last_decision(found, text)])


def last_decision(found: dict[str, Any], text: str) -> FieldChange:
    """The same as one change among others."""
    name, held = LAST_DECISION_ANNOTATION, found["metadata"].get("annotations")
    if held is None:
        return FieldChange("/metadata/annotations", ABSENT, {name: text})
    path = pointer("metadata", "annotations", name)
    return FieldChange(path, held.get(name, ABSENT), text)


def _guarded(found: dict[str, Any], changes: Sequence[FieldChange]) -> list[Operation]:
    metadata = found["metadata"]
    return guarded(
        uid=metadata["uid"], resource_version=metadata["resourceVersion"], changes=changes
    )
