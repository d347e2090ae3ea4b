"""A control plane whose API server writes down every request of service accounts."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aurora.local.binaries import Binaries
from aurora.local.layout import default_cache_dir
from aurora.local.progress import PlainReporter
from tests.support.controlplane import TestControlPlane, new_control_plane

_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True)
class AuditedPlane:
    """A control plane and its audit log."""

    plane: TestControlPlane
    log: Path


@contextmanager
def audited_plane() -> Iterator[AuditedPlane]:
    """Start one with an audit log, and stop it."""
    folder = Path(tempfile.mkdtemp(prefix="aurora-audit-"))
    log = folder / "audit.log"
    control = new_control_plane(folder / "state", programs=lambda: _programs(folder, log))
    try:
        where = control.up().endpoints
        plane = TestControlPlane(
            kubeconfig=where.kubeconfig,
            context=where.context,
            prometheus_url=where.prometheus_url,
            file_sd=where.file_sd,
            bin_dir=where.bin_dir,
        )
        yield AuditedPlane(plane, log)
    finally:
        control.down()
        shutil.rmtree(folder)


def _programs(folder: Path, log: Path) -> Mapping[str, Path]:
    """The programs as ever, the API server with the flags that it lacks."""
    found = dict(Binaries(cache=default_cache_dir(), reporter=PlainReporter(print)).resolve())
    policy, wrapper = folder / "policy.json", folder / "kube-apiserver"
    policy.write_text(json.dumps(_POLICY), encoding="utf-8")
    flags = f"--audit-policy-file='{policy}' --audit-log-path='{log}'"
    wrapper.write_text(
        f"#!/bin/sh\nexec '{found['kube-apiserver']}' \"$@\" {flags}\n", encoding="utf-8"
    )
    wrapper.chmod(0o755)
    return found | {"kube-apiserver": wrapper}
