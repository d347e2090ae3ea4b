"""What follows from the code and the chart is in step, and the recipes around it hold."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from aurora.chart_reference import INSTALL_GUIDE
from aurora.packaging import ADMISSION, admission_template, main
from aurora.resources.admission import policies
from tests.support.chart import (
    CHART,
    HELM,
    helm,
    needs_helm,
    render,
)

ROOT = Path(__file__).parents[2]
POSTGRES = ("--set", "store.type=postgresql", "--set", "store.urlSecret.name=records")
MONITORED = tuple(
    option
    for name in ("podMonitor", "serviceMonitor", "prometheusRule", "dashboard")
    for option in ("--set", f"monitoring.{name}.enabled=true")
)


def test_the_admission_policies_of_the_chart_are_those_of_the_code():
    assert (ROOT / ADMISSION).read_text(encoding="utf-8") == admission_template()


@needs_helm
def test_generated_files_are_in_step():
    assert main(["--check", "--root", str(ROOT), "--helm", HELM or ""]) == 0, "run make generate"


@needs_helm
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="the defaults"),
        pytest.param(
            (*POSTGRES, *MONITORED, "--set", "replicas=2", "--set", "networkPolicy.enabled=true"),
            id="everything",
        ),
    ],
)
def test_the_chart_passes_helms_own_check(options: tuple[str, ...]):
    done = helm("lint", "--strict", str(CHART), *options)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_helm
def test_the_policies_name_the_account_of_the_release():
    objects = render(namespace="elsewhere")
    user = "system:serviceaccount:elsewhere:aurora"
    wanted = {one["metadata"]["name"] + one["kind"]: one for one in policies(operators=[user])}
    rendered = [one for one in objects if one["kind"].startswith("ValidatingAdmission")]
    assert {one["metadata"]["name"] + one["kind"]: one for one in rendered} == wanted


@needs_helm
def test_the_notes_tell_what_comes_next():
    options = ("--set", "watchNamespaces={team-a}", "--set", "persistence.enabled=false")
    done = helm("install", "aurora", str(CHART), "--dry-run=client", "-n", "here", *options)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.split("NOTES:")[1]
    for told in ("team-a", "kubectl -n here rollout status", "aurora-control", "WARNING: pers"):
        assert told in notes


def test_the_definitions_are_upgraded_and_outlive_the_release():
    assert not (CHART / "crds").exists()
    for path in (CHART / "templates" / "crds").glob("*.yaml"):
        assert "helm.sh/resource-policy: keep" in path.read_text(encoding="utf-8")


def test_every_action_of_the_workflows_is_pinned_and_no_job_has_rights_by_default():
    found = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert {path.stem for path in found} == {"test", "e2e", "release"}
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
        for used in re.findall(r"uses: (\S+)", text):
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@(v\d+|[0-9a-f]{40})", used), used


def test_the_image_is_built_from_what_the_ignore_file_lets_through():
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", recipe, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == kept
    assert "USER 65532:65532" in recipe
    assert "--require-hashes" in recipe


def test_a_folder_without_the_chart_is_refused(tmp_path: Path):
    assert main(["--root", str(tmp_path)]) == 2


def repository(folder: Path, guide: str) -> None:
    shutil.copytree(CHART, folder / "helm" / "aurora")
    (folder / ADMISSION).write_text("old", encoding="utf-8")
    (folder / "docs").mkdir()
    (folder / INSTALL_GUIDE).write_text(guide, encoding="utf-8")


MARKS = "before\n<!-- values: begin, written by make generate -->\n<!-- values: end -->\nafter\n"


def test_without_helm_only_the_rendered_manifest_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    repository(tmp_path, MARKS)
    arguments = ["--root", str(tmp_path), "--helm", "no-such-program"]
    assert main([*arguments, "--check"]) == 1
    assert (tmp_path / ADMISSION).read_text(encoding="utf-8") == "old"
    assert main(arguments) == 0
    assert (tmp_path / ADMISSION).read_text(encoding="utf-8") == admission_template()
    guide = (tmp_path / INSTALL_GUIDE).read_text(encoding="utf-8")
    assert guide.startswith("before\n")
    assert guide.endswith("after\n")
    assert "| `persistence.size` | string | `1Gi` |" in guide
    assert "not looked at, because no-such-program is not installed" in capsys.readouterr().out
    assert main([*arguments, "--check"]) == 0


def test_a_guide_without_a_place_for_the_values_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    repository(tmp_path, "no marks\n")
    assert main(["--root", str(tmp_path), "--helm", "no-such-program"]) == 2
    assert "docs/install.md: write the lines" in capsys.readouterr().err
