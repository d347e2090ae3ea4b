"""Targets of kinds that no watch covers, read by their subresource `scale`."""

import asyncio
from collections.abc import Mapping

from aurora.kube.client import KubeClient
from aurora.kube.kinds import Ref
from aurora.observe.facts import WorkloadFacts, WorkloadKey
from aurora.observe.projections import scalable

__all__ = ["read_targets"]


async def read_targets(
    client: KubeClient, targets: Mapping[WorkloadKey, str]
) -> dict[WorkloadKey, WorkloadFacts]:
    """Read targets given with their apiVersion; what is absent or cannot scale is left out.

    Raises:
        ClusterError: the API server refused, or could not be reached.
    """
    found = await asyncio.gather(*(_read(client, key, at) for key, at in targets.items()))
    return {facts.key: facts for facts in found if facts is not None}


async def _read(client: KubeClient, key: WorkloadKey, api_version: str) -> WorkloadFacts | None:
    kind = await client.resolve(api_version, key.kind)
    if kind is None:
        return None
    scale = await client.get(Ref(kind, key.namespace, key.name), "scale")
    return None if scale is None else scalable(scale, key=key, api_version=api_version)
