"""Writes the statuses that changed for a reader; nothing in a steady state."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from aurora.containment import contained
from aurora.executor.conditions import Fact
from aurora.executor.reverts import Reverts
from aurora.executor.router_feed import RouterFeed
from aurora.executor.routing_status import routing_status_of
from aurora.executor.status import status_of
from aurora.executor.subjects import Subject, identity_of, ref_of_subject, subject_of
from aurora.kube.writer import Writer
from aurora.observe.facts import ObjectKey
from aurora.observe.fleet import Fleet
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.observe.subjects import is_policy
from aurora.resources import DecisionObject, ModelDeploymentStatus, RoutingPolicyStatus
from aurora.resources.vocabulary import Phase
from aurora.state.system_state import SystemState
from aurora.telemetry import Telemetry

__all__ = ["Statuses", "just_routed", "newest_first"]

Status = ModelDeploymentStatus | RoutingPolicyStatus
PARALLEL_WRITES = 32
"""No more are compared ahead of it: the first statuses of 10,000 models would be 100 MB."""
BREATH = 200
"""Statuses compared before the event loop gets a turn: the Lease must not wait for 10,000."""


class Statuses:
    """Compares and writes; 32 at a time, so that a fleet that changes at once is told quickly."""

    def __init__(
        self,
        writer: Writer,
        fleet: Fleet,
        reverts: Reverts,
        telemetry: Telemetry,
        *,
        routers: RouterFeed,
    ) -> None:
        self._writer = writer
        self._fleet = fleet
        self._reverts = reverts
        self._telemetry = telemetry
        self._routers = routers

    async def write(
        self,
        snapshot: FleetSnapshot,
        states: Mapping[ObjectKey, SystemState],
        decisions: Mapping[ObjectKey, DecisionObject],
    ) -> None:
        """Write every status that differs from the one observed."""
        news = self._news(snapshot, states, newest_first(decisions))

        async def work() -> None:
            # While one waits for the API server, the next ones are compared for the others.
            for one in news:
                if one is None:
                    await asyncio.sleep(0)
                else:
                    await self._one(snapshot, *one)

        await asyncio.gather(*(work() for _ in range(PARALLEL_WRITES)))

    def _news(
        self,
        snapshot: FleetSnapshot,
        states: Mapping[ObjectKey, SystemState],
        by_model: Mapping[ObjectKey, Sequence[DecisionObject]],
    ) -> Iterator[tuple[ObjectKey, Status] | None]:
        """Compare when asked for the next; None says that it is time for a breath."""
        for place, (key, state) in enumerate(states.items()):
            if place % BREATH == BREATH - 1:
                yield None
            status = None
            with contained(self._telemetry, "status", key):
                status = self._compared(snapshot, key, state, by_model.get(key, ()))
            if status is not None:
                yield key, status

    def _compared(
        self,
        snapshot: FleetSnapshot,
        key: ObjectKey,
        state: SystemState,
        decisions: Sequence[DecisionObject],
    ) -> Status | None:
        observation = snapshot.models[key]
        reverted = self._reverts.count(key, snapshot.monotonic)
        if observation.routing is None:
            return _model_news(observation, state, snapshot, decisions, reverted)
        fed = self._routers.fact(key)
        return _policy_news(observation, state, snapshot, decisions, reverted=reverted, fed=fed)

    async def _one(self, snapshot: FleetSnapshot, key: ObjectKey, status: Status) -> None:
        ref, found, written = ref_of_subject(key), self._found(snapshot, key), None
        if found.status == status:
            return
        with contained(self._telemetry, "status", key):
            sent = status.to_kubernetes()
            written = await self._writer.replace_status(ref, sent, found=identity_of(found))
        # What was not written: the next cycle sees the newer object and compares again.
        if written is not None:
            self._fleet.written_status(ref.kind, found, status, written)

    def _found(self, snapshot: FleetSnapshot, key: ObjectKey) -> Subject:
        """The newest that is known: this cycle may have written to it."""
        one = snapshot.models[key]
        if one.routing is not None:
            policy = one.routing.policy
            return self._fleet.policies.get(ObjectKey(*policy.key)) or policy
        return self._fleet.models.get(key) or one.model


def _model_news(
    observation: ModelObservation,
    state: SystemState,
    snapshot: FleetSnapshot,
    decisions: Sequence[DecisionObject],
    reverted: int,
) -> Status | None:
    """The status to write, None while the one that stands there says the same."""
    status = status_of(observation, state, snapshot, decisions, reverted=reverted)
    old = observation.model.status
    return None if status is old or status == old else status


def _policy_news(  # noqa: PLR0913 - what a status may depend on
    observation: ModelObservation,
    state: SystemState,
    snapshot: FleetSnapshot,
    decisions: Sequence[DecisionObject],
    *,
    reverted: int,
    fed: Fact | None,
) -> Status | None:
    """The same of a RoutingPolicy; one that was let go in this cycle is gone by now."""
    routing = observation.routing
    if routing is None or routing.policy.metadata.deletion_timestamp is not None:
        return None
    status = routing_status_of(
        observation,
        snapshot,
        decisions,
        reverted=reverted,
        fed=fed,
        learned=state.memory.routing,
    )
    if status is None or status == routing.policy.status:
        return None
    return status


def newest_first(
    decisions: Mapping[ObjectKey, DecisionObject],
) -> dict[ObjectKey, tuple[DecisionObject, ...]]:
    """Decisions by model, newest first."""
    grouped: dict[ObjectKey, list[DecisionObject]] = {}
    for one in decisions.values():
        grouped.setdefault(subject_of(one), []).append(one)
    return {key: tuple(sorted(found, key=_made, reverse=True)) for key, found in grouped.items()}


def just_routed(
    before: Mapping[ObjectKey, DecisionObject], after: Mapping[ObjectKey, DecisionObject]
) -> frozenset[ObjectKey]:
    """Policies whose weights were written in this cycle: what was observed of them is past."""
    written = (
        one
        for key, one in after.items()
        if one is not before.get(key) and one.status.phase in _WRITTEN
    )
    return frozenset(key for one in written if is_policy(key := subject_of(one)))


_WRITTEN: Final = frozenset({Phase.VERIFYING, Phase.ROLLED_BACK, Phase.FAILED})


def _made(one: DecisionObject) -> tuple[float, str]:
    created = one.metadata.creation_timestamp
    return (created.timestamp() if created is not None else 0.0, one.metadata.name)
