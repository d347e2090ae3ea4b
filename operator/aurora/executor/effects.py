"""Brings changes into force, whatever happened before: idempotent and safe to repeat."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aurora.errors import ConflictError, NotFoundError
from aurora.executor.cache import CacheActuator, CacheStep
from aurora.executor.changes import (
    Change,
    ObjectRef,
    Progress,
    beside,
    by_object,
    fields,
    progress,
)
from aurora.executor.landings import Landings
from aurora.executor.originals import last_decision
from aurora.executor.plan import Plan, ref_of_change
from aurora.kube.client import KubeClient
from aurora.kube.jsonpatch import guarded
from aurora.kube.writer import Writer

__all__ = ["Effects", "Result", "Tag"]

_ATTEMPTS = 3


class Result(StrEnum):
    """How bringing changes into force ended."""

    DONE = "Done"
    FOREIGN = "Foreign"
    """Somebody else set another value meanwhile: nothing was overwritten."""
    GONE = "Gone"
    """An object no longer exists, or was made anew."""


@dataclass(slots=True)
class Tag:
    """What is told of a decision on the objects that it changes, in the patch that changes them.

    Attributes:
        text: the annotation `aurora.dev/last-decision`.
        on: the objects that carry it now; a subresource has no annotations.
    """

    text: str
    on: set[ObjectRef] = field(default_factory=set)


class Effects:
    """Applies plans through the gate of `Writer`.

    Every object is read right before it is written: what is in force already is not written
    again, and a value that somebody else set is never overwritten.
    """

    def __init__(
        self,
        client: KubeClient,
        writer: Writer,
        cache: CacheActuator,
        landings: Landings | None = None,
    ) -> None:
        self._client = client
        self._writer = writer
        self._cache = cache
        self._landings = landings if landings is not None else Landings()

    async def bring_about(self, plan: Plan, tag: Tag | None = None) -> Result:
        """Apply the plan's own objects, then its changes, in order.

        Args:
            plan: what to write.
            tag: written along with the changes; it is noted where it stands then.

        Raises:
            ConfigurationError: a precondition is not met; the text says what to change.
            ForbiddenError: RBAC, quota or admission refused; repeating does not help.
            UnavailableError: no answer; repeat later.
            WriteHeldError: the kill switch is set or the Lease is lost; repeat later.
        """
        if plan.cache is not None:
            return await self._take(plan.cache)
        for kind, manifest in plan.manifests:
            await self._writer.apply(kind, dict(manifest))
        for (ref, subresource), group in by_object(plan.changes).items():
            result = await self._one(ref, subresource, group, tag)
            if result is not Result.DONE:
                return result
        return Result.DONE

    async def _take(self, step: CacheStep) -> Result:
        try:
            await self._cache.take(step)
        except NotFoundError:
            return Result.GONE
        return Result.DONE

    async def _one(
        self, ref: ObjectRef, subresource: str, group: Sequence[Change], tag: Tag | None
    ) -> Result:
        for attempt in range(_ATTEMPTS):
            try:
                return await self._once(ref, subresource, group, tag)
            except NotFoundError:
                return Result.GONE
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
        return Result.FOREIGN

    async def _once(
        self, ref: ObjectRef, subresource: str, group: Sequence[Change], tag: Tag | None
    ) -> Result:
        found = await self._client.get(ref_of_change(ref), subresource)
        if found is None or (ref.uid and found["metadata"]["uid"] != ref.uid):
            return Result.GONE
        state = progress(group, found)
        if state is Progress.APPLIED:
            return Result.DONE
        if state is Progress.FOREIGN:
            return Result.FOREIGN
        pending = [one for one in group if progress([one], found) is Progress.PENDING]
        version = found["metadata"]["resourceVersion"]
        uid = found["metadata"]["uid"]
        told = [last_decision(found, tag.text)] if tag is not None and not subresource else []
        patch = guarded(
            uid=uid,
            resource_version=version,
            changes=[*fields(pending), *told],
            beside=beside(pending, found),
        )
        written = await self._writer.patch_json(ref_of_change(ref), patch, subresource=subresource)
        self._landings.note(uid, written)
        if tag is not None and told:
            tag.on.add(ref)
        return Result.DONE
