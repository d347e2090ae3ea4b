"""What the fleet reads of the cluster's objects."""

from typing import Any

import pytest

from aurora.simulator.live.objects import ClusterFacts, Traffic, facts_of
from tests.unit.simulator_live.support import pod


def deployment(**changes: Any) -> dict[str, Any]:
    metadata = {
        "name": "llama",
        "namespace": "demo",
        "labels": {"aurora.dev/simulated": "true"},
        "annotations": {"aurora.dev/simulated-model-name": "llama-3.1-8b"},
    }
    return {"metadata": metadata | changes}


def running(**spec: Any) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": "llama-5d8", "controller": True}
    return {
        "metadata": {
            "name": "llama-5d8-abcde",
            "namespace": "demo",
            "uid": "u1",
            "labels": {"app": "llama", "pod-template-hash": "5d8"},
            "ownerReferences": [owner],
        },
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"},
    }


def service(**annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "llama",
            "namespace": "demo",
            "annotations": {f"aurora.dev/simulated-{name}": v for name, v in annotations.items()},
        },
        "spec": {"selector": {"app": "llama"}},
    }


def read(**objects: Any) -> ClusterFacts:
    given: dict[str, Any] = {
        "deployments": [deployment()],
        "pods": [running()],
        "services": [service(rate="8")],
        "config_maps": [],
    }
    return facts_of(**(given | objects))


def test_a_labelled_deployment_its_pods_and_its_service_are_read() -> None:
    found = read()
    assert found.problems == ()
    assert found.workloads["demo", "llama"].model_name == "llama-3.1-8b"
    assert [(one.name, one.workload, one.ready) for one in found.pods] == [
        ("llama-5d8-abcde", "llama", True)
    ]
    assert found.services == (Traffic("demo", "llama", {"app": "llama"}, 8.0),)


LEFT_OUT = {
    "an unlabelled Deployment": {"deployments": [deployment(labels={})]},
    "a pod that is being deleted": {
        "pods": [
            running() | {"metadata": running()["metadata"] | {"deletionTimestamp": "2026-01-01"}}
        ]
    },
    "a pod of nobody": {"pods": [running() | {"metadata": {"name": "x", "namespace": "demo"}}]},
    "no object at all": {"pods": [{}], "deployments": [{"metadata": "broken"}]},
}


@pytest.mark.parametrize("objects", LEFT_OUT.values(), ids=LEFT_OUT)
def test_pods_are_left_out_of(objects: dict[str, Any]) -> None:
    assert read(**objects).pods == ()


WRONG = {
    "a rate that is no number": ({"services": [service(rate="fast")]}, "is 'fast': write a number"),
    "a negative rate": ({"services": [service(rate="-1")]}, "from 0 to 500"),
    "an endless rate": ({"services": [service(rate="inf")]}, "from 0 to 500"),
    "callers that are no number": (
        {"services": [service(rate="1", callers="x")]},
        "simulated-callers is 'x'",
    ),
    "an unknown server": (
        {"deployments": [deployment(annotations={"aurora.dev/simulated-server": "abacus"})]},
        "is 'abacus': use one of",
    ),
}


@pytest.mark.parametrize(("objects", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_annotation_is_a_sentence_and_not_the_end(
    objects: dict[str, Any], message: str
) -> None:
    found = read(**objects)
    assert len(found.problems) == 1
    assert message in found.problems[0]


def test_the_sidecar_and_its_switch_are_read() -> None:
    sidecars = [{"name": "aurora-cache-exporter"}, {"name": "aurora-cache"}]
    name = {"name": "llama-aurora-cache", "namespace": "demo"}
    off = {"metadata": name, "data": {"nginx.conf": "proxy_cache_valid 200 90s;"}}
    on = {"metadata": name, "data": off["data"] | {"on": "true\n"}}
    armed = read(pods=[running(initContainers=sidecars)], config_maps=[off])
    assert (armed.pods[0].armed, armed.pods[0].exporting) == (True, True)
    assert armed.workloads["demo", "llama"].cache_ttl_s is None
    assert read(config_maps=[on]).workloads["demo", "llama"].cache_ttl_s == 90.0


SELECTORS = {
    "its label": ({"app": "a"}, True),
    "one label too many": ({"app": "a", "tier": "x"}, False),
    "another value": ({"app": "b"}, False),
    "nothing, which selects nothing": ({}, False),
}


@pytest.mark.parametrize(("selector", "expected"), SELECTORS.values(), ids=SELECTORS)
def test_a_service_selects_a_pod_by(selector: dict[str, str], expected: bool) -> None:
    assert Traffic("demo", "s", selector, 1.0).selects(pod("a", 0)) is expected
    assert not Traffic("other", "s", selector, 1.0).selects(pod("a", 0))
