"""The leader Lease: who may write, by a clock that no other machine sets.

Times written by another holder are never compared with ours, so clock skew between machines does
not matter; only a difference in clock *rate* would (client-go's leaderelection makes the same
promise). A holder stops believing in its lease `RENEW_DEADLINE_S` after the *start* of its last
successful renewal, which is before any rival, who counts the whole duration from when it *saw*
that renewal, may take it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aurora.errors import ClusterError, ConflictError, NotFoundError
from aurora.kube.client import KubeClient
from aurora.kube.jsonpatch import Operation
from aurora.kube.kinds import LEASE, Ref

__all__ = ["LeaderLease", "boot_clock"]

DURATION_S = 15.0
RENEW_DEADLINE_S = 10.0
RETRY_S = 2.0
"""client-go's defaults: 15 s, 10 s and 2 s."""


def boot_clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system has such a clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class _Record:
    """A Lease as read, and when (on our clock) it was last seen to change."""

    uid: str
    version: str
    spec: Mapping[str, Any]
    seen_at: float

    @property
    def holder(self) -> str:
        value = self.spec.get("holderIdentity")
        return value if isinstance(value, str) else ""

    def expires_at(self, default_s: float) -> float:
        return self.seen_at + (_count(self.spec.get("leaseDurationSeconds")) or default_s)


class LeaderLease:
    """Takes, renews and gives back the Lease.

    Attributes:
        identity: unique per process, not per machine: a restarted process is another holder.
        changes: how often this process won or lost it.
    """

    def __init__(  # noqa: PLR0913
        self,
        client: KubeClient,
        ref: Ref,
        *,
        identity: str,
        duration_s: float = DURATION_S,
        renew_deadline_s: float = RENEW_DEADLINE_S,
        clock: Callable[[], float] = boot_clock,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if ref.kind is not LEASE or not renew_deadline_s < duration_s:
            raise ValueError("the renew deadline must be shorter than the Lease's duration")
        self.identity = identity
        self._client = client
        self._ref = ref
        self._duration_s = duration_s
        self._deadline_s = renew_deadline_s
        self._clock = clock
        self._now = now
        self._renewed_at: float | None = None
        self._record: _Record | None = None

    def remaining_s(self) -> float:
        """Seconds for which this process may still write; 0 when it does not hold the Lease."""
        if self._renewed_at is None:
            return 0.0
        return max(0.0, self._renewed_at + self._deadline_s - self._clock())

    def held(self) -> bool:
        """Tell whether this process may write now; asks the clock alone, never the network."""
        return self.remaining_s() > 0

    async def try_acquire(self) -> bool:
        """Renew the Lease, or take it when it is free or has not moved for its duration.

        Returns:
            Whether it is held now. A refusal or an unreachable server is False, not an error:
            what was held before stays held until its deadline.
        """
        started = self._clock()
        try:
            won = await self._attempt(started)
        except ConflictError:
            won = False
        except ClusterError:
            return self.held()
        self._renewed_at = started if won else None
        return won

    async def release(self) -> None:
        """Give the Lease back, so that a spare need not wait for it to run out."""
        mine, self._renewed_at = self.held(), None
        record = self._record
        if not mine or record is None:
            return
        try:
            await self._write(record, {"holderIdentity": "", "leaseDurationSeconds": 1})
        except ClusterError:
            return

    async def keep(
        self,
        *,
        retry_s: float = RETRY_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take and renew forever; gives the Lease back when cancelled."""
        try:
            while True:
                await self.try_acquire()
                await sleep(retry_s)
        finally:
            await asyncio.shield(self.release())

    async def _attempt(self, started: float) -> bool:
        if self.held() and await self._renew():
            return True
        found = await self._client.get(self._ref, timeout_s=self._timeout_s)
        if found is None:
            return await self._make(started)
        # Seen when the answer is here: by then the holder's own clock has long been running.
        seen = self._clock()
        record = self._observe(found, seen)
        free = not record.holder or seen >= record.expires_at(self._duration_s)
        if record.holder != self.identity and not free:
            return False
        await self._write(record, self._spec(record))
        return True

    async def _renew(self) -> bool:
        """Renew what is held without reading it first; False when it changed meanwhile."""
        record = self._record
        if record is None or record.holder != self.identity:
            return False
        try:
            await self._write(record, self._spec(record))
        except (ConflictError, NotFoundError):
            return False
        return True

    async def _make(self, started: float) -> bool:
        """Make the Lease anew, but not before one that was deleted has run out."""
        last = self._record
        foreign = last is not None and last.holder not in {"", self.identity}
        if last is not None and foreign and started < last.expires_at(self._duration_s):
            return False
        answer = await self._client.create(LEASE, self._manifest(), timeout_s=self._timeout_s)
        self._observe(answer, self._clock())
        return True

    @property
    def _timeout_s(self) -> float:
        # A request may hang: it must not outlive the belief that it is to renew.
        return max(0.1, self._deadline_s / 2)

    def _observe(self, found: dict[str, Any], at: float) -> _Record:
        metadata = found["metadata"]
        spec = found.get("spec") or {}
        last = self._record
        unchanged = last is not None and last.uid == metadata["uid"] and dict(last.spec) == spec
        seen_at = last.seen_at if last is not None and unchanged else at
        self._record = _Record(metadata["uid"], metadata["resourceVersion"], spec, seen_at)
        return self._record

    async def _write(self, record: _Record, spec: dict[str, Any]) -> None:
        operations: list[Operation] = [
            {"op": "test", "path": "/metadata/uid", "value": record.uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": record.version},
            {"op": "add", "path": "/spec", "value": {**record.spec, **spec}},
        ]
        answer = await self._client.patch_json(self._ref, operations, timeout_s=self._timeout_s)
        self._observe(answer, self._clock())

    def _spec(self, record: _Record | None) -> dict[str, Any]:
        at = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._duration_s)),
            "renewTime": at,
        }
        if record is None or record.holder != self.identity:
            transitions = 0 if record is None else _count(record.spec.get("leaseTransitions"))
            spec |= {"acquireTime": at, "leaseTransitions": transitions + (record is not None)}
        return spec

    def _manifest(self) -> dict[str, Any]:
        metadata = {"name": self._ref.name, "namespace": self._ref.namespace}
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": metadata,
            "spec": self._spec(None),
        }


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
