"""Takes every open Decision one step further, and starts new ones."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import structlog

from aurora.containment import contained
from aurora.critic.chain import judge, judge_approved
from aurora.critic.ledger import Ledger
from aurora.critic.reasons import TRANSIENT
from aurora.critic.request import CriticInput, fleet_facts
from aurora.critic.verdict import Approved, Verdict
from aurora.deliberation import Deliberated, Guardrails
from aurora.errors import ClusterError
from aurora.executor.book import DecisionBook
from aurora.executor.dispatch import Dispatcher
from aurora.executor.entries import entry_of, request_again
from aurora.executor.keepsakes import Keepsakes
from aurora.executor.lanes import in_lanes
from aurora.executor.lifecycle import Due, Next, Step, approvals_by_decision, next_step
from aurora.executor.originals import adopted_floor
from aurora.executor.restore import Restorer
from aurora.executor.reverts import Reverts
from aurora.executor.subjects import subject_of
from aurora.executor.surroundings import surroundings_of
from aurora.memory.contract import contract_of
from aurora.memory.keeper import MemoryKeeper
from aurora.memory.outcome import in_force_at, settle
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.reasons import ConditionReason
from aurora.resources import Approval, DecisionObject
from aurora.resources.vocabulary import Action, Phase
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState
from aurora.telemetry import Telemetry

__all__ = ["FollowUp"]

log = structlog.get_logger(__name__)

REPEAT_S = 3600.0
_ANSWERS = {
    Step.APPROVE: (Phase.APPROVED, ConditionReason.APPROVED_BY_PERSON),
    Step.DENY: (Phase.DENIED, ConditionReason.DENIED_BY_PERSON),
    Step.EXPIRE: (Phase.EXPIRED, ConditionReason.EXPIRED),
}
Decisions = Mapping[ObjectKey, DecisionObject]
States = Mapping[ObjectKey, SystemState]


class FollowUp:
    """One step per Decision and cycle; a step that fails is taken again in the next cycle."""

    def __init__(  # noqa: PLR0913 - parts put together once by the factory
        self,
        *,
        dispatcher: Dispatcher,
        keepsakes: Keepsakes,
        book: DecisionBook,
        restorer: Restorer,
        keeper: MemoryKeeper,
        reverts: Reverts,
        guardrails: Guardrails,
        telemetry: Telemetry,
    ) -> None:
        self._dispatcher = dispatcher
        self._keepsakes = keepsakes
        self._book = book
        self._restorer = restorer
        self._keeper = keeper
        self._reverts = reverts
        self._guardrails = guardrails
        self._telemetry = telemetry
        self._ledger = Ledger()

    async def run(self, snapshot: FleetSnapshot, states: States, ledger: Ledger) -> Decisions:
        """Take every open Decision one step further; returns the Decisions as they stand then."""
        self._ledger = ledger
        await self._tell_reverts(snapshot, ledger)
        await self._restorer.restore_deleted(snapshot)
        decisions = dict(snapshot.decisions)
        for together, due in groupby(self._due(snapshot, states), lambda one: one.together):
            if together:
                await self._all(list(due), snapshot, states, decisions)
                continue
            for one in due:
                await self._one(one, snapshot, states, decisions)
        return decisions

    async def tell(self, *, for_s: float) -> None:
        """Write Events and annotations of what was done, for so many seconds at most."""
        await self._keepsakes.catch_up(for_s=for_s)

    def stand_down(self) -> None:
        """Forget what was left to write: this process does not lead in this cycle."""
        self._keepsakes.stand_down()

    def _due(self, snapshot: FleetSnapshot, states: States) -> Iterator[Due]:
        approvals = approvals_by_decision(snapshot.approvals)
        for key, found in snapshot.decisions.items():
            named = (found.metadata.namespace, found.metadata.name, found.metadata.uid)
            step = self._step(found, approvals.get(named, ()), snapshot)
            if step.step is not Step.NOTHING and subject_of(found) in states:
                yield Due(key, found, step)

    async def _all(
        self,
        due: Sequence[Due],
        snapshot: FleetSnapshot,
        states: States,
        decisions: dict[ObjectKey, DecisionObject],
    ) -> None:
        """Several models at a time; those of one model in order, as they write to one object."""

        async def take(one: Due) -> None:
            await self._one(one, snapshot, states, decisions)

        await in_lanes(due, take, lane=lambda one: subject_of(one.found))

    async def _one(
        self,
        due: Due,
        snapshot: FleetSnapshot,
        states: States,
        decisions: dict[ObjectKey, DecisionObject],
    ) -> None:
        with contained(self._telemetry, "followup", due.key):
            taken = await self._tried(due.step, due.found, snapshot, states, decisions)
            decisions[due.key] = taken
            self._ledger = self._ledger.with_entry(entry_of(taken))

    async def _tell_reverts(self, snapshot: FleetSnapshot, ledger: Ledger) -> None:
        """Another manager that takes a write back is told of, and not fought."""
        news = self._reverts.look(ledger, snapshot.models, snapshot.monotonic, at=snapshot.at)
        for key, name in news:
            found = snapshot.decisions.get(ObjectKey(key.namespace, name))
            if found is not None:
                await self._dispatcher.taken_back(found, snapshot.models[key])

    async def _tried(
        self,
        step: Next,
        found: DecisionObject,
        snapshot: FleetSnapshot,
        states: States,
        decisions: Decisions,
    ) -> DecisionObject:
        try:
            return await self._take(step, found, snapshot, states, decisions)
        except ClusterError as error:
            log.warning("a step waits", decision=str(found.key), step=step.step, why=str(error))
            return found

    def _step(
        self, found: DecisionObject, approvals: tuple[Approval, ...], snapshot: FleetSnapshot
    ) -> Next:
        model = snapshot.models.get(subject_of(found))
        if model is None or model.model.metadata.deletion_timestamp is not None:
            return Next(Step.NOTHING)
        if model.model.metadata.uid != found.spec.model_ref.uid:
            return Next(Step.NOTHING)
        return next_step(found, approvals, at=snapshot.at)

    async def _take(
        self,
        step: Next,
        found: DecisionObject,
        snapshot: FleetSnapshot,
        states: States,
        decisions: Decisions,
    ) -> DecisionObject:
        at = snapshot.at
        if step.step in _ANSWERS:
            phase, reason = _ANSWERS[step.step]
            return await self._dispatcher.close(
                found, phase, str(reason), at=at, message=step.why, who=step.who
            )
        if step.step is Step.JUDGE:
            verdict = self._ask_again(found, snapshot, states)
            if isinstance(verdict, Approved):
                return await self._begin(found, snapshot, states, decisions)
            judged = await self._book.judged(found, verdict, at=at)
            self._keepsakes.annotate_model(judged)  # it may tell already that it was carried out
            return judged
        if step.step is Step.EXECUTE:
            return await self._execute(found, snapshot, states, decisions)
        if step.step is Step.MEASURE:
            return await self._measure(found, snapshot, states)
        return await self._dispatcher.undo(found, snapshot.models[subject_of(found)], at=at)

    async def _execute(
        self,
        found: DecisionObject,
        snapshot: FleetSnapshot,
        states: States,
        decisions: Decisions,
    ) -> DecisionObject:
        """Ask the critic again on fresh state; what was announced already is only finished."""
        if found.status.phase is not Phase.APPROVED:
            observation = snapshot.models[subject_of(found)]
            return await self._dispatcher.execute(found, observation, decisions, at=snapshot.at)
        verdict = self._ask_again(found, snapshot, states)
        if isinstance(verdict, Approved):
            return await self._begin(found, snapshot, states, decisions)
        if verdict.reason in TRANSIENT:
            return found
        return await self._dispatcher.close(
            found, Phase.REJECTED, verdict.reason, at=snapshot.at, message=verdict.message
        )

    async def _begin(
        self,
        found: DecisionObject,
        snapshot: FleetSnapshot,
        states: States,
        decisions: Decisions,
    ) -> DecisionObject:
        key = subject_of(found)
        self._keeper.remember_before(found.metadata.name, states[key].memory)
        return await self._dispatcher.execute(
            found, snapshot.models[key], decisions, at=snapshot.at
        )

    def _ask_again(self, found: DecisionObject, snapshot: FleetSnapshot, states: States) -> Verdict:
        """A person's approval answers every reservation, but no guardrail that rejects."""
        key, ledger, rails = subject_of(found), self._ledger, self._guardrails
        given = CriticInput(
            request=request_again(found),
            observation=snapshot.models[key],
            state=states[key],
            fleet=fleet_facts(snapshot, ledger, cycle_s=rails.cycle_s, rights=rails.rights),
            ledger=ledger,
            at=snapshot.at,
            blast_radius=rails.blast_radius(len(snapshot.models)),
            reverted=self._reverts.count(key, snapshot.monotonic),
            adopted_floor=adopted_floor(snapshot.models[key].model),
        )
        by_person = found.status.decided_by not in {None, "", "aurora"}
        return judge_approved(given) if by_person else judge(given)

    async def _measure(
        self, found: DecisionObject, snapshot: FleetSnapshot, states: States
    ) -> DecisionObject:
        key = subject_of(found)
        entry = entry_of(found)
        if entry.executed_at is None:
            return found
        contract = contract_of(found, executed_at=entry.executed_at)
        if in_force_at(contract, states[key]) is None:
            # Until new replicas serve, callers feel what was there before: that is evidence of it.
            self._keeper.remember_before(entry.id, states[key].memory)
        outcome = settle(
            contract,
            state=states[key],
            before=self._keeper.memory_before(entry, states[key]),
            around=surroundings_of(entry, snapshot.models[key], self._ledger, at=snapshot.at),
            verification=snapshot.models[key].model.spec.autonomy.verification,
        )
        if outcome is None:
            return found
        self._telemetry.outcomes.labels(entry.action.value, outcome.verdict.value).inc()
        settled = await self._dispatcher.settle(found, outcome, at=snapshot.at)
        await self._keeper.learned(entry.id)
        return settled

    async def start(
        self,
        found: Deliberated,
        observation: ModelObservation,
        decisions: Decisions,
        *,
        state: SystemState,
        memory: ModelMemory,
    ) -> DecisionObject:
        """Make the Decision object and, when it is approved, carry it out."""
        decision, verdict = found.decision, found.verdict
        features, text = self._keeper.case_of(decision)
        opened = await self._dispatcher.open(
            decision, verdict, features=features, text=text, state=state
        )
        if not isinstance(verdict, Approved):
            return opened
        self._keeper.remember_before(decision.id, memory)
        return await self._dispatcher.execute(opened, observation, decisions, at=state.at)

    async def repeat(self, found: DecisionObject, *, at: float) -> DecisionObject | None:
        """Count a repeat, hourly at most; people are told of an alert again."""
        created = found.metadata.creation_timestamp
        last = found.status.last_seen or created
        if last is None or at - last.timestamp() < REPEAT_S:
            return None
        repeated = await self._book.repeat(found, at=at)
        if found.spec.action is Action.ALERT:
            await self._dispatcher.retell(repeated)
        return repeated
