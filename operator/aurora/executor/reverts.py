"""Notices when another manager takes our writes back; AURORA reports it and does not fight."""

from collections.abc import Mapping
from typing import Final

from aurora.critic.ledger import Ledger
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase

__all__ = ["Reverts", "is_reverted"]

WINDOW_S: Final = 3600.0
LATE_EVENT_S: Final = 10.0
"""Until then a watch may still show the value from before our write."""
_IN_FORCE = frozenset({Phase.VERIFYING, Phase.COMPLETED})


def is_reverted(ledger: Ledger, observation: ModelObservation, *, at: float) -> str:
    """The id of the newest SCALE whose value somebody set back to the old one; else empty.

    An autoscaler that scales on its own is nobody: with one, only its floor is looked at.
    """
    entry = ledger.last_acted(observation.key, Action.SCALE)
    if entry is None or entry.phase not in _IN_FORCE or observation.target is None:
        return ""
    if at - (entry.executed_at or 0.0) < LATE_EVENT_S:
        return ""
    scalers = observation.autoscalers
    now = scalers[0].floor if len(scalers) == 1 else observation.target.replicas
    before, after = entry.before.get("replicas"), entry.after.get("replicas")
    if str(now) == after or str(now) != before or entry.direction is Direction.NONE:
        return ""
    return "" if entry.verdict is OutcomeVerdict.REGRESSED else entry.id


class Reverts:
    """Counts reverted decisions per model over one hour; forgets with the process."""

    def __init__(self) -> None:
        self._seen: dict[ObjectKey, dict[str, float]] = {}

    def look(
        self,
        ledger: Ledger,
        models: Mapping[ObjectKey, ModelObservation],
        monotonic: float,
        *,
        at: float,
    ) -> None:
        """Take note of every model whose last write was taken back.

        Args:
            ledger: what was decided.
            models: as observed.
            monotonic: seconds within this process.
            at: seconds since the epoch.
        """
        for key, observation in models.items():
            found = is_reverted(ledger, observation, at=at)
            if found:
                self._seen.setdefault(key, {}).setdefault(found, monotonic)
        for gone in self._seen.keys() - models.keys():
            del self._seen[gone]

    def count(self, model: ObjectKey, monotonic: float) -> int:
        """Reverted decisions of the last hour.

        Older ones stay known: a value that stands as it was set back is not set back again.
        """
        seen = self._seen.get(model, {})
        return sum(1 for at in seen.values() if at >= monotonic - WINDOW_S)
