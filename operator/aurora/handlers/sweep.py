"""Metadata-only LISTs that keep the fleet true: ghosts go, gaps are read.

A watch can miss a deletion: after a 410 kopf lists anew and says nothing of what is gone. So each
kind is listed at the start, after its watch started anew, and every 10 minutes.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from aurora.errors import ClusterError
from aurora.executor.lanes import in_lanes
from aurora.kube.client import KubeClient, Listing
from aurora.kube.kinds import CONFIG_MAP, Kind, Ref
from aurora.observe.fleet import Fleet
from aurora.observe.shelf import Listed
from aurora.resources.names import CONTROL_CONFIGMAP

__all__ = ["Sweeper"]

EVERY_S = 600.0
ARRIVAL_S = 5.0
"""How long the watch may bring nothing of a list before what is missing is read one by one."""
POLL_S = 0.1
PARALLEL_READS = 8
WHOLE_LIST_FROM = 200
"""So many gaps are read with one LIST instead of one GET each."""

log = logging.getLogger(__name__)


class Sweeper:
    """Compares the fleet with the API server.

    Args:
        client: reads only.
        fleet: what is kept true.
        namespaces: where AURORA works; empty is the whole cluster.
        arrival_s: patience with the watch, in seconds.
    """

    def __init__(  # noqa: PLR0913
        self,
        client: KubeClient,
        fleet: Fleet,
        *,
        namespaces: Iterable[str] = (),
        arrival_s: float = ARRIVAL_S,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._fleet = fleet
        self._namespaces = tuple(namespaces)
        self._arrival_s = arrival_s
        self._monotonic = monotonic
        self._sleep = sleep

    async def sync(self) -> None:
        """Bring every watched kind in step; afterwards `fleet.synced` holds.

        Raises:
            ClusterError: a kind could not be listed; what was brought in step stays so.
        """
        await self.sweep(self._fleet.watched)

    async def sweep(self, kinds: Iterable[Kind]) -> None:
        """Compare some kinds, all at once."""
        results = await asyncio.gather(*(self._one(kind) for kind in kinds), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]

    async def keep(self, *, every_s: float = EVERY_S, look_s: float = 5.0) -> None:
        """Sweep forever: what was listed anew soon, and everything every `every_s`."""
        last = self._monotonic()
        while True:
            await self._sleep(look_s)
            due = self._monotonic() - last >= every_s
            kinds = self._fleet.watched if due else self._fleet.take_relisted()
            if not kinds:
                continue
            try:
                await self.sweep(kinds)
            except ClusterError as error:
                log.warning("a sweep failed and is repeated: %s", error)
                continue
            if due:
                last = self._monotonic()
                self._fleet.take_relisted()

    async def _one(self, kind: Kind) -> None:
        listings = [await self._list(kind, namespace) for namespace in self._scope(kind)]
        # Of several lists the oldest decides what is too new to be judged.
        version = min((one.resource_version for one in listings), key=_number)
        items = self._fleet.listing(kind, (item for one in listings for item in one.items))
        del listings
        gaps = await self._arrive(kind, items)
        await self._read(kind, gaps)
        removed = self._fleet.sweep(kind, items, version=version)
        if gaps or removed:
            log.info("swept %s: %d read, %d removed", kind, len(gaps), len(removed))
        self._fleet.mark_listed(kind)

    def _scope(self, kind: Kind) -> tuple[str, ...]:
        return self._namespaces if self._namespaces and kind.namespaced else ("",)

    async def _list(self, kind: Kind, namespace: str) -> Listing:
        only = f"metadata.name={CONTROL_CONFIGMAP}" if kind == CONFIG_MAP else ""
        return await self._client.list(
            kind, namespace=namespace, metadata_only=True, field_selector=only
        )

    async def _arrive(self, kind: Kind, items: list[Listed]) -> list[Listed]:
        """Wait while the watch brings what is missing; what it does not bring is a gap."""
        gaps = self._fleet.gaps(kind, items)
        since = self._monotonic()
        while gaps and self._monotonic() - since < self._arrival_s:
            await self._sleep(POLL_S)
            # What has arrived stays: only the rest is looked at again.
            left = self._fleet.gaps(kind, gaps)
            since = self._monotonic() if len(left) < len(gaps) else since
            gaps = left
        return gaps

    async def _read(self, kind: Kind, gaps: list[Listed]) -> None:
        if len(gaps) >= WHOLE_LIST_FROM:
            for namespace in self._scope(kind):
                for obj in (await self._client.list(kind, namespace=namespace)).items:
                    self._fleet.apply_event(kind, "MODIFIED", obj)
            return

        async def read(gap: Listed) -> None:
            found = await self._client.get(Ref(kind, gap.key.namespace, gap.key.name))
            if found is not None:
                self._fleet.apply_event(kind, "MODIFIED", found)

        await in_lanes(gaps, read, lane=lambda gap: gap.key, at_once=PARALLEL_READS)


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0
