"""JSON Patch (RFC 6902) of single fields, guarded by tests, and its reverse.

Objects of others are only ever changed this way: the patch fails when the object is another one
(uid), was written since it was read (resourceVersion), or holds another value than the one that
was decided on. Undoing writes the old values back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ABSENT", "Change", "Operation", "guarded", "pointer", "reverse"]

Operation = dict[str, Any]


class _Absent:
    """The field does not exist; None would mean JSON null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One field and its values before and after; ABSENT where the field does not exist."""

    path: str
    old: Any
    new: Any

    @property
    def differs(self) -> bool:
        # 1 == True in Python, but not in JSON.
        return type(self.old) is not type(self.new) or bool(self.old != self.new)


def pointer(*parts: str | int) -> str:
    """A JSON Pointer (RFC 6901): `~` becomes `~0` and `/` becomes `~1` in each part."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def guarded(
    *,
    uid: str,
    resource_version: str,
    changes: Iterable[Change],
    beside: Mapping[str, Any] | None = None,
) -> list[Operation]:
    """Operations that test the object's identity and old values before they change anything.

    Changes that change nothing are left out; without any left, there are no operations. An old
    value that is ABSENT cannot be tested for by JSON Patch: there the resourceVersion guards.
    `beside` are values by path that are tested as well and not changed.

    Raises:
        ValueError: uid or resourceVersion is empty, so that nothing would be guarded.
    """
    if not uid or not resource_version:
        raise ValueError("a guarded patch needs the uid and the resourceVersion that were read")
    wanted = [change for change in changes if change.differs]
    if not wanted:
        return []
    tests = [_test("/metadata/uid", uid), _test("/metadata/resourceVersion", resource_version)]
    tests += [_test(path, value) for path, value in (beside or {}).items()]
    tests += [_test(change.path, change.old) for change in wanted if change.old is not ABSENT]
    return [*tests, *(_effect(change) for change in wanted)]


def reverse(changes: Sequence[Change]) -> list[Change]:
    """The changes that write the old values back, last one first."""
    return [Change(change.path, change.new, change.old) for change in reversed(changes)]


def _test(path: str, value: Any) -> Operation:
    return {"op": "test", "path": path, "value": value}


def _effect(change: Change) -> Operation:
    if change.new is ABSENT:
        return {"op": "remove", "path": change.path}
    # `add` on an object's member sets it whether or not it exists; `replace` names the intent.
    verb = "add" if change.old is ABSENT else "replace"
    return {"op": verb, "path": change.path, "value": change.new}
