"""Which Decision and Approval objects may leave the cluster. Pure.

SQL keeps everything; etcd keeps what somebody may still act on or ask about. A Decision stays

- until it has ended: a proposal may still be answered, an action still be measured;
- while its change is in force and can be undone: the newest executed one of its lane (replicas,
  traffic, sidecar, cache) unless that was itself the way back;
- while a guardrail counts it: budgets look back over their own window, the others over a day.

Of the rest, what nobody touched for 7 days goes, and the oldest beyond 50 of one model.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.resources import Approval, DecisionObject
from aurora.resources.autonomy import Autonomy
from aurora.resources.vocabulary import Action, Phase

__all__ = ["ENDED", "MAX_AGE_S", "PER_MODEL", "expired", "in_force", "orphans"]

DAY_S: Final = 86_400.0
MAX_AGE_S: Final = 7 * DAY_S
PER_MODEL: Final = 50
ENDED: Final = frozenset(
    {
        Phase.COMPLETED,
        Phase.ROLLED_BACK,
        Phase.REJECTED,
        Phase.DENIED,
        Phase.EXPIRED,
        Phase.FAILED,
    }
)

_Lane = tuple[Action, frozenset[Direction], frozenset[Direction]]
_LANES: Final[tuple[_Lane, ...]] = (
    (Action.SCALE, frozenset({Direction.UP, Direction.DOWN, Direction.NONE}), frozenset()),
    (Action.ROUTE, frozenset({Direction.FALLBACK}), frozenset({Direction.PRIMARY})),
    (Action.ROUTE, frozenset({Direction.SHIFT}), frozenset()),
    (Action.CACHE, frozenset({Direction.ARM}), frozenset({Direction.DISARM})),
    (Action.CACHE, frozenset({Direction.ON}), frozenset({Direction.OFF})),
)
"""Action, the directions that leave an undo open, and the ones that are the way back."""


def expired(
    ledger: Ledger, models: Mapping[ObjectKey, ModelObservation], *, at: float
) -> tuple[LedgerEntry, ...]:
    """The Decisions that may be deleted, oldest first.

    Args:
        ledger: all of them.
        models: for the windows of their budgets; Decisions of other models are left to Kubernetes'
            garbage collection, since their model owns them.
        at: seconds since the epoch.
    """
    found = [
        entry
        for key, observation in models.items()
        for entry in _of_model(ledger.of_model(key), observation.model.spec.autonomy, at)
    ]
    return tuple(sorted(found, key=lambda entry: entry.decided_at))


def _of_model(entries: tuple[LedgerEntry, ...], autonomy: Autonomy, at: float) -> list[LedgerEntry]:
    counted_s = _counted_s(autonomy)
    kept = in_force(entries)
    return [
        entry
        for place, entry in enumerate(entries)
        if (place >= PER_MODEL or at - entry.fresh_at > MAX_AGE_S)
        and entry.phase in ENDED
        and entry.id not in kept
        and at - entry.fresh_at > (counted_s if entry.acted else DAY_S)
    ]


def in_force(entries: Iterable[LedgerEntry]) -> frozenset[str]:
    """The Decisions of one model whose change stands and can still be undone."""
    acted = [one for one in entries if one.acted and one.phase is not Phase.ROLLED_BACK]
    acted.sort(key=lambda one: one.executed_at or 0.0, reverse=True)
    return frozenset(name for lane in _LANES for name in _open(acted, lane))


def _open(acted: Iterable[LedgerEntry], lane: _Lane) -> Iterable[str]:
    action, opens, closes = lane
    for entry in acted:
        if entry.action is not action or entry.direction not in opens | closes:
            continue
        # What is still measured may be taken back, and an executed Failed is one whose undo failed:
        # then the one before is in force again, and what takes that back must still be known.
        final = entry.phase in ENDED and entry.phase is not Phase.FAILED
        if entry.direction in opens or not final:
            yield entry.id
        if final:
            return


def _counted_s(autonomy: Autonomy) -> float:
    """How far back any guardrail counts what was executed."""
    windows = [
        window.total_seconds()
        for budget in autonomy.budgets
        for window in (budget.per, budget.duration)
        if window is not None
    ]
    cooldown = autonomy.cooldown
    return max(
        DAY_S, cooldown.up.total_seconds(), cooldown.down.total_seconds(), max(windows, default=0)
    )


def orphans(
    approvals: Mapping[ObjectKey, Approval],
    decisions: Iterable[DecisionObject],
    *,
    at: float,
) -> tuple[Approval, ...]:
    """Approvals older than 7 days whose Decision is gone, oldest first.

    People create them, so nothing owns them and nobody else would take them away.
    """
    there = {found.metadata.uid for found in decisions}
    gone = (one for one in approvals.values() if one.spec.decision_ref.uid not in there)
    old = [(made, one) for one in gone if (made := _made_at(one)) < at - MAX_AGE_S]
    return tuple(one for _, one in sorted(old, key=lambda pair: pair[0]))


def _made_at(one: Approval) -> float:
    created = one.metadata.creation_timestamp
    return created.timestamp() if created is not None else float("inf")
