"""What a decision leaves on other objects: old values, annotations, Events, messages."""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeGuard

import structlog

from aurora.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError
from aurora.executor.changes import Change, ObjectRef, Progress, by_object, progress
from aurora.executor.lanes import AT_ONCE
from aurora.executor.originals import keep_originals, originals_of, release, remember_decision
from aurora.executor.plan import ref_of_change
from aurora.executor.projections import stored_annotation
from aurora.executor.subjects import (
    SUBJECT_KINDS,
    Subject,
    parse_subject,
    ref_of_subject,
    subject_of,
)
from aurora.kube.client import KubeClient
from aurora.kube.events import EventRecorder
from aurora.kube.jsonpatch import Operation
from aurora.kube.kinds import DECISION, DEPLOYMENT, Kind, Ref
from aurora.kube.writer import Writer
from aurora.observe.facts import ObjectKey
from aurora.resources import DecisionObject
from aurora.resources.names import LAST_DECISION_ANNOTATION

__all__ = ["Keepsakes", "Notifier"]

log = structlog.get_logger(__name__)

_ATTEMPTS = 3
_GOING = "deletionTimestamp"
_UNTOLD: Final = 4096
"""Models whose Events wait; with more, those of the one that waits longest are given up."""


@dataclass(frozen=True, slots=True)
class _Note:
    """An Event that is still to be written."""

    found: DecisionObject
    reason: str
    text: str
    warning: bool


class Notifier(Protocol):
    """Tells people outside of the cluster."""

    async def notify(self, found: DecisionObject) -> None: ...


