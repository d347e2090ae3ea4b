"""Opens a world: two namespaces, the proxies, the kill switch off; all of it goes again."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

from aurora.kube.client import KubeClient
from aurora.kube.kinds import MODEL_DEPLOYMENT, Ref
from tests.faults.world import World
from tests.support.cluster import NAMESPACES, connection_to, install_crds, set_switch
from tests.support.controlplane import TestControlPlane
from tests.support.faultproxy import fault_proxy
from tests.support.faultproxy_prometheus import metrics_proxy
from tests.support.realprometheus import Exporters

__all__ = ["install", "open_world"]


async def install(plane: TestControlPlane) -> None:
    """Apply the CRDs, once for all worlds: a CRD that is written again ends the watches of it."""
    async with KubeClient(connection_to(plane)) as client:
        await install_crds(client)


@asynccontextmanager
async def open_world(plane: TestControlPlane, folder: Path) -> AsyncIterator[World]:
    """Two namespaces, the proxies, and the kill switch off; all of it goes again."""
    assert plane.prometheus_url is not None
    (folder / "proxy").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubeClient(connection_to(plane)))
        mark = uuid4().hex[:8]
        namespaces = f"models-{mark}", f"system-{mark}"
        for name in namespaces:
            await client.create(NAMESPACES, {"metadata": {"name": name}})
            stack.push_async_callback(_remove_namespace, client, name)
        await set_switch(client, namespaces[1], "false")
        proxy = await stack.enter_async_context(fault_proxy(plane.kubeconfig, folder / "proxy"))
        metrics = await stack.enter_async_context(metrics_proxy(plane.prometheus_url))
        exporters = Exporters()
        stack.callback(exporters.close)
        inner = await stack.enter_async_context(AsyncExitStack())
        models, system = namespaces
        world = World(plane, client, models, exporters, system, folder, proxy, metrics, inner)
        world.proxies.append(proxy)
        yield world
        world.stop_serving()
        await inner.aclose()
        shutil.rmtree(folder, ignore_errors=True)


async def _remove_namespace(client: KubeClient, name: str) -> None:
    """Take a namespace away; a model's finalizer goes first, since no operator is left to do it."""
    for found in (await client.list(MODEL_DEPLOYMENT, namespace=name)).items:
        if found["metadata"].get("finalizers"):
            ref = Ref(MODEL_DEPLOYMENT, name, found["metadata"]["name"])
            with suppress(Exception):
                await client.patch_merge(ref, {"metadata": {"finalizers": None}})
    found = await client.get(Ref(NAMESPACES, "", name))
    if found is not None:
        with suppress(Exception):
            await client.delete(Ref(NAMESPACES, "", name), uid=found["metadata"]["uid"])
