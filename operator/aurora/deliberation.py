"""Planner and critic for one model: the decision code that operator and simulation share. Pure."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from aurora.critic.chain import judge
from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.critic.request import CriticInput, FleetFacts, request_of
from aurora.critic.rights import Rights
from aurora.critic.verdict import Approved, NeedsApproval, Verdict
from aurora.observe.snapshot import ModelObservation
from aurora.planner.arbiter import Blocked
from aurora.planner.decision import WEIGHT, Alternative, Decision, Direction
from aurora.planner.inputs import PlanInput
from aurora.planner.plan import Recall, plan
from aurora.planner.routing.learning import with_learned
from aurora.planner.routing.past import BackendPast
from aurora.resources.vocabulary import Action, Phase
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState

__all__ = [
    "TOLD_S",
    "Deliberated",
    "Guardrails",
    "ask_critic",
    "cache_on_since",
    "deliberate",
    "failed_backends",
    "learn_weights",
    "open_fallback",
    "propose",
    "taken_away_at",
]

DAY_S = 24 * 3600.0
SHARE = 0.2
"""Of the cycle's length."""
TOLD_S = 3600.0
"""An alert is repeated to people after an hour."""
_UNDONE = frozenset({Phase.ROLLED_BACK, Phase.FAILED, Phase.DENIED, Phase.EXPIRED, Phase.REJECTED})


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What an administrator set for the whole fleet."""

    blast_radius_percent: int = 10
    blast_radius_minimum: int = 3
    cycle_s: float = 15.0
    rights: Rights = field(default_factory=Rights)

    @property
    def share_s(self) -> float:
        """Seconds that starting takes at most, and telling: all are to be looked at again soon."""
        return SHARE * self.cycle_s

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
    """Propose and judge at most one action; None when there is nothing to do.

    When the best proposal may not be carried out now, or was put to a person already, the next one
    that alerts or protects is looked at. Without such a one the best is returned, with what blocks
    it.
    """
    given = _plan_input(observation, state, ledger, guardrails, adopted_floor)
    entries = ledger.of_model(observation.key)
    told, blocked = _told(entries, state.at), list[Blocked]()
    best: Deliberated | None = None
    while (decision := plan(given, recall=recall, told=told, blocked=blocked)) is not None:
        verdict = ask_critic(
            decision,
            observation,
            state,
            ledger=ledger,
            fleet=fleet,
            guardrails=guardrails,
            adopted_floor=adopted_floor,
            reverted=reverted,
        )
        found = Deliberated(decision, verdict)
        if isinstance(verdict, Approved) or _is_new_question(found, entries, state.at):
            return found
        best = best or found
        blocked.append(_blocked(decision, verdict))
    return best


def _is_new_question(found: Deliberated, entries: tuple[LedgerEntry, ...], at: float) -> bool:
    """Whether a person has to be asked who was not asked the same lately."""
    if not isinstance(found.verdict, NeedsApproval):
        return False
    return not any(
        entry.phase is Phase.AWAITING_APPROVAL
        or (entry.phase is Phase.EXPIRED and (entry.settled_at or 0.0) >= at - TOLD_S)
        for entry in entries
        if entry.fingerprint == found.decision.fingerprint
    )


def _blocked(decision: Decision, verdict: Verdict) -> Blocked:
    assert not isinstance(verdict, Approved)
    reason = verdict.reason.value
    return Blocked(Alternative(decision.action, decision.direction, reason, verdict.message))


def propose(  # noqa: PLR0913 - see deliberate
    observation: ModelObservation,
    state: SystemState,
    *,
    ledger: Ledger,
    guardrails: Guardrails,
    recall: Recall,
    adopted_floor: int | None = None,
) -> Decision | None:
    """Run the planner alone: what it would do, before any guardrail is asked."""
    given = _plan_input(observation, state, ledger, guardrails, adopted_floor)
    return plan(given, recall=recall, told=_told(ledger.of_model(observation.key), state.at))


def _plan_input(
    observation: ModelObservation,
    state: SystemState,
    ledger: Ledger,
    guardrails: Guardrails,
    adopted_floor: int | None,
) -> PlanInput:
    entries = ledger.of_model(observation.key)
    fallback = open_fallback(entries)
    return PlanInput(
        observation,
        state,
        state.at,
        guardrails.cycle_s,
        adopted_floor=adopted_floor,
        fallback_open=fallback.id if fallback is not None else "",
        fallback_since=_fallback_since(entries, fallback),
        fallbacks_recently=_fallbacks(entries, state.at),
        cache_on_since=cache_on_since(entries),
        taken_away_at=taken_away_at(entries),
        failed_backends=failed_backends(entries, state.at),
    )


def ask_critic(  # noqa: PLR0913 - see deliberate
    decision: Decision,
    observation: ModelObservation,
    state: SystemState,
    *,
    ledger: Ledger,
    fleet: FleetFacts,
    guardrails: Guardrails,
    adopted_floor: int | None = None,
    reverted: int = 0,
) -> Verdict:
    """Run the guardrails on a decision."""
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
            adopted_floor=adopted_floor,
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


def taken_away_at(entries: tuple[LedgerEntry, ...]) -> float | None:
    """When replicas were taken away, None while the newest step in force is one up, or none is."""
    for entry in entries:
        if entry.action is not Action.SCALE or not entry.acted or entry.phase in _UNDONE:
            continue
        return entry.executed_at if entry.direction is Direction.DOWN else None
    return None


def learn_weights(
    state: SystemState, observation: ModelObservation, ledger: Ledger
) -> tuple[ModelMemory, SystemState]:
    """The last part of the state stage: a RoutingPolicy that learns takes in what was answered."""
    if observation.routing is None:
        return state.memory, state
    past = failed_backends(ledger.of_model(observation.key), state.at)
    return with_learned(state, observation, past)


def failed_backends(entries: tuple[LedgerEntry, ...], at: float) -> dict[str, BackendPast]:
    """The backends of a policy that lost all their weight within a day because they failed."""
    found: dict[str, BackendPast] = {}
    for entry in entries:
        when = entry.executed_at
        if entry.direction is not Direction.SHIFT or not entry.protective or when is None:
            continue
        if entry.phase in _UNDONE or when < at - DAY_S:
            continue
        for name in _emptied(entry):
            known = found.get(name, BackendPast(when, 0))
            found[name] = BackendPast(max(known.failed_at, when), known.failures + 1)
    return found


def _emptied(entry: LedgerEntry) -> tuple[str, ...]:
    return tuple(
        name.removeprefix(WEIGHT)
        for name, points in entry.after.items()
        if points == "0" and entry.before.get(name, "0") != "0"
    )


def _fallback_since(entries: tuple[LedgerEntry, ...], fallback: LedgerEntry | None) -> float:
    """Since when the primary has to prove itself: the switch, or the last way back that failed."""
    if fallback is None:
        return 0.0
    failed = [
        entry.fresh_at
        for entry in entries
        if _came_back(entry) and entry.after.get("undo") == fallback.id
    ]
    return max([fallback.executed_at or 0.0, *failed])


def _fallbacks(entries: tuple[LedgerEntry, ...], at: float) -> int:
    """How often callers had to leave the primary within a day, failed ways back counted."""
    return sum(
        1
        for entry in entries
        if (entry.direction is Direction.FALLBACK or _came_back(entry))
        and entry.executed_at is not None
        and entry.executed_at >= at - DAY_S
    )


def _came_back(entry: LedgerEntry) -> bool:
    """A way back to the primary that had to be undone."""
    return entry.direction is Direction.PRIMARY and entry.phase is Phase.ROLLED_BACK


def _told(entries: tuple[LedgerEntry, ...], at: float) -> AbstractSet[str]:
    return frozenset(
        entry.fingerprint
        for entry in entries
        if entry.action is Action.ALERT and entry.fresh_at > at - TOLD_S
    )
