"""The real HTTPRoute definition, from the Go module that every Gateway takes it from.

It is not kept in this repository. The module is looked for in the Go module cache and, where Go is
installed, fetched once from the module proxy.
"""

import json
import os
import shutil
import subprocess
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora.kube.client import KubeClient
from aurora.kube.kinds import HTTP_ROUTE, Ref
from tests.support.cluster import CRDS, are_served, eventually

__all__ = ["install_http_routes", "remove_http_routes"]

MODULE = "sigs.k8s.io/gateway-api"
VERSION = "v1.3.0"
FILE = "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
FETCH_S = 120


@cache
def definition() -> dict[str, Any]:
    """The CustomResourceDefinition; skips with what to do where it cannot be had."""
    folder = _cached() or _fetched()
    if folder is None:
        pytest.skip(f"no HTTPRoute definition: run `go mod download {MODULE}@{VERSION}`")
    found: dict[str, Any] = yaml.safe_load((folder / FILE).read_text())
    return found


def _cached() -> Path | None:
    root = os.environ.get("GOMODCACHE")
    gopath = os.environ.get("GOPATH") or str(Path.home() / "go")
    folder = (Path(root) if root else Path(gopath) / "pkg" / "mod") / f"{MODULE}@{VERSION}"
    return folder if (folder / FILE).is_file() else None


def _fetched() -> Path | None:
    program = shutil.which("go")
    if program is None:
        return None
    command = [program, "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_S, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return None
    folder = Path(json.loads(answer.stdout)["Dir"])
    return folder if (folder / FILE).is_file() else None


async def install_http_routes(client: KubeClient) -> bool:
    """Serve HTTPRoutes; tells whether that was not so before."""
    manifest = definition()
    ref = Ref(CRDS, "", manifest["metadata"]["name"])
    existing = await client.get(ref)
    if existing is None:
        await client.apply(CRDS, manifest, field_manager="tests", existing=None)
    await eventually(partial(are_served, client, HTTP_ROUTE), within_s=30)
    return existing is None


async def remove_http_routes(client: KubeClient) -> None:
    """Take the definition away again, and wait until it has left."""
    ref = Ref(CRDS, "", definition()["metadata"]["name"])
    found = await client.get(ref)
    if found is not None:
        await client.delete(ref, uid=found["metadata"]["uid"])
        await eventually(partial(_has_left, client, ref), within_s=60)


async def _has_left(client: KubeClient, ref: Ref) -> bool:
    return await client.get(ref) is None
