"""Tells an answer of now from one of the past, by the time at which it was evaluated.

A proxy or cache that repeats old answers repeats their sample times as well: within such an answer
every sample looks fresh. What gives it away is that its evaluation time does not move on as our own
monotonic clock does. No wall clock is compared with another, so skew between machines is harmless.
"""

from collections import deque

__all__ = ["KEPT_S", "ServerClock"]

KEPT_S = 900.0
"""How long the furthest that the source's clock was seen is held against it. A source whose clock
was set back counts as late for so long; one that repeats an answer stays late for good."""


class ServerClock:
    """Where the source's clock stands, on ours: the most that it was ahead within `kept_s`.

    All times are in seconds; `evaluated_at` is of the source's clock, the others are of ours.
    """

    def __init__(self, kept_s: float = KEPT_S) -> None:
        self._kept_s = kept_s
        self._ahead: deque[tuple[float, float]] = deque()
        """(when, by how much), each by less than the one before: the first is the most."""

    def saw(self, evaluated_at: float, *, received: float) -> None:
        """Take note of one answer."""
        ahead = evaluated_at - received
        while self._ahead and self._ahead[-1][1] <= ahead:
            self._ahead.pop()
        self._ahead.append((received, ahead))

    def late_s(self, evaluated_at: float, *, sent: float) -> float:
        """How long before the question was sent the answer was evaluated; at least 0.

        Whatever the way takes is counted in the answer's favour.
        """
        while len(self._ahead) > 1 and self._ahead[0][0] < sent - self._kept_s:
            self._ahead.popleft()  # the last one stays: after an outage it is all that is known
        if not self._ahead:
            return 0.0
        return max(0.0, sent + self._ahead[0][1] - evaluated_at)
