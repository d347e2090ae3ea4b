"""The chart as Helm renders it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "helm" / "aurora"
HELM = shutil.which(
    os.environ.get("HELM", "helm"),
    path=os.pathsep.join([os.environ["PATH"], str(Path.home() / ".cache/aurora-node/bin")]),
)
needs_helm = pytest.mark.skipif(HELM is None, reason="helm is not installed: set HELM")


def helm(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Helm; the caller looks at the exit code."""
    assert HELM is not None
    asked = {"capture_output": True, "text": True, "timeout": 180, "check": False} | options
    return subprocess.run([HELM, *arguments], **asked)  # noqa: PLW1510


def render(*options: str, namespace: str = "aurora-system") -> list[dict[str, Any]]:
    """Every object of the chart, hooks included."""
    done = helm("template", "aurora", str(CHART), "-n", namespace, *options)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def refusal(*options: str) -> str:
    """What Helm says of values that it refuses."""
    done = helm("template", "aurora", str(CHART), *options)
    assert done.returncode != 0, "Helm took the values"
    return done.stderr


def only(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The one object of a kind, or of that name."""
    (found,) = (
        one
        for one in objects
        if one["kind"] == kind and (not name or one["metadata"]["name"] == name)
    )
    return found


def container(objects: list[dict[str, Any]], kind: str = "Deployment") -> dict[str, Any]:
    """The one container of the operator or, as a Job, of the uninstall hook."""
    (found,) = only(objects, kind)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(objects: list[dict[str, Any]], kind: str = "Deployment") -> dict[str, str]:
    """Its variables that are not read from a Secret."""
    return {one["name"]: one["value"] for one in container(objects, kind)["env"] if "value" in one}


def from_secrets(objects: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """The operator's variables that are read from a Secret: its name and key."""
    found = (one for one in container(objects)["env"] if "valueFrom" in one)
    refs = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in found}
    return {name: (ref["name"], ref["key"]) for name, ref in refs.items()}
