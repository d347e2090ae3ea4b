"""The objects of one kind, as facts: never older than what was seen, found by their group."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from aurora.observe.facts import ObjectKey
from aurora.observe.raw import name, text

__all__ = ["Listed", "Shelf", "listed", "surely_newer"]

Facts = TypeVar("Facts")

REMEMBERED_DELETIONS = 4096
"""uids of deleted objects that are remembered, so that a late event does not bring one back."""


class Listed(NamedTuple):
    """One object of a metadata-only LIST."""

    key: ObjectKey
    uid: str
    version: str


def listed(item: Mapping[str, Any]) -> Listed:
    """Read an item of a metadata-only LIST."""
    key = ObjectKey(name(item, "metadata", "namespace"), name(item, "metadata", "name"))
    return Listed(key, text(item, "metadata", "uid"), text(item, "metadata", "resourceVersion"))


@dataclass(slots=True)
class _Entry(Generic[Facts]):
    uid: str
    version: str
    facts: Facts | None


class Shelf(Generic[Facts]):
    """Facts by namespace and name, and by group.

    resourceVersions of one kind are compared as numbers, which etcd's are and which Kubernetes
    1.35 made part of the API: an event that is older than what is on the shelf is dropped,
    whichever API server or reconnect it came from. Versions that are no numbers are never older.

    Args:
        project: object to facts; None keeps the object known but without facts.
        group: what the object is found by, or None.
    """

    def __init__(
        self,
        project: Callable[[Mapping[str, Any]], Facts | None],
        *,
        group: Callable[[Facts], Hashable | None] = lambda _: None,
    ) -> None:
        self._project = project
        self._group = group
        self._entries: dict[ObjectKey, _Entry[Facts]] = {}
        self._groups: dict[Hashable, tuple[ObjectKey, ...]] = {}  # most have one member
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: ObjectKey) -> Facts | None:
        entry = self._entries.get(key)
        return entry.facts if entry else None

    def in_group(self, group: Hashable) -> list[Facts]:
        keys = self._groups.get(group)
        if keys is None:
            return []
        entries = self._entries
        return [facts for key in keys if (facts := entries[key].facts) is not None]

    def values(self) -> Iterator[Facts]:
        return (entry.facts for entry in self._entries.values() if entry.facts is not None)

    def items(self) -> Iterator[tuple[ObjectKey, Facts]]:
        for key, entry in self._entries.items():
            if entry.facts is not None:
                yield key, entry.facts

    def put(self, obj: Mapping[str, Any]) -> bool:
        """Take an object as it is; False when it is not newer than what is known."""
        seen = listed(obj)
        known = self._entries.get(seen.key)
        if not seen.key.name or (seen.uid and seen.uid in self._deleted):
            return False
        if known is not None and not _newer(seen.version, known.version):
            return False
        facts = self._project(obj)
        self._ungroup(seen.key, known)
        self._entries[seen.key] = _Entry(seen.uid, seen.version, facts)
        group = None if facts is None else self._group(facts)
        if facts is not None and group is not None:
            self._groups[group] = (*self._groups.get(group, ()), seen.key)
        return True

    def renew(self, seen: Listed, facts: Facts) -> None:
        """Take a newer version of an object whose group is the same; not of one that is gone."""
        known = self._entries.get(seen.key)
        if known is None or known.uid != seen.uid or not _newer(seen.version, known.version):
            return
        self._entries[seen.key] = _Entry(seen.uid, seen.version, facts)

    def drop(self, obj: Mapping[str, Any]) -> bool:
        """Forget a deleted object for good; False when another of its name took its place."""
        seen = listed(obj)
        if seen.uid:
            self._deleted[seen.uid] = None
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        return self.take_off(seen.key, uid=seen.uid)

    def take_off(self, key: ObjectKey, *, uid: str) -> bool:
        """Forget an object until it is seen again."""
        known = self._entries.get(key)
        if known is None or known.uid != uid:
            return False
        self._ungroup(key, known)
        del self._entries[key]
        return True

    def gaps(self, items: Iterable[Listed]) -> list[Listed]:
        """What of a list is not on the shelf, or is there in an older version."""
        return [
            item
            for item in items
            if (known := self._entries.get(item.key)) is None or _newer(item.version, known.version)
        ]

    def ghosts(self, items: Iterable[Listed], *, version: str) -> list[Listed]:
        """What is on the shelf and was not there at the list's own resourceVersion.

        What is newer than the list was made after it, and is no ghost.
        """
        there = {(item.key, item.uid) for item in items}
        return [
            Listed(key, entry.uid, entry.version)
            for key, entry in self._entries.items()
            if (key, entry.uid) not in there and not surely_newer(entry.version, version)
        ]

    def _ungroup(self, key: ObjectKey, known: _Entry[Facts] | None) -> None:
        if known is None or known.facts is None:
            return
        group = self._group(known.facts)
        others = tuple([member for member in self._groups.get(group, ()) if member != key])
        if others:
            self._groups[group] = others
        else:
            self._groups.pop(group, None)


def _newer(version: str, known: str) -> bool:
    """Whether a version may be newer: equal ones are not, incomparable ones are."""
    if _is_number(version) and _is_number(known):
        return int(version) > int(known)
    return version != known or not version


def surely_newer(version: str, known: str) -> bool:
    """Whether both are numbers, as of every known API server, and the first is the later."""
    return _is_number(version) and _is_number(known) and int(version) > int(known)


def _is_number(version: str) -> bool:
    # A resourceVersion is 64 bits; more digits are somebody's joke and slow to convert.
    return version.isascii() and version.isdigit() and len(version) <= 20