class Keepsakes:
    """Writes what tells of a decision. Old values are a must; the rest never stops the loop.

    Args:
        seen: takes each ModelDeployment and RoutingPolicy as it was written: the status of the
            same cycle is guarded by its new resourceVersion.
        renewed: takes one whose metadata alone was written, with the object's metadata since.
        known: a ModelDeployment or RoutingPolicy as it is known already. What is written by it
            is guarded by its resourceVersion; where it is out of date, it is read and tried again.
        patches_deployments: whether the rights cover Deployments of a namespace themselves; where
            they end at /scale, the last decision stands on the ModelDeployment alone.
    """

    def __init__(  # noqa: PLR0913
        self,
        client: KubeClient,
        writer: Writer,
        events: EventRecorder,
        notifier: Notifier,
        *,
        seen: Callable[[Kind, Mapping[str, Any]], object],
        renewed: Callable[[Kind, Subject, Mapping[str, Any]], object],
        known: Callable[[ObjectKey], Subject | None] = lambda _: None,
        patches_deployments: Callable[[str], bool] = lambda _: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._writer = writer
        self._events = events
        self._notifier = notifier
        self._seen = seen
        self._renewed = renewed
        self._known = known
        self._patches_deployments = patches_deployments
        self._monotonic = monotonic
        self._owed: dict[Ref, DecisionObject] = {}
        self._untold: dict[ObjectKey, list[_Note]] = {}

    async def keep_originals(
        self, model: ObjectKey, changes: Sequence[Change], *, text: str = ""
    ) -> None:
        """Remember the old values on the ModelDeployment; raises when that is not possible.

        Args:
            model: whose it is.
            changes: what is about to be written.
            text: the last decision, put along with what has to be remembered.
        """
        ref, found = ref_of_subject(model), self._known(model)
        metadata = keep_originals(found, changes, text=text) if found is not None else {}
        for attempt in range(_ATTEMPTS):
            if found is None or not metadata:
                # That it is all remembered is only believed of the object itself.
                found = await self._read(ref)
                metadata = keep_originals(found, changes, text=text)
            try:
                await self._merge(ref, found, metadata)
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
                found = None
            else:
                return

    async def _read(self, ref: Ref) -> Subject:
        found = await self._client.get(ref)
        if found is None:
            raise NotFoundError(f"{ref} is gone")
        return parse_subject(found)

    async def tidy(self, model: ObjectKey) -> None:
        """Let the ModelDeployment go when everything stands as it was found."""
        ref = ref_of_subject(model)
        try:
            found = await self._client.get(ref)
            if found is None:
                return
            kept = tuple(originals_of(parse_subject(found)).values())
            if kept and not await self._restored(kept):
                return
            await self._patch(ref, release(found))
        except ClusterError as error:
            log.info("the old values are still kept", model=str(model), why=str(error))

    async def _restored(self, kept: Sequence[Change]) -> bool:
        for (ref, subresource), group in by_object(kept).items():
            found = await self._client.get(ref_of_change(ref), subresource)
            if found is None or found["metadata"]["uid"] != ref.uid:
                continue
            if progress(group, found) is not Progress.APPLIED:
                return False
        return True

    def annotate(
        self,
        found: DecisionObject,
        changes: Sequence[Change],
        *,
        told: Collection[ObjectRef] = (),
    ) -> None:
        """Have the decision put on the ModelDeployment and on every object that it changed.

        Args:
            found: the decision.
            changes: what it changed.
            told: objects that carry it already, from the write of the change itself.
        """
        self.annotate_model(found)
        for ref in dict.fromkeys(one.ref for one in changes if self._is_open(one)):
            if ref in told:
                self._owed.pop(ref_of_change(ref), None)
            else:
                self._owed[ref_of_change(ref)] = found

    def _is_open(self, change: Change) -> bool:
        """Whether the object itself may be patched, and not a subresource of it alone."""
        if not change.subresource:
            return True
        return change.ref.kind == DEPLOYMENT.kind and self._patches_deployments(
            change.ref.namespace
        )

    def annotate_model(self, found: DecisionObject) -> None:
        """Have the decision put on the ModelDeployment."""
        self._owed[ref_of_subject(subject_of(found))] = found

    def tell(self, found: DecisionObject, *, reason: str, note: str, warning: bool) -> None:
        """Have an Event recorded about the ModelDeployment, related to the Decision."""
        notes = self._untold.setdefault(subject_of(found), [])
        notes.append(_Note(found, str(reason), note, warning))
        if len(self._untold) > _UNTOLD:
            self._untold.pop(next(iter(self._untold)))

    async def catch_up(self, *, for_s: float = math.inf) -> None:
        """Write what tells of decisions, once a cycle, when everything that acts is done.

        Nothing waits for it. An annotation that cannot be written, and whatever there was no time
        for, is tried again in the next cycle; an Event that is refused is not.

        Args:
            for_s: seconds after which nothing more is begun.
        """
        until, owed = self._monotonic() + for_s, list(self._owed)

        async def work() -> None:
            while self._untold and self._monotonic() < until:
                for note in self._untold.pop(next(iter(self._untold))):
                    await self._record(note)
            while owed and self._monotonic() < until:
                ref = owed.pop(0)
                if not await self._annotate(ref, self._owed[ref]):
                    # Its kind may not be written now: the kill switch, or nobody answers.
                    owed[:] = [other for other in owed if other.kind != ref.kind]

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    async def _record(self, note: "_Note") -> None:
        found = note.found
        try:
            await self._events.record(
                ref_of_subject(subject_of(found)),
                uid=found.spec.model_ref.uid,
                reason=note.reason,
                note=note.text,
                action=found.spec.action.value,
                kind="Warning" if note.warning else "Normal",
                related=Ref(DECISION, found.metadata.namespace, found.metadata.name),
            )
        except ClusterError as error:
            log.info("the Event was not written", decision=found.metadata.name, why=str(error))

    async def _annotate(self, ref: Ref, decision: DecisionObject) -> bool:
        """Put the decision on one object; False when it may not even be tried on others now."""
        known = self._known(subject_of(decision)) if ref.kind in SUBJECT_KINDS else None
        text = stored_annotation(decision)
        for _ in range(_ATTEMPTS):
            try:
                if known is not None:
                    await self._merge(ref, known, _news(known, text))
                elif (found := await self._client.get(ref)) is not None:
                    await self._patch(ref, remember_decision(found, text))
            except ConflictError:
                known = None
                continue
            except NotFoundError:
                log.info("the annotation has no object any more", object=str(ref))
            except ForbiddenError as error:
                log.info("the annotation is not written", object=str(ref), why=str(error))
            except ClusterError as error:
                log.info("the annotation waits", object=str(ref), why=str(error))
                return False
            self._owed.pop(ref, None)
            return True
        return True

    def stand_down(self) -> None:
        """Owe nothing any more: whoever leads now may have told of later decisions there."""
        self._owed.clear()
        self._untold.clear()

    async def notify(self, found: DecisionObject) -> None:
        """Tell people outside of the cluster."""
        await self._notifier.notify(found)

    async def _patch(self, ref: Ref, operations: list[Operation]) -> None:
        if operations:
            written = await self._writer.patch_json(ref, operations)
            if ref.kind in SUBJECT_KINDS and _stays(written):
                self._seen(ref.kind, written)

    async def _merge(self, ref: Ref, found: Subject, metadata: Mapping[str, Any]) -> None:
        uid, version = found.metadata.uid, found.metadata.resource_version
        written = await self._writer.patch_metadata(
            ref, metadata, uid=uid, resource_version=version
        )
        if _stays(written):
            self._renewed(ref.kind, found, written)


def _stays(written: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Not of one that goes: it may be gone by now, its event earlier than this answer, or later."""
    return written is not None and not written["metadata"].get(_GOING)


def _news(known: Subject, text: str) -> dict[str, Any]:
    """The metadata that tells of a decision; empty where it stands already."""
    if known.metadata.annotations.get(LAST_DECISION_ANNOTATION) == text:
        return {}
    return {"annotations": {LAST_DECISION_ANNOTATION: text}}
