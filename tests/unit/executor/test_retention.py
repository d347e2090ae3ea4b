from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.critic.ledger import LedgerEntry
from aurora.executor.retention import ENDED, MAX_AGE_S, PER_MODEL, expired, in_force, orphans
from aurora.observe.facts import ObjectKey
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, Phase
from tests.support.builders import KEY, NOW, entry, ledger, model, observation
from tests.support.decision_objects import DAY, approval_object, decision_object

SETTINGS = {KEY: observation()}


def old(name: str, days: float = 8.0, *, acted: bool = True, **over: Any) -> LedgerEntry:
    at = NOW - days * DAY
    return entry(id=name, decided_at=at, executed_at=at if acted else None, **over)


def names(*entries: LedgerEntry, **autonomy: Any) -> list[str]:
    models = {KEY: observation(model=model(autonomy=autonomy))} if autonomy else SETTINGS
    return [found.id for found in expired(ledger(*entries), models, at=NOW)]


NEWEST = old("newest", 0.1)


def test_what_nobody_touched_for_seven_days_goes_oldest_first() -> None:
    assert names(NEWEST, old("b", 7.1), old("a", 9.0), old("young", 6.9)) == ["a", "b"]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in ENDED])
def test_what_has_not_ended_stays_however_old(phase: Phase) -> None:
    assert names(NEWEST, old("open", 400.0, phase=phase, acted=False)) == []


def test_a_proposal_that_came_again_lately_stays() -> None:
    seen = replace(old("again", 9.0, acted=False, phase=Phase.REJECTED), last_seen=NOW - 60)
    assert names(NEWEST, seen) == []


def test_the_oldest_beyond_fifty_go() -> None:
    entries = [old(f"d{n:02}", 2 + n / 100, acted=False) for n in range(PER_MODEL + 3)]
    assert names(*entries) == ["d52", "d51", "d50"]


def test_beyond_fifty_a_day_is_left_for_the_guardrails_that_count() -> None:
    assert names(*(old(f"d{n}", n / 100) for n in range(PER_MODEL + 30))) == []


def test_a_budget_over_thirty_days_is_counted_over_thirty_days() -> None:
    budgets = [{"actions": 3, "per": "720h"}]
    assert names(NEWEST, old("counted", 20.0), old("past", 31.0), budgets=budgets) == ["past"]
    assert names(NEWEST, old("no action", 20.0, acted=False), budgets=budgets) == ["no action"]


def test_decisions_of_a_model_that_is_gone_are_left_to_their_owner() -> None:
    assert names(NEWEST, old("other", model=ObjectKey("models", "gone"))) == []


def acted(*steps: tuple[Action, Direction, Phase]) -> list[LedgerEntry]:
    """Executed decisions, the first the oldest."""
    return [
        old(f"{place}-{direction}", 30 - place, action=action, direction=direction, phase=phase)
        for place, (action, direction, phase) in enumerate(steps)
    ]


C, B, F = Phase.COMPLETED, Phase.ROLLED_BACK, Phase.FAILED
SCALE, ROUTE, CACHE, D = Action.SCALE, Action.ROUTE, Action.CACHE, Direction


@pytest.mark.parametrize(
    ("steps", "stands"),
    [
        pytest.param([(SCALE, D.UP, C), (SCALE, D.UP, C)], {"1-Up"}, id="the newest SCALE"),
        pytest.param(
            [(SCALE, D.UP, C), (SCALE, D.UP, B)], {"0-Up"}, id="the one before an undone SCALE"
        ),
        pytest.param(
            [(SCALE, D.UP, C), (SCALE, D.DOWN, F)],
            {"0-Up", "1-Down"},
            id="both when the newest could not be undone",
        ),
        pytest.param([(ROUTE, D.FALLBACK, C)], {"0-Fallback"}, id="traffic at the fallback"),
        pytest.param(
            [(ROUTE, D.FALLBACK, C), (ROUTE, D.PRIMARY, C)], set(), id="traffic came back"
        ),
        pytest.param(
            [(ROUTE, D.FALLBACK, C), (ROUTE, D.PRIMARY, B)],
            {"0-Fallback"},
            id="traffic came back and was sent away again",
        ),
        pytest.param(
            [(ROUTE, D.FALLBACK, C), (ROUTE, D.PRIMARY, Phase.VERIFYING)],
            {"0-Fallback", "1-Primary"},
            id="traffic came back and may be sent away again",
        ),
        pytest.param([(CACHE, D.ARM, C), (CACHE, D.ON, C)], {"0-Arm", "1-On"}, id="armed and on"),
        pytest.param(
            [(CACHE, D.ARM, C), (CACHE, D.ON, C), (CACHE, D.OFF, C)], {"0-Arm"}, id="off again"
        ),
        pytest.param(
            [(CACHE, D.ARM, C), (CACHE, D.ON, C), (CACHE, D.OFF, C), (CACHE, D.DISARM, C)],
            set(),
            id="taken out",
        ),
        pytest.param(
            [(SCALE, D.UP, C), (ROUTE, D.FALLBACK, C), (CACHE, D.ARM, C)],
            {"0-Up", "1-Fallback", "2-Arm"},
            id="each lane for itself",
        ),
    ],
)
def test_a_change_in_force_with_an_open_undo_stays(
    steps: list[tuple[Action, Direction, Phase]], stands: set[str]
) -> None:
    entries = acted(*steps)
    assert in_force(entries) == stands
    assert set(names(*entries)) == {one.id for one in entries} - stands


any_entry = st.builds(
    lambda number, days, action, direction, phase, executed: old(
        f"d{number}", days, action=action, direction=direction, phase=phase, acted=executed
    ),
    st.integers(0, 10**9),
    st.floats(0, 60),
    st.sampled_from(list(Action)),
    st.sampled_from(list(Direction)),
    st.sampled_from(list(Phase)),
    st.booleans(),
)


@given(st.lists(any_entry, max_size=120))
def test_no_history_loses_what_is_open_or_more_than_it_must(entries: list[LedgerEntry]) -> None:
    gone = expired(ledger(*entries), SETTINGS, at=NOW)
    stands = in_force(entries)
    for one in gone:
        assert one.phase in ENDED
        assert one.id not in stands
        assert NOW - one.decided_at > DAY
    left = {one.id for one in entries} - {one.id for one in gone}
    bound = [one for one in entries if one.phase in ENDED and one.decided_at < NOW - MAX_AGE_S]
    assert not [one for one in bound if one.id in left and one.id not in stands]


def test_approvals_of_decisions_that_are_gone_go_after_seven_days() -> None:
    there = decision_object("there")
    approvals = {
        ObjectKey("models", one.metadata.name): one
        for one in (
            approval_object("young", "uid-gone", age_days=6.9),
            approval_object("b", "uid-gone", age_days=7.1),
            approval_object("a", "uid-gone", age_days=9.0),
            approval_object("needed", "uid-there", age_days=9.0),
        )
    }
    found = orphans(approvals, [there], at=NOW)
    assert [one.metadata.name for one in found] == ["a", "b"]
