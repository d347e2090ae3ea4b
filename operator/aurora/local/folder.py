"""The state folder: make it, know it again, and remove it and nothing else."""

import contextlib
import datetime as dt
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from aurora.local import components, kubeconfig, pki, stages
from aurora.local.errors import DiskFullError, StateFolderError
from aurora.local.layout import Layout
from aurora.local.ports import LOOPBACK
from aurora.local.settings import Settings

MINIMUM_FREE_BYTES = 300 * 1024**2
"""etcd's two log segments take 128 MiB at once; the rest is for Prometheus and the logs."""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """One control plane's folder on disk."""

    layout: Layout

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self.layout.root

    def is_ours(self) -> bool:
        """Whether a control plane was started here."""
        return self.layout.marker.is_file()

    def require_ours_or_empty(self) -> None:
        """Raise StateFolderError when the folder holds something that is not ours."""
        if self.root.exists() and not self.root.is_dir():
            raise StateFolderError(f"{self.root} is a file: choose another --state-dir")
        if self.root.is_dir() and not self.is_ours() and any(self.root.iterdir()):
            raise StateFolderError(
                f"{self.root} holds files that are not of a local control plane: "
                "choose an empty or a new folder with --state-dir"
            )

    def preflight(self, *, free_bytes: Callable[[Path], int] | None = None) -> None:
        """Raise DiskFullError or StateFolderError for what would fail minutes later."""
        self.require_ours_or_empty()
        self.root.parent.mkdir(parents=True, exist_ok=True)
        base = self.root if self.root.is_dir() else self.root.parent
        if not os.access(base, os.W_OK | os.X_OK):
            raise StateFolderError(
                f"no permission to write {base}: choose a folder of yours with --state-dir"
            )
        free = (free_bytes or _free_bytes)(base)
        if free < MINIMUM_FREE_BYTES:
            raise DiskFullError(
                f"{free >> 20} MiB free on the disk of {base}, {MINIMUM_FREE_BYTES >> 20} MiB "
                "needed: free some space or choose another folder with --state-dir"
            )

    @contextlib.contextmanager
    def locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """Only one command at a time; the lock is on the parent folder, so no file is left."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another command works in {self.root.parent}: waiting for it")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def load(self) -> Settings | None:
        """The settings of the control plane that was started here; None when there is none."""
        if not self.is_ours():
            return None
        try:
            return Settings.from_json(self.layout.marker.read_text(encoding="utf-8"))
        except (ValueError, TypeError, KeyError) as error:
            raise StateFolderError(
                f"{self.layout.marker} is damaged: run `aurora local down` with this "
                "--state-dir and start again"
            ) from error

    def prepare(
        self, settings: Settings, *, binaries: Mapping[str, Path], now: dt.datetime
    ) -> None:
        """Write everything that the programs read. The marker comes first: it allows removal."""
        self.root.mkdir(mode=0o700, exist_ok=True)
        self.layout.marker.write_text(settings.to_json(), encoding="utf-8")
        for folder in self.layout.folders():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        pki.create(self.layout.pki, now=now)
        self._write_kubeconfigs(settings)
        self._link(binaries)
        self.layout.stages.write_text(stages.render(), encoding="utf-8")
        config = components.prometheus_config(
            file_sd=self.layout.file_sd, scrape_seconds=settings.scrape_seconds
        )
        self.layout.prometheus_config.write_text(yaml.safe_dump(config), encoding="utf-8")

    def _write_kubeconfigs(self, settings: Settings) -> None:
        server = f"https://{LOOPBACK}:{settings.ports.apiserver}"
        files = {"admin": self.layout.kubeconfig} | {
            name: self.layout.component_kubeconfig(name)
            for name in ("kube-controller-manager", "kube-scheduler", "kwok")
        }
        for identity, path in files.items():
            kubeconfig.write(path, server=server, pki=self.layout.pki, identity=identity)

    def _link(self, binaries: Mapping[str, Path]) -> None:
        for name, target in binaries.items():
            link = self.layout.bin / name
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def remove(self) -> bool:
        """Remove the folder; False when there was none. Raises StateFolderError if not ours."""
        if not self.root.exists():
            return False
        self.require_ours_or_empty()
        shutil.rmtree(self.root)
        return True


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free
