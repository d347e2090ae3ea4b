"""What the tests of the custom resources share: an installation, and objects in it."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from aurora.resources.admission import policies
from aurora.resources.schema import custom_resource_definitions
from tests.apiserver.good_objects import (
    APPROVAL,
    DECISION,
    GOOD,
    MODEL,
    OPERATOR,
    POLICY,
    USERS,
)
from tests.support.controlplane import TestControlPlane
from tests.support.kubectl import Kubectl

NAMESPACE = f"resources-{os.getpid()}"

# Who may do what is RBAC's question and answered elsewhere: here everybody may ask, so that only
# schema and admission refuse.
EVERYBODY_MAY = [
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "aurora-resources-test"},
        "rules": [{"apiGroups": ["aurora.dev"], "resources": ["*"], "verbs": ["*"]}],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "aurora-resources-test"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "aurora-resources-test",
        },
        "subjects": [
            {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Group",
                "name": "system:authenticated",
            }
        ],
    },
]


def eventually(check: Callable[[], bool], *, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def own_namespace(control_plane: TestControlPlane) -> Iterator[Kubectl]:
    """kubectl with a namespace for these tests, which goes when all of them are done."""
    folder = control_plane.bin_dir
    program = shutil.which("kubectl", path=str(folder) if folder else None)
    assert program, "kubectl is missing"
    kubectl = Kubectl(program, control_plane.kubeconfig)
    kubectl("create", "namespace", NAMESPACE).ok()
    yield kubectl
    kubectl("delete", "namespace", NAMESPACE, "--wait=false").ok()


@pytest.fixture(scope="module")
def guarded(own_namespace: Kubectl) -> Iterator[Kubectl]:
    """kubectl with the definitions and the admission policies installed; the latter go again."""
    install(own_namespace)
    yield own_namespace
    own_namespace("delete", "-f", "-", manifest=[*policies(), *EVERYBODY_MAY]).ok()
    probe = in_namespace(DECISION)
    eventually(
        lambda: not own_namespace("create", "--dry-run=server", "-f", "-", manifest=probe).refused,
        what="the admission policy leaving",
    )


def install(kubectl: Kubectl) -> None:
    definitions = custom_resource_definitions()
    kubectl("apply", "--server-side", "-f", "-", manifest=definitions).ok()
    names = [f"crd/{one['metadata']['name']}" for one in definitions]
    kubectl("wait", "--for=condition=Established", "--timeout=30s", *names).ok()
    kubectl("apply", "-f", "-", manifest=[*EVERYBODY_MAY, *policies()]).ok()
    # A policy takes part some moments after it was created.
    probe = in_namespace(DECISION)
    eventually(
        lambda: kubectl("create", "--dry-run=server", "-f", "-", manifest=probe).refused,
        what="the admission policy taking part",
    )


def in_namespace(manifest: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {**manifest, "metadata": manifest["metadata"] | {"namespace": NAMESPACE} | metadata}


@pytest.fixture
def shown(guarded: Kubectl) -> Iterator[Kubectl]:
    """kubectl with a model, a policy and a Decision, which have a status, and an Approval."""
    kubectl = guarded
    kubectl("apply", "-f", "-", manifest=in_namespace(MODEL)).ok()
    kubectl("apply", "-f", "-", manifest=in_namespace(POLICY)).ok()
    kubectl("apply", "-f", "-", manifest=in_namespace(DECISION), user=OPERATOR).ok()
    kubectl("apply", "-f", "-", manifest=in_namespace(APPROVAL), user="jane").ok()
    at = "2026-01-01T12:00:00Z"
    ready = {"type": "Ready", "status": "True", "reason": "Reconciled", "lastTransitionTime": at}
    last = {"name": "llama-scale-1", "action": "SCALE", "confidencePercent": 87}
    status(
        kubectl,
        "mdep/llama",
        {
            "observedGeneration": 1,
            "conditions": [ready | {"message": "all there", "observedGeneration": 1}],
            "replicas": {"current": 2, "ready": 2, "desired": 3},
            "signals": [
                {"name": "latencyP95", "value": "3.1", "unit": "s"},
                {"name": "accuracyRatio", "reason": "NoData"},
            ],
            "lastDecision": last | {"reason": "LatencyAboveObjective", "time": at},
        },
    )
    passed = ready | {"type": "AuditPassed", "reason": "AuditPassed"}
    status(
        kubectl,
        "rpol/chat",
        {
            "conditions": [ready | {"message": "all there"}, passed],
            "weights": "stable=100 canary=0",
            "wanted": "stable=90 canary=10",
            "backends": [{"name": "stable", "latencyP95": "0.41"}, {"name": "canary"}],
        },
    )
    outcome = {"verdict": "Improved", "effect": "-1.3", "unit": "s", "measuredAt": at}
    status(kubectl, "dec/llama-scale-1", {"phase": "Completed", "outcome": outcome, "repeats": 0})
    yield kubectl
    for kind, good in GOOD.items():
        name = good["metadata"]["name"]
        kubectl("delete", kind, name, "-n", NAMESPACE, user=USERS[kind]).ok()


def status(kubectl: Kubectl, what: str, value: dict[str, Any]) -> None:
    patch = yaml.safe_dump({"status": value})
    arguments = ("patch", what, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p")
    kubectl(*arguments, patch, user=OPERATOR).ok()
