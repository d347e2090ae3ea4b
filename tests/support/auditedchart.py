"""The chart installed on a control plane with an audit log, and the operator with its rights."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aurora.config import Settings
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import (
    DECISION,
    DEPLOYMENT,
    HTTP_ROUTE,
    MODEL_DEPLOYMENT,
    SCALED_OBJECT,
    SERVICE,
    Kind,
    Ref,
)
from tests.support.auditedplane import AuditedPlane
from tests.support.builders import merged
from tests.support.chart import environment, render
from tests.support.cluster import NAMESPACES, deployment, install_crds
from tests.support.kubectl import Kubectl
from tests.support.modelserver import ModelServer
from tests.support.realprometheus import Exporters

SYSTEM = "aurora-system"
Json = dict[str, Any]
AUTONOMY = {
    "mode": "Auto",
    "thresholds": {"autoPercent": 20, "monitoredPercent": 10},
    "verification": {"after": "1s", "for": "30s"},
}
TEMPLATE = {
    "containers": [
        {
            "name": "engine",
            "image": "engine:1",
            "ports": [{"name": "http", "containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
        }
    ]
}


@dataclass
class Installation:
    """The chart on a cluster, its operator's token, and what it is tried on."""

    audited: AuditedPlane
    client: KubeClient
    kubectl: Kubectl
    folder: Path
    objects: list[Json]
    namespace: str
    exporters: Exporters = field(default_factory=Exporters)

    @property
    def account(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def caches(self) -> bool:
        return "CACHE" in json.loads(environment(self.objects)["AURORA_ACTIONS"])

    @property
    def feeds(self) -> bool:
        return any(one["metadata"]["name"] == "aurora-actuator-routers" for one in self.objects)

    async def make(self, kind: Kind, name: str, **body: Any) -> Json:
        metadata = {"name": name, "namespace": self.namespace}
        manifest = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        return await self.client.create(kind, manifest | body)

    async def deploy(self, name: str, pod: Json | None = None) -> None:
        manifest = deployment(self.namespace, name, 1)
        manifest["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        manifest["spec"]["template"]["spec"] = TEMPLATE | (pod or {})
        await self.client.create(DEPLOYMENT, manifest)
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        await self.make(SERVICE, name, spec={"selector": {"app": name}, "ports": ports})

    async def manage(self, name: str, **spec: Any) -> None:
        body = {
            "targetRef": {"name": name},
            "serviceRef": {"name": name},
            "objectives": {"ttftP95": "1s"},
            "autonomy": AUTONOMY,
        }
        await self.make(MODEL_DEPLOYMENT, name, spec=merged(body, spec))

    def serve(self, name: str) -> None:
        """Metrics of the workload's pod, as a PodMonitor would label them."""
        self.exporters.pages[name] = ModelServer(rate=20.0).page
        labels = {"__metrics_path__": f"/{name}", "namespace": self.namespace}
        labels["pod"] = f"{name}-7c9d8f6b5d-bcdf4"
        file_sd = self.audited.plane.file_sd
        assert file_sd is not None
        targets = [{"targets": [self.exporters.address], "labels": labels}]
        (file_sd / f"{self.namespace}-{name}.json").write_text(json.dumps(targets))

    async def phases(self, action: str) -> dict[str, str]:
        """Phase of the newest decision of one kind, by model."""
        found = (await self.client.list(DECISION, namespace=self.namespace)).items
        found.sort(key=lambda one: int(one["metadata"]["resourceVersion"]))
        return {
            one["spec"]["modelRef"]["name"]: one.get("status", {}).get("phase", "")
            for one in found
            if one["spec"]["action"] == action
        }

    async def report(self) -> None:
        """Print what was decided; pytest shows it for a test that fails."""
        for one in (await self.client.list(DECISION, namespace=self.namespace)).items:
            spec, status = one["spec"], one.get("status", {})
            told = [c.get("message") for c in status.get("conditions", ())]
            print(
                one["metadata"]["name"], spec["action"], status.get("phase"), spec["message"], told
            )

    def settings(self, **over: Any) -> Settings:
        """What the chart tells the uninstall hook."""
        told = environment(self.objects, kind="Job")
        names = {name.removeprefix("AURORA_").lower(): value for name, value in told.items()}
        return Settings(**(names | {"kubeconfig": self.account} | over))


@asynccontextmanager
async def installed(
    audited: AuditedPlane, folder: Path, namespace: str, *options: str
) -> AsyncIterator[Installation]:
    objects = render(*options, namespace=SYSTEM)
    program = str(audited.plane.bin_dir / "kubectl") if audited.plane.bin_dir else "kubectl"
    kubectl = Kubectl(program, audited.plane.kubeconfig)
    rest = [one for one in objects if one["kind"] not in {"CustomResourceDefinition", "Job"}]
    async with KubeClient(Connection(audited.plane.kubeconfig, audited.plane.context)) as client:
        await install_crds(client)
        kubectl("apply", "--server-side", "-f", "-", manifest=[_crd(k) for k in _FOREIGN]).ok()
        for name in (SYSTEM, namespace, "elsewhere"):
            kubectl("create", "namespace", name)
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", manifest=rest).ok()
        made = Installation(audited, client, kubectl, folder, objects, namespace)
        _write_account(made)
        audited.log.write_text("")
        yield made
        made.exporters.close()
        kubectl("delete", "--ignore-not-found", "-f", "-", manifest=rest).ok()
        await client.delete(Ref(NAMESPACES, "", namespace), uid=_uid(kubectl, namespace))


def _uid(kubectl: Kubectl, namespace: str) -> str:
    return str(kubectl.json("get", "namespace", namespace)["metadata"]["uid"])


def _write_account(here: Installation) -> None:
    token = here.kubectl("create", "token", "aurora", "-n", SYSTEM).ok().strip()
    content = yaml.safe_load(here.kubectl.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": token}
    here.account.touch(mode=0o600)
    here.account.write_text(yaml.safe_dump(content))


_FOREIGN = (SCALED_OBJECT, HTTP_ROUTE)


def _crd(kind: Kind) -> Json:
    """A kind of somebody else's, as loose as can be."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": kind.version, "served": True, "storage": True}
    names = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()}
    approved = {"api-approved.kubernetes.io": "unapproved, for a test"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}", "annotations": approved},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": names,
            "versions": [version | {"schema": {"openAPIV3Schema": schema}}],
        },
    }


@asynccontextmanager
async def operating(here: Installation) -> AsyncIterator[None]:
    """`aurora operator` with the environment of the chart's Deployment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    quick = {
        "KUBECONFIG": str(here.account),
        "AURORA_PROMETHEUS_URL": here.audited.plane.prometheus_url or "http://127.0.0.1:9",
        "AURORA_STORE_URL": f"sqlite:///{here.folder}/aurora.db",
        "AURORA_INDEX_PATH": str(here.folder / "index"),
        "AURORA_CYCLE_SECONDS": "1",
        "AURORA_METRICS_WINDOW_SECONDS": "8",
        "AURORA_METRICS_STALE_SECONDS": "5",
        "AURORA_BLAST_RADIUS_PERCENT": "100",
        "AURORA_EMBEDDINGS": "numeric",
        "AURORA_METRICS_PORT": "0",
        "AURORA_HEALTH_PORT": "0",
    }
    log = here.folder / "operator.log"
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - it runs beside the test
            [sys.executable, "-m", "aurora.cli", "operator"],
            cwd=here.folder,
            env=kept | environment(here.objects) | quick,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(timeout=60)
        await here.report()
        print(log.read_text())
