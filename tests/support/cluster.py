"""Things that tests on a real API server need: a client, a namespace of their own, the CRDs."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from aurora.errors import NotFoundError
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.differs import apply_changes
from aurora.kube.kinds import CONFIG_MAP, CUSTOM_KINDS, ROUTING_POLICY, Kind, Ref
from tests.support.controlplane import TestControlPlane

NAMESPACES = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
CRDS = Kind(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
CRD_FOLDER = Path(__file__).parents[2] / "crds"


def connection_to(plane: TestControlPlane) -> Connection:
    return Connection(plane.kubeconfig, plane.context)


async def eventually(
    found: Callable[[], Any] | Callable[[], Awaitable[Any]], *, within_s: float = 20.0
) -> Any:
    """Poll until the answer is truthy, and return it; fail with the last one at the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        answer = found()
        answer = await answer if asyncio.iscoroutine(answer) else answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {within_s} s"
        await asyncio.sleep(0.05)


@cache
def _definitions() -> tuple[dict[str, Any], ...]:
    """The CRDs of this checkout: to read them takes a second."""
    return tuple(yaml.safe_load(path.read_text()) for path in sorted(CRD_FOLDER.glob("*.yaml")))


async def install_crds(client: KubeClient) -> None:
    """Apply the CRDs; one that an earlier test is still deleting is waited for first."""
    for manifest in _definitions():
        ref = Ref(CRDS, "", manifest["metadata"]["name"])
        await eventually(partial(_stays, client, ref), within_s=60)
        existing = await client.get(ref)
        # The API server compiles a schema anew at every write, for seconds on a busy machine.
        if existing is None or apply_changes(manifest, existing, field_manager="tests"):
            await client.apply(CRDS, manifest, field_manager="tests", existing=existing)
    await eventually(lambda: are_served(client, *CUSTOM_KINDS, ROUTING_POLICY))


async def are_served(client: KubeClient, *kinds: Kind) -> bool:
    """Whether the API server knows the kinds by now; a client remembers what it was told before."""
    fresh = KubeClient(client.connection)
    try:
        return all([await fresh.served(kind) for kind in kinds])
    finally:
        await fresh.close()


async def _stays(client: KubeClient, ref: Ref) -> bool:
    found = await client.get(ref)
    return found is None or "deletionTimestamp" not in found["metadata"]


@asynccontextmanager
async def own_namespace(client: KubeClient) -> AsyncIterator[str]:
    """A namespace for one test, taken away with all that is in it."""
    name = f"test-{uuid4().hex[:10]}"
    made = await client.create(NAMESPACES, {"metadata": {"name": name}})
    try:
        yield name
    finally:
        await client.delete(Ref(NAMESPACES, "", name), uid=made["metadata"]["uid"])


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


async def set_switch(client: KubeClient, namespace: str, stop: str) -> None:
    """Write the kill switch as an administrator does."""
    ref = Ref(CONFIG_MAP, namespace, "aurora-control")
    existing = await client.get(ref)
    manifest = config_map(namespace, ref.name, stop=stop)
    await client.apply(CONFIG_MAP, manifest, field_manager="admin", existing=existing)


async def remove(client: KubeClient, ref: Ref) -> None:
    found = await client.get(ref)
    if found is None:
        raise NotFoundError(f"{ref} does not exist")
    await client.delete(ref, uid=found["metadata"]["uid"])


def deployment(namespace: str, name: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "engine", "image": "engine:1"}]},
            },
        },
    }


def model_deployment(namespace: str, name: str, *, target: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "aurora.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"targetRef": {"name": target or name}, "serviceRef": {"name": name}},
    }
