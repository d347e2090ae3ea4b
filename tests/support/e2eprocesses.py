"""The two programs beside the cluster: Prometheus that finds pods, and the operator itself."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_port
from tests.support.realprometheus import prometheus_binary, wait_until

SCRAPED_PORTS = "http|aurora-cache"
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 30.0


@dataclass
class Program:
    """A process on this machine with its log in a file."""

    name: str
    command: list[str]
    ready_url: str
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=os.environ | self.env, stdout=log, stderr=log
            )
        wait_until(self._ready, START_DEADLINE_S, f"{self.name} is ready, see {self.log}")

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended:\n{self.tail()}"
        try:
            with urllib.request.urlopen(self.ready_url, timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text().splitlines()[-lines:])


def prometheus(folder: Path, *, kubeconfig: Path, namespace: str) -> Program:
    """Scrapes the namespace's pods each second, with a PodMonitor's labels."""
    port = free_port()
    labels = {
        "namespace": "__meta_kubernetes_namespace",
        "pod": "__meta_kubernetes_pod_name",
        "container": "__meta_kubernetes_pod_container_name",
    }
    keep = {"__meta_kubernetes_pod_container_port_name": SCRAPED_PORTS}
    keep["__meta_kubernetes_pod_phase"] = "Running"
    job: dict[str, Any] = {
        "job_name": "pods",
        "kubernetes_sd_configs": [
            {
                "role": "pod",
                "kubeconfig_file": str(kubeconfig),
                "namespaces": {"names": [namespace]},
            }
        ],
        "relabel_configs": [
            *({"action": "keep", "source_labels": [k], "regex": v} for k, v in keep.items()),
            *({"source_labels": [source], "target_label": to} for to, source in labels.items()),
        ],
    }
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [job],
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    command = [
        prometheus_binary(),
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    url = f"http://127.0.0.1:{port}"
    return Program("Prometheus", command, f"{url}/-/ready", folder / "prometheus.log")


def operator(
    folder: Path,
    *,
    kubeconfig: Path,
    context: str,
    namespace: str,
    prometheus_url: str,
    **settings: str,
) -> Program:
    """`aurora operator` of this checkout, for one namespace."""
    health = free_port()
    env = {
        "AURORA_WATCH_NAMESPACES": json.dumps([namespace]),
        "AURORA_STORE_URL": f"sqlite:///{folder}/aurora.db",
        "AURORA_INDEX_PATH": str(folder / "index"),
        "AURORA_METRICS_PORT": str(free_port()),
        "AURORA_HEALTH_PORT": str(health),
        "AURORA_BIND_ADDRESS": "127.0.0.1",
        **{f"AURORA_{name.upper()}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "aurora.cli", "operator", "--kubeconfig", str(kubeconfig)]
    command += ["--context", context, "--namespace", namespace, "--prometheus-url", prometheus_url]
    url = f"http://127.0.0.1:{health}/healthz"
    return Program("the operator", command, url, folder / "operator.log", env)
