"""Brings changes into force, whatever happened before: idempotent and safe to repeat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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
from aurora.executor.scale import FLOOR_PATH
from aurora.kube.client import KubeClient
from aurora.kube.jsonpatch import guarded
from aurora.kube.writer import Writer
from aurora.observe.facts import AutoscalerFacts, ObjectKey

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
    again, and a value that somebody else set is never overwritten. Only a floor that is known to
    stand as it was decided on is written at once, guarded by the resourceVersion that it is known
    in; where it was written since, nothing happens and it is read.

    Args:
        landings: takes note of what was written.
        known: an autoscaler as it was seen last, by kind, namespace and name.
    """

    def __init__(
        self,
        client: KubeClient,
        writer: Writer,
        cache: CacheActuator,
        landings: Landings | None = None,
        *,
        known: Callable[[str, ObjectKey], AutoscalerFacts | None] = lambda *_: None,
    ) -> None:
        self._client = client
        self._writer = writer
        self._cache = cache
        self._landings = landings if landings is not None else Landings()
        self._known = known

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
        found = self._as_known(ref, group)
        attempts = _ATTEMPTS if found is None else _ATTEMPTS + 1
        for attempt in range(attempts):
            try:
                return await self._once(ref, subresource, group, tag, found)
            except NotFoundError:
                return Result.GONE
            except ConflictError:
                if attempt == attempts - 1:
                    raise
                found = None
        return Result.FOREIGN

    def _as_known(self, ref: ObjectRef, group: Sequence[Change]) -> dict[str, Any] | None:
        """What is known of an autoscaler, where it tells that all of the change is to be done."""
        known = self._known(ref.kind, ObjectKey(ref.namespace, ref.name))
        if known is None or known.uid != ref.uid or not known.resource_version:
            return None
        if [(one.path, one.before) for one in group] != [(FLOOR_PATH[ref.kind], known.floor)]:
            return None
        annotations = dict(known.annotations) if known.annotated else None
        metadata = {"uid": known.uid, "resourceVersion": known.resource_version}
        parent, field_ = FLOOR_PATH[ref.kind].split("/")[1:]
        return {"metadata": metadata | {"annotations": annotations}, parent: {field_: known.floor}}

    async def _once(
        self,
        ref: ObjectRef,
        subresource: str,
        group: Sequence[Change],
        tag: Tag | None,
        found: dict[str, Any] | None,
    ) -> Result:
        found = found or await self._client.get(ref_of_change(ref), subresource)
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
