from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aurora.resources.conditions import (
    ConditionType,
    find_condition,
    is_true,
    remove_condition,
    set_condition,
)
from aurora.resources.vocabulary import ConditionStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def ready(conditions=(), *, status=ConditionStatus.TRUE, reason="Reconciled", now=NOW, **fields):
    return set_condition(
        conditions, type_=ConditionType.READY, status=status, reason=reason, now=now, **fields
    )


def test_the_same_facts_again_give_an_equal_value_so_nothing_is_written():
    first = ready(message="all there", observed_generation=3)
    assert ready(first, message="all there", observed_generation=3, now=LATER) == first


def test_another_reason_keeps_the_time_of_the_last_transition():
    changed = ready(ready(), reason="Paused", message="stopped", now=LATER)
    assert changed[0].last_transition_time == NOW
    assert (changed[0].reason, changed[0].message) == ("Paused", "stopped")


def test_another_status_moves_the_time_of_the_last_transition():
    changed = ready(ready(), status=ConditionStatus.FALSE, now=LATER)
    assert changed[0].last_transition_time == LATER


def test_ready_comes_first_whatever_was_set_first():
    conditions = ready(
        set_condition(
            (),
            type_=ConditionType.PAUSED,
            status=ConditionStatus.FALSE,
            reason="NotPaused",
            now=NOW,
        )
    )
    assert [condition.type for condition in conditions] == ["Ready", "Paused"]


def test_a_missing_condition_is_neither_found_nor_true():
    assert find_condition((), ConditionType.READY) is None
    assert not is_true((), ConditionType.READY)
    assert not is_true(ready(status=ConditionStatus.UNKNOWN), ConditionType.READY)
    assert is_true(ready(), ConditionType.READY)
    assert remove_condition(ready(), ConditionType.READY) == ()


def test_a_message_is_cut_to_what_the_schema_allows():
    assert len(ready(message="x" * 5000)[0].message) == 1024


@given(
    st.lists(
        st.tuples(st.sampled_from(list(ConditionType)), st.sampled_from(list(ConditionStatus)))
    )
)
def test_there_is_at_most_one_condition_of_a_type(facts):
    conditions = ()
    for type_, status in facts:
        conditions = set_condition(conditions, type_=type_, status=status, reason="Any", now=NOW)
    assert {one.type: one.status for one in conditions} == dict(facts)
    assert len(conditions) == len(dict(facts))
