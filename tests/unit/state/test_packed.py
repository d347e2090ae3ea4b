"""What is packed reads the same as what went in, in memory and in a record."""

import math
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from aurora.state.baseline import HourLevel, Recent
from aurora.state.baseline import Hourly as HourlyLevels
from aurora.state.history import LATENCIES, History, Moment, load_is_falling, replicas_settled
from aurora.state.packed import Numbers
from aurora.state.tracks import Track, Tracks

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
MAYBE = st.none() | NUMBERS
MOMENTS = st.builds(
    Moment,
    at=NUMBERS,
    load=MAYBE,
    ready=st.integers(0, 10_000),
    in_flight=MAYBE,
    latencies=st.tuples(*[MAYBE] * len(LATENCIES)),
    errors=MAYBE,
    hits=MAYBE,
)


@given(st.lists(MOMENTS, max_size=5))
@settings(deadline=None)
def test_moments_read_as_they_were_written(moments: list[Moment]) -> None:
    packed = History(moments)
    assert tuple(packed) == tuple(moments)
    assert packed == History(tuple(packed))
    assert [packed[place] for place in range(len(packed))] == moments
    assert packed[1:] == tuple(moments[1:])
    assert list(reversed(packed)) == moments[::-1]
    assert pickle.loads(pickle.dumps(packed)) == packed


@given(st.lists(MOMENTS, max_size=5))
@settings(deadline=None)
def test_a_record_of_moments_is_what_it_was_before_they_were_packed(moments: list[Moment]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(History)
    record = adapter.dump_python(History(moments), mode="json")
    assert record == TypeAdapter(tuple[Moment, ...]).dump_python(tuple(moments), mode="json")
    assert adapter.validate_python(record) == History(moments)


def test_a_load_that_was_not_measured_is_none_and_no_number() -> None:
    moment = Moment(1.0, None, 2, None, (None,) * len(LATENCIES), None)
    assert History((moment,))[0] == moment
    assert History((moment,)) == History((moment,)), "although NaN equals nothing"
    assert math.isnan(History((moment,)).column(1)[0])
    assert not load_is_falling(History((moment,)), 0.1, 0.0)


@pytest.mark.parametrize(
    ("ready", "after", "settled"),
    [
        pytest.param((2, 2, 2), 0.0, True, id="the same in the whole window"),
        pytest.param((3, 2, 2), 1.0, True, id="another before the window"),
        pytest.param((3, 2, 2), 0.0, False, id="another within the window"),
        pytest.param((2, 2, 3), 2.0, False, id="another at its end"),
        pytest.param((), 0.0, True, id="nothing seen"),
    ],
)
def test_settled(ready: tuple[int, ...], after: float, settled: bool) -> None:
    moments = [
        Moment(float(at), 1.0, count, 0.0, (None,) * len(LATENCIES), None)
        for at, count in enumerate(ready)
    ]
    assert replicas_settled(moments, 2, after) is settled


def test_the_oldest_leave_when_there_is_no_room() -> None:
    found = Recent()
    for number in range(5):
        found = found.appended((float(number), 2.0 * number), keep=3)
    assert found == ((2.0, 4.0), (3.0, 6.0), (4.0, 8.0))
    assert list(found.column(1)) == [4.0, 6.0, 8.0]
    assert Tracks([Track(1.0, 2.0, 3.0)])[-1].slope == 3.0
    assert sorted(Numbers([2.0, 1.0])) == [1.0, 2.0]


def test_an_hour_is_found_replaced_and_recorded_by_its_number() -> None:
    hours = HourlyLevels().with_hour(23, HourLevel(1.5, 1, 20_000, 7.0))
    hours = hours.with_hour(4, HourLevel(0.5, 1, 20_000, 8.0))
    hours = hours.with_hour(23, HourLevel(1.75, 2, 20_001, 9.0))
    assert hours == {23: HourLevel(1.75, 2, 20_001, 9.0), 4: HourLevel(0.5, 1, 20_000, 8.0)}
    assert hours.get(5) is None
    assert hours[23].days == 2
    adapter: TypeAdapter[Any] = TypeAdapter(HourlyLevels)
    record = adapter.dump_python(hours, mode="json")
    plain = TypeAdapter(dict[int, HourLevel])
    assert record == plain.dump_python(dict(hours), mode="json")
    assert adapter.validate_python(record) == hours
