"""Notices when another manager takes our writes back; AURORA reports it and does not fight."""

from collections.abc import Mapping
from typing import Final

from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.executor.landings import Landings
from aurora.observe.backends import RoutingFacts
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import WEIGHT, Direction
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase

__all__ = ["Reverts", "is_reverted", "other_weights"]

WINDOW_S: Final = 3600.0
LATE_EVENT_S: Final = 10.0
"""Until then a watch may still show the value from before our write, where no version tells."""
_IN_FORCE = frozenset({Phase.VERIFYING, Phase.COMPLETED})


def is_reverted(
    ledger: Ledger,
    observation: ModelObservation,
    *,
    at: float,
    landings: Landings | None = None,
) -> str:
    """The id of the newest decision whose values somebody took back; else empty.

    Of a SCALE that is the old value again; of a policy's weights it is any other than ours, since
    a manager with a manifest sets back those of the manifest, not of the step before.

    An autoscaler that scales on its own is nobody: with one, only its floor is looked at.
    """
    known = landings if landings is not None else Landings()
    if observation.routing is not None:
        entry = _weights_taken_back(ledger, observation.routing, observation.key)
        route = observation.routing.route
        seen = (route.uid, route.resource_version) if route is not None else ("", "")
        return entry.id if entry is not None and _is_past(entry, at, seen, known) else ""
    entry = ledger.last_acted(observation.key, Action.SCALE)
    if entry is None or entry.phase not in _IN_FORCE or observation.target is None:
        return ""
    scalers, target = observation.autoscalers, observation.target
    moved = scalers[0] if len(scalers) == 1 else target
    if not _is_past(entry, at, (moved.uid, moved.resource_version), known):
        return ""
    now = scalers[0].floor if len(scalers) == 1 else target.replicas
    before, after = entry.before.get("replicas"), entry.after.get("replicas")
    if str(now) == after or str(now) != before or entry.direction is Direction.NONE:
        return ""
    return "" if entry.verdict is OutcomeVerdict.REGRESSED else entry.id


def _is_past(entry: LedgerEntry, at: float, seen: tuple[str, str], landings: Landings) -> bool:
    """Whether what is seen, by uid and version, shows what became of our write."""
    return at - (entry.executed_at or 0.0) >= LATE_EVENT_S or landings.is_later(*seen)


def _weights_taken_back(
    ledger: Ledger, routing: RoutingFacts, key: ObjectKey
) -> LedgerEntry | None:
    entry = ledger.last_acted(key, Action.ROUTE)
    if entry is None or entry.phase not in _IN_FORCE or routing.route is None:
        return None
    return entry if other_weights(entry, routing) else None


def other_weights(entry: LedgerEntry, routing: RoutingFacts) -> bool:
    """Whether the rule holds other weights than the decision set; backends that left it aside."""
    now = {f"{WEIGHT}{one.name}": one.weight for one in routing.backends}
    known = {name: weight for name, weight in now.items() if weight is not None}
    return any(str(weight) != entry.after.get(name) for name, weight in known.items())


class Reverts:
    """Counts reverted decisions per model over one hour; forgets with the process."""

    def __init__(self, landings: Landings | None = None) -> None:
        self._landings = landings if landings is not None else Landings()
        self._seen: dict[ObjectKey, dict[str, float]] = {}

    def look(
        self,
        ledger: Ledger,
        models: Mapping[ObjectKey, ModelObservation],
        monotonic: float,
        *,
        at: float,
    ) -> list[tuple[ObjectKey, str]]:
        """Take note of every model whose last write was taken back.

        Args:
            ledger: what was decided.
            models: as observed.
            monotonic: seconds within this process.
            at: seconds since the epoch.

        Returns:
            Models and decisions that were not known to be taken back before.
        """
        news = []
        for key, observation in models.items():
            found = is_reverted(ledger, observation, at=at, landings=self._landings)
            seen = self._seen.setdefault(key, {}) if found else {}
            if found and found not in seen:
                seen[found] = monotonic
                news.append((key, found))
        for gone in self._seen.keys() - models.keys():
            del self._seen[gone]
        return news

    def count(self, model: ObjectKey, monotonic: float) -> int:
        """Reverted decisions of the last hour.

        Older ones stay known: a value that stands as it was set back is not set back again.
        """
        seen = self._seen.get(model, {})
        return sum(1 for at in seen.values() if at >= monotonic - WINDOW_S)
