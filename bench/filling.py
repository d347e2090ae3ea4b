"""Puts the objects of bench/bigfleet.py and the real CRDs on a real API server."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from bench import bigfleet

from aurora.kube.client import KubeClient
from aurora.kube.kinds import NODE, Kind

__all__ = ["fill", "in_parallel", "install"]

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 64
NAMESPACE = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")


async def in_parallel(work: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(step: Callable[[], Awaitable[Any]]) -> None:
        async with gate:
            await step()

    await asyncio.gather(*(one(step) for step in work))


async def fill(client: KubeClient, models: int) -> int:
    """Create every object; gives how many."""
    places = {one.namespace for one in bigfleet.named(models)} | {bigfleet.SYSTEM}
    for place in sorted(places):
        await client.create(NAMESPACE, {"metadata": {"name": place}})
        account = {"metadata": {"name": "default", "namespace": place}}
        await client.create(SERVICE_ACCOUNT, account)
    found = [(kind, obj) for kind, obj in bigfleet.every_object(models) if kind != NODE]
    await in_parallel([_creator(client, kind, _creatable(obj)) for kind, obj in found])
    return len(found)


def _creator(
    client: KubeClient, kind: Kind, obj: dict[str, Any]
) -> Callable[[], Awaitable[dict[str, Any]]]:
    return lambda: client.create(kind, obj)


def _creatable(obj: dict[str, Any]) -> dict[str, Any]:
    """Without what only a server sets, and with what it asks for."""
    for name in ("uid", "generation", "creationTimestamp"):
        obj["metadata"].pop(name, None)
    for owner in obj["metadata"].get("ownerReferences", ()):
        owner.setdefault("uid", "none")
    spec = obj.get("spec", {})
    spec.pop("clusterIP", None)
    for container in spec.get("containers", ()):
        container.setdefault("image", "registry.example/vllm:v0.11.0")
        # The server fills requests from limits, and refuses a template that asks for other ones.
    return obj


def install(kubectl: Path, kubeconfig: Path) -> None:
    asked = (kubectl, "--kubeconfig", kubeconfig)
    waits = ("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    for more in (("apply", "--server-side", "-f", ROOT / "crds"), waits):
        subprocess.run((*asked, *more), check=True, stdout=subprocess.DEVNULL)
