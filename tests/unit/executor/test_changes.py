"""Changes: guarded, recognised, undone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.executor.changes import (
    Change,
    ObjectRef,
    Progress,
    by_object,
    progress,
    undo,
)

REF = ObjectRef("v1", "Service", "models", "llama", "uid-1")
JSON_LEAF = st.one_of(st.integers(), st.text(max_size=8), st.booleans(), st.none())


def change(before: Any, after: Any, path: str = "/spec/replicas") -> Change:
    return Change(REF, path, before, after)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"a": {"b": [1]}, "c": "x"}, Progress.PENDING, id="nothing is done yet"),
        pytest.param({"a": {"b": [2]}, "c": "y"}, Progress.APPLIED, id="all is done"),
        pytest.param({"a": {"b": [2]}, "c": "x"}, Progress.PARTLY, id="killed in between"),
        pytest.param({"a": {"b": [9]}, "c": "y"}, Progress.FOREIGN, id="somebody else wrote"),
        pytest.param({"c": "y"}, Progress.FOREIGN, id="the field is gone"),
    ],
)
def test_progress_is_read_off_the_object(document: Any, expected: Progress) -> None:
    changes = [change(1, 2, "/a/b/0"), change("x", "y", "/c")]
    assert progress(changes, document) is expected


def test_a_pointer_with_a_slash_in_a_key_is_followed() -> None:
    document = {"metadata": {"annotations": {"aurora.dev/paused": "true"}}}
    one = change("true", "false", "/metadata/annotations/aurora.dev~1paused")
    assert progress([one], document) is Progress.PENDING


@given(st.lists(st.tuples(JSON_LEAF, JSON_LEAF), min_size=1, max_size=5))
def test_undoing_twice_gives_the_changes_back(leaves: list[tuple[Any, Any]]) -> None:
    changes = tuple(change(a, b, f"/f{i}") for i, (a, b) in enumerate(leaves))
    assert undo(undo(changes)) == changes
    assert [one.path for one in undo(changes)] == [one.path for one in reversed(changes)]


def test_changes_of_one_object_go_into_one_patch() -> None:
    other = Change(REF, "/spec/replicas", 1, 2, subresource="scale")
    grouped = by_object([change(1, 2, "/a"), other, change(3, 4, "/b")])
    assert [len(found) for found in grouped.values()] == [2, 1]
