"""Endpoints of Services over their slices, and since when a Service has none that is ready."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aurora.kube.kinds import ENDPOINT_SLICE, Kind
from aurora.observe.facts import EndpointFacts, ObjectKey
from aurora.observe.shelf import Shelf, listed
from aurora.observe.traffic import SliceFacts, slice_of

__all__ = ["EndpointWatch"]


class EndpointWatch:
    """Adds the time to what the slices say.

    The time is kept by the monotonic clock and told in seconds since the epoch, so that a clock
    that is set makes no Service look dry for longer than it was.
    """

    def __init__(self, slices: Shelf[SliceFacts], monotonic: Callable[[], float]) -> None:
        self._slices = slices
        self._monotonic = monotonic
        self._dry_since: dict[ObjectKey, float] = {}

    def of(self, service: ObjectKey, *, at: float) -> EndpointFacts | None:
        """Endpoints of a Service at the wall time `at`; None when it has no slice at all."""
        counts = self._count(service)
        if counts is None:
            return None
        ready, total = counts
        since = self._dry_since.get(service)
        ago = None if since is None else at - (self._monotonic() - since)
        return EndpointFacts(service, ready, total, ago)

    @contextmanager
    def observing(self, kind: Kind, obj: Mapping[str, Any]) -> Iterator[None]:
        """Watch the readiness of the Services that an event of an EndpointSlice touches."""
        if kind != ENDPOINT_SLICE:
            yield
            return
        before, after = self._slices.get(listed(obj).key), slice_of(obj)
        yield
        for one in {facts.service for facts in (before, after) if facts is not None}:
            self._update(one)

    def _update(self, service: ObjectKey) -> None:
        counts = self._count(service)
        if counts is not None and counts[0] == 0:
            self._dry_since.setdefault(service, self._monotonic())
        else:
            self._dry_since.pop(service, None)

    def _count(self, service: ObjectKey) -> tuple[int, int] | None:
        """Ready and all; a dual-stack Service has every pod once per address family."""
        slices = self._slices.in_group(service)
        if len(slices) == 1:  # as nearly always
            return slices[0].ready, slices[0].total
        ready: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for one in slices:
            ready[one.family] += one.ready
            total[one.family] += one.total
        if not total:
            return None
        return max(ready.values()), max(total.values())
