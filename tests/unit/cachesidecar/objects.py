"""Builders of the objects that arming reads: good ones, and one fault at a time."""

import copy
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
Change = Callable[[Object], None]


def deployment(*changes: Change) -> Object:
    """Return a Deployment that can be armed, as the API server returns it."""
    made: Object = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "llama",
            "namespace": "models",
            "uid": "9d3b",
            "resourceVersion": "41",
            "generation": 2,
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "llama"}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "template": {
                "metadata": {"labels": {"app": "llama"}},
                "spec": {
                    "terminationGracePeriodSeconds": 30,
                    "containers": [
                        {"name": "agent", "image": "agent"},
                        {
                            "name": "server",
                            "image": "vllm",
                            "ports": [
                                {"name": "grpc", "containerPort": 9000},
                                {"name": "http", "containerPort": 8000, "protocol": "TCP"},
                            ],
                            "startupProbe": {"tcpSocket": {"port": "http"}},
                            "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
                            "livenessProbe": {"httpGet": {"path": "/health", "port": 8000}},
                        },
                    ],
                },
            },
        },
        "status": {
            "observedGeneration": 2,
            "replicas": 2,
            "updatedReplicas": 2,
            "availableReplicas": 2,
        },
    }
    return _changed(made, changes)


def service(*changes: Change) -> Object:
    """Return the Service that fits it."""
    made: Object = {
        "metadata": {"name": "llama", "namespace": "models"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.7",
            "ipFamilies": ["IPv4"],
            "selector": {"app": "llama"},
            "ports": [{"name": "web", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }
    return _changed(made, changes)


def server_of(made: Object) -> Object:
    """Return the model server's container."""
    found: Object = made["spec"]["template"]["spec"]["containers"][1]
    return found


def put(path: str, value: object) -> Change:
    """Return a change that sets a dotted path; `None` removes it."""

    def change(made: Object) -> None:
        *parents, last = path.split(".")
        node: Any = made
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        if value is None:
            node.pop(last, None)
        else:
            node[last] = copy.deepcopy(value)

    return change


def _changed(made: Object, changes: tuple[Change, ...]) -> Object:
    for change in changes:
        change(made)
    return made
