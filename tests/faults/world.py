"""A served model on the real control plane, fault proxies, and operators that look after it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from aurora.kube.client import KubeClient
from aurora.kube.kinds import DECISION, DEPLOYMENT, LEASE, MODEL_DEPLOYMENT, SERVICE, Kind, Ref
from tests.support.builders import merged
from tests.support.cluster import (
    deployment,
    eventually,
)
from tests.support.controlplane import TestControlPlane
from tests.support.failpoints import OperatorProcess, Patience
from tests.support.faultproxy import FaultProxy, fault_proxy
from tests.support.faultproxy_calls import Call
from tests.support.faultproxy_prometheus import MetricsProxy
from tests.support.modelserver import ModelServer
from tests.support.oracle import MOVING, Bounds, Seen, judge, phase_of
from tests.support.realprometheus import Exporters

CYCLE_S = 1.0
QUICK: Mapping[str, Any] = {
    "mode": "Auto",
    "verification": {"after": "1s", "for": "30s"},
    "cooldown": {"up": "5s", "down": "5s"},
}


@dataclass
class World:
    """One namespace of models and one of the operator.

    Attributes:
        client: the administrator's, past every fault.
        proxy: what the first operator reaches the API server through.
        metrics: what every operator reaches Prometheus through.
        restarts: the last words of each operator that ended by itself and was started anew.
    """

    plane: TestControlPlane
    client: KubeClient
    namespace: str
    system: str
    folder: Path
    proxy: FaultProxy
    metrics: MetricsProxy
    exporters: Exporters
    stack: AsyncExitStack
    bounds: dict[str, Bounds] = field(default_factory=dict)
    servers: dict[str, ModelServer] = field(default_factory=dict)
    proxies: list[FaultProxy] = field(default_factory=list)
    reverted: set[str] = field(default_factory=set)
    restarts: list[str] = field(default_factory=list)

    # What people do.

    async def deploy(self, name: str = "llama", replicas: int = 2, **spec: Any) -> dict[str, Any]:
        manifest = merged(deployment(self.namespace, name, replicas), {"spec": spec})
        made = await self.client.create(DEPLOYMENT, manifest)
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000}]},
        }
        await self.client.create(SERVICE, service)
        self.bounds[name] = Bounds(1, 6, replicas)
        return made

    async def apply_model(self, name: str = "llama", **spec: Any) -> dict[str, Any]:
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

    async def short_of_replicas(self, name: str = "llama") -> None:
        """Two replicas where three are the least: one SCALE is due, with no metric needed."""
        await self.deploy(name, 2)
        await self.apply_model(name, scaling={"minReplicas": 3, "maxReplicas": 6})

    async def edit_model(self, name: str = "llama", **spec: Any) -> None:
        await self.client.patch_merge(Ref(MODEL_DEPLOYMENT, self.namespace, name), {"spec": spec})

    async def set_replicas(self, count: int, name: str = "llama") -> None:
        """Somebody else writes the number of replicas."""
        patch = [{"op": "replace", "path": "/spec/replicas", "value": count}]
        ref = Ref(DEPLOYMENT, self.namespace, name)
        await self.client.patch_json(ref, patch, field_manager="pipeline")
        self.reverted.add(name)

    async def touch(self, kind: Kind, name: str) -> None:
        """Somebody else writes to an object what nobody decides on."""
        with suppress(Exception):
            patch = {"metadata": {"annotations": {"example.com/seen": uuid4().hex}}}
            await self.client.patch_merge(Ref(kind, self.namespace, name), patch)

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

    # Operators.

    def settings(self, proxy: FaultProxy | None = None, **over: Any) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "kubeconfig": (proxy or self.proxy).kubeconfig,
            "namespace": self.system,
            "watch_namespaces": (self.namespace,),
            "cycle_seconds": CYCLE_S,
            "prometheus_url": self.metrics.url,
            "metrics_window_seconds": 8,
            "metrics_stale_seconds": 5,
            "store_url": f"sqlite+aiosqlite:///{self.folder}/aurora.db",
            "index_path": self.folder / "index",
            "embeddings": "numeric",
            "metrics_port": 0,
            "health_port": 0,
        }
        return fields | over

    def process(self, proxy: FaultProxy | None = None, **over: Any) -> OperatorProcess:
        """The operator as a process; not started yet."""
        made = OperatorProcess(self.settings(proxy, **over), self.folder / "operator.log")
        self.stack.callback(made.kill)
        return made

    @asynccontextmanager
    async def operator(
        self, patience: Patience | None = None, **over: Any
    ) -> AsyncIterator[OperatorProcess]:
        """Run the operator; when it ends by itself it is started anew, as a pod would be."""
        process = self.process(**over)
        process.patience = patience or Patience()
        process.start()
        keeping = asyncio.create_task(self._keep(process))
        try:
            yield process
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await process.end()

    async def _keep(self, process: OperatorProcess) -> None:
        while True:
            await asyncio.sleep(0.2)
            if not process.alive:
                self.restarts.append(process.last_words())
                process.start()

    async def another_proxy(self) -> FaultProxy:
        """A way to the API server of another operator's own."""
        folder = self.folder / f"proxy-{len(self.proxies)}"
        folder.mkdir()
        made = await self.stack.enter_async_context(fault_proxy(self.plane.kubeconfig, folder))
        self.proxies.append(made)
        return made

    async def free_the_lease(self) -> None:
        """A dead leader's Lease need not be waited for where that is not what is tested."""
        ref = Ref(LEASE, self.system, "aurora-leader")
        found = await self.client.get(ref)
        if found is not None:
            await self.client.delete(ref, uid=found["metadata"]["uid"])

    async def cycles(self, count: int) -> None:
        """Wait until so many more cycles of the operator have begun: each asks Prometheus anew."""
        seen = self.metrics.rounds
        await eventually(lambda: self.metrics.rounds > seen + count, within_s=60 + 8 * count)

    # What is looked at.

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

    @property
    def calls(self) -> list[Call]:
        """What passed all proxies, in the order of arrival."""
        return sorted((call for one in self.proxies for call in one.calls), key=lambda c: c.at)

    async def seen(self) -> Seen:
        models = (await self.client.list(MODEL_DEPLOYMENT, namespace=self.namespace)).items
        targets = (await self.client.list(DEPLOYMENT, namespace=self.namespace)).items
        replicas = {one["metadata"]["name"]: int(one["spec"]["replicas"]) for one in targets}
        return Seen(models, await self.decisions(), replicas)

    async def settles(self, *, within_s: float = 60.0, quiet_s: float = 3.5) -> None:
        """Eventually stable: nothing is half done, and then nothing is written for three cycles."""
        await eventually(self._still, within_s=within_s)
        loop, deadline = asyncio.get_running_loop(), asyncio.get_running_loop().time() + within_s
        written, since = len(self._writes()), loop.time()
        while loop.time() - since < quiet_s:
            last = [f"{call} {call.body}" for call in self._writes()[-2:]]
            assert loop.time() < deadline, f"not quiet: {last}"
            await asyncio.sleep(0.1)
            if len(self._writes()) != written:
                written, since = len(self._writes()), loop.time()

    async def _still(self) -> bool:
        return all(phase_of(one) not in MOVING for one in await self.decisions())

    def _writes(self) -> list[Call]:
        return [call for call in self.calls if call.is_write]

    async def judged(self) -> None:
        """The oracle."""
        judge(self.calls, await self.seen(), self.bounds, reverted=self.reverted)
