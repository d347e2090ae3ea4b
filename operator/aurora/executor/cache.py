"""CACHE: arms and disarms the sidecar by one patch, and switches it by a file of a ConfigMap."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurora.cachesidecar.arming import arm, disarm, is_armed
from aurora.cachesidecar.manifests import added_requests, config_map
from aurora.cachesidecar.preconditions import ArmingFacts, check_preconditions
from aurora.cachesidecar.room import surge_room
from aurora.cachesidecar.settings import CacheSettings
from aurora.critic.ledger import LedgerEntry
from aurora.errors import ConfigurationError, ConflictError, NotFoundError, UsageError
from aurora.executor.changes import Change, ObjectRef
from aurora.kube.client import KubeClient
from aurora.kube.jsonpatch import ABSENT
from aurora.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    NETWORK_POLICY,
    NODE,
    POD,
    SERVICE,
    Kind,
    Ref,
)
from aurora.kube.writer import Writer
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.resources.serving import Cache
from aurora.resources.vocabulary import NodeProvisioning

__all__ = [
    "ARMED_PATH",
    "CacheActuator",
    "CacheImages",
    "CacheStep",
    "announced",
    "cache_step",
    "opposite",
]

ARMED_PATH = "/metadata/annotations/aurora.dev~1cache-sidecar"
"""Stands for the whole arming among the changes of a Decision: the annotation is its record."""
FIELD_MANAGER = "aurora-cache"
_ATTEMPTS = 3
_OPPOSITE = {
    Direction.ARM: Direction.DISARM,
    Direction.DISARM: Direction.ARM,
    Direction.ON: Direction.OFF,
    Direction.OFF: Direction.ON,
}


@dataclass(frozen=True, slots=True)
class CacheImages:
    """Images of the sidecar and its exporter; without the latter repeats are not counted."""

    cache: str
    exporter: str | None


@dataclass(frozen=True, slots=True)
class CacheStep:
    """One step of one Deployment's cache."""

    direction: Direction
    namespace: str
    deployment: str
    uid: str
    service: str
    spec: Cache
    on_demand_nodes: bool


def cache_step(entry: LedgerEntry, observation: ModelObservation) -> CacheStep:
    """The step that a decision asks for.

    Raises:
        ConfigurationError: the target is gone.
    """
    target, spec = observation.target, observation.model.spec
    if target is None:
        raise ConfigurationError(f"{entry.model.name} has no target any more")
    scaling = spec.scaling
    return CacheStep(
        direction=entry.direction,
        namespace=observation.key.namespace,
        deployment=target.key.name,
        uid=target.uid,
        service=spec.service_ref.name,
        spec=spec.cache,
        on_demand_nodes=scaling is not None and scaling.node_provisioning is NodeProvisioning.AUTO,
    )


def opposite(direction: Direction) -> Direction:
    """What takes a step back."""
    return _OPPOSITE[direction]


def announced(step: CacheStep) -> tuple[Change, ...]:
    """The step among a Decision's changes; only arming changes an object of somebody else."""
    ref = ObjectRef("apps/v1", "Deployment", step.namespace, step.deployment, step.uid)
    if step.direction is Direction.ARM:
        return (Change(ref, ARMED_PATH, ABSENT, "armed"),)
    if step.direction is Direction.DISARM:
        return (Change(ref, ARMED_PATH, "armed", ABSENT),)
    return ()


