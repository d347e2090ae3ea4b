"""A release of the chart on a real cluster, with a Prometheus beside it that its pod can reach."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.support import e2eprocesses
from tests.support.chart import CHART, helm
from tests.support.e2eprocesses import Program
from tests.support.e2eworld import EXPORTER_IMAGE
from tests.support.kubectl import Kubectl

READY_WITHIN_S = 30.0
CYCLE_S = 2
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFINITIONS = ("modeldeployments", "routingpolicies", "decisions", "approvals")
Json = dict[str, Any]


@dataclass
class Release:
    """`helm install` into a namespace that enforces the restricted Pod Security Standard.

    Attributes:
        namespace: of the release.
        models: the one namespace that it works in.
    """

    kubectl: Kubectl
    folder: Path
    namespace: str
    models: str
    image: str
    prometheus_url: str
    programs: list[Program] = field(default_factory=list)

    def helm(self, *arguments: str) -> str:
        done = helm(
            "--kubeconfig",
            str(self.kubectl.kubeconfig),
            "-n",
            self.namespace,
            *arguments,
            env=os.environ | {"HELM_CACHE_HOME": str(self.folder / "helm")},
            timeout=400,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, *options: str) -> None:
        """Install with short windows; cluster-wide policies would bind other operators too."""
        repository, _, tag = self.image.rpartition(":")
        values = {
            "image.repository": repository,
            "image.tag": tag,
            "prometheus.url": self.prometheus_url,
            "watchNamespaces": f"{{{self.models}}}",
            "admissionPolicies.enabled": "false",
            "persistence.size": "64Mi",
            "settings.CYCLE_SECONDS": str(CYCLE_S),
            "settings.METRICS_WINDOW_SECONDS": "10",
            "settings.METRICS_STALE_SECONDS": "8",
            "settings.LOG_FORMAT": "console",
        }
        given = [part for k, v in values.items() for part in ("--set", f"{k}={v}")]
        self.helm("install", "aurora", str(CHART), "--take-ownership", *given, *options)

    def upgrade(self, chart: Path, *options: str) -> None:
        forced = ("--force-conflicts",)
        self.helm("upgrade", "aurora", str(chart), "--reuse-values", *forced, *options)

    def pod(self) -> Json:
        chosen = "app.kubernetes.io/component=operator"
        (found,) = self.kubectl.json("get", "pods", "-n", self.namespace, "-l", chosen)["items"]
        return dict(found)

    def wait_ready(self) -> float:
        """Seconds until the operator's pod is Ready."""
        began = time.monotonic()
        where = ("-n", self.namespace, "--timeout=55s")
        self.kubectl("rollout", "status", "deployment/aurora", *where).ok()
        return time.monotonic() - began

    def restarts(self) -> int:
        return sum(one["restartCount"] for one in self.pod()["status"]["containerStatuses"])

    def memory_mib(self) -> float:
        """The most that the operator's process ever had resident."""
        where = ("-n", self.namespace, "deployment/aurora")
        text = self.kubectl("exec", *where, "--", "cat", "/proc/1/status").ok()
        (line,) = [one for one in text.splitlines() if one.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    def log(self) -> str:
        return self.kubectl("logs", "deployment/aurora", "-n", self.namespace).out

    def report(self) -> None:
        """Print what is there; pytest shows it for a test that fails."""
        where = ("-n", self.namespace)
        print(self.kubectl("get", "pods,pvc,jobs", "-o", "wide", *where).out)
        print(self.kubectl("get", "events", "--sort-by=.lastTimestamp", *where).out)
        print(self.log())

    def uninstall(self) -> None:
        self.helm("uninstall", "aurora", "--timeout", "5m")


def ready_image(kubectl: Kubectl) -> str:
    """The image under test, with the name that a node has it under; skips without it."""
    wanted = os.environ.get("AURORA_E2E_IMAGE", EXPORTER_IMAGE)
    nodes = kubectl.json("get", "nodes")["items"]
    names = {n for node in nodes for one in node["status"]["images"] for n in one["names"] or ()}
    if not any(name == wanted or name.endswith(f"/{wanted}") for name in names):
        pytest.skip(
            f"no node has the image {wanted}: build it from the Dockerfile and load it into the "
            "cluster (kind load docker-image), or name another one in AURORA_E2E_IMAGE"
        )
    return wanted


def address_for_pods(kubectl: Kubectl) -> str:
    """This machine's address on the nodes' network, which pods reach."""
    (node, *_) = kubectl.json("get", "nodes")["items"]
    (address,) = [
        one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return str(probe.getsockname()[0])


@contextmanager
def release(kubectl: Kubectl, folder: Path, models: str) -> Iterator[Release]:
    """A namespace for a release and a Prometheus that reads `models`; all of it goes again."""
    image = ready_image(kubectl)
    namespace = f"aurora-e2e-{uuid4().hex[:6]}"
    scraper = e2eprocesses.prometheus(folder, kubeconfig=kubectl.kubeconfig, namespace=models)
    _listen(scraper, address_for_pods(kubectl))
    kubectl("create", "namespace", namespace).ok()
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    kubectl("label", "namespace", namespace, restricted).ok()
    url = scraper.ready_url.removesuffix("/-/ready")
    made = Release(kubectl, folder, namespace, models, image, url)
    with _definitions(kubectl), _volume(kubectl, folder, namespace):
        try:
            scraper.start()
            yield made
        finally:
            scraper.stop()
            made.report()
            made_helm = ("--kubeconfig", str(kubectl.kubeconfig), "-n", namespace)
            helm(*made_helm, "uninstall", "aurora", "--no-hooks", "--ignore-not-found")
            kubectl("delete", "namespace", namespace, "--wait=false").ok()


def _listen(scraper: Program, address: str) -> None:
    """Listen where pods can reach it, and nowhere else."""
    port = urlsplit(scraper.ready_url).port
    flag = "--web.listen-address="
    scraper.command = [
        f"{flag}{address}:{port}" if one.startswith(flag) else one for one in scraper.command
    ]
    scraper.ready_url = f"http://{address}:{port}/-/ready"


@contextmanager
def _definitions(kubectl: Kubectl) -> Iterator[None]:
    """Those that the release brought outlive it; here they go when nobody uses them."""
    names = [f"{one}.aurora.dev" for one in DEFINITIONS]
    fresh = [name for name in names if kubectl("get", "crd", name).refused]
    yield
    used = [one for name in fresh for one in kubectl("get", name, "-A", "-o", "name").out.split()]
    if fresh and not used:
        kubectl("delete", "crd", *fresh, "--ignore-not-found", "--timeout=60s").ok()


@contextmanager
def _volume(kubectl: Kubectl, folder: Path, namespace: str) -> Iterator[None]:
    """Where the cluster makes no volumes: one in a folder of this machine, its only node."""
    classes = kubectl.json("get", "storageclass")["items"]
    if any(one["metadata"].get("annotations", {}).get(DEFAULT_CLASS) for one in classes):
        yield
        return
    nodes = kubectl.json("get", "nodes")["items"]
    if len(nodes) != 1:
        pytest.skip("the cluster has no default StorageClass: the release's volume stays unbound")
    place = folder / "volume"
    place.mkdir()
    host = {"key": "kubernetes.io/hostname", "operator": "In"}
    host["values"] = [nodes[0]["metadata"]["labels"]["kubernetes.io/hostname"]]  # type: ignore[assignment]
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": namespace},
        "spec": {
            "capacity": {"storage": "64Mi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": "aurora-data"},
            "local": {"path": str(place)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
    }
    kubectl("apply", "-f", "-", manifest=volume).ok()
    try:
        yield
    finally:
        kubectl("delete", "pv", namespace, "--wait=false", "--ignore-not-found").ok()
