"""kubectl as a user sees it: arguments and a manifest in, text out."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Answer:
    """What kubectl printed, and whether it succeeded."""

    code: int
    out: str
    err: str

    @property
    def refused(self) -> bool:
        return self.code != 0

    def ok(self) -> str:
        assert self.code == 0, self.err
        return self.out


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl against one cluster, as the administrator unless another user is named."""

    program: str
    kubeconfig: Path

    def __call__(self, *arguments: str, manifest: Any = None, user: str | None = None) -> Answer:
        impersonation = [f"--as={user}", "--as-group=system:authenticated"] if user else []
        done = subprocess.run(
            [self.program, f"--kubeconfig={self.kubeconfig}", *impersonation, *arguments],
            input=None if manifest is None else as_text(manifest),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str) -> Any:
        return yaml.safe_load(self(*arguments, "-o", "json").ok())


def as_text(manifest: Any) -> str:
    if isinstance(manifest, str):
        return manifest
    documents = manifest if isinstance(manifest, list) else [manifest]
    return yaml.safe_dump_all(documents)
