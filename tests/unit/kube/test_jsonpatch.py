"""Guarded patches: what they test, what they change, and that the reverse undoes them."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.kube.jsonpatch import ABSENT, Change, Operation, guarded, pointer, reverse

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3))
NAMES = st.text(min_size=1, max_size=4)


class TestFailedError(Exception):
    __test__ = False


def apply(document: dict[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """RFC 6902 for members of objects, enough to check the builders against."""
    result = copy.deepcopy(document)
    for operation in operations:
        *above, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        parent = result
        for part in above:
            parent = parent[part]
        match operation["op"]:
            case "test":
                found = parent.get(last, ABSENT)
                if type(found) is not type(operation["value"]) or found != operation["value"]:
                    raise TestFailedError(operation["path"])
            case "remove":
                del parent[last]
            case "add" | "replace" as verb:
                if verb == "replace" and last not in parent:
                    raise KeyError(last)
                parent[last] = operation["value"]
    return result


def document(members: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"uid": "u", "resourceVersion": "7"}, "spec": dict(members)}


@given(
    before=st.dictionaries(NAMES, SCALARS, max_size=4),
    after=st.dictionaries(NAMES, SCALARS, max_size=4),
)
def test_a_patch_makes_what_is_wanted_and_its_reverse_makes_what_was(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    changes = [
        Change(pointer("spec", name), before.get(name, ABSENT), after.get(name, ABSENT))
        for name in sorted(before.keys() | after.keys())
    ]
    operations = guarded(uid="u", resource_version="7", changes=changes)
    made = apply(document(before), operations)
    assert made == document(after)
    undo = guarded(uid="u", resource_version="7", changes=reverse(changes))
    assert apply(made, undo) == document(before)


@given(value=SCALARS, found=SCALARS)
def test_another_old_value_than_the_one_decided_on_fails_the_patch(value: Any, found: Any) -> None:
    change = Change("/spec/x", value, "new")
    operations = guarded(uid="u", resource_version="7", changes=[change])
    same = type(value) is type(found) and value == found
    if same:
        apply(document({"x": found}), operations)
    elif operations:
        with pytest.raises(TestFailedError):
            apply(document({"x": found}), operations)


@pytest.mark.parametrize(
    ("changes", "effects"),
    [
        pytest.param([], 0, id="no change"),
        pytest.param([Change("/a", 1, 1)], 0, id="an equal value"),
        pytest.param([Change("/a", ABSENT, ABSENT)], 0, id="a field that stays away"),
        pytest.param([Change("/a", 1, True)], 1, id="a number and a boolean differ in JSON"),
        pytest.param([Change("/a", 1, 2), Change("/b", 1, 1)], 1, id="only what differs is sent"),
        pytest.param([Change("/a", None, ABSENT)], 1, id="null is not absence"),
    ],
)
def test_nothing_is_sent_for_what_does_not_differ(changes: list[Change], effects: int) -> None:
    operations = guarded(uid="u", resource_version="7", changes=changes)
    assert sum(operation["op"] != "test" for operation in operations) == effects
    if not effects:
        assert operations == []


def test_identity_is_tested_before_anything_is_changed() -> None:
    operations = guarded(uid="u", resource_version="7", changes=[Change("/spec/x", 1, 2)])
    assert [operation["op"] for operation in operations] == ["test", "test", "test", "replace"]
    assert [operation["path"] for operation in operations[:2]] == [
        "/metadata/uid",
        "/metadata/resourceVersion",
    ]


@pytest.mark.parametrize(("uid", "version"), [("", "7"), ("u", "")])
def test_an_unguarded_patch_cannot_be_built(uid: str, version: str) -> None:
    with pytest.raises(ValueError, match="uid and the resourceVersion"):
        guarded(uid=uid, resource_version=version, changes=[Change("/a", 1, 2)])


def test_a_pointer_escapes_what_has_a_meaning() -> None:
    assert pointer("metadata", "annotations", "aurora.dev/a~b", 0) == (
        "/metadata/annotations/aurora.dev~1a~0b/0"
    )
