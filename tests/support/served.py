"""Served models on the real control plane: what people deploy, what is scraped, what is seen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aurora.kube.client import KubeClient
from aurora.kube.kinds import DECISION, DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE, Kind, Ref
from tests.support.builders import merged
from tests.support.cluster import deployment
from tests.support.controlplane import TestControlPlane
from tests.support.modelserver import ModelServer
from tests.support.realprometheus import Exporters

__all__ = ["QUICK", "ServedModels", "service"]

QUICK: dict[str, Any] = {
    "mode": "Auto",
    "verification": {"after": "1s", "for": "30s"},
    "cooldown": {"up": "5s", "down": "5s"},
}


def service(namespace: str, name: str) -> dict[str, Any]:
    """The Service in front of a workload of the same name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000}]},
    }


@dataclass
class ServedModels:
    """One namespace of models.

    Attributes:
        client: the administrator's.
        exporters: serve the metrics pages of all models.
        servers: what each model's page says.
    """

    plane: TestControlPlane
    client: KubeClient
    namespace: str
    exporters: Exporters
    servers: dict[str, ModelServer] = field(default_factory=dict, kw_only=True)

    async def deploy(self, name: str = "llama", replicas: int = 2, **spec: Any) -> dict[str, Any]:
        """A Deployment with its Service."""
        manifest = merged(deployment(self.namespace, name, replicas), {"spec": spec})
        made = await self.client.create(DEPLOYMENT, manifest)
        await self.client.create(SERVICE, service(self.namespace, name))
        return made

    async def apply_model(self, name: str = "llama", **spec: Any) -> dict[str, Any]:
        """A ModelDeployment of the Deployment and Service of the same name."""
        body = {
            "targetRef": {"name": name},
            "serviceRef": {"name": name},
            "objectives": {"ttftP95": "500ms"},
            "metrics": {"minSamples": 10},
            "scaling": {"minReplicas": 1, "maxReplicas": 6},
            "autonomy": QUICK,
        }
        manifest = {
            "apiVersion": "aurora.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": merged(body, spec),
        }
        return await self.client.create(MODEL_DEPLOYMENT, manifest)

    def serve(
        self, name: str = "llama", pods: int = 2, *, names: Sequence[str] = (), **over: Any
    ) -> ModelServer:
        """Metrics of the workload's pods, scraped as a PodMonitor would label them."""
        names = names or [f"{name}-7c9d8f6b5d-bcdf{index + 4}" for index in range(pods)]
        server = self.servers[name] = ModelServer(**over)
        page = f"{self.namespace}-{name}"
        self.exporters.pages[page] = server.page
        targets = [
            {
                "targets": [self.exporters.address],
                "labels": {
                    "__metrics_path__": f"/{page}",
                    "namespace": self.namespace,
                    "pod": pod,
                },
            }
            for pod in names
        ]
        assert self.plane.file_sd is not None
        (self.plane.file_sd / f"{page}.json").write_text(json.dumps(targets))
        return server

    def stop_serving(self) -> None:
        """Nothing of this namespace is scraped any more."""
        assert self.plane.file_sd is not None
        for name in self.servers:
            (self.plane.file_sd / f"{self.namespace}-{name}.json").unlink(missing_ok=True)

    async def get(self, kind: Kind, name: str = "llama") -> dict[str, Any]:
        found = await self.client.get(Ref(kind, self.namespace, name))
        assert found is not None, f"{kind} {name} is gone"
        return found

    async def decisions(self, **wanted: str) -> list[dict[str, Any]]:
        found = (await self.client.list(DECISION, namespace=self.namespace)).items
        return [
            one
            for one in found
            if all(one["spec"].get(k, one.get("status", {}).get(k)) == v for k, v in wanted.items())
        ]

    async def condition(self, type_: str, name: str = "llama") -> dict[str, Any]:
        status = (await self.get(MODEL_DEPLOYMENT, name)).get("status", {})
        return next((c for c in status.get("conditions", []) if c["type"] == type_), {})

    async def replicas(self, name: str = "llama") -> int:
        return int((await self.get(DEPLOYMENT, name))["spec"]["replicas"])
