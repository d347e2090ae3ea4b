"""The control cycle: observe, state, follow up, decide and execute, show, remember, tell.

Decisions are made one model after the other on one snapshot, so that what is about to start for one
model counts against the fleet's limits for the next. What was decided is then started together.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from aurora.collector import collected_after
from aurora.containment import contained
from aurora.critic.ledger import Ledger
from aurora.critic.reasons import TRANSIENT, CheckReason
from aurora.critic.request import FleetFacts, fleet_facts
from aurora.critic.verdict import Approved
from aurora.deliberation import (
    Deliberated,
    Guardrails,
    deliberate,
    learn_weights,
    open_fallback,
    propose,
)
from aurora.errors import AuroraError
from aurora.executor.entries import entry_of, ledger_of
from aurora.executor.followup import FollowUp
from aurora.executor.housekeeping import Housekeeper
from aurora.executor.originals import adopted_floor
from aurora.executor.reverts import Reverts
from aurora.executor.router_feed import RouterFeed
from aurora.executor.statuses import Statuses, just_routed
from aurora.memory.keeper import MemoryKeeper
from aurora.observe.facts import ObjectKey
from aurora.observe.observer import Observer
from aurora.observe.sample import Gap, Missing
from aurora.observe.snapshot import FleetSnapshot
from aurora.planner.routing.learned import state_document
from aurora.resources import DecisionObject
from aurora.resources.vocabulary import Action
from aurora.starting import says_the_same, start_all
from aurora.state.advance import Learning, advance
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState
from aurora.telemetry import Telemetry

__all__ = ["Cycle", "Parts"]

log = structlog.get_logger(__name__)

_BREATH = 200
"""Models after which the event loop gets a turn: watches and probes must not starve."""
_SILENT = frozenset(
    {
        CheckReason.CONTROL_UNREADABLE,
        CheckReason.KILL_SWITCH_SET,
        CheckReason.PAUSED,
        CheckReason.TARGET_NOT_FOUND,
        CheckReason.TARGET_CONFLICT,
        CheckReason.AUTOSCALER_CONFLICT,
    }
)
"""Rejections that a condition of the ModelDeployment tells already; no Decision is made of them."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a cycle works with; factory.py puts it together."""

    observer: Observer
    followup: FollowUp
    housekeeper: Housekeeper
    routers: RouterFeed
    statuses: Statuses
    keeper: MemoryKeeper
    reverts: Reverts
    telemetry: Telemetry
    guardrails: Guardrails
    leads: Callable[[], bool]
    writes: Callable[[], int]


