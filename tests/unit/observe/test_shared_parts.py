"""Equal parts of a fleet's objects are kept once, and nobody can tell."""

from aurora.observe.customresources import Reader
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
