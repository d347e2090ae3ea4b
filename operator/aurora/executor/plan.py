"""What one decision does to the cluster, as values, and how it is kept in a Decision's status."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aurora.executor.cache import CacheStep
from aurora.executor.changes import Change, ObjectRef
from aurora.kube.jsonpatch import ABSENT
from aurora.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    HTTP_ROUTE,
    MODEL_DEPLOYMENT,
    SCALED_OBJECT,
    SERVICE,
    STATEFUL_SET,
    Kind,
    Ref,
)
from aurora.resources import ModelDeployment
from aurora.resources.names import API_VERSION

__all__ = [
    "Plan",
    "kind_of",
    "owner_reference",
    "ref_of_change",
    "status_changes",
    "stored_changes",
]

_KINDS = {
    (kind.api_version, kind.kind): kind
    for kind in (
        CONFIG_MAP,
        DEPLOYMENT,
        HPA,
        HTTP_ROUTE,
        MODEL_DEPLOYMENT,
        SCALED_OBJECT,
        SERVICE,
        STATEFUL_SET,
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Objects that AURORA owns are applied first, then leaves of other people's objects change.

    Attributes:
        cache: a step of the cache, which is done instead; `changes` then only announces it.
    """

    changes: tuple[Change, ...] = ()
    manifests: tuple[tuple[Kind, Mapping[str, Any]], ...] = ()
    cache: CacheStep | None = None


def kind_of(api_version: str, kind: str) -> Kind:
    """The kind with its plural; a kind of somebody else's API follows the usual plural."""
    known = _KINDS.get((api_version, kind))
    if known is not None:
        return known
    group, _, version = api_version.rpartition("/")
    return Kind(group, version, f"{kind.lower()}s", kind)


def owner_reference(model: ModelDeployment) -> dict[str, Any]:
    """What makes an object go with its ModelDeployment."""
    return {
        "apiVersion": API_VERSION,
        "kind": model.kind,
        "name": model.metadata.name,
        "uid": model.metadata.uid,
        "blockOwnerDeletion": False,
    }


def ref_of_change(ref: ObjectRef) -> Ref:
    return Ref(kind_of(ref.api_version, ref.kind), ref.namespace, ref.name)


def status_changes(changes: Iterable[Change], *, applied_at: str = "") -> list[dict[str, Any]]:
    """The undo hint as it stands in `status.changes`; values are JSON texts."""
    return [_to_status(change, applied_at) for change in changes]


def _to_status(change: Change, applied_at: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "apiVersion": change.ref.api_version,
        "kind": change.ref.kind,
        "namespace": change.ref.namespace,
        "name": change.ref.name,
        "uid": change.ref.uid,
        "path": change.path,
    }
    if change.subresource:
        made["subresource"] = change.subresource
    if change.beside:
        made["beside"] = json.dumps(dict(change.beside), separators=(",", ":"))
    if change.before is not ABSENT:
        made["from"] = json.dumps(change.before, separators=(",", ":"))
    if change.after is not ABSENT:
        made["to"] = json.dumps(change.after, separators=(",", ":"))
    if applied_at:
        made["appliedAt"] = applied_at
    return made


def stored_changes(status: Mapping[str, Any]) -> tuple[Change, ...]:
    """Read the undo hint back."""
    return tuple(_from_status(one) for one in status.get("changes") or [])


def _from_status(one: Mapping[str, Any]) -> Change:
    ref = ObjectRef(one["apiVersion"], one["kind"], one["namespace"], one["name"], one["uid"])
    before = json.loads(one["from"]) if "from" in one else ABSENT
    after = json.loads(one["to"]) if "to" in one else ABSENT
    beside = tuple(json.loads(one["beside"]).items()) if one.get("beside") else ()
    return Change(ref, one["path"], before, after, one.get("subresource") or "", beside)
