"""manifests/install.yaml on a real API server: the operator works with the rights that it gives."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora.config import Settings
from aurora.errors import ClusterError
from aurora.uninstall import uninstall_all
from tests.apiserver.good_objects import MODEL
from tests.apiserver.installed import NAMESPACE, eventually, in_namespace
from tests.support.controlplane import TestControlPlane
from tests.support.kubectl import Kubectl

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]

MANIFEST = Path(__file__).parents[2] / "manifests" / "install.yaml"
SYSTEM = "aurora-system"
PASSED_ON = ("PATH", "HOME", "AURORA_EMBEDDINGS")
ACCOUNT = f"system:serviceaccount:{SYSTEM}:aurora"


@pytest.fixture(scope="module")
def installed(own_namespace: Kubectl) -> Iterator[Kubectl]:
    kubectl = own_namespace
    manifests = list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))
    rest = [one for one in manifests if one["kind"] != "CustomResourceDefinition"]
    # Another test's namespace of that name may still be going.
    eventually(
        lambda: not kubectl("create", "namespace", SYSTEM).refused,
        what="room for the namespace",
        seconds=60,
    )
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(MANIFEST)).ok()
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all").ok()
    yield kubectl
    kubectl("delete", "--ignore-not-found", "--timeout=60s", "-f", "-", manifest=rest).ok()


@pytest.fixture(scope="module")
def account(installed: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig with the service account's own token instead of the administrator's rights."""
    token = installed("create", "token", "aurora", "-n", SYSTEM).ok().strip()
    content = yaml.safe_load(installed.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": token}
    path = tmp_path_factory.mktemp("account") / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def model(installed: Kubectl) -> Iterator[dict[str, Any]]:
    """A model whose autoscaler's floor AURORA has raised from 1 to 3."""
    installed("create", "deployment", "llama", "--image=engine:1", "-n", NAMESPACE).ok()
    installed("create", "service", "clusterip", "llama", "--tcp=80:8000", "-n", NAMESPACE).ok()
    arguments = ("--min=3", "--max=4", "--cpu=80%", "-n", NAMESPACE)
    installed("autoscale", "deployment", "llama", *arguments).ok()
    hpa = installed.json("get", "hpa/llama", "-n", NAMESPACE)
    original = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "namespace": NAMESPACE,
        "name": "llama",
        "uid": hpa["metadata"]["uid"],
        "path": "/spec/minReplicas",
        "from": "3",
        "to": "1",
    }
    annotations = {"aurora.dev/original": json.dumps([original])}
    manifest = in_namespace(MODEL, finalizers=["aurora.dev/restore"], annotations=annotations)
    installed("apply", "-f", "-", manifest=manifest).ok()
    yield manifest
    patch = '{"metadata":{"finalizers":null}}'
    installed("patch", "mdep/llama", "-n", NAMESPACE, "--type=merge", "-p", patch).ok()
    for what in ("mdep/llama", "hpa/llama", "service/llama", "deployment/llama"):
        installed("delete", what, "-n", NAMESPACE).ok()


def aurora(folder: Path, kubeconfig: Path, *arguments: str, **settings: str) -> subprocess.Popen:  # type: ignore[type-arg]
    kept = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "aurora.cli", *arguments],
        cwd=folder,
        env=kept | {"KUBECONFIG": str(kubeconfig)} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_operator_looks_at_a_model_with_these_rights_alone(
    installed: Kubectl,
    account: Path,
    model: dict[str, Any],
    control_plane: TestControlPlane,
    tmp_path: Path,
):
    del model
    operator = aurora(
        tmp_path,
        account,
        "operator",
        AURORA_PROMETHEUS_URL=control_plane.prometheus_url or "http://127.0.0.1:9",
        AURORA_CYCLE_SECONDS="1",
        AURORA_METRICS_PORT="0",
        AURORA_HEALTH_PORT="0",
    )

    def looked_at() -> bool:
        assert operator.poll() is None, operator.communicate()[0]
        found = installed.json("get", "mdep/llama", "-n", NAMESPACE)
        return bool(found.get("status", {}).get("conditions"))

    try:
        eventually(looked_at, what="a condition on the model", seconds=90)
    finally:
        operator.terminate()
        told = operator.communicate(timeout=60)[0]
    assert operator.returncode == 0, told
    assert "forbidden" not in told.lower()
    lease = installed.json("get", "lease/aurora-leader", "-n", SYSTEM)
    assert lease["spec"]["holderIdentity"] == ""


def test_uninstalling_stops_the_operator_and_gives_everything_back(
    installed: Kubectl, account: Path, model: dict[str, Any], tmp_path: Path
):
    del model
    job = aurora(tmp_path, account, "uninstall", "--stop-operator", "aurora")
    told = job.communicate(timeout=120)[0]
    assert job.returncode == 0, told
    assert told.splitlines() == [
        f"Deployment {SYSTEM}/aurora is scaled to zero",
        f"restored {NAMESPACE}/llama",
    ]
    assert installed.json("get", "deploy/aurora", "-n", SYSTEM)["spec"]["replicas"] == 0
    assert installed.json("get", "hpa/llama", "-n", NAMESPACE)["spec"]["minReplicas"] == 1
    found = installed.json("get", "mdep/llama", "-n", NAMESPACE)["metadata"]
    assert "finalizers" not in found
    assert "aurora.dev/original" not in found["annotations"]


async def test_nothing_is_restored_beside_an_operator_that_leads(
    installed: Kubectl, account: Path, model: dict[str, Any]
):
    del model
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "another", "leaseDurationSeconds": 15, "renewTime": at}
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "aurora-leader", "namespace": SYSTEM},
        "spec": spec,
    }
    installed("apply", "--server-side", "--force-conflicts", "-f", "-", manifest=lease).ok()
    settings = Settings.load(kubeconfig=account, namespace=SYSTEM)
    said: list[str] = []
    with pytest.raises(ClusterError, match="stop the operator first"):
        await uninstall_all(settings, say=said.append, lease_wait_s=1.0)
    assert said == []
    assert installed.json("get", "hpa/llama", "-n", NAMESPACE)["spec"]["minReplicas"] == 3
    installed("delete", "lease/aurora-leader", "-n", SYSTEM).ok()


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("delete", "deployments.apps"),
        ("update", "deployments.apps"),
        ("delete", "modeldeployments.aurora.dev"),
        ("update", "decisions.aurora.dev"),
        ("create", "approvals.aurora.dev"),
        ("get", "secrets"),
        ("list", "configmaps"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("patch", "nodes"),
        ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
        ("impersonate", "users"),
    ],
)
def test_a_right_that_is_not_used_is_not_granted(installed: Kubectl, verb: str, resource: str):
    answer = installed("auth", "can-i", verb, resource, "-n", NAMESPACE, f"--as={ACCOUNT}")
    assert answer.out.strip() == "no"


def test_the_chart_stops_nobody_who_only_approves(installed: Kubectl):
    who = ("--as=jane", "-n", NAMESPACE)
    name = "aurora-approver-jane"
    arguments = ("--clusterrole=aurora-approver", "--user=jane", "-n", NAMESPACE)
    installed("create", "rolebinding", name, *arguments).ok()
    try:
        assert installed("auth", "can-i", "create", "approvals.aurora.dev", *who).out == "yes\n"
        assert installed("auth", "can-i", "patch", "modeldeployments", *who).out == "no\n"
    finally:
        installed("delete", "rolebinding", name, "-n", NAMESPACE).ok()
