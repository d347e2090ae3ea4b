"""Leaf changes of objects that others own, as values: how to apply, recognise and undo them.

A change knows the old value, so that undoing writes it back and never drops a field.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

from aurora.kube.jsonpatch import ABSENT
from aurora.kube.jsonpatch import Change as FieldChange

__all__ = [
    "ABSENT",
    "Change",
    "ObjectRef",
    "Progress",
    "beside",
    "by_object",
    "fields",
    "progress",
    "read",
    "undo",
]


class ObjectRef(NamedTuple):
    """One object of the cluster."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Change:
    """One leaf: `path` is a JSON Pointer (RFC 6901); before and after are JSON values or ABSENT.

    Attributes:
        subresource: "scale" for replicas of any scalable kind, else empty.
        beside: fields of the same parent that must hold these values: in a list, whose leaf it is.
    """

    ref: ObjectRef
    path: str
    before: Any
    after: Any
    subresource: str = ""
    beside: tuple[tuple[str, Any], ...] = ()


class Progress(StrEnum):
    """How far a set of changes is in force, as observed."""

    PENDING = "Pending"
    APPLIED = "Applied"
    PARTLY = "Partly"
    FOREIGN = "Foreign"


def undo(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The same leaves the other way round, last first."""
    return tuple(
        replace(change, before=change.after, after=change.before) for change in reversed([*changes])
    )


def fields(changes: Iterable[Change]) -> list[FieldChange]:
    """The same changes as the guarded patch of one object takes them."""
    return [FieldChange(change.path, change.before, change.after) for change in changes]


_DEFAULTS: Final = {"group": "", "kind": "Service"}
"""Of a backendRef (Gateway API v1), where the API server did not write them out."""


def beside(changes: Iterable[Change], document: Mapping[str, Any]) -> dict[str, Any]:
    """What a patch has to test beside the leaves, by path; absent fields cannot be tested."""
    paths = (
        (f"{change.path.rpartition('/')[0]}/{name}", value)
        for change in changes
        for name, value in change.beside
    )
    return {path: value for path, value in paths if read(document, path) is not ABSENT}


def _same_element(change: Change, document: Mapping[str, Any]) -> bool:
    parent = change.path.rpartition("/")[0]
    for name, value in change.beside:
        found = read(document, f"{parent}/{name}")
        if found != value and not (found is ABSENT and _DEFAULTS.get(name) == value):
            return False
    return True


def read(document: Mapping[str, Any], path: str) -> Any:
    """The value at a JSON Pointer, or ABSENT."""
    found: Any = document
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return ABSENT
    return found


def progress(changes: Sequence[Change], document: Mapping[str, Any]) -> Progress:
    """Compare the changes of one object with the object as it stands."""
    if not all(_same_element(change, document) for change in changes):
        return Progress.FOREIGN
    seen = [_seen(change, read(document, change.path)) for change in changes]
    if Progress.FOREIGN in seen:
        return Progress.FOREIGN
    if all(one is Progress.APPLIED for one in seen):
        return Progress.APPLIED
    return Progress.PENDING if Progress.APPLIED not in seen else Progress.PARTLY


def _seen(change: Change, value: object) -> Progress:
    if value == change.after or (value is ABSENT and change.after is ABSENT):
        return Progress.APPLIED
    if value == change.before or (value is ABSENT and change.before is ABSENT):
        return Progress.PENDING
    return Progress.FOREIGN


def by_object(changes: Sequence[Change]) -> dict[tuple[ObjectRef, str], tuple[Change, ...]]:
    """Group changes into one patch per object and subresource, in order of first appearance."""
    grouped: dict[tuple[ObjectRef, str], list[Change]] = {}
    for change in changes:
        grouped.setdefault((change.ref, change.subresource), []).append(change)
    return {key: tuple(found) for key, found in grouped.items()}
