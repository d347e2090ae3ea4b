"""Gives objects back as they were found: on deletion of a ModelDeployment and on uninstall."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from aurora.errors import AuroraError, ConflictError
from aurora.executor.cache import ARMED_PATH, CacheStep
from aurora.executor.changes import Change, by_object, read
from aurora.executor.effects import Effects, Result
from aurora.executor.originals import originals_of, release
from aurora.executor.plan import Plan, ref_of_change
from aurora.executor.subjects import Subject, ref_of_object
from aurora.kube.client import KubeClient
from aurora.kube.writer import Writer
from aurora.observe.snapshot import FleetSnapshot
from aurora.planner.decision import Direction
from aurora.resources import ModelDeployment
from aurora.resources.names import FINALIZER
from aurora.resources.vocabulary import DeletionPolicy

__all__ = ["Restorer"]

log = structlog.get_logger(__name__)


class Restorer:
    """Writes back what stood there before the first change, and takes the finalizer off."""

    def __init__(self, client: KubeClient, writer: Writer, effects: Effects) -> None:
        self._client = client
        self._writer = writer
        self._effects = effects

    async def restore_deleted(self, snapshot: FleetSnapshot) -> None:
        """Let every ModelDeployment go that is being deleted and still holds our finalizer."""
        for key, one in snapshot.models.items():
            metadata = one.model.metadata
            if metadata.deletion_timestamp is None or FINALIZER not in metadata.finalizers:
                continue
            try:
                await self.restore(one.routing.policy if one.routing is not None else one.model)
            except AuroraError as error:
                log.warning("a target was not restored yet", model=str(key), why=str(error))

    async def restore(self, model: Subject) -> None:
        """Write the old values back, unless its policy is Keep, and forget them.

        Raises:
            AuroraError: something is not restored yet; the finalizer stays for the next try.
        """
        if model.spec.deletion_policy is DeletionPolicy.RESTORE:
            kept = tuple(originals_of(model).values())
            for change in kept:
                if change.path == ARMED_PATH and isinstance(model, ModelDeployment):
                    await self._effects.bring_about(Plan(cache=_disarming(model, change)))
            leaves = tuple(change for change in kept if change.path != ARMED_PATH)
            result = await self._effects.bring_about(Plan(await self._current(leaves)))
            if result is Result.FOREIGN:
                raise ConflictError("the target changed while it was restored: it is tried again")
        ref = ref_of_object(model)
        found = await self._client.get(ref)
        if found is None:
            return
        patch = release(found)
        if patch:
            await self._writer.patch_json(ref, patch)

    async def _current(self, kept: Sequence[Change]) -> tuple[Change, ...]:
        """The way from what stands there now to what was found first.

        What a user set since then is overwritten too: Restore means the values from before.
        """
        made: list[Change] = []
        for (ref, subresource), group in by_object(kept).items():
            found = await self._client.get(ref_of_change(ref), subresource)
            if found is None or found["metadata"]["uid"] != ref.uid:
                continue
            made += [replace(one, before=read(found, one.path)) for one in group]
        return tuple(made)


def _disarming(model: ModelDeployment, change: Change) -> CacheStep:
    return CacheStep(
        direction=Direction.DISARM,
        namespace=change.ref.namespace,
        deployment=change.ref.name,
        uid=change.ref.uid,
        service=model.spec.service_ref.name,
        spec=model.spec.cache,
        on_demand_nodes=False,
    )