@dataclass(slots=True)
class Cycle:
    """Runs cycles; keeps what was learned of each model between them."""

    parts: Parts
    memories: dict[ObjectKey, ModelMemory] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)

    async def run(self) -> None:
        """One cycle. A process that does not lead observes and learns, and writes nothing."""
        with collected_after():
            await self._run()

    async def _run(self) -> None:
        telemetry, written = self.parts.telemetry, self.parts.writes()
        with self._timed("observe"):
            snapshot = await self.parts.observer.observe(self._in_fallback())
        if not snapshot.synced:
            return
        self.ledger = ledger_of(snapshot.decisions)
        with self._timed("state"):
            states = await self._advance(snapshot)
        if self.parts.leads():
            await self._lead(snapshot, states)
            writes = self.parts.writes() - written
            with self._timed("remember"):
                await self.parts.keeper.keep(snapshot, states, self.memories, writes=writes)
            with self._timed("tell"):
                await self.parts.followup.tell(for_s=self.parts.guardrails.share_s)
        else:  # a spare that shares the records would write everything twice
            self.parts.followup.stand_down()
        self._report(snapshot, states)
        telemetry.writes.set(self.parts.writes() - written)

    async def _lead(self, snapshot: FleetSnapshot, states: Mapping[ObjectKey, SystemState]) -> None:
        with self._timed("followup"):
            decisions = await self.parts.followup.run(snapshot, states, self.ledger)
        self.ledger = ledger_of(decisions)
        with self._timed("decide"):
            touched = just_routed(snapshot.decisions, decisions)
            current = {key: one for key, one in states.items() if key not in touched}
            decisions = await self._decide(replace(snapshot, decisions=decisions), current)
        with self._timed("routers"):
            await self.parts.routers.write(snapshot, self._learned)
        with self._timed("status"):
            await self.parts.statuses.write(snapshot, states, decisions)
        with self._timed("housekeeping"):
            await self.parts.housekeeper.run(snapshot, decisions, self.ledger)

    async def _advance(self, snapshot: FleetSnapshot) -> dict[ObjectKey, SystemState]:
        states: dict[ObjectKey, SystemState] = {}
        for place, (key, observation) in enumerate(snapshot.models.items()):
            memory = self.memories.get(key)
            if memory is None:
                memory = self.parts.keeper.recalled(key)
            with contained(self.parts.telemetry, "state", key):
                _, state = advance(memory, observation, snapshot.at, learning=self._learning(key))
                self.memories[key], states[key] = learn_weights(state, observation, self.ledger)
            if place % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
        for gone in self.memories.keys() - snapshot.models.keys():
            del self.memories[gone]
        return states

    def _learned(self, key: ObjectKey) -> Mapping[str, object] | None:
        memory = self.memories.get(key)
        return state_document(memory.routing) if memory is not None else None

    def _learning(self, key: ObjectKey) -> Learning:
        """Nothing is learned of the primary while callers are answered by the fallback."""
        if open_fallback(self.ledger.of_model(key)) is not None:
            return Learning(baseline=False, capacity=False)
        return Learning(baseline=self.ledger.in_flight(key) is None)

    def _in_fallback(self) -> frozenset[ObjectKey]:
        return frozenset(
            key
            for key, entries in self.ledger.by_model.items()
            if open_fallback(entries) is not None
        )

    async def _decide(
        self, snapshot: FleetSnapshot, states: Mapping[ObjectKey, SystemState]
    ) -> Mapping[ObjectKey, DecisionObject]:
        """Plan, judge and start at most one action per model."""
        if self.parts.keeper.foresees:
            await self._foresee(snapshot, states)
        decisions = dict(snapshot.decisions)
        rails = self.parts.guardrails
        facts = fleet_facts(snapshot, self.ledger, cycle_s=rails.cycle_s, rights=rails.rights)
        wanted: list[Deliberated] = []
        for place, (key, state) in enumerate(states.items()):
            with contained(self.parts.telemetry, "decide", key):
                found = self._decide_one(snapshot, key, state, facts)
                if found is not None:
                    wanted.append(found)
                    facts = replace(facts, in_flight=facts.in_flight + _holds(found))
            if place % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)

        async def start(found: Deliberated) -> DecisionObject | None:
            return await self._start(found, snapshot, states, decisions)

        for_s, telemetry = rails.share_s, self.parts.telemetry
        for started in await start_all(wanted, start, telemetry=telemetry, for_s=for_s):
            decisions[ObjectKey(*started.key)] = started
            self.ledger = self.ledger.with_entry(entry_of(started))
        return decisions

    async def _foresee(
        self, snapshot: FleetSnapshot, states: Mapping[ObjectKey, SystemState]
    ) -> None:
        """Plan once only to learn which cases will be asked for, and embed them as one batch.

        Text takes 27 ms a case on a core: one by one, a hundred would hold up watches and probes.
        """
        for place, (key, state) in enumerate(states.items()):
            observation = snapshot.models[key]
            with contained(self.parts.telemetry, "decide", key):
                propose(
                    observation,
                    state,
                    ledger=self.ledger,
                    guardrails=self.parts.guardrails,
                    recall=self.parts.keeper.foresee,
                    adopted_floor=adopted_floor(observation.model),
                )
            if place % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
        await self.parts.keeper.prepare()

    def _decide_one(
        self, snapshot: FleetSnapshot, key: ObjectKey, state: SystemState, facts: FleetFacts
    ) -> Deliberated | None:
        observation = snapshot.models[key]
        if observation.model.metadata.deletion_timestamp is not None:
            return None
        found = deliberate(
            observation,
            state,
            ledger=self.ledger,
            fleet=facts,
            guardrails=self.parts.guardrails,
            recall=self.parts.keeper.recall,
            adopted_floor=adopted_floor(observation.model),
            reverted=self.parts.reverts.count(key, snapshot.monotonic),
        )
        return None if found is None or self._is_held(found) else found

    async def _start(
        self,
        found: Deliberated,
        snapshot: FleetSnapshot,
        states: Mapping[ObjectKey, SystemState],
        decisions: Mapping[ObjectKey, DecisionObject],
    ) -> DecisionObject | None:
        key = found.decision.model
        repeated = self._repeated(found, decisions)
        if repeated is not None:
            return await self.parts.followup.repeat(repeated, at=snapshot.at)
        self.parts.telemetry.decisions.labels(
            found.decision.action.value, type(found.verdict).__name__
        ).inc()
        return await self.parts.followup.start(
            found, snapshot.models[key], decisions, state=states[key], memory=self.memories[key]
        )

    def _is_held(self, found: Deliberated) -> bool:
        """Whether the answer is only "not yet", or nothing may be written at all."""
        if isinstance(found.verdict, Approved):
            return False
        self.parts.telemetry.rejections.labels(found.verdict.reason.value).inc()
        return found.verdict.reason in TRANSIENT or found.verdict.reason in _SILENT

    def _repeated(
        self, found: Deliberated, decisions: Mapping[ObjectKey, DecisionObject]
    ) -> DecisionObject | None:
        """An object that says the same already: it is counted on there, hourly at most."""
        for entry in self.ledger.of_model(found.decision.model):
            same = entry.fingerprint == found.decision.fingerprint
            if same and says_the_same(entry, found):
                return decisions.get(ObjectKey(entry.model.namespace, entry.id))
        return None

    def _report(self, snapshot: FleetSnapshot, states: Mapping[ObjectKey, SystemState]) -> None:
        telemetry = self.parts.telemetry
        telemetry.models.set(len(snapshot.models))
        telemetry.queries.set(snapshot.source.queries)
        telemetry.in_flight.set(sum(1 for entry in self.ledger if entry.in_flight))
        counts: dict[Gap, int] = {}
        for state in states.values():
            for reading in state.readings.values():
                if isinstance(reading, Missing):
                    counts[reading.gap] = counts.get(reading.gap, 0) + 1
        telemetry.missing.clear()
        for reason, count in counts.items():
            telemetry.missing.labels(reason.value).set(count)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        except AuroraError as error:
            log.warning("a stage of the cycle failed", stage=stage, why=str(error))
            raise
        finally:
            self.parts.telemetry.cycle.labels(stage).observe(time.perf_counter() - began)


def _holds(found: Deliberated) -> bool:
    """Whether its target will be held: it counts before it was started, and when that failed."""
    return isinstance(found.verdict, Approved) and found.decision.action is not Action.ALERT
