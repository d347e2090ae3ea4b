"""Which version of an object holds our last write, so that a late watch is told from a rival.

What a watch shows right after a write may be from before it. A resourceVersion above that of our
write cannot be: Kubernetes 1.35 made the order of versions of one kind part of the API, and etcd's
were ordered before.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["Landings"]

REMEMBERED: Final = 4096
"""Objects; of one that was written longer ago than so many others, the clock decides."""
_DIGITS: Final = 20
"""A resourceVersion is 64 bits."""


class Landings:
    """The version that each object had after our last write to it; forgets with the process."""

    def __init__(self) -> None:
        self._versions: OrderedDict[str, int] = OrderedDict()

    def note(self, uid: str, written: Mapping[str, Any] | None) -> None:
        """Take note of the answer to a write; None where nothing was sent."""
        version = _number(written["metadata"].get("resourceVersion", "")) if written else None
        if version is None:
            return
        self._versions.pop(uid, None)
        self._versions[uid] = version
        while len(self._versions) > REMEMBERED:
            self._versions.popitem(last=False)

    def is_later(self, uid: str, version: str) -> bool:
        """Whether what was seen is surely from after our write."""
        seen, landed = _number(version), self._versions.get(uid)
        return seen is not None and landed is not None and seen > landed


def _number(version: str) -> int | None:
    whole = version.isascii() and version.isdigit() and len(version) <= _DIGITS
    return int(version) if whole else None
