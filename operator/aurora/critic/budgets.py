"""Action budgets and freeze windows, after Karpenter's disruption budgets (NodePool v1)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter

from aurora.critic.ledger import LedgerEntry
from aurora.errors import ConfigurationError
from aurora.resources.modeldeployment import Budget
from aurora.resources.vocabulary import Action

__all__ = ["applies", "exhausted_budget", "window_start"]


def window_start(budget: Budget, at: float) -> float | None:
    """When the scheduled window that contains `at` opened, or None outside of it.

    The schedule is cron in the budget's time zone; a window that opens twice because a clock is
    set back counts from the later opening.

    Raises:
        ConfigurationError: no such schedule or time zone. The API server checks both, but with a
            time zone database of its own, and a date such as 30 February passes it.
    """
    if budget.schedule is None or budget.duration is None:
        return None
    moment = datetime.fromtimestamp(at, UTC).astimezone(_zone(budget))
    opened = _opened(budget.schedule, moment)
    if moment - opened >= budget.duration:
        return None
    return opened.timestamp()


def _zone(budget: Budget) -> ZoneInfo:
    try:
        return ZoneInfo(budget.time_zone or "UTC")
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(
            f"time zone {budget.time_zone} is not known here: correct timeZone, or install tzdata"
        ) from None


def _opened(schedule: str, moment: datetime) -> datetime:
    """The newest opening that is not after the moment."""
    try:
        cron: Any = croniter(schedule, moment + timedelta(seconds=1))
        opened: datetime = cron.get_prev(datetime)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(
            f"schedule {schedule!r} never opens: write five cron fields that name a date"
        ) from None
    return opened


def applies(budget: Budget, action: Action) -> bool:
    """A budget without reasons is about every action; alerts are never budgeted."""
    return action is not Action.ALERT and (not budget.reasons or action in budget.reasons)


def exhausted_budget(
    budgets: Sequence[Budget], action: Action, acted: Sequence[LedgerEntry], *, at: float
) -> Budget | None:
    """The first budget that leaves no room for one more `action` at `at`."""
    return next((budget for budget in budgets if _exhausted(budget, action, acted, at)), None)


def _exhausted(budget: Budget, action: Action, acted: Sequence[LedgerEntry], at: float) -> bool:
    if not applies(budget, action):
        return False
    since = at - budget.per.total_seconds() if budget.per is not None else window_start(budget, at)
    if since is None:
        return False
    used = sum(
        1
        for entry in acted
        if applies(budget, entry.action) and (entry.executed_at or 0.0) >= since
    )
    return used >= budget.actions
