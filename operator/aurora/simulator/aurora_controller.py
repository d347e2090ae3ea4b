"""AURORA's own decision code as a controller of the simulation.

State, planner, critic and verification are the operator's, with the default policy and the default
window of the metrics. Only what surrounds them is simulated: the readings come from the scraper,
and a decision is carried out by asking the pool.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from aurora.critic.chain import risk_of
from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.critic.request import FleetFacts
from aurora.critic.verdict import Approved
from aurora.deliberation import Deliberated, Guardrails, deliberate, open_fallback, propose
from aurora.executor.surroundings import surroundings_of
from aurora.memory.contract import Contract, contract_of_decision
from aurora.memory.outcome import Outcome, settle, window_of
from aurora.observe.facts import ControlFacts
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Decision, Direction
from aurora.resources.vocabulary import Action, Phase, Tier
from aurora.simulator.ablation import Part, nothing_recalled, without_forecast
from aurora.simulator.aurora_observation import METRICS, Lookout, model_of
from aurora.simulator.precedents import RunPrecedents
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.view import Action as PoolAction
from aurora.simulator.view import ActionKind, Desired, MetricsView, PoolFacts
from aurora.state.advance import Learning, advance
from aurora.state.capacity import CapacityModel
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState

__all__ = ["EPOCH", "AuroraController", "Settled"]

EPOCH: Final = 1_800_000_000.0
"""Simulated time 0 as seconds since the epoch: a Friday at 08:00 UTC."""
_KINDS: Final = {
    (Action.ROUTE, Direction.FALLBACK): ActionKind.ROUTE_TO_FALLBACK,
    (Action.ROUTE, Direction.PRIMARY): ActionKind.ROUTE_BACK,
    (Action.CACHE, Direction.ON): ActionKind.CACHE_ON,
    (Action.CACHE, Direction.OFF): ActionKind.CACHE_OFF,
    (Action.ALERT, Direction.NONE): ActionKind.ALERT,
}
_BACK: Final = {
    ActionKind.ROUTE_TO_FALLBACK: ActionKind.ROUTE_BACK,
    ActionKind.ROUTE_BACK: ActionKind.ROUTE_TO_FALLBACK,
    ActionKind.CACHE_ON: ActionKind.CACHE_OFF,
    ActionKind.CACHE_OFF: ActionKind.CACHE_ON,
}


@dataclass(frozen=True, slots=True)
class Settled:
    """One decision with its outcome.

    Attributes:
        begin, end: between which times it was measured, seconds since the epoch; None when it was
            settled without a measurement.
    """

    contract: Contract
    outcome: Outcome
    begin: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class _Open:
    contract: Contract
    before: ModelMemory


@dataclass(slots=True)
class AuroraController:
    """Decides as the operator does for one ModelDeployment in mode Auto with default policy.

    Attributes:
        epoch: simulated time 0, seconds since the epoch.
        without: a part that is left out, to see what it is worth; None leaves nothing out.
        believed: a capacity that it starts with; None starts knowing nothing.
        decided: every proposal with what the critic said of it, repeats included.
        settled: every executed decision with how it turned out.
    """

    settings: SimulationSettings
    name: str = "aurora"
    epoch: float = EPOCH
    without: Part | None = None
    believed: CapacityModel | None = None
    window_s: float = float(METRICS.window_s)
    decided: list[Deliberated] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    _lookout: Lookout = field(init=False)
    _guardrails: Guardrails = field(init=False)
    _memory: ModelMemory = field(default_factory=ModelMemory)
    _precedents: RunPrecedents = field(default_factory=RunPrecedents)
    _entries: dict[str, LedgerEntry] = field(default_factory=dict)
    _open: dict[str, _Open] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lookout = Lookout(model_of(self.settings))
        self._guardrails = Guardrails(cycle_s=self.settings.control_interval_s)
        if self.believed is not None:
            self._memory = ModelMemory(capacity=self.believed)

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        """One cycle in the operator's order: observe, state, follow up, decide."""
        at = self.epoch + view.now
        observation = self._lookout.observe(view, pool, at)
        self._memory, state = advance(self._memory, observation, at, learning=self._learning())
        undo = self._follow_up(state, observation)
        if undo is not None:
            return _undone(undo, pool)
        return self._execute(self._deliberate(observation, state), pool, at)

    @property
    def capacity(self) -> CapacityModel:
        """What was learned of a replica so far."""
        return self._memory.capacity

    def fresh(self) -> "AuroraController":
        """The same controller before its first cycle."""
        return AuroraController(self.settings, self.name, self.epoch, self.without, self.believed)

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """Every decision that was carried out, as the guardrails see it."""
        return tuple(self._entries.values())

    @property
    def _ledger(self) -> Ledger:
        return Ledger.of(self._entries.values())

    def _deliberate(self, observation: ModelObservation, state: SystemState) -> Deliberated | None:
        recall = nothing_recalled if self.without is Part.MEMORY else self._precedents.recall
        if self.without is Part.FORECAST:
            state = without_forecast(state)
        if self.without is not Part.CRITIC:
            return deliberate(
                observation,
                state,
                ledger=self._ledger,
                fleet=self._fleet(),
                guardrails=self._guardrails,
                recall=recall,
            )
        decision = propose(
            observation, state, ledger=self._ledger, guardrails=self._guardrails, recall=recall
        )
        if decision is None:
            return None
        return Deliberated(
            decision, Approved(Tier.AUTO, risk_of(decision.action, decision.direction))
        )

    def _in_flight(self) -> bool:
        return any(entry.in_flight for entry in self._entries.values())

    def _learning(self) -> Learning:
        if open_fallback(self._ledger.of_model(self._lookout.key)) is not None:
            return Learning(baseline=False, capacity=False)
        return Learning(baseline=not self._in_flight(), capacity=self.without is not Part.CAPACITY)

    def _fleet(self) -> FleetFacts:
        control = ControlFacts(readable=True, stopped=False)
        return FleetFacts(1, int(self._in_flight()), control, None, self._guardrails.cycle_s)

    def _follow_up(self, state: SystemState, observation: ModelObservation) -> LedgerEntry | None:
        """Settle what is due; gives the decision that has to be undone now."""
        for entry in tuple(self._entries.values()):
            if entry.phase is Phase.ROLLING_BACK:
                self._entries[entry.id] = replace(entry, phase=Phase.ROLLED_BACK)
                return entry
        for identifier, one in tuple(self._open.items()):
            self._settle(self._entries[identifier], one, state, observation)
        return None

    def _settle(
        self, entry: LedgerEntry, one: _Open, state: SystemState, observation: ModelObservation
    ) -> None:
        verification = self._lookout.model.spec.autonomy.verification
        outcome = settle(
            one.contract,
            state=state,
            before=one.before,
            around=surroundings_of(entry, observation, self._ledger, at=state.at),
            verification=verification,
        )
        if outcome is None:
            return
        begin, end = window_of(one.contract, state, verification) or (None, None)
        self.settled.append(Settled(one.contract, outcome, begin, end))
        del self._open[entry.id]
        phase = Phase.ROLLING_BACK if outcome.undo else Phase.COMPLETED
        self._entries[entry.id] = replace(
            entry, phase=phase, settled_at=state.at, verdict=outcome.verdict
        )
        self._precedents.learned(entry.id, outcome)

    def _execute(self, found: Deliberated | None, pool: PoolFacts, at: float) -> Desired:
        if found is None:
            return Desired(pool.desired)
        self.decided.append(found)
        decision, verdict = found.decision, found.verdict
        if not isinstance(verdict, Approved):
            return Desired(pool.desired)
        self._entries[decision.id] = _entry(decision, at)
        if decision.action is not Action.ALERT:
            contract = contract_of_decision(decision, verdict.tier, executed_at=at)
            self._open[decision.id] = _Open(contract, self._memory)
            self._precedents.decided(decision)
        if decision.action is Action.SCALE:
            return Desired(int(decision.after["replicas"]))
        return Desired(pool.desired, _actions(decision))


def _actions(decision: Decision) -> tuple[PoolAction, ...]:
    kind = _KINDS.get((decision.action, decision.direction))
    return () if kind is None else (PoolAction(kind, decision.reason.value),)


def _undone(entry: LedgerEntry, pool: PoolFacts) -> Desired:
    if entry.action is Action.SCALE:
        return Desired(int(entry.before["replicas"]))
    kind = _BACK.get(_KINDS[entry.action, entry.direction])
    return Desired(pool.desired, () if kind is None else (PoolAction(kind, "undo"),))


def _entry(decision: Decision, at: float) -> LedgerEntry:
    return LedgerEntry(
        id=decision.id,
        model=decision.model,
        target=decision.target.uid,
        action=decision.action,
        direction=decision.direction,
        reason=decision.reason,
        phase=Phase.COMPLETED if decision.action is Action.ALERT else Phase.VERIFYING,
        fingerprint=decision.fingerprint,
        protective=decision.protective,
        decided_at=at,
        executed_at=at,
        before=decision.before,
        after=decision.after,
    )
