"""Why nothing is done, what is open, what may be answered: the decisions behind the text."""

import json
import shlex
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.decisions.desk import LEASE_NAME, refusal_of
from aurora.decisions.model import why_idle
from aurora.decisions.overview import leader_of
from aurora.decisions.table import decision_rows, newest_first
from aurora.decisions.text import clean, span
from aurora.decisions.undo import open_changes, original_changes, undo_command
from aurora.resources import Change
from tests.unit.decisions.samples import (
    NOW,
    STOPPED,
    condition,
    decision,
    model,
    view,
    waiting,
)

HEALTHY = condition("Ready", "True", "Reconciled")
CHANGE = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "namespace": "models",
    "name": "llama",
    "uid": "u",
    "path": "/spec/replicas",
}


@pytest.mark.parametrize(
    ("over", "says"),
    [
        pytest.param({}, "Nothing keeps AURORA from acting", id="nothing stops it"),
        pytest.param(
            {"metadata": {"annotations": {"aurora.dev/paused": "true"}}},
            "The model is paused",
            id="it is paused",
        ),
        pytest.param(
            {"status": {"conditions": []}},
            "has not looked at it yet",
            id="no operator looked at it",
        ),
        pytest.param(
            {"metadata": {"generation": 2}},
            "has not looked at the newest spec yet",
            id="the spec is newer than the last look",
        ),
        pytest.param(
            {
                "status": {
                    "conditions": [
                        condition("MetricsAvailable", "False", "MetricsStale", "ttftP95: check")
                    ]
                }
            },
            "MetricsAvailable is False, MetricsStale: ttftP95: check",
            id="a metric is missing",
        ),
        pytest.param(
            {
                "status": {
                    "conditions": [condition("TargetConflict", "True", "TargetConflict", "x")]
                }
            },
            "TargetConflict is True",
            id="an older model has the target",
        ),
        pytest.param(
            {"spec": {"autonomy": {"mode": "Observe"}}},
            "autonomy.mode is Observe",
            id="the mode is Observe",
        ),
        pytest.param(
            {"spec": {"autonomy": {"actions": {"SCALE": "Recommend"}}}},
            "autonomy.actions says Recommend for SCALE",
            id="one action is held back",
        ),
    ],
)
def test_a_model_at_rest_says_why(over: dict[str, Any], says: str):
    (only,) = why_idle(view(**over))
    assert says in only


def test_one_fact_in_two_conditions_is_told_once():
    same = [condition(type_, "False", "MetricsStale") for type_ in ("Ready", "MetricsAvailable")]
    other = condition("ScalingActive", "False", "ScalingNotConfigured")
    found = why_idle(view(status={"conditions": [*same, other]}))
    assert [one.split(" is ")[0] for one in found] == ["Ready", "ScalingActive"]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(waiting(), "waits for a person within 50m", id="a proposal is open"),
        pytest.param(
            waiting(spec={"expiresAt": "2026-01-01T12:00:00Z"}), "has expired", id="and has expired"
        ),
        pytest.param(
            decision(status={"phase": "Verifying"}), "is Verifying", id="an action is in flight"
        ),
        pytest.param(
            decision(
                status={
                    "phase": "Rejected",
                    "conditions": [condition("Approved", "False", "FreezeWindow", "frozen")],
                }
            ),
            "is Rejected, FreezeWindow: frozen",
            id="the newest was rejected",
        ),
    ],
)
def test_a_decision_is_a_reason_to_wait(found: Any, says: str):
    (only,) = why_idle(view(found))
    assert says in only


def test_the_kill_switch_comes_first():
    assert "maintenance" in why_idle(view(waiting(), switch=STOPPED))[0]


@pytest.mark.parametrize(
    ("phase", "listed"),
    [
        ("Executing", 1),
        ("Verifying", 1),
        ("RollingBack", 1),
        ("Completed", 0),
        ("RolledBack", 0),
        ("AwaitingApproval", 0),
    ],
)
def test_a_change_is_open_until_its_decision_is_settled(phase: str, listed: int):
    assert len(open_changes([decision(status={"phase": phase})])) == listed


