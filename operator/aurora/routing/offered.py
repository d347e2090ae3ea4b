"""Who was offered lately: what was learned of the rest makes room.

Provider ids come from callers, and many are names of pods that never come back. A strategy keeps
something of each (a linear model of 16 features 7 kB), so the engine has it forget those that were
not offered for longest.
"""

from collections.abc import Callable, Iterable
from typing import Final

from aurora.routing.errors import InputError

__all__ = ["DEFAULT_ARMS_LIMIT", "Offered"]

DEFAULT_ARMS_LIMIT: Final = 10_000
"""As many as the largest fleet that is promised to work."""


class Offered:
    """The provider ids of all fleets, those offered last at the end.

    Args:
        limit: ids that are remembered beside those of the present fleet.
        forget: called for each that makes room.
    """

    __slots__ = ("_forget", "_ids", "_limit", "_room")

    def __init__(self, limit: int, forget: Callable[[str], None]) -> None:
        if limit < 0:
            raise InputError(f"arms_limit must not be negative, not {limit}")
        self._limit = self._room = limit
        self._forget = forget
        self._ids: dict[str, None] = {}

    def note(self, fleet: Iterable[str]) -> None:
        """Take in who is offered from now on."""
        arms = dict.fromkeys(fleet)
        for arm in arms:
            self._ids.pop(arm, None)
        self._ids.update(arms)
        self._room = self._limit + len(arms)
        self._make_room()

    def late(self, arm: str) -> None:
        """Feedback came for a provider, that may have been forgotten meanwhile."""
        if arm not in self._ids:
            self._ids[arm] = None
            self._make_room()

    def _make_room(self) -> None:
        while len(self._ids) > self._room:
            oldest = next(iter(self._ids))
            del self._ids[oldest]
            self._forget(oldest)
