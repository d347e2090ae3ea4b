"""The Node objects that kwok brings to life."""

from dataclasses import asdict, dataclass
from typing import Any

from aurora.local.client import LocalClient
from aurora.local.errors import LocalError, LocalUsageError

MAX_NODES = 1000


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What one simulated node offers, as Kubernetes quantities; the default is a GPU server."""

    cpu: str = "32"
    memory: str = "256Gi"
    pods: str = "500"
    gpus: str = "16"

    def allocatable(self) -> dict[str, str]:
        """The node's resource list."""
        fields = asdict(self)
        gpus = fields.pop("gpus")
        return {**fields, "nvidia.com/gpu": gpus} if gpus != "0" else fields


def manifest(name: str, shape: NodeShape) -> dict[str, Any]:
    """One Node object."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "node.kubernetes.io/instance-type": "aurora-local",
                "type": "kwok",
            },
        },
        "status": {"allocatable": shape.allocatable(), "capacity": shape.allocatable()},
    }


def names(count: int) -> list[str]:
    """`node-0` to `node-<count-1>`; raises LocalUsageError outside 1 to 1000."""
    if not 1 <= count <= MAX_NODES:
        raise LocalUsageError(f"--nodes {count} is out of range: use 1 to {MAX_NODES}")
    return [f"node-{index}" for index in range(count)]


def create(client: LocalClient, *, count: int, shape: NodeShape) -> None:
    """Create the nodes that do not exist yet; raises LocalError when one is refused."""
    for name in names(count):
        status, answer = client.request("POST", "/api/v1/nodes", manifest(name, shape))
        if status not in {201, 409}:
            message = answer.get("message", answer) if isinstance(answer, dict) else answer
            kind = LocalUsageError if status in {400, 422} else LocalError
            raise kind(f"the API server refused node {name} (see the --node options): {message}")


def all_ready(client: LocalClient, *, count: int) -> bool:
    """Whether every node of ours is Ready and accepts pods."""
    status, answer = client.request("GET", "/api/v1/nodes")
    if status != 200:
        return False
    ready = {node["metadata"]["name"] for node in answer["items"] if _is_ready(node)}
    return ready >= set(names(count))


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", ())
    # A new node carries a not-ready taint for a moment after it is Ready; pods would wait.
    return not node["spec"].get("taints") and any(
        one["type"] == "Ready" and one["status"] == "True" for one in conditions
    )
