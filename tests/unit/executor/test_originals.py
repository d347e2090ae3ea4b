"""The values found first: kept before the first effect, given back at the end, never guessed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.executor.changes import ABSENT, Change, ObjectRef
from aurora.executor.originals import (
    adopted_floor,
    keep_originals,
    originals_of,
    release,
    remember_decision,
)
from aurora.executor.plan import status_changes
from aurora.resources import ModelDeployment
from aurora.resources.names import FINALIZER, LAST_DECISION_ANNOTATION, ORIGINAL_ANNOTATION
from tests.support.builders import NAMESPACE, SPEC
from tests.support.fakecluster import merged, patched

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
TARGET = ObjectRef("apps/v1", "Deployment", NAMESPACE, "llama", "uid-target")
HPA = ObjectRef("autoscaling/v2", "HorizontalPodAutoscaler", NAMESPACE, "llama", "uid-hpa")
SERVICE = ObjectRef("v1", "Service", NAMESPACE, "llama", "uid-service")
REPLICAS = Change(TARGET, "/spec/replicas", 2, 3, "scale")
FLOOR = Change(HPA, "/spec/minReplicas", 1, 4)
SELECTOR = Change(SERVICE, "/spec/selector", {"app": "llama"}, {"app": "spare"})


def found(**metadata: Any) -> dict[str, Any]:
    """A ModelDeployment as the API server gives it, with what kubectl left on it."""
    base = {
        "name": "llama",
        "namespace": NAMESPACE,
        "uid": "uid-llama",
        "resourceVersion": "7",
        "annotations": {LAST_APPLIED: '{"kind": "ModelDeployment"}', "team": "a"},
    }
    return {
        "apiVersion": "aurora.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": base | metadata,
        "spec": SPEC,
    }


def remembering(obj: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """The object after the merge patch that keeps the old values."""
    made = keep_originals(ModelDeployment.parse(obj), changes)
    return dict(merged(obj, {"metadata": made}))


def kept(obj: dict[str, Any]) -> dict[str, Any]:
    """Original values by path."""
    return {path: one.after for (_, path), one in originals_of(ModelDeployment.parse(obj)).items()}


def test_the_old_value_and_the_finalizer_are_there_before_the_effect() -> None:
    after = remembering(found(), [REPLICAS])
    assert kept(after) == {"/spec/replicas": 2}
    assert after["metadata"]["finalizers"] == [FINALIZER]
    assert after["metadata"]["annotations"][LAST_APPLIED] == '{"kind": "ModelDeployment"}'
    assert after["metadata"]["annotations"]["team"] == "a"


def test_an_object_without_annotations_or_with_foreign_finalizers() -> None:
    bare = found(finalizers=["someone/else"])
    del bare["metadata"]["annotations"]
    after = remembering(bare, [REPLICAS])
    assert kept(after) == {"/spec/replicas": 2}
    assert after["metadata"]["finalizers"] == ["someone/else", FINALIZER]


def test_what_was_found_first_stays_what_was_found_first() -> None:
    once = remembering(found(), [REPLICAS])
    again = Change(TARGET, "/spec/replicas", 3, 4, "scale")
    assert keep_originals(ModelDeployment.parse(once), [again]) == {}
    both = remembering(once, [again, SELECTOR])
    assert kept(both) == {"/spec/replicas": 2, "/spec/selector": {"app": "llama"}}


def test_a_finalizer_that_somebody_took_off_is_put_back() -> None:
    once = remembering(found(), [REPLICAS])
    once["metadata"]["finalizers"] = []
    assert FINALIZER in remembering(once, [REPLICAS])["metadata"]["finalizers"]


def test_an_object_of_our_own_has_no_original() -> None:
    made = Change(HPA._replace(uid=""), "/spec/minReplicas", 2, 3)
    assert keep_originals(ModelDeployment.parse(found()), [made]) == {}


def test_letting_go_leaves_what_others_put_there() -> None:
    held = remembering(found(finalizers=["a/b"]), [FLOOR])
    after = patched(held, release(held))
    assert after["metadata"]["finalizers"] == ["a/b"]
    assert ORIGINAL_ANNOTATION not in after["metadata"]["annotations"]
    assert after["metadata"]["annotations"][LAST_APPLIED]
    assert release(after) == []
    alone = remembering(found(), [FLOOR])
    assert "finalizers" not in patched(alone, release(alone))["metadata"]


def test_the_last_decision_is_put_beside_what_is_there() -> None:
    after = patched(found(), remember_decision(found(), "{}"))
    assert after["metadata"]["annotations"][LAST_DECISION_ANNOTATION] == "{}"
    assert after["metadata"]["annotations"]["team"] == "a"
    assert remember_decision(after, "{}") == [], "nothing is sent when it stands there already"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([FLOOR], 1, id="an HPA's"),
        pytest.param(
            [Change(HPA._replace(kind="ScaledObject"), "/spec/minReplicaCount", 0, 2)],
            0,
            id="a ScaledObject's floor of zero",
        ),
        pytest.param([REPLICAS], None, id="replicas are no floor"),
        pytest.param([Change(HPA, "/spec/minReplicas", True, 2)], None, id="a boolean is no floor"),
        pytest.param([Change(HPA, "/spec/minReplicas", ABSENT, 2)], None, id="it was not set"),
    ],
)
def test_the_floor_that_was_found(changes: list[Change], expected: int | None) -> None:
    after = remembering(found(), changes)
    assert adopted_floor(ModelDeployment.parse(after)) == expected


def annotated(text: str) -> ModelDeployment:
    return ModelDeployment.parse(found(annotations={ORIGINAL_ANNOTATION: text}))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("null", id="null"),
        pytest.param("5", id="a number"),
        pytest.param("{", id="no JSON"),
        pytest.param('{"a": 1}', id="an object"),
        pytest.param("[1, 2]", id="a list of numbers"),
        pytest.param('[{"kind": "Service"}]', id="fields are missing"),
        pytest.param("[" * 100_000, id="nested too deeply"),
        pytest.param(
            json.dumps([status_changes([REPLICAS])[0] | {"to": "[" * 100_000}]),
            id="a value nested too deeply",
        ),
        pytest.param(
            json.dumps([status_changes([REPLICAS])[0] | {"name": ["a"]}]), id="a list for a name"
        ),
        pytest.param(
            json.dumps([status_changes([REPLICAS])[0] | {"path": 5}]), id="a number for a path"
        ),
        pytest.param(
            json.dumps([status_changes([REPLICAS])[0] | {"to": 5}]), id="a value that is no JSON"
        ),
    ],
)
def test_a_hostile_annotation_restores_nothing(text: str) -> None:
    assert originals_of(annotated(text)) == {}
    assert adopted_floor(annotated(text)) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            REPLICAS.__class__(
                TARGET._replace(namespace="kube-system"), "/spec/replicas", 2, 0, "scale"
            ),
            id="another namespace",
        ),
        pytest.param(
            Change(TARGET, "/spec/template/spec/containers/0/image", "a", "b"), id="an image"
        ),
        pytest.param(
            Change(ObjectRef("v1", "Secret", NAMESPACE, "s", "u"), "/data/key", "a", "b"),
            id="a Secret",
        ),
        pytest.param(
            Change(ObjectRef("v1", "Service", NAMESPACE, "llama", "u"), "/spec/externalName", 1, 2),
            id="another field of a Service",
        ),
        pytest.param(Change(HPA, "/spec/maxReplicas", 9, 1), id="an autoscaler's maximum"),
    ],
)
def test_who_edits_the_annotation_reaches_nothing_that_aurora_does_not_write(
    change: Change,
) -> None:
    text = json.dumps(status_changes([change, SELECTOR]))
    assert list(originals_of(annotated(text)).values()) == [SELECTOR]


@given(st.text(max_size=300))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    originals_of(annotated(text))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["kind", "name", "path", "from", "to", "uid", "apiVersion", "namespace"]
                ),
                inner,
                max_size=8,
            )
        ),
        max_leaves=30,
    )
)
def test_any_json_is_read_without_a_fault(value: Any) -> None:
    originals_of(annotated(json.dumps(value)))
