"""Which version of an object holds our last write, so that a late watch is told from a rival.

What a watch shows right after a write may be from before it. A resourceVersion above that of our
write cannot be: Kubernetes 1.35 made the order of versions of one kind part of the API, and etcd's
were ordered before.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from aurora.observe.shelf import surely_newer

__all__ = ["Landings"]

REMEMBERED: Final = 4096
"""Objects; of one that was written longer ago than so many others, the clock decides."""


class Landings:
    """The version that each object had after our last write to it; forgets with the process."""

    def __init__(self) -> None:
        self._versions: OrderedDict[str, str] = OrderedDict()

    def note(self, uid: str, written: Mapping[str, Any] | None) -> None:
        """Take note of the answer to a write; None where nothing was sent."""
        if not written:
            return
        self._versions.pop(uid, None)
        self._versions[uid] = written["metadata"].get("resourceVersion", "")
        while len(self._versions) > REMEMBERED:
            self._versions.popitem(last=False)

    def is_later(self, uid: str, version: str) -> bool:
        """Whether what was seen is surely from after our write."""
        return surely_newer(version, self._versions.get(uid, ""))
