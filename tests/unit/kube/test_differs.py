"""When a server-side apply would change nothing."""

from typing import Any

import pytest

from aurora.kube.differs import apply_changes

LIVE: dict[str, Any] = {
    "metadata": {
        "name": "a",
        "labels": {"ours": "1", "theirs": "2"},
        "managedFields": [
            {
                "manager": "aurora",
                "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:ours": {}}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}}},
                    },
                },
            },
            {"manager": "them", "operation": "Apply", "fieldsV1": {"f:spec": {"f:paused": {}}}},
        ],
    },
    "spec": {
        "replicas": 1,
        "paused": False,
        "containers": [{"name": "c", "image": "i", "pullPolicy": "Always"}],
    },
}
WANTED: dict[str, Any] = {
    "metadata": {"name": "a", "labels": {"ours": "1"}},
    "spec": {"replicas": 1, "containers": [{"name": "c", "image": "i"}]},
}


def wanted(**spec: Any) -> dict[str, Any]:
    return {**WANTED, "spec": {**WANTED["spec"], **spec}}


@pytest.mark.parametrize(
    ("manifest", "changes"),
    [
        pytest.param(WANTED, False, id="everything agrees, defaults of the server aside"),
        pytest.param(wanted(replicas=2), True, id="a value differs"),
        pytest.param(wanted(replicas=True), True, id="a boolean is no number"),
        pytest.param(wanted(more=1), True, id="a field is new"),
        pytest.param(wanted(containers=[]), True, id="a list is shorter"),
        pytest.param(wanted(containers=[{"name": "c", "image": "j"}]), True, id="an item differs"),
        pytest.param(
            {**WANTED, "spec": {"containers": WANTED["spec"]["containers"]}},
            True,
            id="a field of ours is wanted no longer",
        ),
        pytest.param({**WANTED, "metadata": {"name": "a"}}, True, id="a label of ours is dropped"),
        pytest.param(
            {**WANTED, "metadata": {"name": "a", "labels": {"ours": "2"}}}, True, id="a label"
        ),
    ],
)
def test_an_apply_is_sent_only_when_it_would_change_something(
    manifest: dict[str, Any], changes: bool
) -> None:
    assert apply_changes(manifest, LIVE, field_manager="aurora") is changes


def test_fields_of_another_manager_are_theirs() -> None:
    assert not apply_changes({"spec": {"paused": False}}, LIVE, field_manager="them")
