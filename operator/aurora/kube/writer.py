"""The gate that every write passes, rollbacks included.

In this order, before each write:

1. Something differs. What would change nothing is not sent.
2. This process holds the leader Lease, by its own clock.
3. The kill switch is off: the ConfigMap `aurora-control` is read, and absent or unreadable counts
   as set. It stops every write to what AURORA acts on, so a change in force stays in force.
   Objects of AURORA's own group and Events are still written: they tell of the stop, list the
   open changes with their undo, and change nothing that serves a request.
4. The Lease is still held: reading the switch took time.

A request may last no longer than the Lease is held, so that none arrives after a rival took over.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aurora.errors import ClusterError
from aurora.kube.client import KubeClient
from aurora.kube.differs import apply_changes
from aurora.kube.jsonpatch import Operation
from aurora.kube.kinds import EVENT, Kind, Ref, ref_of
from aurora.kube.switch import Switch
from aurora.kube.transport import REQUEST_TIMEOUT_S
from aurora.resources.names import FIELD_MANAGER, GROUP

__all__ = ["Fence", "KillSwitch", "NotLeaderError", "StoppedError", "WriteHeldError", "Writer"]


class WriteHeldError(ClusterError):
    """The gate let a write not pass; nothing was sent."""


class NotLeaderError(WriteHeldError):
    """Another process may be the leader."""


class StoppedError(WriteHeldError):
    """The kill switch is set or cannot be read; the text says which and what to do."""


class Fence(Protocol):
    """Who may write, for how long; `aurora.kube.lease.LeaderLease` is one."""

    def remaining_s(self) -> float: ...


class KillSwitch(Protocol):
    """Read before every write; `aurora.kube.control.ControlSwitch` is one."""

    async def read(self) -> Switch: ...


class Writer:
    """Writes through the gate.

    Every method raises NotLeaderError or StoppedError when the gate is shut, and otherwise what
    `KubeClient` raises. None means that nothing differed and nothing was sent.
    """

    def __init__(self, client: KubeClient, *, fence: Fence, switch: KillSwitch) -> None:
        self._client = client
        self._fence = fence
        self._switch = switch

    async def patch_json(
        self,
        ref: Ref,
        operations: Sequence[Operation],
        *,
        subresource: str = "",
        field_manager: str = FIELD_MANAGER,
    ) -> dict[str, Any] | None:
        """Send a JSON Patch; None when it has nothing but `test` operations.

        Raises:
            ConflictError: a `test` does not hold: read and decide again.
        """
        if all(operation.get("op") == "test" for operation in operations):
            return None
        timeout = await self._pass(ref.kind)
        return await self._client.patch_json(
            ref,
            operations,
            subresource=subresource,
            field_manager=field_manager,
            timeout_s=timeout,
        )

    async def apply(
        self,
        kind: Kind,
        manifest: dict[str, Any],
        *,
        field_manager: str = FIELD_MANAGER,
        existing: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """Apply an object that AURORA creates; None when the live object already agrees.

        Args:
            kind: its kind.
            manifest: the wanted object, every field that AURORA owns.
            field_manager: one for each actuator.
            existing: the live object when the caller has just read it; else it is read here.
        """
        live = existing or await self._client.get(ref_of(kind, manifest))
        if live is not None and not apply_changes(manifest, live, field_manager=field_manager):
            return None
        timeout = await self._pass(kind)
        return await self._client.apply(
            kind, manifest, field_manager=field_manager, existing=live, timeout_s=timeout
        )

    async def create(
        self, kind: Kind, manifest: dict[str, Any], *, field_manager: str = FIELD_MANAGER
    ) -> dict[str, Any]:
        """Create an object; ConflictError when it exists."""
        timeout = await self._pass(kind)
        return await self._client.create(
            kind, manifest, field_manager=field_manager, timeout_s=timeout
        )

    async def delete(self, ref: Ref, *, uid: str, resource_version: str = "") -> None:
        """Delete exactly the object that was read."""
        timeout = await self._pass(ref.kind)
        await self._client.delete(
            ref, uid=uid, resource_version=resource_version, timeout_s=timeout
        )

    async def replace_status(
        self, ref: Ref, status: Mapping[str, Any], *, found: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Write a status that is made anew from what is observed; None when it already agrees.

        As `patch_status`, a tenth cheaper for the API server, which need not write the object down
        to patch it. A field that only a newer AURORA knows is lost until that one writes again.

        Returns:
            The object's metadata as the write left it.

        Raises:
            ValueError: the object is not of AURORA's group.
        """
        _require_ours(ref)
        if (found.get("status") or {}) == status:
            return None
        metadata = {"name": ref.name, "namespace": ref.namespace, **_guard(found)}
        timeout = await self._pass(ref.kind)
        return await self._client.replace(
            ref, {"metadata": metadata, "status": status}, subresource="status", timeout_s=timeout
        )

    async def patch_status(
        self, ref: Ref, status: Mapping[str, Any], *, found: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Write the status of an object of AURORA's own group; None when it already agrees.

        Args:
            ref: the object.
            status: the whole status; a field that `found` has and this lacks is removed.
            found: the object as read; its uid and resourceVersion guard the write.

        Returns:
            The object's metadata as the write left it.

        Raises:
            ValueError: the object is not of AURORA's group.
        """
        _require_ours(ref)
        before = found.get("status") or {}
        if before == status:
            return None
        patch = _merge_patch(before, status)
        timeout = await self._pass(ref.kind)
        body = {"metadata": _guard(found), "status": patch}
        return await self._client.patch_merge(
            ref, body, subresource="status", timeout_s=timeout, metadata_only=True
        )

    async def patch_metadata(
        self, ref: Ref, metadata: Mapping[str, Any], *, uid: str, resource_version: str
    ) -> dict[str, Any] | None:
        """Merge annotations or finalizers into an object of AURORA's own group.

        Args:
            ref: the object.
            metadata: what differs; a list is replaced whole. Nothing is sent when it is empty.
            uid: of the object as it is known.
            resource_version: of the object as it is known; what was written since is a conflict.

        Returns:
            The object's metadata as the write left it.

        Raises:
            ConflictError: the object is another one, or was written since.
            ValueError: the object is not of AURORA's group, or nothing would be guarded.
        """
        if ref.kind.group != GROUP or not uid or not resource_version:
            raise ValueError(f"{ref} cannot be patched as a whole: not ours, or not guarded")
        if not metadata:
            return None
        guard = {"uid": uid, "resourceVersion": resource_version}
        timeout = await self._pass(ref.kind)
        return await self._client.patch_merge(
            ref, {"metadata": {**metadata, **guard}}, timeout_s=timeout, metadata_only=True
        )

    async def _pass(self, kind: Kind) -> float:
        """Pass the gate; the answer is the request's time limit in seconds."""
        self._require_lease()
        if _acts(kind):
            switch = await self._switch.read()
            if switch.stopped:
                raise StoppedError(switch.detail)
        return min(REQUEST_TIMEOUT_S, self._require_lease())

    def _require_lease(self) -> float:
        remaining = self._fence.remaining_s()
        if remaining <= 0:
            raise NotLeaderError("this process does not hold the leader Lease: nothing is written")
        return remaining


def _require_ours(ref: Ref) -> None:
    if ref.kind.group != GROUP:
        raise ValueError(f"{ref.kind} is not of the group {GROUP}: its status is not ours")


def _guard(found: Mapping[str, Any]) -> dict[str, str]:
    metadata = found["metadata"]
    return {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}


def _merge_patch(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Merge Patch (RFC 7386) that makes `wanted` of `before`, at every depth.

    A nested field that is only left out would stay: the status would never agree with what was
    written, and would be written again in every cycle.
    """
    patch: dict[str, Any] = {key: None for key in before if key not in wanted}
    for key, value in wanted.items():
        known = before.get(key)
        nested = isinstance(known, Mapping) and isinstance(value, Mapping)
        patch[key] = _merge_patch(known or {}, value) if nested else value
    return patch


def _acts(kind: Kind) -> bool:
    return kind.group != GROUP and kind != EVENT
