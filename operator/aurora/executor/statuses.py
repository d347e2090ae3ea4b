"""Writes the status of ModelDeployments that changed for a reader; nothing in a steady state."""

import asyncio
from collections.abc import Mapping

from aurora.containment import contained
from aurora.executor.reverts import Reverts
from aurora.executor.status import status_of
from aurora.kube.kinds import MODEL_DEPLOYMENT, Ref
from aurora.kube.writer import Writer
from aurora.observe.facts import ObjectKey
from aurora.observe.fleet import Fleet
from aurora.observe.snapshot import FleetSnapshot
from aurora.resources import DecisionObject
from aurora.state.system_state import SystemState
from aurora.telemetry import Telemetry

__all__ = ["Statuses"]

PARALLEL_WRITES = 32


class Statuses:
    """Compares and writes; 32 at a time, so that a fleet that changes at once is told quickly."""

    def __init__(
        self, writer: Writer, fleet: Fleet, reverts: Reverts, telemetry: Telemetry
    ) -> None:
        self._writer = writer
        self._fleet = fleet
        self._reverts = reverts
        self._telemetry = telemetry

    async def write(
        self,
        snapshot: FleetSnapshot,
        states: Mapping[ObjectKey, SystemState],
        decisions: Mapping[ObjectKey, DecisionObject],
    ) -> None:
        """Write every status that differs from the one observed."""
        by_model = newest_first(decisions)
        gate = asyncio.Semaphore(PARALLEL_WRITES)
        work = []
        for key, state in states.items():
            observation = snapshot.models[key]
            with contained(self._telemetry, "status", key):
                status = status_of(
                    observation,
                    state,
                    snapshot,
                    by_model.get(key, ()),
                    reverted=self._reverts.count(key, snapshot.monotonic),
                )
                if status != observation.model.status:
                    work.append(self._one(gate, snapshot, key, status.to_kubernetes()))
        await asyncio.gather(*work)

    async def _one(
        self,
        gate: asyncio.Semaphore,
        snapshot: FleetSnapshot,
        key: ObjectKey,
        status: Mapping[str, object],
    ) -> None:
        model = self._fleet.models.get(key) or snapshot.models[key].model
        written = None
        async with gate:
            with contained(self._telemetry, "status", key):
                written = await self._writer.patch_status(
                    Ref(MODEL_DEPLOYMENT, *key), status, found=model.to_kubernetes()
                )
        # What was not written: the next cycle sees the newer object and compares again.
        if written is not None:
            self._fleet.apply_event(MODEL_DEPLOYMENT, "MODIFIED", written)


def newest_first(
    decisions: Mapping[ObjectKey, DecisionObject],
) -> dict[ObjectKey, tuple[DecisionObject, ...]]:
    """Decisions by model, newest first."""
    grouped: dict[ObjectKey, list[DecisionObject]] = {}
    for one in decisions.values():
        key = ObjectKey(one.metadata.namespace, one.spec.model_ref.name)
        grouped.setdefault(key, []).append(one)
    return {key: tuple(sorted(found, key=_made, reverse=True)) for key, found in grouped.items()}


def _made(one: DecisionObject) -> tuple[float, str]:
    created = one.metadata.creation_timestamp
    return (created.timestamp() if created is not None else 0.0, one.metadata.name)
