"""The chart by Helm itself on a real API server: an upgrade leaves what a person set."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl

CHART = Path(__file__).parents[2] / "helm" / "aurora"
FOUND = shutil.which(
    os.environ.get("HELM", "helm"),
    path=os.pathsep.join([os.environ["PATH"], str(Path.home() / ".cache/aurora-node/bin")]),
)
pytestmark = [
    pytest.mark.apiserver,
    pytest.mark.skipif(FOUND is None, reason="helm is not installed: set HELM"),
]
PLACE = "aurora-chart-test"
Helm = Callable[..., str]


@pytest.fixture
def helm(own_namespace: Kubectl, tmp_path: Path) -> Iterator[Helm]:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [FOUND or "", "--kubeconfig", str(own_namespace.kubeconfig), "-n", PLACE, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "HELM_CACHE_HOME": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    own_namespace("delete", "namespace", PLACE, "--wait=false", "--ignore-not-found").ok()


def test_an_upgrade_does_not_lift_the_kill_switch(own_namespace: Kubectl, helm: Helm):
    # The definitions and policies belong to the other tests of this session.
    options = ("--set", "crds.enabled=false", "--set", "admissionPolicies.enabled=false")
    helm("install", "aurora", str(CHART), "--create-namespace", *options)
    control = ("cm/aurora-control", "-n", PLACE)
    assert own_namespace.json("get", *control)["data"] == {"stop": "false"}
    stop = '{"data":{"stop":"true","reason":"maintenance"}}'
    own_namespace("patch", *control, "--type=merge", "-p", stop).ok()
    helm("upgrade", "aurora", str(CHART), "--set", "settings.CYCLE_SECONDS=30", *options)
    wanted = {"stop": "true", "reason": "maintenance"}
    assert own_namespace.json("get", *control)["data"] == wanted
    (container,) = own_namespace.json("get", "deploy/aurora", "-n", PLACE)["spec"]["template"][
        "spec"
    ]["containers"]
    assert {"name": "AURORA_CYCLE_SECONDS", "value": "30"} in container["env"]
    helm("uninstall", "aurora", "--no-hooks")
    assert own_namespace("get", f"clusterrole/aurora-{PLACE}").refused
