"""Decisions of the past as the guardrails need them: who acted on what, when, and what is open."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from aurora.observe.facts import ObjectKey
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase

__all__ = ["IN_FLIGHT", "Ledger", "LedgerEntry"]

IN_FLIGHT = frozenset(
    {Phase.PROPOSED, Phase.APPROVED, Phase.EXECUTING, Phase.VERIFYING, Phase.ROLLING_BACK}
)
"""Phases in which a Decision holds its target: no other action may start beside it. One that was
made and could not be begun is judged in the next cycle. An ALERT changes nothing, so it holds
nothing."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One Decision. Times are seconds since the epoch, None for what has not happened.

    Attributes:
        settled_at: when it was measured, or when it was denied, rejected or expired.
        last_seen: when the same was last proposed again.
    """

    id: str
    model: ObjectKey
    target: str
    action: Action
    direction: Direction
    reason: str
    phase: Phase
    fingerprint: str
    protective: bool
    decided_at: float
    executed_at: float | None = None
    settled_at: float | None = None
    verdict: OutcomeVerdict | None = None
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    last_seen: float | None = None

    @property
    def in_flight(self) -> bool:
        return self.phase in IN_FLIGHT and self.action is not Action.ALERT

    @property
    def fresh_at(self) -> float:
        """When it was last said, seen again or answered."""
        return max(self.decided_at, self.last_seen or 0.0, self.settled_at or 0.0)

    @property
    def acted(self) -> bool:
        return self.executed_at is not None and self.action is not Action.ALERT


@dataclass(frozen=True, slots=True)
class Ledger:
    """All known Decisions, newest first per model."""

    by_model: Mapping[ObjectKey, tuple[LedgerEntry, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[LedgerEntry]) -> "Ledger":
        grouped: dict[ObjectKey, list[LedgerEntry]] = {}
        for entry in entries:
            grouped.setdefault(entry.model, []).append(entry)
        return cls(
            {
                key: tuple(sorted(found, key=lambda entry: entry.decided_at, reverse=True))
                for key, found in grouped.items()
            }
        )

    def with_entry(self, entry: LedgerEntry) -> "Ledger":
        """The ledger with one entry added or renewed; the other models' entries are shared."""
        others = [one for one in self.of_model(entry.model) if one.id != entry.id]
        renewed = Ledger.of([entry, *others]).by_model
        return Ledger({**self.by_model, **renewed})

    def of_model(self, model: ObjectKey) -> tuple[LedgerEntry, ...]:
        return self.by_model.get(model, ())

    def __iter__(self) -> Iterator[LedgerEntry]:
        for entries in self.by_model.values():
            yield from entries

    def in_flight(self, model: ObjectKey) -> LedgerEntry | None:
        """The decision that holds the model's target now."""
        return next((entry for entry in self.of_model(model) if entry.in_flight), None)

    def last_acted(self, model: ObjectKey, *actions: Action) -> LedgerEntry | None:
        """The newest executed decision, of the given actions or of any."""
        return next(
            (
                entry
                for entry in self.of_model(model)
                if entry.acted and (not actions or entry.action in actions)
            ),
            None,
        )

    def acted_since(self, model: ObjectKey, moment: float) -> tuple[LedgerEntry, ...]:
        return tuple(
            entry
            for entry in self.of_model(model)
            if entry.acted and (entry.executed_at or 0.0) >= moment
        )
