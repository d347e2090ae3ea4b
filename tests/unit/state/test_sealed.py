"""The numbers of a record as one text."""

import base64
import math
import tracemalloc
import zlib
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import StoreError
from aurora.state.sealed import opened, place_in, placed, sealed

NUMBERS = st.floats(-1e15, 1e15) | st.just(math.nan) | st.integers(-(2**20), 2**20).map(float)


@given(st.lists(NUMBERS))
def test_numbers_come_back_to_seven_digits_and_times_to_a_millisecond(values: list[float]) -> None:
    again = opened(sealed(array("d", values)))
    assert len(again) == len(values)
    for one, other in zip(values, again, strict=True):
        if math.isnan(one):
            assert math.isnan(other)
        elif abs(one) < 1e6:
            assert other == pytest.approx(one, rel=5e-8, abs=1e-300)
        elif abs(one) < 4e9:
            assert abs(other - one) <= 1e-3
        else:
            assert other == pytest.approx(one, rel=1e-12)
    assert sealed(again) == sealed(array("d", values))


def test_counts_and_times_on_the_second_are_kept_as_they_are() -> None:
    values = array("d", [0.0, 1.0, -3.0, 65_536.0, 1_800_000_015.0])
    assert opened(sealed(values)) == values


def test_what_is_infinite_is_refused() -> None:
    with pytest.raises(StoreError, match="not finite"):
        sealed(array("d", [1.0, -math.inf]))


@pytest.mark.parametrize(
    ("place", "gaps", "why"),
    [
        pytest.param("2+2", True, None, id="a row with a gap that may be there"),
        pytest.param("2+2", False, "missing", id="a row with a gap that must not be there"),
        pytest.param("0+0", False, None, id="no rows"),
        pytest.param("2+4", True, "not complete", id="more than there is"),
        pytest.param("0+3", True, "not complete", id="half a row"),
        pytest.param("-2+2", True, "no place", id="a negative place"),
        pytest.param("all", True, "no place", id="no place"),
    ],
)
def test_only_whole_rows_that_are_there_are_given(place: str, gaps: bool, why: str | None) -> None:
    numbers = array("d", [1.0, 2.0])
    assert place_in(numbers, array("d", [3.0, math.nan])) == "2+2"
    if why is None:
        assert len(placed(numbers, place, width=2, gaps=gaps)) == int(place[-1])
        return
    with pytest.raises(ValueError, match=why):
        placed(numbers, place, width=2, gaps=gaps)


def packed(size: int) -> str:
    return base64.b64encode(zlib.compress(bytes(size))).decode("ascii")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(packed(80)[:-4], "cut off", id="without its end"),
        pytest.param(packed(2**26), "too many", id="64 MB in 65 kB"),
        pytest.param("AAAA", "compression method", id="not packed"),
        pytest.param("ä", "ASCII", id="not base64"),
    ],
)
def test_what_cannot_be_unpacked_is_refused_at_little_cost(text: str, why: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=why):
            opened(text)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_memory_that_is_full_in_every_place_is_far_below_the_bound() -> None:
    assert len(opened(packed(2**17))) == 2**14
