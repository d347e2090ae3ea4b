"""Kubernetes Events for what AURORA decided and did, repeats counted instead of repeated."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from aurora.errors import NotFoundError
from aurora.kube.client import KubeClient
from aurora.kube.kinds import EVENT, Ref
from aurora.kube.writer import Fence, NotLeaderError

__all__ = ["EventRecorder"]

SERIES_WINDOW: Final = timedelta(minutes=6)
"""A repeat within it joins the series; client-go's window."""
SERIES_INTERVAL: Final = timedelta(minutes=1)
"""A series is written at most this often, so that a hot reason costs one write a minute."""
REMEMBERED: Final = 4096

_LONGEST_NOTE = 1024
_LONGEST_WORD = 128
_CLUSTER_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class _Series:
    ref: Ref
    count: int
    seen_at: datetime
    written_at: datetime


class EventRecorder:
    """Writes Events of the group events.k8s.io; the leader alone writes them.

    Two Events are the same when object, type, reason, action and note are.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        fence: Fence,
        instance: str,
        component: str = "aurora.dev/operator",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._fence = fence
        self._instance = instance
        self._component = component
        self._now = now
        self._series: OrderedDict[str, _Series] = OrderedDict()

    async def record(  # noqa: PLR0913
        self,
        regarding: Ref,
        *,
        uid: str,
        reason: str,
        note: str,
        action: str,
        kind: Literal["Normal", "Warning"] = "Normal",
        related: Ref | None = None,
    ) -> None:
        """Record one occurrence.

        Args:
            regarding: the object that the Event is about; `kubectl describe` shows it there.
            uid: its uid.
            reason: CamelCase, from `aurora.reasons`.
            note: a sentence; cut at 1,024 characters.
            action: what was done, for example SCALE.
            kind: the Event's type.
            related: another object that takes part.

        Raises:
            NotLeaderError: this process may not write.
            ClusterError: the API server refused.
        """
        if self._fence.remaining_s() <= 0:
            raise NotLeaderError("this process does not hold the leader Lease: no Event is written")
        now = self._now()
        key = _key(str(regarding), uid, kind, reason, action, note)
        series = self._series.pop(key, None)
        if series is not None and now - series.seen_at < SERIES_WINDOW:
            series = await self._repeat(replace(series, count=series.count + 1, seen_at=now))
        else:
            series = None
        if series is None:
            body = self._body(regarding, uid=uid, reason=reason, note=note, kind=kind)
            series = await self._first(key, body, action=action, related=related)
        self._series[key] = series
        while len(self._series) > REMEMBERED:
            self._series.popitem(last=False)

    async def _repeat(self, series: _Series) -> _Series | None:
        """Count a repeat; None when the Event is gone and has to be made anew."""
        if series.seen_at - series.written_at < SERIES_INTERVAL:
            return series
        patch = {"series": {"count": series.count, "lastObservedTime": _micro(series.seen_at)}}
        try:
            await self._client.patch_merge(series.ref, patch)
        except NotFoundError:
            return None
        return replace(series, written_at=series.seen_at)

    async def _first(
        self, key: str, body: dict[str, Any], *, action: str, related: Ref | None
    ) -> _Series:
        now = self._now()
        regarding = body["regarding"]
        namespace = regarding.get("namespace") or _CLUSTER_NAMESPACE
        stamp = hashlib.sha256(f"{key}{now.isoformat()}{self._instance}".encode()).hexdigest()[:16]
        name = f"{regarding['name'][:200]}.{stamp}"
        body |= {
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": _micro(now),
            "action": _cut(action, _LONGEST_WORD),
        }
        if related is not None:
            body["related"] = _reference(related, "")
        await self._client.create(EVENT, body)
        # The first repeat is written at once: `written_at` lies one interval back.
        return _Series(Ref(EVENT, namespace, name), 1, now, now - SERIES_INTERVAL)

    def _body(
        self, regarding: Ref, *, uid: str, reason: str, note: str, kind: str
    ) -> dict[str, Any]:
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "type": kind,
            "reason": _cut(reason, _LONGEST_WORD),
            "note": _cut(note, _LONGEST_NOTE),
            "regarding": _reference(regarding, uid),
            "reportingController": self._component,
            "reportingInstance": _cut(self._instance, _LONGEST_WORD),
        }


def _reference(ref: Ref, uid: str) -> dict[str, str]:
    found = {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind, "name": ref.name}
    if ref.namespace:
        found["namespace"] = ref.namespace
    return found | ({"uid": uid} if uid else {})


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def _cut(text: str, longest: int) -> str:
    """Cut by bytes of UTF-8, as the API server counts, at a character's end."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= longest else raw[: longest - 3].decode("utf-8", "ignore") + "…"


def _micro(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
