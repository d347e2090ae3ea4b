"""Equal parts of a fleet's objects are kept once, and nobody can tell."""

import json

from aurora.observe.customresources import Reader
from aurora.observe.facts import ObjectKey
from aurora.observe.raw import name, strings
from aurora.resources import ModelDeployment
from tests.support import objects

READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Reconciled",
    "message": "All is well.",
    "lastTransitionTime": "2026-01-05T08:00:00Z",
}


def test_equal_parts_of_two_objects_are_one_and_the_objects_stay_what_they_were() -> None:
    read = Reader(ModelDeployment)
    status = {"conditions": [READY]}
    first, second = (objects.model(name, target=name, status=status) for name in ("a", "b"))
    one, two = read(first), read(second)
    assert one is not None
    assert two is not None
    assert one.spec.autonomy is two.spec.autonomy
    assert one.status.conditions[0] is two.status.conditions[0]
    assert one == ModelDeployment.parse(first)
    assert two.to_kubernetes() == ModelDeployment.parse(second).to_kubernetes()


def test_a_part_that_differs_is_its_own() -> None:
    read = Reader(ModelDeployment)
    one = read(objects.model("a"))
    two = read(objects.model("b", spec={"autonomy": {"mode": "Auto"}}))
    assert one is not None
    assert two is not None
    assert one.spec.autonomy != two.spec.autonomy


def test_objects_with_the_same_fields_share_what_tells_which_are_set() -> None:
    read = Reader(ModelDeployment)
    one, two = (read(objects.model(name, target=name)) for name in ("a", "b"))
    assert one is not None
    assert two is not None
    assert one.spec.model_fields_set is two.spec.model_fields_set
    three = read(objects.model("c", spec={"autonomy": {"mode": "Auto"}}))
    assert three is not None
    assert three.model_fields_set == one.model_fields_set
    assert one.metadata.model_fields_set is two.metadata.model_fields_set
    held = one.metadata.model_copy(update={"finalizers": ("here",)})
    assert "finalizers" in held.model_fields_set
    assert "finalizers" not in two.metadata.model_fields_set


def test_equal_names_and_labels_of_different_objects_are_one_string() -> None:
    raw = json.dumps({"metadata": {"namespace": "team one", "labels": {"an app": "of it"}}})
    first, second = json.loads(raw), json.loads(raw)
    assert name(first, "metadata", "namespace") is name(second, "metadata", "namespace")
    (one,), (two,) = (strings(raw, "metadata", "labels").items() for raw in (first, second))
    assert (one[0] is two[0], one[1] is two[1]) == (True, True)


def versions() -> list[dict[str, object]]:
    """An object as it changes: its status, its metadata, its spec; then another of its name."""
    made = objects.model("a", target="a")
    metadata = made["metadata"] | {"uid": "u1", "generation": 1}
    other = objects.model("a", target="a", spec={"autonomy": {"mode": "Auto"}})["spec"]
    return [
        made | {"metadata": metadata},
        made | {"metadata": metadata, "status": {"conditions": [READY]}},
        made | {"metadata": metadata | {"annotations": {"a": "b"}, "finalizers": ["here"]}},
        made | {"metadata": metadata | {"generation": 2}, "spec": other},
        made | {"metadata": metadata | {"uid": "u2", "generation": 2}},
        made | {"metadata": {**metadata, "uid": "u2", "generation": 0}, "spec": other},
    ]


def test_a_version_reads_the_same_whatever_was_known_before() -> None:
    known: dict[ObjectKey, ModelDeployment] = {}
    read = Reader(ModelDeployment)
    read.known = known.get
    for obj in versions():
        found = read(obj)
        assert found is not None
        assert found == ModelDeployment.parse(obj)
        assert found.to_kubernetes() == ModelDeployment.parse(obj).to_kubernetes()
        known[ObjectKey(*found.key)] = found


def test_a_spec_that_stayed_is_not_read_again() -> None:
    known: dict[ObjectKey, ModelDeployment] = {}
    read = Reader(ModelDeployment)
    read.known = known.get
    first, second, third, changed, *_ = versions()
    one = read(first)
    assert one is not None
    known[ObjectKey(*one.key)] = one
    for obj in (second, third):
        again = read(obj)
        assert again is not None
        assert again.spec is one.spec
    newer = read(changed)
    assert newer is not None
    assert newer.spec is not one.spec
