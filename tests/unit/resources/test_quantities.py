from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.resources.quantities import (
    DURATION_LENGTH,
    format_bytes,
    format_decimal,
    format_duration,
    format_timestamp,
    parse_bytes,
    parse_decimal,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds", "canonical"),
    [
        pytest.param("500ms", 0.5, "500ms", id="milliseconds are not minutes"),
        pytest.param("5m", 300, "5m", id="minutes"),
        pytest.param("1h30m", 5400, "1h30m", id="two units add up"),
        pytest.param("90m", 5400, "1h30m", id="the canonical text uses the largest unit"),
        pytest.param("24h", 86400, "24h", id="a day is written in hours"),
        pytest.param("0s", 0, "0s", id="nothing is still a duration"),
        pytest.param("1m1m", 120, "2m", id="a repeated unit adds up, as in Go"),
    ],
)
def test_a_duration_is_read_and_written(text, seconds, canonical):
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert format_duration(parse_duration(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5 m",
        "-5m",
        "1.5h",
        "1d",
        "five minutes",
        "5m ",
        "1234567h",
        "999999h1h",
        300,
        None,
    ],
)
def test_what_is_not_a_duration_is_refused(text):
    with pytest.raises(ValueError, match="write it as"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=999_999 * 3_600_000))
def test_every_duration_survives_writing_and_reading(milliseconds):
    value = timedelta(milliseconds=milliseconds)
    text = format_duration(value)
    assert parse_duration(text) == value
    assert len(text) <= DURATION_LENGTH


def test_a_negative_duration_is_never_written():
    with pytest.raises(ValueError, match="negative"):
        format_duration(timedelta(seconds=-1))


@pytest.mark.parametrize(
    ("text", "size", "canonical"),
    [
        pytest.param("512Mi", 512 * 1024**2, "512Mi", id="binary units"),
        pytest.param("2G", 2 * 10**9, "1953125Ki", id="decimal units are other numbers"),
        pytest.param("1.5Gi", 1536 * 1024**2, "1536Mi", id="a fraction that is whole bytes"),
        pytest.param("1000", 1000, "1000", id="plain bytes"),
    ],
)
def test_a_size_is_read_and_written(text, size, canonical):
    assert parse_bytes(text) == size
    assert format_bytes(size) == canonical


@pytest.mark.parametrize("text", ["", "lots", "-1Mi", "512MB", "0.3", "1e3", True, None])
def test_what_is_not_a_size_is_refused(text):
    with pytest.raises(ValueError, match=r"size|whole number"):
        parse_bytes(text)


@given(st.integers(min_value=0, max_value=2**60))
def test_every_size_survives_writing_and_reading(size):
    assert parse_bytes(format_bytes(size)) == size


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6))
def test_every_finite_decimal_survives_writing_and_reading(value):
    assert parse_decimal(format_decimal(value)) == value


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e9", ".5", "", 0.5, Decimal("NaN"), True])
def test_what_is_not_a_plain_finite_decimal_is_refused(value):
    with pytest.raises(ValueError, match="decimal"):
        parse_decimal(value)


def test_a_timestamp_is_utc_with_whole_seconds():
    moment = datetime(2026, 3, 1, 12, 0, 0, 999, tzinfo=timezone(timedelta(hours=2)))
    assert format_timestamp(moment) == "2026-03-01T10:00:00Z"
    assert format_timestamp(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00Z"
