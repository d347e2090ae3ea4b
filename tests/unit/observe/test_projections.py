"""Objects as facts: the values that matter, the defaults of the API, and hostile shapes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.cachesidecar import manifests as sidecar
from aurora.observe import podtemplates, projections, traffic
from aurora.observe.facts import ObjectKey, ServicePort, WorkloadKey
from aurora.observe.pods import LabelPool, owner_of, pod
from aurora.observe.raw import moment
from tests.support import objects
from tests.support.hostile import JSON

PROJECTIONS = {
    "Deployment": (lambda obj: projections.workload(obj, kind="Deployment"), objects.deployment()),
    "Pod": (pod, objects.pod("p")),
    "HPA": (projections.autoscaler_of_hpa, objects.hpa()),
    "ScaledObject": (projections.autoscaler_of_scaled_object, objects.scaled_object()),
    "Service": (traffic.service, objects.obj("s", spec={"ports": [{"port": 1}]})),
    "EndpointSlice": (traffic.slice_of, objects.endpoints("e", ready=1)),
    "HTTPRoute": (traffic.route, objects.route("r", [{"name": "s", "port": 1}])),
    "ResourceQuota": (projections.quota, objects.obj("q", status={"hard": {}, "used": {}})),
    "Node": (projections.node, objects.node("n", gpus=1)),
    "Scale": (
        lambda obj: projections.scalable(
            obj, key=WorkloadKey("Rollout", "a", "b"), api_version="v1"
        ),
        objects.obj("s", spec={"replicas": 1}, status={"replicas": 1, "selector": "a=b"}),
    ),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document, the root included."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("kind", PROJECTIONS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_field_of_any_shape_makes_a_projection_raise(kind: str, data: st.DataObject) -> None:
    project, whole = PROJECTIONS[kind]
    place = data.draw(st.sampled_from(places(whole)))
    project(with_value(whole, place, data.draw(JSON)))


@pytest.mark.parametrize("kind", PROJECTIONS)
@given(obj=JSON)
def test_no_object_of_any_shape_makes_a_projection_raise(kind: str, obj: Any) -> None:
    PROJECTIONS[kind][0](obj)


class TestWorkload:
    def test_a_deployment_is_read_with_what_one_pod_asks_for(self) -> None:
        found = projections.workload(objects.deployment(), kind="Deployment")
        assert found is not None
        assert found.key == WorkloadKey("Deployment", "models", "llama")
        counts = (found.replicas, found.ready_replicas, found.available_replicas)
        assert counts == (2, 2, 1)
        assert (found.gpus_per_pod, found.cpu_request_m) == (1, 500)
        assert found.memory_request_bytes == 1024**3
        assert found.match_labels == {"app": "llama"}
        assert not found.armed
        assert not found.deleting

    def test_absent_replicas_are_one_as_the_api_server_reads_it(self) -> None:
        found = projections.workload(objects.obj("d", spec={}), kind="Deployment")
        assert found is not None
        assert found.replicas == 1

    def test_the_template_hash_changes_with_the_template_and_with_nothing_else(self) -> None:
        def hash_of(**over: Any) -> str:
            found = projections.workload(objects.deployment(**over), kind="Deployment")
            assert found is not None
            return found.template_hash

        shuffled = json.loads(json.dumps(objects.deployment(), sort_keys=True))
        same = projections.workload(shuffled, kind="Deployment")
        assert same is not None
        assert hash_of() == hash_of(spec={"replicas": 9}) == same.template_hash
        assert hash_of(status={"readyReplicas": 0}) == hash_of()
        restarted = {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}
        assert hash_of(spec=restarted) != hash_of()

    def test_the_name_of_the_sidecar_is_the_one_that_arming_gives_it(self) -> None:
        assert podtemplates.CACHE_CONTAINER == sidecar.CACHE_CONTAINER
        armed = {"initContainers": [{"name": "aurora-cache", "restartPolicy": "Always"}]}
        found = projections.workload(
            objects.deployment(spec={"template": {"spec": armed}}), kind="Deployment"
        )
        assert found is not None
        assert found.armed

    def test_a_copy_that_kubectl_keeps_in_an_annotation_is_not_kept_here(self) -> None:
        annotations = {projections.LAST_APPLIED: "x" * 9000, "kept": "1"}
        found = projections.workload(
            objects.deployment(metadata={"annotations": annotations}), kind="Deployment"
        )
        assert found is not None
        assert found.annotations == {"kept": "1"}

    def test_a_scale_tells_replicas_and_selector(self) -> None:
        scale = objects.obj(
            "x",
            spec={"replicas": 3},
            status={"replicas": 2, "selector": "app=x,tier==gpu,zone!=b,in notin (a)"},
        )
        key = WorkloadKey("Rollout", "models", "x")
        found = projections.scalable(scale, key=key, api_version="argoproj.io/v1alpha1")
        assert (found.replicas, found.ready_replicas) == (3, 2)
        assert found.match_labels == {"app": "x", "tier": "gpu"}


class TestPodTemplate:
    @pytest.mark.parametrize(
        ("resource", "amount", "gpus"),
        [
            pytest.param("nvidia.com/gpu", "2", 2, id="NVIDIA"),
            pytest.param("amd.com/gpu", 1, 1, id="AMD"),
            pytest.param("nvidia.com/mig-1g.5gb", "3", 3, id="a slice of a GPU"),
            pytest.param("google.com/tpu", "4", 4, id="TPU"),
            pytest.param("cpu", "4", 0, id="no accelerator"),
            pytest.param("nvidia.com/gpu", "many", 0, id="malformed"),
        ],
    )
    def test_gpus_are_the_limits_of_the_containers(
        self, resource: str, amount: Any, gpus: int
    ) -> None:
        spec = {"containers": [{"resources": {"limits": {resource: amount}}}, {}]}
        assert podtemplates.gpus(spec) == gpus

    def test_a_native_sidecar_counts_and_another_init_container_does_not(self) -> None:
        asks = {"resources": {"requests": {"cpu": "100m"}}}
        spec = {
            "containers": [asks],
            "initContainers": [{**asks, "restartPolicy": "Always"}, asks],
        }
        assert podtemplates.cpu_request_m(spec) == 200

    def test_a_limit_without_a_request_is_the_request(self) -> None:
        spec = {"containers": [{"resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}]}
        assert podtemplates.cpu_request_m(spec) == 2000
        assert podtemplates.memory_request_bytes(spec) == 1024**3


class TestPod:
    @pytest.mark.parametrize(
        ("owner", "labels", "expected"),
        [
            pytest.param(
                {"kind": "ReplicaSet", "name": "llama-8b-abc"},
                {"pod-template-hash": "abc"},
                ("Deployment", "llama-8b"),
                id="of a Deployment, by the hash",
            ),
            pytest.param(
                {"kind": "ReplicaSet", "name": "llama-8b"},
                {},
                ("ReplicaSet", "llama-8b"),
                id="of a ReplicaSet that nobody made",
            ),
            pytest.param(
                {"kind": "ReplicaSet", "name": "llama-abd"},
                {"pod-template-hash": "abc"},
                ("ReplicaSet", "llama-abd"),
                id="the hash is another one",
            ),
            pytest.param(
                {"kind": "StatefulSet", "name": "db"}, {}, ("StatefulSet", "db"), id="StatefulSet"
            ),
        ],
    )
    def test_a_pod_belongs_to_the_workload_that_made_it(
        self, owner: dict[str, Any], labels: dict[str, str], expected: tuple[str, str]
    ) -> None:
        metadata = {"ownerReferences": [{**owner, "controller": True}], "labels": labels}
        assert owner_of({"metadata": metadata}) == expected

    def test_a_pod_without_controller_belongs_to_nobody(self) -> None:
        owners = [{"kind": "ReplicaSet", "name": "a", "controller": False}]
        assert owner_of({"metadata": {"ownerReferences": owners}}) == ("", "")

    def test_a_healthy_pod(self) -> None:
        found = pod(objects.pod("p"))
        assert found is not None
        assert (found.workload_kind, found.workload) == ("Deployment", "llama")
        assert found.ready
        assert found.ready_at == found.scheduled_at == moment({"a": objects.CREATED}, "a")
        assert (found.node, found.gpus, found.finished) == ("node-1", 1, False)
        assert found.template_hash == "abc"

    @pytest.mark.parametrize(
        ("status", "field", "expected"),
        [
            pytest.param(
                {
                    "containerStatuses": [
                        {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 4}
                    ]
                },
                "crash_looping",
                True,
                id="a container crashes",
            ),
            pytest.param(
                {"initContainerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
                "crash_looping",
                True,
                id="a sidecar crashes",
            ),
            pytest.param(
                {"containerStatuses": [{"restartCount": 4}, {"restartCount": 2}]},
                "restarts",
                6,
                id="restarts are added up",
            ),
            pytest.param(
                {
                    "conditions": [
                        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no GPU"}
                    ]
                },
                "unschedulable",
                "0/1 nodes: no GPU",
                id="why it cannot be scheduled",
            ),
            pytest.param({"conditions": []}, "unschedulable", "", id="not looked at yet"),
            pytest.param({"conditions": []}, "ready_at", None, id="never ready"),
            pytest.param(
                {
                    "conditions": [
                        {"type": "Ready", "status": "False", "lastTransitionTime": objects.CREATED}
                    ]
                },
                "ready_at",
                None,
                id="ready no more",
            ),
            pytest.param({"phase": "Failed"}, "finished", True, id="evicted"),
            pytest.param({"phase": "Succeeded"}, "finished", True, id="done"),
        ],
    )
    def test_what_the_status_tells(
        self, status: dict[str, Any], field: str, expected: object
    ) -> None:
        found = pod(objects.pod("p", status=status))
        assert getattr(found, field) == expected

    def test_pods_with_equal_labels_share_them(self) -> None:
        pool = LabelPool()
        one, two = (pod(objects.pod(name), share=pool.share) for name in ("a", "b"))
        assert one is not None
        assert two is not None
        assert one.labels is two.labels


class TestAutoscaler:
    def test_an_hpa_has_floor_ceiling_and_owner(self) -> None:
        owner = {"kind": "ScaledObject", "name": "so", "controller": True}
        found = projections.autoscaler_of_hpa(objects.hpa(metadata={"ownerReferences": [owner]}))
        assert found is not None
        assert (found.floor, found.ceiling) == (2, 6)
        assert (found.current, found.desired) == (3, 4)
        assert found.owner == "ScaledObject/so"
        assert found.target == WorkloadKey("Deployment", "models", "llama")

    def test_an_absent_floor_is_one_and_absent_counts_are_unknown(self) -> None:
        found = projections.autoscaler_of_hpa(objects.obj("h", spec={"maxReplicas": 3}))
        assert found is not None
        assert (found.floor, found.current, found.desired) == (1, None, None)

    @pytest.mark.parametrize(
        ("annotations", "paused"),
        [
            pytest.param({}, False, id="no annotation"),
            pytest.param({"autoscaling.keda.sh/paused": "true"}, True, id="paused"),
            pytest.param({"autoscaling.keda.sh/paused": "false"}, False, id="paused: false"),
            pytest.param({"autoscaling.keda.sh/paused-replicas": "0"}, True, id="at 0 replicas"),
        ],
    )
    def test_a_scaled_object_has_kedas_defaults_and_may_be_paused(
        self, annotations: dict[str, str], paused: bool
    ) -> None:
        found = projections.autoscaler_of_scaled_object(
            objects.scaled_object(metadata={"annotations": annotations})
        )
        assert found is not None
        assert (found.floor, found.ceiling) == (0, 100)
        assert found.target.kind == "Deployment"
        assert found.paused is paused


class TestTraffic:
    def test_a_service_keeps_named_target_ports_and_fills_absent_ones(self) -> None:
        ports = [
            {"name": "http", "port": 80, "targetPort": "web"},
            {"port": 81, "targetPort": 8081},
            {"port": 82},
        ]
        found = traffic.service(objects.obj("s", spec={"ports": ports, "clusterIP": "None"}))
        assert found is not None
        assert found.ports == (
            ServicePort("http", 80, "web"),
            ServicePort("", 81, "8081"),
            ServicePort("", 82, "82"),
        )
        assert found.headless

    def test_endpoints_that_leave_are_not_counted_and_unknown_readiness_is_ready(self) -> None:
        found = traffic.slice_of(
            objects.endpoints("e", ready=0)
            | {
                "endpoints": [
                    {"conditions": {"ready": True}},
                    {"conditions": {}},
                    {"conditions": {"ready": False}},
                    {"conditions": {"ready": False, "serving": True, "terminating": True}},
                ]
            }
        )
        assert found is not None
        assert (found.ready, found.total) == (2, 3)

    def test_rules_and_backends_of_a_route_keep_their_places(self) -> None:
        found = traffic.route(
            objects.route(
                "r",
                [],
                [
                    {"kind": "InferencePool", "name": "pool"},
                    {"name": "far", "namespace": "other", "port": 80},
                    {"name": "llama", "port": 80, "weight": 7},
                    {"name": "spare", "namespace": "models"},
                ],
            )
        )
        assert found is not None
        assert found.rules == (
            (),
            (
                ("InferencePool/pool", 0, 1),
                ("other/far", 80, 1),
                ("llama", 80, 7),
                ("spare", 0, 1),
            ),
        )


def test_a_quota_has_what_is_left_where_both_numbers_are_known() -> None:
    found = projections.quota(
        objects.obj(
            "q",
            status={
                "hard": {"requests.cpu": "2", "requests.nvidia.com/gpu": "4", "pods": "x"},
                "used": {"requests.cpu": "500m", "pods": "1"},
            },
        )
    )
    assert found is not None
    assert found.key == ObjectKey("models", "q")
    assert found.remaining == {"requests.cpu": pytest.approx(1.5)}


@pytest.mark.parametrize(
    ("over", "schedulable"),
    [
        pytest.param({}, True, id="ready"),
        pytest.param({"spec": {"unschedulable": True}}, False, id="cordoned"),
        pytest.param({"metadata": {"deletionTimestamp": objects.CREATED}}, False, id="leaving"),
        pytest.param(
            {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
            False,
            id="not heard of",
        ),
    ],
)
def test_pods_go_to_nodes_that_are_ready_and_open(over: dict[str, Any], schedulable: bool) -> None:
    found = projections.node(objects.node("n", gpus=8, **over))
    assert found.gpus == 8
    assert found.schedulable is schedulable
