"""Where everything lives: one state folder per control plane, one cache for all."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The files below one state folder."""

    root: Path

    @property
    def marker(self) -> Path:
        """Settings as JSON; its presence says that the folder is ours to remove."""
        return self.root / "aurora-local.json"

    @property
    def ready(self) -> Path:
        """Present once a start went through to its end."""
        return self.root / "ready"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        """The etcd data folder."""
        return self.root / "etcd"

    @property
    def bin(self) -> Path:
        """Links to the programs in use; this is what goes on PATH."""
        return self.root / "bin"

    @property
    def stages(self) -> Path:
        """The kwok stages."""
        return self.root / "kwok.yaml"

    @property
    def prometheus_config(self) -> Path:
        """The Prometheus configuration."""
        return self.root / "prometheus" / "prometheus.yml"

    @property
    def prometheus_data(self) -> Path:
        """The Prometheus time series."""
        return self.root / "prometheus" / "data"

    @property
    def file_sd(self) -> Path:
        """Target files dropped here are scraped (Prometheus file_sd, *.json or *.yml)."""
        return self.root / "prometheus" / "file_sd"

    def log(self, component: str) -> Path:
        """The log of one program."""
        return self.root / "logs" / f"{component}.log"

    def component_kubeconfig(self, component: str) -> Path:
        """The kubeconfig that one program uses to reach the API server."""
        return self.pki / f"{component}.kubeconfig"

    def folders(self) -> tuple[Path, ...]:
        """Every folder that must exist before the first program starts."""
        return (
            self.root,
            self.pki,
            self.etcd,
            self.bin,
            self.root / "logs",
            self.prometheus_data,
            self.file_sd,
        )


def default_state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_STATE_HOME/aurora/local`, by default `~/.local/state/aurora/local`."""
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "aurora" / "local"


def default_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_CACHE_HOME/aurora`, by default `~/.cache/aurora`."""
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "aurora"
