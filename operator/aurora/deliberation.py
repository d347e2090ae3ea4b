"""Planner and critic for one model: the decision code that operator and simulation share. Pure."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from aurora.critic.chain import judge
from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.critic.request import CriticInput, FleetFacts, request_of
from aurora.critic.verdict import Verdict
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Decision, Direction
from aurora.planner.inputs import PlanInput
from aurora.planner.plan import Recall, plan
from aurora.resources.vocabulary import Action, Phase
from aurora.state.system_state import SystemState

__all__ = [
    "Deliberated",
    "Guardrails",
    "ask_critic",
    "cache_on_since",
    "deliberate",
    "open_fallback",
]

DAY_S = 24 * 3600.0
TOLD_S = 3600.0
"""An alert is repeated to people after an hour."""
_UNDONE = frozenset({Phase.ROLLED_BACK, Phase.FAILED, Phase.DENIED, Phase.EXPIRED, Phase.REJECTED})


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What an administrator set for the whole fleet."""

    blast_radius_percent: int = 10
    blast_radius_minimum: int = 3
    cycle_s: float = 15.0

    def blast_radius(self, models: int) -> int:
        return max(self.blast_radius_minimum, models * self.blast_radius_percent // 100)


@dataclass(frozen=True, slots=True)
class Deliberated:
    """A decision and what the critic said of it."""

    decision: Decision
    verdict: Verdict


def deliberate(  # noqa: PLR0913 - everything that a decision may depend on, by name
    observation: ModelObservation,
    state: SystemState,
    *,
    ledger: Ledger,
    fleet: FleetFacts,
    guardrails: Guardrails,
    recall: Recall,
    adopted_floor: int | None = None,
    reverted: int = 0,
) -> Deliberated | None:
    """Propose and judge at most one action; None when there is nothing to do."""
    entries = ledger.of_model(observation.key)
    fallback = open_fallback(entries)
    given = PlanInput(
        observation,
        state,
        state.at,
        guardrails.cycle_s,
        adopted_floor=adopted_floor,
        fallback_open=fallback.id if fallback is not None else "",
        fallbacks_recently=_fallbacks(entries, state.at),
        cache_on_since=cache_on_since(entries),
    )
    decision = plan(given, recall=recall, told=_told(entries, state.at))
    if decision is None:
        return None
    verdict = ask_critic(
        decision,
        observation,
        state,
        ledger=ledger,
        fleet=fleet,
        guardrails=guardrails,
        reverted=reverted,
    )
    return Deliberated(decision, verdict)


def ask_critic(  # noqa: PLR0913 - see deliberate
    decision: Decision,
    observation: ModelObservation,
    state: SystemState,
    *,
    ledger: Ledger,
    fleet: FleetFacts,
    guardrails: Guardrails,
    reverted: int = 0,
) -> Verdict:
    """Run the guardrails on a decision; also right before it is executed, on fresh state."""
    return judge(
        CriticInput(
            request=request_of(decision),
            observation=observation,
            state=state,
            fleet=fleet,
            ledger=ledger,
            at=state.at,
            blast_radius=guardrails.blast_radius(fleet.models),
            reverted=reverted,
        )
    )


def open_fallback(entries: tuple[LedgerEntry, ...]) -> LedgerEntry | None:
    """The decision that sent traffic to the fallback, while it is in force."""
    for entry in entries:
        if entry.action is not Action.ROUTE or not entry.acted or entry.phase in _UNDONE:
            continue
        return entry if entry.direction is Direction.FALLBACK else None
    return None


def cache_on_since(entries: tuple[LedgerEntry, ...]) -> float | None:
    """When the cache was switched on, None while it is off."""
    for entry in entries:
        if entry.action is not Action.CACHE or not entry.acted or entry.phase in _UNDONE:
            continue
        return entry.executed_at if entry.direction is Direction.ON else None
    return None


def _fallbacks(entries: tuple[LedgerEntry, ...], at: float) -> int:
    return sum(
        1
        for entry in entries
        if entry.direction is Direction.FALLBACK
        and entry.executed_at is not None
        and entry.executed_at >= at - DAY_S
    )


def _told(entries: tuple[LedgerEntry, ...], at: float) -> AbstractSet[str]:
    return frozenset(
        entry.fingerprint
        for entry in entries
        if entry.action is Action.ALERT and entry.decided_at >= at - TOLD_S
    )
