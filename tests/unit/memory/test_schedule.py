from hypothesis import given
from hypothesis import strategies as st

from aurora.memory.schedule import Schedule
from aurora.observe.facts import ObjectKey

EVERY = 300.0
CYCLE = 15.0


def fleet(count: int, mark: str = "Ready") -> dict[ObjectKey, str]:
    return {ObjectKey("models", f"m{number}"): mark for number in range(count)}


def cycles(schedule: Schedule, marks: dict[ObjectKey, str], start: float, count: int) -> list[int]:
    """How many were kept in each cycle."""
    found = []
    for number in range(count):
        at = start + number * CYCLE
        due = schedule.due(marks, at)
        schedule.kept(due, marks, at)
        found.append(len(due))
    return found


def test_a_large_fleet_is_spread_over_the_period() -> None:
    schedule, marks = Schedule(EVERY, least=200, at_once=True), fleet(4000)
    cycles(schedule, marks, 1e9, 40)
    steady = cycles(schedule, marks, 1e9 + 40 * CYCLE, 40)
    assert sum(steady) == 2 * 4000
    assert max(steady) < 2 * 4000 * CYCLE / EVERY


def test_a_burst_is_worked_off_with_a_bound_and_nobody_is_left_out() -> None:
    schedule, marks = Schedule(EVERY, least=200, at_once=True), fleet(4000)
    cycles(schedule, marks, 1e9, 40)
    changed = fleet(4000, "PrometheusError")
    burst = cycles(schedule, changed, 1e9 + 40 * CYCLE, 20)
    assert max(burst) <= 200 + 2 * 4000 * CYCLE / EVERY
    assert sum(burst[:10]) >= 4000


def test_a_change_is_kept_at_once_and_owed_until_it_was_kept() -> None:
    schedule, marks = Schedule(EVERY, least=9, at_once=True), fleet(3)
    schedule.kept(schedule.due(marks, 1e9), marks, 1e9)
    key = next(iter(marks))
    changed = marks | {key: "Stale"}
    assert schedule.due(changed, 1e9 + 1) == [key]
    assert schedule.due(changed, 1e9 + 2) == [key]
    schedule.kept([key], changed, 1e9 + 2)
    assert schedule.due(changed, 1e9 + 3) == []


def test_what_changed_goes_before_what_is_only_due() -> None:
    schedule, marks = Schedule(EVERY, least=1, at_once=True), fleet(50)
    cycles(schedule, marks, 1e9, 60)
    key = list(marks)[-1]
    assert schedule.due(marks | {key: "Stale"}, 1e9 + 60 * CYCLE + EVERY)[0] == key


def test_memories_wait_for_their_moment_and_those_gone_are_forgotten() -> None:
    schedule, marks = Schedule(EVERY, least=100, at_once=False), fleet(20)
    assert schedule.due(marks, 1e9) == []
    assert set(schedule.due(marks, 1e9 + EVERY)) == set(marks)
    schedule.due(fleet(1), 1e9 + EVERY)
    assert schedule.kept_at(ObjectKey("models", "m7")) == 0.0


@given(st.integers(0, 3000), st.floats(1e9, 2e9))
def test_every_model_has_its_moment_once_a_period(number: int, start: float) -> None:
    key = ObjectKey("models", f"m{number}")
    schedule = Schedule(EVERY, least=9, at_once=True)
    schedule.kept([key], {key: ""}, start)
    due = [bool(schedule.due({key: ""}, start + step)) for step in range(1, int(EVERY) + 1)]
    assert due[-1]
    assert due == sorted(due)