class CacheActuator:
    """Does one step; each is safe to repeat, since the objects are read first."""

    def __init__(
        self,
        client: KubeClient,
        writer: Writer,
        images: CacheImages,
        *,
        namespaces: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._writer = writer
        self._images = images
        self._namespaces = namespaces

    async def take(self, step: CacheStep) -> None:
        """Take the step.

        Raises:
            ConfigurationError: a precondition is not met; the text says what to change.
            NotFoundError: the Deployment is gone.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return await self._once(step)
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
        return None

    async def _once(self, step: CacheStep) -> None:
        ref = Ref(DEPLOYMENT, step.namespace, step.deployment)
        deployment = await self._client.get(ref)
        if deployment is None or deployment["metadata"]["uid"] != step.uid:
            raise NotFoundError(f"{ref} is gone or was made anew")
        if step.direction is Direction.ARM:
            await self._arm(step, ref, deployment)
        elif step.direction is Direction.DISARM:
            await self._disarm(ref, deployment)
        else:
            await self._switch(step, deployment, on=step.direction is Direction.ON)

    async def _arm(self, step: CacheStep, ref: Ref, deployment: dict[str, Any]) -> None:
        service = await self._service(step)
        settings = self._settings(step.spec)
        if not is_armed(deployment):
            facts = await self._facts(step, deployment, settings)
            refusals = check_preconditions(deployment, service, settings, facts)
            if refusals:
                raise ConfigurationError("; ".join(one.message for one in refusals))
        try:
            plan = arm(deployment, service, settings)
        except UsageError as error:
            raise ConfigurationError(str(error)) from None
        await self._apply_config(deployment, settings, upstream_port=plan.upstream_port, on=False)
        await self._writer.patch_json(ref, plan.operations, field_manager=FIELD_MANAGER)

    async def _disarm(self, ref: Ref, deployment: dict[str, Any]) -> None:
        try:
            plan = disarm(deployment)
        except UsageError as error:
            raise ConfigurationError(str(error)) from None
        await self._writer.patch_json(ref, plan.operations, field_manager=FIELD_MANAGER)

    async def _switch(self, step: CacheStep, deployment: dict[str, Any], *, on: bool) -> None:
        if not is_armed(deployment):
            raise ConfigurationError(f"{step.deployment} has no cache sidecar: arm it first")
        settings = self._settings(step.spec)
        try:
            plan = arm(deployment, await self._service(step), settings)
        except UsageError as error:
            raise ConfigurationError(str(error)) from None
        await self._apply_config(deployment, settings, upstream_port=plan.upstream_port, on=on)

    async def _apply_config(
        self,
        deployment: Mapping[str, Any],
        settings: CacheSettings,
        *,
        upstream_port: int,
        on: bool,
    ) -> None:
        manifest = config_map(deployment, settings, upstream_port=upstream_port, on=on)
        await self._writer.apply(CONFIG_MAP, dict(manifest), field_manager=FIELD_MANAGER)

    async def _service(self, step: CacheStep) -> dict[str, Any]:
        service = await self._client.get(Ref(SERVICE, step.namespace, step.service))
        if service is None:
            raise ConfigurationError(f"Service {step.service} does not exist")
        return service

    async def _facts(
        self, step: CacheStep, deployment: Mapping[str, Any], settings: CacheSettings
    ) -> ArmingFacts:
        """Read what only arming has to know; it happens once in a Deployment's life."""
        version = await self._client.version()
        policies = await self._listed(NETWORK_POLICY)
        if step.on_demand_nodes:
            return ArmingFacts(version, policies)
        nodes, pods = await asyncio.gather(self._client.list(NODE), self._listed(POD))
        room = surge_room(
            deployment["spec"]["template"]["spec"],
            extra=added_requests(settings),
            nodes=nodes.items,
            pods=pods,
        )
        return ArmingFacts(version, policies, room)

    async def _listed(self, kind: Kind) -> list[dict[str, Any]]:
        """Of the namespaces that are worked in: pods elsewhere are not seen, their room is."""
        places = self._namespaces or ("",)
        return [one for at in places for one in (await self._client.list(kind, namespace=at)).items]

    def _settings(self, spec: Cache) -> CacheSettings:
        try:
            return CacheSettings(
                ttl_s=max(1, round(spec.ttl.total_seconds())),
                max_size_bytes=spec.max_size,
                paths=spec.paths,
                sampled=spec.sampled,
                image=self._images.cache,
                exporter_image=self._images.exporter,
            )
        except UsageError as error:
            raise ConfigurationError(f"spec.cache cannot be used: {error}") from None
