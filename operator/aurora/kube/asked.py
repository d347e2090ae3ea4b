"""What the API server asked of those who write: to wait.

Retry-After comes with 429 from its own fair queueing and with 503 from what stands before it. It
is meant for everybody who writes there, not for the one request that it answers.
"""

from collections.abc import Callable
from typing import Final

__all__ = ["LONGEST_S", "AskedToWait"]

LONGEST_S: Final = 60.0
"""A longer request is honoured for so long: one wrong header must not stop all writes for hours."""


class AskedToWait:
    """Until when the writes to one API server have to wait, by a monotonic clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = 0.0

    def note(self, seconds: float | None) -> None:
        """Take note of a Retry-After in seconds, None where there was none."""
        if seconds is not None:
            self._until = max(self._until, self._monotonic() + min(seconds, LONGEST_S))

    def left_s(self) -> float:
        """Seconds that are left of it."""
        return max(0.0, self._until - self._monotonic())
