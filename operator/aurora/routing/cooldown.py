"""Failing arms are left alone for a while, whatever the strategy thinks of them.

After `failures` failures in a row an arm is not offered for `seconds`; each further failure right
after a cooldown doubles the time, up to `max_seconds` (exponential backoff). A success ends it.
"""

from dataclasses import dataclass
from typing import Final

from aurora.routing.errors import InputError

__all__ = ["Cooldown", "CooldownSettings"]

NOBODY: Final[frozenset[str]] = frozenset()
ARMS_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CooldownSettings:
    """When an arm cools down. `failures` 0 switches it off; times in seconds."""

    failures: int = 5
    seconds: float = 30.0
    max_seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.failures < 0 or not 0.0 < self.seconds <= self.max_seconds:
            raise InputError(
                "cooldown needs failures >= 0 and 0 < seconds <= max_seconds, "
                f"not {self.failures}, {self.seconds} and {self.max_seconds}"
            )


class Cooldown:
    """Counts failures in a row and knows who is cooling. Times are of the monotonic clock."""

    __slots__ = ("_cooling", "_next", "_settings", "_streaks", "_until")

    def __init__(self, settings: CooldownSettings | None = None) -> None:
        self._settings = settings or CooldownSettings()
        self._streaks: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._cooling = NOBODY
        self._next = 0.0

    def cooling(self, now: float) -> frozenset[str]:
        """Who is cooling now; the same object while that does not change."""
        if self._until and now >= self._next:
            self._until = {arm: until for arm, until in self._until.items() if until > now}
            self._renew()
        return self._cooling

    def note(self, arm: str, now: float, *, success: bool) -> None:
        """Count one outcome."""
        if success:
            self._streaks.pop(arm, None)
            if self._until.pop(arm, None) is not None:
                self._renew()
            return
        needed = self._settings.failures
        if not needed:
            return
        if len(self._streaks) >= ARMS_LIMIT:
            self._streaks.clear()
        streak = self._streaks[arm] = self._streaks.get(arm, 0) + 1
        # Late feedback of requests sent before the cooldown began must not prolong it.
        if streak < needed or arm in self._until:
            return
        seconds = self._settings.seconds * 2.0 ** min(streak - needed, 30)
        self._until[arm] = now + min(seconds, self._settings.max_seconds)
        self._renew()

    def forget(self, arm: str) -> None:
        """Drop an arm that was taken out for good."""
        self.note(arm, 0.0, success=True)

    def _renew(self) -> None:
        self._cooling = frozenset(self._until) or NOBODY
        self._next = min(self._until.values(), default=0.0)
