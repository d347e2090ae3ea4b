"""Restores every target by hand: what the operator does when a ModelDeployment is deleted."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aurora.config import Settings
from aurora.errors import AuroraError, ClusterError, ConflictError, NotFoundError
from aurora.executor.cache import CacheActuator, CacheImages
from aurora.executor.effects import Effects
from aurora.executor.restore import Restorer
from aurora.executor.subjects import SUBJECT_KINDS, parse_subject
from aurora.factory import LEASE_NAME, connection_of
from aurora.handlers.watch import may_list
from aurora.kube.client import KubeClient
from aurora.kube.control import ControlSwitch
from aurora.kube.kinds import DEPLOYMENT, LEASE, Ref
from aurora.kube.lease import LeaderLease
from aurora.kube.writer import Writer
from aurora.resources.names import FINALIZER

__all__ = ["uninstall_all"]

LEASE_WAIT_S: Final = 60.0
"""A killed operator's Lease lapses after 15 s; one that is stopped takes up to 30 s to end."""
Say = Callable[[str], object]


async def uninstall_all(
    settings: Settings,
    *,
    say: Say,
    stop_operator: str = "",
    lease_wait_s: float = LEASE_WAIT_S,
) -> int:
    """Restore all ModelDeployments that hold something; returns how many failed.

    It holds the leader Lease meanwhile, so that no operator acts on what was just restored.

    Args:
        settings: where the cluster is, and the operator's namespace.
        say: told of each step.
        stop_operator: a Deployment in the operator's namespace that is scaled to zero first; its
            Lease is deleted in the end.
        lease_wait_s: how long to wait for the Lease.

    Raises:
        ClusterError: an operator still holds the Lease, or the API server refused.
    """
    async with KubeClient(connection_of(settings)) as client:
        if stop_operator:
            await _stop(client, Ref(DEPLOYMENT, settings.namespace, stop_operator), say)
        async with _leading(client, settings.namespace, lease_wait_s) as lease:
            restorer = _restorer(client, lease, settings)
            held = await _held(client, settings.watch_namespaces)
            failures = sum([await _restore(restorer, raw, say) for raw in held])
        if stop_operator and not failures:
            await _forget_lease(client, Ref(LEASE, settings.namespace, LEASE_NAME))
        return failures


async def _forget_lease(client: KubeClient, ref: Ref) -> None:
    """The operator's Lease goes with it, unless somebody took it meanwhile: nobody else would."""
    found = await client.get(ref)
    if found is None or (found.get("spec") or {}).get("holderIdentity"):
        return
    metadata = found["metadata"]
    with suppress(NotFoundError, ConflictError):
        await client.delete(ref, uid=metadata["uid"], resource_version=metadata["resourceVersion"])


def _restorer(client: KubeClient, lease: LeaderLease, settings: Settings) -> Restorer:
    switch = ControlSwitch(client, namespace=settings.namespace)
    writer = Writer(client, fence=lease, switch=switch)
    images = CacheImages(settings.cache_image, settings.cache_exporter_image or None)
    cache = CacheActuator(client, writer, images, namespaces=settings.watch_namespaces)
    effects = Effects(client, writer, cache)
    return Restorer(client, writer, effects)


async def _stop(client: KubeClient, ref: Ref, say: Say) -> None:
    patch = [{"op": "add", "path": "/spec/replicas", "value": 0}]
    try:
        await client.patch_json(ref, patch, subresource="scale")
    except NotFoundError:
        say(f"{ref} does not exist: no operator to stop")
    else:
        say(f"{ref} is scaled to zero")


@asynccontextmanager
async def _leading(client: KubeClient, namespace: str, wait_s: float) -> AsyncIterator[LeaderLease]:
    ref = Ref(LEASE, namespace, LEASE_NAME)
    identity = f"uninstall_{socket.gethostname()}_{os.getpid()}"
    lease = LeaderLease(client, ref, identity=identity)
    deadline = time.monotonic() + wait_s
    while not await lease.try_acquire():
        if time.monotonic() >= deadline:
            raise ClusterError(
                f"{ref} could not be taken within {wait_s:g} s: stop the operator first, "
                "or name its Deployment with --stop-operator"
            )
        await asyncio.sleep(0.5)
    keeping = asyncio.create_task(lease.keep(), name="lease")
    try:
        yield lease
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


async def _held(client: KubeClient, namespaces: tuple[str, ...]) -> list[dict[str, Any]]:
    """ModelDeployments and RoutingPolicies that something of ours is in force for."""
    listings = [
        await client.list(kind, namespace=one)
        for kind in SUBJECT_KINDS
        if await may_list(client, kind, namespaces)
        for one in namespaces or ("",)
    ]
    return [
        {**raw, "kind": listing.kind.kind}
        for listing in listings
        for raw in listing.items
        if FINALIZER in (raw["metadata"].get("finalizers") or [])
    ]


async def _restore(restorer: Restorer, raw: dict[str, Any], say: Say) -> bool:
    """Restore one; returns whether it failed."""
    name = f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
    try:
        await restorer.restore(parse_subject(raw))
    except AuroraError as error:
        say(f"not restored {name}: {error}")
        return True
    say(f"restored {name}")
    return False
