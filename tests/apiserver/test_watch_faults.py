"""The watches when the network or the rights fail, on a real API server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from aurora.errors import ForbiddenError
from aurora.handlers import kopfsettings
from aurora.handlers.operator import OperatorOptions, run_operator
from aurora.handlers.watch import served_kinds
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import DEPLOYMENT, MODEL_DEPLOYMENT, POD, Kind, Ref
from aurora.observe.facts import ObjectKey
from aurora.observe.fleet import Fleet
from tests.support.cluster import (
    connection_to,
    deployment,
    eventually,
    install_crds,
    model_deployment,
    own_namespace,
)
from tests.support.controlplane import TestControlPlane
from tests.support.tcpproxy import TcpProxy, tcp_proxy

pytestmark = pytest.mark.apiserver

RBAC = "rbac.authorization.k8s.io"
CLUSTER_ROLE = Kind(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
BINDING = Kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")


@pytest.fixture
async def client(control_plane: TestControlPlane) -> AsyncIterator[KubeClient]:
    async with KubeClient(connection_to(control_plane)) as made:
        await install_crds(made)
        yield made


@pytest.fixture
async def namespace(client: KubeClient) -> AsyncIterator[str]:
    async with own_namespace(client) as name:
        yield name


class Operator:
    """An operator under test, over its own connection."""

    def __init__(self, client: KubeClient, fleet: Fleet) -> None:
        self.fleet = fleet
        self.cycles = 0
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(
            run_operator(
                client,
                fleet,
                self.cycle,
                options=OperatorOptions(interval_s=0.2),
                stop=self.stop,
            )
        )

    async def cycle(self) -> None:
        self.cycles += 1

    async def end(self) -> None:
        self.stop.set()
        async with asyncio.timeout(30):
            await self.task


def rewritten(plane: TestControlPlane, path: Path, **change: Any) -> Connection:
    """The kubeconfig with another server or user."""
    content = yaml.safe_load(plane.kubeconfig.read_text())
    base = plane.kubeconfig.parent
    for entry in content["clusters"]:
        cluster = entry["cluster"]
        if "certificate-authority" in cluster:
            cluster["certificate-authority"] = str(base / cluster["certificate-authority"])
        cluster |= change.get("cluster", {})
    for entry in content["users"]:
        for field in ("client-certificate", "client-key"):
            if field in entry["user"]:
                entry["user"][field] = str(base / entry["user"][field])
        entry["user"] = change.get("user", entry["user"])
    path.write_text(yaml.safe_dump(content))
    return Connection(path, plane.context)


@pytest.fixture
async def proxy(control_plane: TestControlPlane) -> AsyncIterator[TcpProxy]:
    content = yaml.safe_load(control_plane.kubeconfig.read_text())
    server = urlsplit(content["clusters"][0]["cluster"]["server"])
    assert server.hostname
    assert server.port
    async with tcp_proxy(server.hostname, server.port) as made:
        yield made


@pytest.fixture
async def through(
    control_plane: TestControlPlane, client: KubeClient, proxy: TcpProxy, tmp_path: Path
) -> AsyncIterator[KubeClient]:
    """A client whose way to the API server the test can break."""
    server = {"server": f"https://127.0.0.1:{proxy.port}"}
    connection = rewritten(control_plane, tmp_path / "kubeconfig", cluster=server)
    async with KubeClient(connection) as made:
        yield made


async def started(client: KubeClient, namespace: str) -> Operator:
    fleet = Fleet(control_namespace=namespace, watched=await served_kinds(client))
    found = Operator(client, fleet)
    await eventually(lambda: found.cycles or found.task.done())
    return found


async def test_watches_that_are_cut_come_back_and_miss_nothing(
    client: KubeClient, through: KubeClient, proxy: TcpProxy, namespace: str
) -> None:
    for name in ("kept", "gone"):
        await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, name))
    found = await started(through, namespace)
    fleet = found.fleet
    assert fleet.models.get(ObjectKey(namespace, "gone"))
    proxy.refusing = True
    proxy.cut()
    made = await client.get(Ref(MODEL_DEPLOYMENT, namespace, "gone"))
    assert made is not None
    await client.delete(Ref(MODEL_DEPLOYMENT, namespace, "gone"), uid=made["metadata"]["uid"])
    await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "new"))
    proxy.refusing = False
    await eventually(lambda: fleet.models.get(ObjectKey(namespace, "new")), within_s=40)
    await eventually(lambda: fleet.models.get(ObjectKey(namespace, "gone")) is None)
    assert fleet.models.get(ObjectKey(namespace, "kept"))
    cycles = found.cycles
    await eventually(lambda: found.cycles > cycles)
    await found.end()


async def test_a_watch_that_falls_silent_is_taken_for_dead(
    monkeypatch: pytest.MonkeyPatch,
    client: KubeClient,
    through: KubeClient,
    proxy: TcpProxy,
    namespace: str,
) -> None:
    """A black hole: no reset, no end of stream, only bytes that never arrive."""
    monkeypatch.setattr(kopfsettings, "INACTIVITY_S", 2.0)
    found = await started(through, namespace)
    proxy.swallowing = True
    await client.create(DEPLOYMENT, deployment(namespace, "unseen"))
    await asyncio.sleep(1.0)
    assert found.fleet.deployments.get(ObjectKey(namespace, "unseen")) is None
    proxy.swallowing = False
    # Streams whose bytes were swallowed are broken; only a new one can bring the object.
    await eventually(
        lambda: found.fleet.deployments.get(ObjectKey(namespace, "unseen")), within_s=40
    )
    await found.end()


async def grant(client: KubeClient, namespace: str, kinds: list[Kind]) -> dict[str, Any]:
    """A service account that may only read the given kinds; the answer is its kubeconfig user."""
    rules = [
        {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["get", "list", "watch"]}
        for kind in kinds
    ]
    await client.create(SERVICE_ACCOUNT, {"metadata": {"name": "reader", "namespace": namespace}})
    await client.create(CLUSTER_ROLE, {"metadata": {"name": namespace}, "rules": rules})
    await client.create(
        BINDING,
        {
            "metadata": {"name": namespace},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": namespace},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
        },
    )
    tokens = Kind("", "v1", "serviceaccounts/reader/token", "TokenRequest")
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"namespace": namespace},
        "spec": {"expirationSeconds": 3600},
    }
    answer = await client.create(tokens, request)
    return {"token": answer["status"]["token"]}


async def test_reading_is_all_that_the_watches_need(
    control_plane: TestControlPlane, client: KubeClient, namespace: str, tmp_path: Path
) -> None:
    watched = list(await served_kinds(client))
    user = await grant(client, namespace, watched)
    connection = rewritten(control_plane, tmp_path / "kubeconfig", user=user)
    async with KubeClient(connection) as reader:
        found = await started(reader, namespace)
        await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "m"))
        await eventually(lambda: found.fleet.models.get(ObjectKey(namespace, "m")))
        await found.end()


async def test_a_kind_that_may_not_be_read_ends_the_process_and_is_named(
    control_plane: TestControlPlane, client: KubeClient, namespace: str, tmp_path: Path
) -> None:
    watched = await served_kinds(client)
    user = await grant(client, namespace, [kind for kind in watched if kind != POD])
    connection = rewritten(control_plane, tmp_path / "kubeconfig", user=user)
    async with KubeClient(connection) as reader:
        fleet = Fleet(control_namespace=namespace, watched=watched)
        found = Operator(reader, fleet)
        with pytest.raises(ForbiddenError, match=r"cannot list resource \"pods\""):
            async with asyncio.timeout(30):
                await found.task
    assert found.cycles == 0
