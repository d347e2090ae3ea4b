"""Takes old Decisions and Approvals out of the cluster, a few at a time, once SQL has them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import structlog

from aurora.critic.ledger import Ledger
from aurora.errors import ClusterError, NotFoundError, StoreError
from aurora.executor.archive import Archive, Place
from aurora.executor.retention import expired, orphans
from aurora.executor.subjects import subject_of
from aurora.kube.kinds import APPROVAL, DECISION, Kind, Ref
from aurora.kube.writer import WriteHeldError, Writer
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import FleetSnapshot
from aurora.resources import Approval, DecisionObject

__all__ = ["Housekeeper"]

log = structlog.get_logger(__name__)

PER_CYCLE: Final = 20
"""Objects deleted in one cycle at most: the API server has others to serve."""
LOOK_EVERY_S: Final = 600.0
SETTLE_EVERY_S: Final = 3600.0

Decisions = Mapping[ObjectKey, DecisionObject]


class Housekeeper:
    """Writes nothing while there is nothing to delete, and nothing while the store fails."""

    def __init__(
        self,
        writer: Writer,
        archive: Archive,
        *,
        gone: Callable[[Kind, dict[str, Any]], object],
        namespaces: Sequence[str] = (),
    ) -> None:
        self._writer = writer
        self._archive = archive
        self._gone = gone
        self._namespaces = frozenset(namespaces)
        self._look_at = -math.inf
        self._settle_at = -math.inf
        self._settled_to: Place | None = None
        self._failure = ""

    async def run(self, snapshot: FleetSnapshot, decisions: Decisions, ledger: Ledger) -> None:
        """Take one step; never raises for the store's or the API server's sake.

        Args:
            snapshot: of this cycle.
            decisions: as they stand at the end of it.
            ledger: the same as ledger entries.
        """
        try:
            await self._settle(snapshot, decisions)
            if snapshot.control.writes_allowed and snapshot.monotonic >= self._look_at:
                await self._tidy(snapshot, decisions, ledger)
        except (StoreError, WriteHeldError) as error:
            if str(error) != self._failure:
                log.warning("old decisions stay in the cluster", why=str(error))
            self._failure = str(error)
        else:
            self._failure = ""

    async def _settle(self, snapshot: FleetSnapshot, decisions: Decisions) -> None:
        if snapshot.monotonic < self._settle_at:
            return
        settled = await self._archive.settle_lost(
            decisions, namespaces=self._namespaces, at=snapshot.at, after=self._settled_to
        )
        self._settled_to = settled.after
        if settled.after is None:  # else there are more: on in the next cycle
            self._settle_at = snapshot.monotonic + SETTLE_EVERY_S
        if settled.lost:
            log.info("records of decisions that ended unseen were closed", decisions=settled.lost)

    async def _tidy(self, snapshot: FleetSnapshot, decisions: Decisions, ledger: Ledger) -> None:
        due = expired(ledger, snapshot.models, at=snapshot.at)
        found = [decisions[ObjectKey(entry.model.namespace, entry.id)] for entry in due[:PER_CYCLE]]
        left = PER_CYCLE - len(found)
        old = orphans(snapshot.approvals, decisions.values(), at=snapshot.at) if left else ()
        gone = await self._delete_decisions(found, at=snapshot.at)
        gone += await self._delete_approvals(old[:left])
        if gone < PER_CYCLE:  # else there may be more: again in the next cycle
            self._look_at = snapshot.monotonic + LOOK_EVERY_S

    async def _delete_decisions(self, found: Iterable[DecisionObject], *, at: float) -> int:
        """Oldest first; after a failure the model's later ones stay.

        A way back must not go before what it took back: it would look to be in force again.
        """
        waiting: set[ObjectKey] = set()
        gone = 0
        for one in found:
            model = subject_of(one)
            if model in waiting:
                continue
            await self._archive.keep(one, at=at)
            if await self._delete(DECISION, one):
                gone += 1
            else:
                waiting.add(model)
        return gone

    async def _delete_approvals(self, found: Iterable[Approval]) -> int:
        return sum([await self._delete(APPROVAL, one) for one in found])

    async def _delete(self, kind: Kind, found: DecisionObject | Approval) -> bool:
        """Delete exactly what was read; False when it changed or was refused."""
        metadata = found.metadata
        ref = Ref(kind, metadata.namespace, metadata.name)
        try:
            await self._writer.delete(
                ref, uid=metadata.uid, resource_version=metadata.resource_version
            )
        except NotFoundError:
            pass
        except WriteHeldError:
            raise
        except ClusterError as error:
            log.info("an old object stays for now", object=str(ref), why=str(error))
            return False
        self._gone(kind, found.to_kubernetes())
        return True
