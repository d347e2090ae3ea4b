"""The fleet per model: targets, pods, autoscalers, routes, rivals, GPUs."""

from typing import Any

import pytest

from aurora.kube.kinds import (
    APPROVAL,
    DEPLOYMENT,
    HPA,
    HTTP_ROUTE,
    MODEL_DEPLOYMENT,
    NODE,
    POD,
    RESOURCE_QUOTA,
    SCALED_OBJECT,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from aurora.observe.cluster import observations, unwatched_targets, view
from aurora.observe.facts import NodeFacts, ObjectKey, WorkloadKey
from aurora.observe.fleet import Fleet
from aurora.observe.projections import scalable
from aurora.observe.snapshot import ModelObservation
from tests.support import objects

KEY = ObjectKey("models", "m")
OWNER = {"kind": "ScaledObject", "name": "llama", "controller": True}
OWNED = {"metadata": {"ownerReferences": [OWNER]}}
NEWER = {"resourceVersion": "2"}
QUOTA = {"hard": {"pods": "5"}, "used": {"pods": "2"}}


def fleet(*things: tuple[Kind, dict[str, Any]], watched: tuple[Kind, ...] = ()) -> Fleet:
    found = Fleet(control_namespace="aurora-system", watched=watched)
    for kind, obj in ((MODEL_DEPLOYMENT, objects.model("m")), *things):
        found.apply_event(kind, None, obj)
    return found


def observe(*things: tuple[Kind, dict[str, Any]]) -> ModelObservation:
    return observations(fleet(*things), at=1000.0)[KEY]


def test_a_model_without_anything_in_the_cluster_has_nothing() -> None:
    seen = observe()
    assert seen.target is None
    assert seen.service is None
    assert seen.endpoints is None
    assert seen.pods == ()
    assert seen.signals == {}


def test_target_service_fallback_and_quota_are_those_of_the_models_namespace() -> None:
    fallback = {"fallback": {"serviceRef": {"name": "spare"}}}
    seen = observations(
        fleet(
            (
                MODEL_DEPLOYMENT,
                objects.model("m", metadata=NEWER, spec=fallback),
            ),
            (DEPLOYMENT, objects.deployment()),
            (DEPLOYMENT, objects.deployment(metadata={"namespace": "other"}, spec={"replicas": 9})),
            (SERVICE, objects.obj("llama")),
            (SERVICE, objects.obj("spare")),
            (SERVICE, objects.obj("spare", namespace="other")),
            (
                RESOURCE_QUOTA,
                objects.obj("q", status=QUOTA),
            ),
            (RESOURCE_QUOTA, objects.obj("q", namespace="other")),
        ),
        at=1000.0,
    )[KEY]
    assert seen.target is not None
    assert seen.target.replicas == 2
    assert seen.service is not None
    assert seen.fallback_service is not None
    assert seen.fallback_service.key == ObjectKey("models", "spare")
    assert [quota.remaining for quota in seen.quotas] == [{"pods": 3.0}]


class TestPods:
    def names(self, *pods: dict[str, Any], **model: Any) -> list[str]:
        seen = observe((DEPLOYMENT, objects.deployment()), *((POD, pod) for pod in pods))
        return [pod.key.name for pod in seen.pods]

    def test_pods_of_the_workload_in_order_of_their_names(self) -> None:
        assert self.names(objects.pod("b"), objects.pod("a")) == ["a", "b"]

    @pytest.mark.parametrize(
        "pod",
        [
            pytest.param(objects.pod("x", workload="other"), id="of another workload"),
            pytest.param(objects.pod("x", status={"phase": "Failed"}), id="evicted"),
            pytest.param(
                objects.pod("x", metadata={"labels": {"app": "debug"}}), id="released by its label"
            ),
            pytest.param(objects.pod("x", metadata={"namespace": "other"}), id="elsewhere"),
        ],
    )
    def test_others_are_left_out(self, pod: dict[str, Any]) -> None:
        assert self.names(objects.pod("a"), pod) == ["a"]

    def test_a_stateful_set_of_the_same_name_has_its_own(self) -> None:
        owner = {"kind": "StatefulSet", "name": "llama", "controller": True}
        theirs = objects.pod("llama-0", metadata={"ownerReferences": [owner]})
        assert self.names(objects.pod("a"), theirs) == ["a"]
        target = {"targetRef": {"kind": "StatefulSet", "name": "llama"}}
        seen = observe(
            (MODEL_DEPLOYMENT, objects.model("m", metadata=NEWER, spec=target)),
            (STATEFUL_SET, objects.deployment()),
            (POD, objects.pod("a")),
            (POD, theirs),
        )
        assert [pod.key.name for pod in seen.pods] == ["llama-0"]


class TestAutoscalers:
    def test_an_hpa_that_a_scaled_object_made_is_that_scaled_object(self) -> None:
        seen = observe((SCALED_OBJECT, objects.scaled_object()), (HPA, objects.hpa(**OWNED)))
        assert [one.kind for one in seen.autoscalers] == ["ScaledObject"]
        assert (seen.autoscalers[0].current, seen.autoscalers[0].desired) == (3, 4)
        assert seen.autoscalers[0].floor == 0

    def test_two_real_ones_are_two(self) -> None:
        seen = observe((SCALED_OBJECT, objects.scaled_object()), (HPA, objects.hpa()))
        assert sorted(one.kind for one in seen.autoscalers) == [
            "HorizontalPodAutoscaler",
            "ScaledObject",
        ]

    def test_an_hpa_whose_scaled_object_cannot_be_seen_keeps_its_owner(self) -> None:
        seen = observe((HPA, objects.hpa(**OWNED)))
        assert [one.owner for one in seen.autoscalers] == ["ScaledObject/llama"]

    def test_one_that_changes_its_target_scales_the_new_one_alone(self) -> None:
        moved = {"scaleTargetRef": {"kind": "Deployment", "name": "other"}}
        hpa = objects.hpa(metadata=NEWER, spec=moved)
        assert observe((HPA, objects.hpa()), (HPA, hpa)).autoscalers == ()


class TestRivals:
    def rivals(self, *others: dict[str, Any]) -> list[str]:
        seen = observe(*((MODEL_DEPLOYMENT, other) for other in others))
        return [str(key) for key in seen.rivals]

    def created(self, name: str, at: str, **over: Any) -> dict[str, Any]:
        return objects.model(name, metadata={"creationTimestamp": at}, **over)

    def test_an_older_object_on_the_same_target_is_a_rival(self) -> None:
        older = self.created("z", "2026-11-21T08:00:00Z")
        younger = self.created("a", "2026-11-21T10:00:00Z")
        assert self.rivals(older, younger) == ["models/z"]

    def test_of_two_of_the_same_second_the_first_name_acts(self) -> None:
        assert self.rivals(self.created("a", objects.CREATED)) == ["models/a"]
        assert self.rivals(self.created("n", objects.CREATED)) == []

    def test_another_target_is_no_rival(self) -> None:
        assert (
            self.rivals(
                self.created("a", "2026-11-21T08:00:00Z", spec={"targetRef": {"name": "x"}})
            )
            == []
        )

    def test_exactly_one_of_any_number_has_no_rival(self) -> None:
        others = [objects.model(f"m{index}") for index in range(5)]
        found = fleet(*((MODEL_DEPLOYMENT, other) for other in others))
        seen = observations(found, at=0.0)
        assert sum(not one.rivals for one in seen.values()) == 1


class TestRoutes:
    BACKENDS = ([{"name": "llama", "port": 80, "weight": 1}],)

    def test_the_only_route_to_the_service_is_the_models(self) -> None:
        seen = observe((HTTP_ROUTE, objects.route("r", *self.BACKENDS)))
        assert seen.route is not None
        assert seen.route.key == ObjectKey("models", "r")

    def test_of_two_routes_none_is_guessed(self) -> None:
        routes = [(HTTP_ROUTE, objects.route(name, *self.BACKENDS)) for name in ("r", "s")]
        assert observe(*routes).route is None

    def test_the_one_that_the_fallback_names_is_taken(self) -> None:
        fallback = {"serviceRef": {"name": "spare"}, "httpRouteRef": {"name": "s"}}
        model = objects.model("m", metadata=NEWER, spec={"fallback": fallback})
        routes = [(HTTP_ROUTE, objects.route(name, *self.BACKENDS)) for name in ("r", "s")]
        seen = observe((MODEL_DEPLOYMENT, model), *routes)
        assert seen.route is not None
        assert seen.route.key.name == "s"


class TestOtherKinds:
    MODEL = objects.model(
        "m",
        metadata=NEWER,
        spec={
            "targetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "llama"}
        },
    )

    def test_their_target_is_asked_for_and_their_pods_are_counted(self) -> None:
        owner = {"kind": "Whatever", "name": "w", "controller": True}
        pods = [
            (POD, objects.pod(name, metadata={"ownerReferences": [owner]})) for name in ("a", "b")
        ]
        found = fleet((MODEL_DEPLOYMENT, self.MODEL), *pods)
        key = WorkloadKey("Rollout", "models", "llama")
        assert unwatched_targets(found) == {key: "argoproj.io/v1alpha1"}
        scale = {"spec": {"replicas": 3}, "status": {"replicas": 3, "selector": "app=llama"}}
        others = {key: scalable(scale, key=key, api_version="argoproj.io/v1alpha1")}
        seen = observations(found, at=0.0, others=others)[KEY]
        assert seen.target is not None
        assert (seen.target.replicas, seen.target.ready_replicas) == (3, 2)
        assert [pod.key.name for pod in seen.pods] == ["a", "b"]

    def test_a_deployment_of_another_group_is_not_the_one_of_apps(self) -> None:
        spec = {
            "targetRef": {"apiVersion": "example.org/v1", "kind": "Deployment", "name": "llama"}
        }
        model = objects.model("m", metadata=NEWER, spec=spec)
        seen = observe((MODEL_DEPLOYMENT, model), (DEPLOYMENT, objects.deployment()))
        assert seen.target is None


def test_gpus_are_those_of_open_nodes_and_of_the_pods_on_them() -> None:
    found = fleet(
        (NODE, objects.node("node-1", gpus=8)),
        (NODE, objects.node("node-2", gpus=4, ready="False")),
        (POD, objects.pod("a")),
        (POD, objects.pod("done", status={"phase": "Succeeded"})),
        (POD, objects.pod("waits", spec={"nodeName": ""})),
        (POD, objects.pod("elsewhere", spec={"nodeName": "node-2"})),
        watched=(NODE,),
    )
    assert view(found, at=0.0).nodes == NodeFacts(gpus_allocatable=8, gpus_requested=1)


def test_nodes_that_are_not_watched_are_unknown_and_not_zero() -> None:
    assert view(fleet(), at=0.0).nodes is None


def test_the_view_has_approvals_and_whether_it_is_complete() -> None:
    approval = objects.obj(
        "ok",
        apiVersion="aurora.dev/v1alpha1",
        kind="Approval",
        spec={
            "decisionRef": {"name": "d", "uid": "u"},
            "verdict": "Approve",
            "approver": "ann@example.org",
        },
    )
    found = fleet((APPROVAL, approval), watched=(APPROVAL,))
    seen = view(found, at=0.0)
    assert not seen.synced
    assert not seen.control.writes_allowed
    assert set(seen.approvals) == {ObjectKey("models", "ok")}
    found.mark_listed(APPROVAL)
    assert view(found, at=0.0).synced
