"""What else happened to a target since a decision was executed. Pure."""

import math
from typing import Final

from aurora.critic.finding import replicas_in
from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.executor.reverts import other_weights
from aurora.memory.outcome import Surroundings
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action

__all__ = ["surroundings_of"]


LATE_EVENT_S: Final = 10.0
"""Until then a watch may not have told of our own write yet: what it shows is no one's doing."""


def surroundings_of(
    entry: LedgerEntry, observation: ModelObservation, ledger: Ledger, *, at: float = math.inf
) -> Surroundings:
    """Everything that makes a before-and-after comparison meaningless.

    Args:
        entry: the decision that is being measured.
        observation: its model now.
        ledger: what else was decided.
        at: seconds since the epoch; without it what is observed counts as current.
    """
    seen = at - (entry.executed_at or 0.0) >= LATE_EVENT_S
    return Surroundings(
        foreign=_foreign(entry, observation) if seen else "",
        other_decision=_other_decision(entry, ledger),
        left_again=_left_again(entry, ledger),
        autoscaler=_autoscaler(entry, observation),
        lost_pod=_lost_pod(entry, observation),
        neighbour=_neighbour(entry, observation, ledger),
    )


def _wanted(entry: LedgerEntry) -> int | None:
    return replicas_in(entry.after)


def _foreign(entry: LedgerEntry, observation: ModelObservation) -> str:
    """Somebody else changed the replicas or weights that this decision set."""
    if observation.routing is not None:
        return "somebody set other weights" if other_weights(entry, observation.routing) else ""
    wanted, target = _wanted(entry), observation.target
    if entry.action is not Action.SCALE or wanted is None or target is None:
        return ""
    scalers = observation.autoscalers
    now = scalers[0].floor if len(scalers) == 1 else target.replicas
    if now == wanted:
        return ""
    return f"somebody set {now} replicas while {wanted} were decided"


def _later(entry: LedgerEntry, ledger: Ledger) -> tuple[LedgerEntry, ...]:
    return tuple(
        one
        for one in ledger.of_model(entry.model)
        if one.acted
        and one.id != entry.id
        and (one.executed_at or 0.0) >= (entry.executed_at or 0.0)
        and one.decided_at >= entry.decided_at
    )


def _other_decision(entry: LedgerEntry, ledger: Ledger) -> str:
    later = _later(entry, ledger)
    return f"{later[0].id} was executed meanwhile" if later else ""


def _neighbour(entry: LedgerEntry, observation: ModelObservation, ledger: Ledger) -> str:
    """A protective action on a backend, or on the policy that routes to it, does not wait."""
    since = entry.executed_at or 0.0
    later = [one for key in observation.neighbours for one in ledger.acted_since(key, since)]
    return f"{later[0].id} was executed beside it" if later else ""


def _left_again(entry: LedgerEntry, ledger: Ledger) -> str:
    """A way back that did not last is no chance event: the primary failed as it had before."""
    if entry.direction is not Direction.PRIMARY:
        return ""
    again = [one for one in _later(entry, ledger) if one.direction is Direction.FALLBACK]
    return f"{again[-1].id} had to leave the primary again" if again else ""


def _autoscaler(entry: LedgerEntry, observation: ModelObservation) -> str:
    """The autoscaler went beyond what this decision left it at.

    A floor that is let go changes nothing until the autoscaler follows: standing still is no step.
    """
    wanted, target = _wanted(entry), observation.target
    if len(observation.autoscalers) != 1 or wanted is None or target is None:
        return ""
    before = entry.before.get("current", "")
    standing = int(before) if before.isdecimal() and entry.direction is Direction.DOWN else wanted
    if target.replicas <= max(wanted, standing):
        return ""
    scaler = observation.autoscalers[0]
    return f"{scaler.kind} {scaler.key.name} stepped to {target.replicas} replicas"


def _lost_pod(entry: LedgerEntry, observation: ModelObservation) -> str:
    """A pod that was there before the decision crashed since; one that it brought is its own."""
    crashed = [
        pod.key.name
        for pod in observation.pods
        if pod.crash_looping and pod.created_at < (entry.executed_at or 0.0)
    ]
    if not crashed or entry.action is Action.ROUTE:
        return ""
    return f"pod {crashed[0]} was lost meanwhile"
