"""Reading fields of objects of any shape."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.observe import raw
from tests.support.hostile import JSON


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("500m", 0.5, id="thousandths"),
        pytest.param("2Gi", 2 * 1024**3, id="binary"),
        pytest.param("2G", 2e9, id="decimal"),
        pytest.param("1e3", 1000.0, id="an exponent"),
        pytest.param("1E", 1e18, id="exa is no exponent"),
        pytest.param("100u", 1e-4, id="millionths"),
        pytest.param(".5", 0.5, id="no leading digit"),
        pytest.param("-1", -1.0, id="negative"),
        pytest.param(3, 3.0, id="a number"),
        pytest.param("", None, id="empty is no 0"),
        pytest.param("1 Gi", None, id="a space"),
        pytest.param("lots", None, id="a word"),
        pytest.param(True, None, id="a boolean is no number"),
        pytest.param(float("nan"), None, id="not a number"),
        pytest.param(10**400, None, id="beyond a float"),
        pytest.param("9" * 400, None, id="text beyond a float"),
    ],
)
def test_a_quantity_is_base_units_or_nothing(value: Any, expected: float | None) -> None:
    assert raw.quantity(value) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("2026-11-21T09:00:00Z", 1795251600.0, id="as Kubernetes writes it"),
        pytest.param("2026-11-21T10:00:00.5+01:00", 1795251600.5, id="an offset and a fraction"),
        pytest.param("0001-01-01T00:00:00Z", -62135596800.0, id="the zero time of Go"),
        pytest.param("yesterday", None, id="a word"),
        pytest.param("", None, id="empty"),
        pytest.param(17, None, id="a number"),
    ],
)
def test_a_moment_is_seconds_since_the_epoch_or_nothing(value: Any, expected: float | None) -> None:
    assert raw.moment({"at": value}, "at") == expected


@given(obj=JSON, path=st.lists(st.text(max_size=8), max_size=3))
def test_no_shape_makes_a_reader_raise(obj: Any, path: list[str]) -> None:
    raw.dig(obj, *path)
    assert isinstance(raw.table(obj, *path), dict)
    assert all(isinstance(one, dict) for one in raw.entries(obj, *path))
    assert isinstance(raw.text(obj, *path), str)
    assert all(
        isinstance(key, str) and isinstance(value, str)
        for key, value in raw.strings(obj, *path).items()
    )
    found = raw.whole(obj, *path)
    assert isinstance(found, int)
    assert not isinstance(found, bool)
    raw.flag(obj, *path)
    raw.moment(obj, *path)
    raw.quantity(raw.dig(obj, *path))
