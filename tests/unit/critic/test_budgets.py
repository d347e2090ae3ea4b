"""Budgets count in a rolling time or in a window."""

from datetime import UTC, datetime

import pytest

from aurora.critic.budgets import exhausted_budget, window_start
from aurora.resources.autonomy import Budget
from aurora.resources.vocabulary import Action
from tests.support.builders import NOW, entry

FRIDAY_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
FRIDAY = Budget.model_validate(
    {"actions": 0, "schedule": "0 8 * * 5", "duration": "10h", "timeZone": "Europe/Berlin"}
)
HOURLY = Budget.model_validate({"actions": 2, "per": "1h", "reasons": ["SCALE"]})


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        pytest.param(datetime(2026, 11, 20, 6, 59, tzinfo=UTC), False, id="07:59 in Berlin"),
        pytest.param(datetime(2026, 11, 20, 7, 0, tzinfo=UTC), True, id="08:00 in Berlin opens"),
        pytest.param(datetime(2026, 11, 20, 16, 59, tzinfo=UTC), True, id="17:59 is the last"),
        pytest.param(datetime(2026, 11, 20, 17, 0, tzinfo=UTC), False, id="18:00 closes"),
        pytest.param(datetime(2026, 7, 10, 6, 30, tzinfo=UTC), True, id="summer time is honoured"),
        pytest.param(datetime(2026, 11, 19, 12, 0, tzinfo=UTC), False, id="Thursday is not Friday"),
    ],
)
def test_a_freeze_window_follows_its_time_zone(at: datetime, open_: bool) -> None:
    assert (window_start(FRIDAY, at.timestamp()) is not None) is open_


@pytest.mark.parametrize(
    ("ages", "blocked"),
    [
        pytest.param([], False, id="nothing was done"),
        pytest.param([60], False, id="one of two is used"),
        pytest.param([60, 1800], True, id="both are used"),
        pytest.param([60, 3700], False, id="one was more than an hour ago"),
    ],
)
def test_a_rolling_budget_counts_what_was_executed(ages: list[int], blocked: bool) -> None:
    acted = [entry(id=f"d{age}", executed_at=NOW - age) for age in ages]
    found = exhausted_budget([HOURLY], Action.SCALE, acted, at=NOW)
    assert (found is HOURLY) is blocked


def test_a_budget_for_other_actions_does_not_count() -> None:
    acted = [entry(id=f"d{n}", executed_at=NOW - n) for n in range(5)]
    assert exhausted_budget([HOURLY], Action.CACHE, acted, at=NOW) is None
    routed = [entry(id=f"d{n}", action=Action.ROUTE, executed_at=NOW - n) for n in range(5)]
    assert exhausted_budget([HOURLY], Action.SCALE, routed, at=NOW) is None


def test_a_window_of_zero_actions_freezes_everything_but_alerts() -> None:
    assert exhausted_budget([FRIDAY], Action.SCALE, [], at=FRIDAY_NOON) is FRIDAY
    assert exhausted_budget([FRIDAY], Action.ALERT, [], at=FRIDAY_NOON) is None
