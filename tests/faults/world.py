"""A served model on the real control plane, fault proxies, and operators that look after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from aurora.kube.kinds import DEPLOYMENT, LEASE, MODEL_DEPLOYMENT, Kind, Ref
from tests.support.cluster import eventually
from tests.support.failpoints import OperatorProcess, Patience
from tests.support.faultproxy import FaultProxy, fault_proxy
from tests.support.faultproxy_calls import Call
from tests.support.faultproxy_prometheus import MetricsProxy
from tests.support.oracle import MOVING, Bounds, Seen, judge, phase_of
from tests.support.served import ServedModels

CYCLE_S = 0.5


@dataclass
class World(ServedModels):
    """One namespace of models and one of the operator.

    Attributes:
        client: the administrator's, past every fault.
        proxy: what the first operator reaches the API server through.
        metrics: what every operator reaches Prometheus through.
        restarts: the last words of each operator that ended by itself and was started anew.
    """

    system: str
    folder: Path
    proxy: FaultProxy
    metrics: MetricsProxy
    stack: AsyncExitStack
    bounds: dict[str, Bounds] = field(default_factory=dict)
    proxies: list[FaultProxy] = field(default_factory=list)
    reverted: set[str] = field(default_factory=set)
    restarts: list[str] = field(default_factory=list)

    # What people do.

    async def deploy(self, name: str = "llama", replicas: int = 2, **spec: Any) -> dict[str, Any]:
        self.bounds[name] = Bounds(1, 6, replicas)
        return await super().deploy(name, replicas, **spec)

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
            "store_url": f"sqlite:///{self.folder}/aurora.db",
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

    @property
    def calls(self) -> list[Call]:
        """What passed all proxies, in the order of arrival."""
        return sorted((call for one in self.proxies for call in one.calls), key=lambda c: c.at)

    async def seen(self) -> Seen:
        models = (await self.client.list(MODEL_DEPLOYMENT, namespace=self.namespace)).items
        targets = (await self.client.list(DEPLOYMENT, namespace=self.namespace)).items
        replicas = {one["metadata"]["name"]: int(one["spec"]["replicas"]) for one in targets}
        return Seen(models, await self.decisions(), replicas)

    async def settles(self, *, within_s: float = 60.0) -> None:
        """Eventually stable: nothing is half done, and then nothing is written for three cycles."""
        await eventually(self._still, within_s=within_s)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        written, rounds, since = len(self._writes()), self.metrics.rounds, loop.time()
        while not self._rested(rounds, loop.time() - since):
            last = [f"{call} {call.body}" for call in self._writes()[-2:]]
            assert loop.time() < deadline, f"not quiet: {last}"
            await asyncio.sleep(0.1)
            if len(self._writes()) != written:
                written, rounds, since = len(self._writes()), self.metrics.rounds, loop.time()

    def _rested(self, rounds: int, seconds: float) -> bool:
        """Three cycles by what the operator asked since; by time where it has nothing to ask."""
        cycles = 3.5
        return seconds > cycles * (CYCLE_S if self.metrics.rounds >= rounds + 4 else 2 * CYCLE_S)

    async def _still(self) -> bool:
        return all(phase_of(one) not in MOVING for one in await self.decisions())

    def _writes(self) -> list[Call]:
        return [call for call in self.calls if call.is_write]

    async def judged(self) -> None:
        """The oracle."""
        judge(self.calls, await self.seen(), self.bounds, reverted=self.reverted)