@pytest.mark.parametrize(
    ("fields", "operations"),
    [
        pytest.param(
            {"from": "2", "to": "3"},
            [
                {"op": "test", "path": "/spec/replicas", "value": 3},
                {"op": "replace", "path": "/spec/replicas", "value": 2},
            ],
            id="a value goes back",
        ),
        pytest.param(
            {"to": '{"a":"b"}'},
            [
                {"op": "test", "path": "/spec/replicas", "value": {"a": "b"}},
                {"op": "remove", "path": "/spec/replicas"},
            ],
            id="a field that did not exist is removed",
        ),
        pytest.param(
            {"from": '"x"'},
            [{"op": "add", "path": "/spec/replicas", "value": "x"}],
            id="a field that was removed comes back",
        ),
    ],
)
def test_the_undo_is_a_guarded_patch(fields: dict[str, str], operations: list[Any]):
    words = shlex.split(undo_command(Change.model_validate(CHANGE | fields)))
    assert words[:5] == ["kubectl", "-n", "models", "patch", "deployment.apps/llama"]
    assert json.loads(words[-1]) == [
        {"op": "test", "path": "/metadata/uid", "value": "u"},
        *operations,
    ]


@given(name=st.text(), value=st.text())
def test_a_hostile_name_or_value_stays_one_word_of_the_shell(name: str, value: str):
    change = Change.model_construct(
        api_version="v1",
        kind="Service",
        namespace=name,
        name=name,
        uid=name,
        path="/x",
        from_=value,
        to=None,
        applied_at=None,
    )
    words = shlex.split(undo_command(change))
    assert (words[2], words[4]) == (name, f"service/{name}")
    assert len(words) == 8


def test_what_was_found_first_can_be_written_back():
    kept = json.dumps([CHANGE | {"from": "3", "to": "1"}])
    (command,) = original_changes(model(metadata={"annotations": {"aurora.dev/original": kept}}))
    *_, back = json.loads(shlex.split(command)[-1])
    assert back == {"op": "add", "path": "/spec/replicas", "value": 1}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a":1}', "null"])
def test_an_annotation_that_cannot_be_read_gives_no_command(text: str):
    assert original_changes(model(metadata={"annotations": {"aurora.dev/original": text}})) == ()


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(decision(), "is Completed and awaits no approval", id="it is done"),
        pytest.param(decision(status={"phase": None}), "is Proposed", id="it was not judged yet"),
        pytest.param(
            waiting(spec={"expiresAt": "2026-01-01T12:10:00Z"}), "expired at", id="it expired now"
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(found: Any, says: str):
    refusal = refusal_of(found, now=NOW)
    assert refusal is not None
    assert says in str(refusal)


def test_what_awaits_an_answer_can_be_answered():
    assert refusal_of(waiting(), now=NOW) is None


def test_rows_say_null_for_what_is_not_known():
    (row,) = decision_rows([decision(status={"outcome": None, "phase": None, "decidedBy": None})])
    assert (row["outcome"], row["phase"], row["decidedBy"]) == (None, None, None)
    assert json.loads(json.dumps(row))["to"] == {"replicas": "3", "undo": "other"}


def test_decisions_are_sorted_by_their_time_and_name():
    late = decision(metadata={"name": "b", "creationTimestamp": "2026-01-01T12:05:00Z"})
    unknown = decision(metadata={"name": "c", "creationTimestamp": None})
    found = newest_first([unknown, decision(), late])
    assert [one.metadata.name for one in found] == ["b", "llama-scale-1", "c"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "0s"),
        (0.4, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3661, "1h1m"),
        (3605, "1h"),
        (90000, "1d1h"),
    ],
)
def test_a_span_has_two_units_at_most(seconds: float, expected: str):
    assert span(seconds) == expected


@given(st.text())
def test_cleaned_text_is_printable_and_as_long(text: str):
    assert clean(text).isprintable()
    assert len(clean(text)) == len(text)


@pytest.mark.parametrize(
    "lease", [None, {}, {"spec": None}, {"spec": {"holderIdentity": ""}}, {"spec": {"x": 1}}]
)
def test_a_lease_without_holder_is_nobody(lease: Any):
    assert leader_of(lease) is None


def test_a_lease_is_read():
    spec = {"holderIdentity": "h", "renewTime": "2026-01-01T12:09:57.000000Z"}
    leader = leader_of({"spec": spec | {"leaseDurationSeconds": 15}})
    assert leader is not None
    assert leader.renewed == NOW - timedelta(seconds=3)


def test_the_lease_looked_at_is_the_one_that_the_operator_takes():
    from aurora.factory import LEASE_NAME as TAKEN

    assert LEASE_NAME == TAKEN
