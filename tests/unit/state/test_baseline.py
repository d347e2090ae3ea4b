"""What is normal: rolling, by the hour, robust."""

import pytest

from aurora.state.baseline import RECENT, BaselineMemory
from aurora.state.daytime import DAY_S, HOUR_S

START = 1_800_000_000.0 - 1_800_000_000.0 % DAY_S


def fed(values: list[float], *, every: float = 30.0, start: float = START) -> BaselineMemory:
    memory = BaselineMemory()
    for n, value in enumerate(values):
        memory = memory.learned(value, start + every * n)
    return memory


def test_there_is_no_baseline_from_a_few_values() -> None:
    assert fed([1.0] * 7).baseline(START + 210.0) is None


def test_the_median_and_p95_of_the_last_hours() -> None:
    found = fed([1.0] * 18 + [2.0, 3.0], every=300.0).baseline(START + 6000.0)
    assert found is not None
    assert found.median == 1.0
    assert found.p95 is not None
    assert found.p95 >= 2.0
    assert found.ratio(1.5) == 1.5
    assert not found.same_hour


def test_an_outlier_does_not_move_it() -> None:
    found = fed([1.0] * 10 + [500.0] + [1.0] * 10, every=300.0).baseline(START + 7000.0)
    assert found is not None
    assert found.median == 1.0


def test_the_same_hour_of_yesterday_is_preferred() -> None:
    nightly, daily = [1.0] * 60, [4.0] * 60
    memory = BaselineMemory()
    for hour, values in ((3, nightly), (15, daily)):
        for n, value in enumerate(values):
            memory = memory.learned(value, START + hour * HOUR_S + 60.0 * n)
    found = memory.baseline(START + DAY_S + 3 * HOUR_S)
    assert found is not None
    assert found.same_hour
    assert found.median == pytest.approx(1.0, rel=0.01)


def test_todays_values_of_this_hour_are_not_an_earlier_day() -> None:
    found = fed([1.0] * 20, every=60.0).baseline(START + 1200.0)
    assert found is not None
    assert not found.same_hour


def test_an_hour_not_seen_for_days_is_forgotten() -> None:
    assert fed([1.0] * 20, every=60.0).baseline(START + 9 * DAY_S) is None


def test_the_memory_is_bounded() -> None:
    memory = fed([1.0 + n % 3 for n in range(3000)], every=300.0)
    assert len(memory.recent) <= RECENT
    assert len(memory.hours) <= 24
