"""Room for the surge pod, against what the scheduler would say."""

from decimal import Decimal
from typing import Any

import pytest

from aurora.cachesidecar.room import parse_quantity, pod_requests, surge_room

Object = dict[str, Any]


def pod_spec(**more: object) -> Object:
    requests = {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}
    return {"containers": [{"name": "c", "resources": {"requests": requests}}], **more}


def node(name: str = "n", taints: list[Object] | None = None, **free: str) -> Object:
    allocatable = {"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "2", "pods": "10"} | free
    return {
        "metadata": {"name": name, "labels": {"pool": "gpu"}},
        "spec": {"taints": taints or []},
        "status": {"allocatable": allocatable},
    }


def running(phase: str = "Running", **more: object) -> Object:
    return {"spec": {**pod_spec(), "nodeName": "n", **more}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", "0.5"), ("2", "2"), ("2Gi", "2147483648"), ("1k", "1000"), ("1e3", "1000"), (4, "4")],
)
def test_quantities(text: object, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


def test_what_is_no_quantity_is_named() -> None:
    with pytest.raises(ValueError, match="'much' is not a quantity"):
        parse_quantity("much")


def test_a_pod_needs_the_larger_of_its_init_peak_and_its_steady_sum() -> None:
    def container(cpu: str, **more: object) -> Object:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [container("5"), container("1", restartPolicy="Always")],
        "containers": [container("2"), container("1")],
        "overhead": {"cpu": "250m"},
    }
    assert pod_requests(spec) == {"cpu": Decimal("6.25")}


def test_a_limit_stands_in_for_a_missing_request() -> None:
    spec = {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]}
    assert pod_requests(spec) == {"nvidia.com/gpu": Decimal(1)}


TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["cpu"]}]}
            ]
        }
    }
}
CASES: list[Any] = [
    pytest.param([node()], [], pod_spec(), True, "fits on n", id="an empty node"),
    pytest.param([node()], [running()], pod_spec(), True, "fits", id="one GPU left"),
    pytest.param(
        [node()], [running(), running()], pod_spec(), False, "n lacks nvidia.com/gpu", id="no GPU"
    ),
    pytest.param(
        [node()],
        [running(), running("Succeeded")],
        pod_spec(),
        True,
        "fits",
        id="a finished pod holds nothing",
    ),
    pytest.param(
        [node(cpu="2")], [], pod_spec(), False, "n lacks cpu", id="no CPU for the sidecar"
    ),
    pytest.param([node(pods="0")], [], pod_spec(), False, "n lacks pods", id="no pod slot"),
    pytest.param([node(taints=[TAINT])], [], pod_spec(), False, "no node accepts", id="a taint"),
    pytest.param(
        [node(taints=[TAINT])],
        [],
        pod_spec(tolerations=[{"key": "gpu", "operator": "Exists"}]),
        True,
        "fits",
        id="a tolerated taint",
    ),
    pytest.param(
        [node()], [], pod_spec(nodeSelector={"pool": "cpu"}), False, "no node", id="a node selector"
    ),
    pytest.param([node()], [], pod_spec(affinity=AFFINITY), False, "no node", id="an affinity"),
    pytest.param([], [], pod_spec(), False, "no node accepts", id="no nodes"),
]


@pytest.mark.parametrize(("nodes", "pods", "spec", "fits", "says"), CASES)
def test_room(nodes: list[Object], pods: list[Object], spec: Object, fits: bool, says: str) -> None:
    room = surge_room(spec, extra={"cpu": "100m"}, nodes=nodes, pods=pods)
    assert room.fits is fits
    assert says in room.message
