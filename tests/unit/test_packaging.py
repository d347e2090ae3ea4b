"""The chart: in step with the code it shares, complete, and as strict as it says."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora.config import Settings
from aurora.decisions.desk import LEASE_NAME
from aurora.packaging import ADMISSION, admission_template, main
from aurora.resources.admission import policies

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "aurora"
FOUND = shutil.which(
    os.environ.get("HELM", "helm"),
    path=os.pathsep.join([os.environ["PATH"], str(Path.home() / ".cache/aurora-node/bin")]),
)
needs_helm = pytest.mark.skipif(FOUND is None, reason="helm is not installed: set HELM")


def render(*options: str, namespace: str = "aurora-system") -> list[dict[str, Any]]:
    done = helm("template", "aurora", str(CHART), "-n", namespace, *options)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert FOUND is not None
    return subprocess.run(
        [FOUND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def only(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    (found,) = (
        one
        for one in objects
        if one["kind"] == kind and (not name or one["metadata"]["name"] == name)
    )
    return found


def environment(objects: list[dict[str, Any]]) -> dict[str, str]:
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


def test_the_admission_policies_of_the_chart_are_those_of_the_code():
    assert (ROOT / ADMISSION).read_text(encoding="utf-8") == admission_template()


@needs_helm
def test_generated_files_are_in_step():
    assert main(["--check", "--root", str(ROOT), "--helm", FOUND or ""]) == 0, "run make generate"


@needs_helm
def test_the_chart_passes_helms_own_check():
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@needs_helm
def test_the_policies_name_the_account_of_the_release():
    objects = render(namespace="elsewhere")
    user = "system:serviceaccount:elsewhere:aurora"
    wanted = {one["metadata"]["name"] + one["kind"]: one for one in policies(operators=[user])}
    rendered = [one for one in objects if one["kind"].startswith("ValidatingAdmission")]
    assert {one["metadata"]["name"] + one["kind"]: one for one in rendered} == wanted


@needs_helm
def test_every_variable_of_the_chart_is_a_setting():
    objects = render("--set", "watchNamespaces={a,b}", "--set", "webhookHosts={n8n.example.com}")
    known = {f"AURORA_{name.upper()}" for name in Settings.model_fields}
    assert set(environment(objects)) <= known
    assert environment(objects)["AURORA_WATCH_NAMESPACES"] == "a,b"


@needs_helm
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--set", "settings.STORE_URL=postgresql://db/aurora"), id="as a setting"),
        pytest.param(("--set", "settingsSecret=aurora-secrets"), id="in a Secret"),
    ],
)
def test_a_store_of_ones_own_replaces_sqlite(options: tuple[str, ...]):
    assert "sqlite" not in environment(render(*options)).get("AURORA_STORE_URL", "")


@needs_helm
def test_rights_end_at_the_watched_namespaces():
    objects = render("--set", "watchNamespaces={a,b}")
    bindings = [one for one in objects if one["kind"] == "ClusterRoleBinding"]
    assert [one["roleRef"]["name"] for one in bindings] == ["aurora-cluster"]
    rules = only(objects, "ClusterRole", "aurora-cluster")["rules"]
    assert [rule["resources"] for rule in rules] == [["nodes"]]
    granted = [one for one in objects if one["kind"] == "RoleBinding"]
    assert {one["metadata"]["namespace"] for one in granted} == {"a", "b", "aurora-system"}


@needs_helm
@pytest.mark.parametrize(("hosts", "granted"), [("", False), ("webhookHosts={x.example}", True)])
def test_secrets_are_read_only_where_webhooks_are_allowed(hosts: str, granted: bool):
    rules = only(render("--set", hosts) if hosts else render(), "ClusterRole", "aurora")["rules"]
    assert any("secrets" in rule["resources"] for rule in rules) is granted


@needs_helm
def test_no_rule_has_a_wildcard_or_deletes_what_is_not_auroras():
    for one in render():
        for rule in one.get("rules", []) if one["kind"] in {"Role", "ClusterRole"} else []:
            everything = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in everything
            assert "deletecollection" not in everything
            assert "delete" not in rule["verbs"] or rule["apiGroups"] == ["aurora.dev"]


@needs_helm
def test_the_role_names_the_lease_that_is_taken():
    rules = only(render(), "Role")["rules"]
    named = [rule.get("resourceNames") for rule in rules if rule["resources"] == ["leases"]]
    assert named == [None, [LEASE_NAME]]


@needs_helm
def test_the_pods_are_locked_down_and_one_at_a_time():
    objects = render()
    deployment = only(objects, "Deployment")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    for one in (deployment, only(objects, "Job")):
        spec = one["spec"]["template"]["spec"]
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


@needs_helm
def test_deleting_the_release_runs_uninstall_first():
    job = only(render(), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["uninstall", "--stop-operator", "aurora"]


@needs_helm
@pytest.mark.parametrize(
    ("option", "says"),
    [
        pytest.param("settings.AURORA_CYCLE_SECONDS=5", "AURORA_CYCLE_SECONDS", id="the prefix"),
        pytest.param("prometheus.url=prometheus:9090", "url", id="a URL without its scheme"),
        pytest.param("watchNamespace=a", "watchNamespace", id="a misspelled value"),
        pytest.param("image.pullPolicy=Sometimes", "pullPolicy", id="a policy that does not exist"),
    ],
)
def test_wrong_values_are_refused(option: str, says: str):
    done = helm("template", "aurora", str(CHART), "--set", option)
    assert done.returncode != 0
    assert says in done.stderr


def test_a_folder_without_the_chart_is_refused(tmp_path: Path):
    assert main(["--root", str(tmp_path)]) == 2


def test_without_helm_only_the_rendered_manifest_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(CHART, tmp_path / "helm" / "aurora")
    (tmp_path / ADMISSION).write_text("old", encoding="utf-8")
    arguments = ["--root", str(tmp_path), "--helm", "no-such-program"]
    assert main([*arguments, "--check"]) == 1
    assert (tmp_path / ADMISSION).read_text(encoding="utf-8") == "old"
    assert main(arguments) == 0
    assert (tmp_path / ADMISSION).read_text(encoding="utf-8") == admission_template()
    assert "not looked at, because no-such-program is not installed" in capsys.readouterr().out
