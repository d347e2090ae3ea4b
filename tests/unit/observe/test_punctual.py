"""Answers of the past are told from those of now, whatever the clocks of both machines say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.observe.punctual import ServerClock

SKEWS = st.sampled_from([0.0, -86_400.0, 1.7e9, 1.7e9 + 300.0])
STEP_S = 15.0


def watched(skew: float, cycles: int, *, way_s: float = 0.1) -> tuple[ServerClock, float]:
    """A clock that has seen honest answers, and the time of the last one."""
    clock, now = ServerClock(kept_s=900.0), 1000.0
    for _ in range(cycles):
        now += STEP_S
        clock.saw(now + skew, received=now + way_s)
    return clock, now


@given(skew=SKEWS, way_s=st.floats(0.0, 12.0), cycles=st.integers(1, 100))
def test_an_answer_of_now_is_never_late(skew: float, way_s: float, cycles: int) -> None:
    clock, now = watched(skew, cycles, way_s=way_s)
    assert clock.late_s(now + skew, sent=now) == pytest.approx(0.0, abs=1e-5)


@given(skew=SKEWS, cycles=st.integers(1, 200))
def test_an_answer_that_is_repeated_becomes_older_and_stays_old(skew: float, cycles: int) -> None:
    clock, last = watched(skew, 3)
    now = last
    for _ in range(cycles):
        now += STEP_S
        clock.saw(last + skew, received=now + 0.1)
        late = clock.late_s(last + skew, sent=now)
        assert late == pytest.approx(min(now - last, 900.0), abs=STEP_S + 1.0)


def test_answers_of_minutes_ago_are_late_though_they_move_on() -> None:
    clock, now = watched(1.7e9, 10)
    assert clock.late_s(now + 1.7e9 - 240.0, sent=now) == pytest.approx(240.0, abs=0.2)


def test_a_clock_that_was_set_back_is_believed_again_after_a_while() -> None:
    clock, now = watched(0.0, 3)
    for cycle in range(80):
        now += STEP_S
        clock.saw(now - 300.0, received=now)
        late = clock.late_s(now - 300.0, sent=now)
        assert (late > 90.0) is (cycle * STEP_S < 900.0)


def test_without_an_answer_nothing_is_known() -> None:
    assert ServerClock().late_s(1.0, sent=5.0) == 0.0
