"""What else happened to a target since a decision was executed. Pure."""

from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.memory.outcome import Surroundings
from aurora.observe.snapshot import ModelObservation
from aurora.resources.vocabulary import Action

__all__ = ["surroundings_of"]


def surroundings_of(
    entry: LedgerEntry, observation: ModelObservation, ledger: Ledger
) -> Surroundings:
    """Everything that makes a before-and-after comparison meaningless."""
    return Surroundings(
        foreign=_foreign(entry, observation),
        other_decision=_other_decision(entry, ledger),
        autoscaler=_autoscaler(entry, observation),
        lost_pod=_lost_pod(entry, observation),
    )


def _wanted(entry: LedgerEntry) -> int | None:
    value = entry.after.get("replicas", "")
    return int(value) if value.isdigit() else None


def _foreign(entry: LedgerEntry, observation: ModelObservation) -> str:
    """Somebody else changed the replicas that this decision set."""
    wanted, target = _wanted(entry), observation.target
    if entry.action is not Action.SCALE or wanted is None or target is None:
        return ""
    scalers = observation.autoscalers
    now = scalers[0].floor if len(scalers) == 1 else target.replicas
    if now == wanted:
        return ""
    return f"somebody set {now} replicas while {wanted} were decided"


def _other_decision(entry: LedgerEntry, ledger: Ledger) -> str:
    later = (
        one
        for one in ledger.of_model(entry.model)
        if one.acted
        and one.id != entry.id
        and (one.executed_at or 0.0) >= (entry.executed_at or 0.0)
        and one.decided_at >= entry.decided_at
    )
    found = next(later, None)
    return f"{found.id} was executed meanwhile" if found is not None else ""


def _autoscaler(entry: LedgerEntry, observation: ModelObservation) -> str:
    """The autoscaler went beyond the floor that this decision raised, or below it."""
    wanted, target = _wanted(entry), observation.target
    if len(observation.autoscalers) != 1 or wanted is None or target is None:
        return ""
    if target.replicas <= wanted:
        return ""
    scaler = observation.autoscalers[0]
    return f"{scaler.kind} {scaler.key.name} stepped to {target.replicas} replicas"


def _lost_pod(entry: LedgerEntry, observation: ModelObservation) -> str:
    """A pod that served before the decision crashed since."""
    crashed = [pod.key.name for pod in observation.pods if pod.crash_looping]
    if not crashed or entry.action is Action.ROUTE:
        return ""
    return f"pod {crashed[0]} was lost meanwhile"
