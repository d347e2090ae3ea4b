"""Places for arms in arrays: a small number for each provider id, reused after `forget`."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aurora.routing.contract import Arms

__all__ = ["MIN_ROOM", "Places"]

MIN_ROOM: Final = 8
"""Arrays begin with room for so many arms and double from there."""


class Places:
    """Provider ids to places 0, 1, 2, ...; places of one tuple of arms are remembered.

    Attributes:
        of: the place of each known arm.
    """

    __slots__ = ("_arms", "_found", "_free", "of")

    def __init__(self, arms: Iterable[str] = ()) -> None:
        self.of: dict[str, int] = {arm: place for place, arm in enumerate(arms)}
        self._free: list[int] = []
        self._arms: Arms | None = None
        self._found: NDArray[np.intp] | slice = slice(0)

    @property
    def room(self) -> int:
        """How many places arrays need, a power of two so that they grow rarely."""
        needed = len(self.of) + len(self._free)
        return max(MIN_ROOM, 1 << (needed - 1).bit_length()) if needed else MIN_ROOM

    def place(self, arm: str) -> int:
        """The arm's place; a new arm takes the first free one."""
        found = self.of.get(arm)
        if found is None:
            found = self._free.pop() if self._free else len(self.of)
            self.of[arm] = found
        return found

    def select(self, arms: Arms) -> NDArray[np.intp] | slice:
        """An index for the last axis of an array; a slice, and so no copy, where that is possible.

        The engine passes the same tuple while the candidates stay the same, hence the identity.
        """
        if arms is not self._arms:
            found = np.array([self.place(arm) for arm in arms], dtype=np.intp)
            straight = bool(np.all(np.diff(found) == 1))
            first = int(found[0])
            self._found = slice(first, first + len(arms)) if straight else found
            self._arms = arms
        return self._found

    def free(self, arm: str) -> int | None:
        """Give the arm's place back; None for an unknown arm."""
        found = self.of.pop(arm, None)
        if found is not None:
            self._free.append(found)
            self._arms = None
        return found
