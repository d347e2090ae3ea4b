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
_IN_FORCE = frozenset({Phase.VERIFYING, Phase.COMPLETED})


def is_reverted(ledger: Ledger, observation: ModelObservation) -> str:
    """The id of the newest SCALE whose value somebody set back to the old one; else empty.

    An autoscaler that scales on its own is nobody: with one, only its floor is looked at.
    """
    entry = ledger.last_acted(observation.key, Action.SCALE)
    if entry is None or entry.phase not in _IN_FORCE or observation.target is None:
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
        self, ledger: Ledger, models: Mapping[ObjectKey, ModelObservation], monotonic: float
    ) -> None:
        """Take note of every model whose last write was taken back."""
        for key, observation in models.items():
            found = is_reverted(ledger, observation)
            if found:
                self._seen.setdefault(key, {}).setdefault(found, monotonic)

    def count(self, model: ObjectKey, monotonic: float) -> int:
        """Reverted decisions of the last hour."""
        seen = self._seen.get(model)
        if not seen:
            return 0
        fresh = {name: at for name, at in seen.items() if at >= monotonic - WINDOW_S}
        self._seen[model] = fresh
        return len(fresh)
