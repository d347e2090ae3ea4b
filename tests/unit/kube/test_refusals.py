"""Which of AURORA's errors an answer of the API server becomes."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from aurora.kube.refusals import refusal, retry_after, unreachable

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
GENERIC = "the server rejected our request due to an error in our request"


def error(status: int, message: str = "", headers: dict[str, str] | None = None) -> Exception:
    body = json.dumps({"kind": "Status", "message": message}).encode()
    return refusal(
        status=status, body=body, headers=headers or {}, request="patch /apis/x", now=NOW
    )


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        pytest.param(400, "bad", ForbiddenError, id="a bad request cannot be repeated"),
        pytest.param(401, "who", ForbiddenError, id="unauthorized"),
        pytest.param(403, "forbidden: quota", ForbiddenError, id="RBAC, quota or admission"),
        pytest.param(404, "not found", NotFoundError, id="absent"),
        pytest.param(409, "conflict", ConflictError, id="written since"),
        pytest.param(410, "expired", ConflictError, id="a list that expired is read again"),
        pytest.param(412, "", ConflictError, id="a precondition failed"),
        pytest.param(422, GENERIC, ConflictError, id="a JSON Patch that does not apply"),
        pytest.param(422, "spec.replicas: Invalid value", ForbiddenError, id="an invalid value"),
        pytest.param(429, "slow down", UnavailableError, id="too many requests"),
        pytest.param(500, "", UnavailableError, id="a server error"),
        pytest.param(503, "", UnavailableError, id="not ready"),
        pytest.param(504, "", UnavailableError, id="a timeout of the server"),
    ],
)
def test_a_status_becomes_the_error_that_says_what_helps(
    status: int, message: str, expected: type[Exception]
) -> None:
    assert type(error(status, message)) is expected


@given(body=st.binary(max_size=300), status=st.integers(300, 599))
def test_any_body_gives_one_line(body: bytes, status: int) -> None:
    found = refusal(status=status, body=body, headers={}, request="get /x", now=NOW)
    assert "\n" not in str(found)
    assert "\r" not in str(found)
    assert len(str(found)) < 800


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("3", 3.0, id="a number"),
        pytest.param("0", 0.0, id="at once"),
        pytest.param("-1", None, id="a negative number says nothing"),
        pytest.param("inf", None, id="infinity says nothing"),
        pytest.param("nan", None, id="no number says nothing"),
        pytest.param("soon", None, id="a word says nothing"),
        pytest.param("", None, id="absent"),
        pytest.param(format_datetime(NOW + timedelta(seconds=90)), 90.0, id="a date ahead"),
        pytest.param(format_datetime(NOW - timedelta(seconds=90)), 0.0, id="a date gone by"),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, now=NOW) == seconds


def test_the_wait_that_was_asked_for_reaches_the_caller() -> None:
    found = error(429, "slow", {"Retry-After": "7"})
    assert isinstance(found, UnavailableError)
    assert found.retry_after == 7.0


def test_a_broken_connection_names_the_request() -> None:
    found = unreachable("get /x", ConnectionResetError("Connection\nreset"))
    assert str(found) == "get /x: no answer from the API server: Connection reset"


def test_a_proxys_password_is_not_told() -> None:
    refused = OSError("502, message='Bad Gateway', url='http://us%40er:p%40ss@proxy:3128'")
    told = "502, message='Bad Gateway', url='http://proxy:3128'"
    assert str(unreachable("get /x", refused)).endswith(told)
