"""The chart by Helm itself on a real API server: what stays, and what the namespace admits."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.chart import CHART, container, environment, needs_helm, only, render
from tests.support.chart import helm as run_helm
from tests.support.kubectl import Kubectl

pytestmark = [pytest.mark.apiserver, needs_helm]
PLACE = "aurora-chart-test"
# The definitions and policies belong to the other tests of this session.
ALONE = ("--set", "crds.enabled=false", "--set", "admissionPolicies.enabled=false")
Helm = Callable[..., str]


@pytest.fixture
def place(own_namespace: Kubectl) -> Iterator[str]:
    """A namespace that enforces the restricted Pod Security Standard."""
    own_namespace("wait", "--for=delete", f"ns/{PLACE}", "--timeout=60s")
    own_namespace("create", "namespace", PLACE).ok()
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    own_namespace("label", "namespace", PLACE, restricted).ok()
    yield PLACE
    own_namespace("delete", "namespace", PLACE, "--wait=false", "--ignore-not-found").ok()


@pytest.fixture
def helm(own_namespace: Kubectl, place: str, tmp_path: Path) -> Helm:
    def run(*arguments: str) -> str:
        where = ("--kubeconfig", str(own_namespace.kubeconfig), "-n", place)
        done = run_helm(*where, *arguments, env={**os.environ, "HELM_CACHE_HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_an_upgrade_does_not_lift_the_kill_switch(own_namespace: Kubectl, helm: Helm):
    helm("install", "aurora", str(CHART), *ALONE)
    control = ("cm/aurora-control", "-n", PLACE)
    assert own_namespace.json("get", *control)["data"] == {"stop": "false"}
    stop = '{"data":{"stop":"true","reason":"maintenance"}}'
    own_namespace("patch", *control, "--type=merge", "-p", stop).ok()
    helm("upgrade", "aurora", str(CHART), "--set", "settings.CYCLE_SECONDS=30", *ALONE)
    wanted = {"stop": "true", "reason": "maintenance"}
    assert own_namespace.json("get", *control)["data"] == wanted
    found = own_namespace.json("get", "deploy/aurora", "-n", PLACE)
    assert environment([found])["AURORA_CYCLE_SECONDS"] == "30"
    helm("uninstall", "aurora", "--no-hooks")
    wide = ("clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/name=aurora")
    left = own_namespace("get", *wide, "-o", "name").ok().split()
    assert [one for one in left if PLACE in one] == []


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="the defaults"),
        pytest.param(
            ("--set", "prometheus.tokenSecret.name=t", "--set", "prometheus.ca.configMapName=c"),
            id="with what is mounted",
        ),
    ],
)
def test_every_pod_passes_the_restricted_standard(
    own_namespace: Kubectl, place: str, kind: str, options: tuple[str, ...]
):
    own_namespace("create", "serviceaccount", "aurora", "-n", place)
    objects = render(*options, namespace=place)
    spec = only(objects, kind)["spec"]["template"]["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried", "namespace": place}}
    asked = ("create", "--dry-run=server", "-f", "-")
    own_namespace(*asked, manifest=pod | {"spec": spec}).ok()
    # The namespace does refuse.
    loose = container(objects, kind) | {"securityContext": {}}
    answer = own_namespace(*asked, manifest=pod | {"spec": spec | {"containers": [loose]}})
    assert "violates PodSecurity" in answer.err
