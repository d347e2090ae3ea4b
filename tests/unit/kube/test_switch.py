"""The kill switch fails closed, whatever the ConfigMap holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.kube.switch import parse_switch


@pytest.mark.parametrize(
    ("obj", "readable", "stopped"),
    [
        pytest.param({"data": {"stop": "false"}}, True, False, id="off"),
        pytest.param({"data": {"stop": "true"}}, True, True, id="on"),
        pytest.param(None, False, True, id="absent counts as set"),
        pytest.param({}, False, True, id="no data counts as set"),
        pytest.param({"data": {}}, False, True, id="no key counts as set"),
        pytest.param({"data": {"stop": "False"}}, False, True, id="another spelling"),
        pytest.param({"data": {"stop": False}}, False, True, id="not a string"),
        pytest.param({"data": [1]}, False, True, id="malformed"),
    ],
)
def test_only_a_clear_false_lets_writes_pass(obj: Any, readable: bool, stopped: bool) -> None:
    found = parse_switch(obj)
    assert (found.readable, found.stopped) == (readable, stopped)
    assert bool(found.detail) is stopped


def test_the_reason_of_a_stop_is_told() -> None:
    found = parse_switch({"data": {"stop": "true", "reason": "game day"}})
    assert found.detail.endswith(": game day")


@given(data=st.dictionaries(st.text(max_size=6), st.text(max_size=6)))
def test_no_other_content_lets_writes_pass(data: dict[str, str]) -> None:
    assert parse_switch({"data": data}).stopped is (data.get("stop") != "false")
