"""How fast and how much: what keeps AURORA from doing too many things, or one again and again."""

import math
from typing import Final

from aurora.critic.budgets import exhausted_budget
from aurora.critic.finding import Finding, replicas_in
from aurora.critic.ledger import LedgerEntry
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.errors import ConfigurationError
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, Phase

DENIAL_MEMORY_S: Final = 3600.0
"""How long a person's Deny stands before the same may be asked again."""
FAILURE_MEMORY_S: Final = 3600.0
"""How long an action that could not be carried out is not proposed again."""
FIRST_RETRY_S: Final = 30.0
"""The same for the first failure of one that protects; doubled with each within the hour."""


def denied_recently(given: CriticInput) -> Finding:
    found = _newest_same(given, Phase.DENIED, since=given.at - DENIAL_MEMORY_S)
    if found is None:
        return None
    return CheckReason.DENIED_RECENTLY, f"{found.id} proposed the same and was denied"


def _newest_same(given: CriticInput, phase: Phase, *, since: float) -> LedgerEntry | None:
    return next(
        (
            entry
            for entry in given.ledger.of_model(given.request.model)
            if entry.phase is phase
            and entry.fingerprint == given.request.fingerprint
            and entry.fresh_at >= since
        ),
        None,
    )


def action_in_flight(given: CriticInput) -> Finding:
    open_entry = given.ledger.in_flight(given.request.model)
    if open_entry is None or open_entry.id == given.request.decision_id:
        return None
    if given.request.action is Action.ALERT:
        return None
    # The way back is no emergency: it would leave the fallback's own contract unmeasured.
    urgent = given.request.protective and given.request.direction is not Direction.PRIMARY
    if urgent and open_entry.phase is Phase.VERIFYING:
        return None
    return CheckReason.ACTION_IN_FLIGHT, f"{open_entry.id} is still {open_entry.phase}"


def neighbour_in_flight(given: CriticInput) -> Finding:
    """Replicas of a backend and the weights that send it traffic never change at the same time.

    Neither effect could be told from the other's. What protects callers does not wait for it.
    """
    if given.request.protective or given.request.action is Action.ALERT:
        return None
    for key in given.observation.neighbours:
        open_entry = given.ledger.in_flight(key)
        if open_entry is not None:
            return CheckReason.ACTION_IN_FLIGHT, f"{open_entry.id} is still {open_entry.phase}"
    return None


def protected_recently(given: CriticInput) -> Finding:
    if not given.request.protective or given.request.action is Action.ALERT:
        return None
    since = given.at - 2 * given.fleet.cycle_s
    recent = [
        entry
        for entry in given.ledger.acted_since(given.request.model, since)
        if entry.protective and entry.id != given.request.decision_id
    ]
    if not recent:
        return None
    return CheckReason.PROTECTED_RECENTLY, f"{recent[0].id} protected this target just now"


def failed_before(given: CriticInput) -> Finding:
    """What could not be done is not tried again before somebody had time to mend it.

    What protects callers is tried sooner, but not in every cycle either.
    """
    failed = [
        entry
        for entry in given.ledger.of_model(given.request.model)
        if entry.phase is Phase.FAILED
        and entry.fingerprint == given.request.fingerprint
        and entry.fresh_at >= given.at - FAILURE_MEMORY_S
    ]
    if not failed:
        return None
    wait = FIRST_RETRY_S * 2 ** (len(failed) - 1) if given.request.protective else FAILURE_MEMORY_S
    left = failed[0].fresh_at + wait - given.at
    if left <= 0:
        return None
    return (
        CheckReason.FAILED_BEFORE,
        f"{failed[0].id} could not be carried out, {math.ceil(left)} s to wait",
    )


def cooling_down(given: CriticInput) -> Finding:
    if given.request.protective or given.request.action is Action.ALERT:
        return None
    last = given.ledger.last_acted(given.request.model)
    if last is None or last.executed_at is None or last.id == given.request.decision_id:
        return None
    cooldown = given.observation.model.spec.autonomy.cooldown
    limit = cooldown.down if given.request.takes_away else cooldown.up
    left = last.executed_at + limit.total_seconds() - given.at
    if left <= 0:
        return None
    return CheckReason.COOLING_DOWN, f"{last.id} acted recently, {math.ceil(left)} s to wait"


def step_too_large(given: CriticInput) -> Finding:
    before, after = replicas_in(given.request.before), replicas_in(given.request.after)
    if given.request.protective or before is None or after is None:
        return None
    percent = given.observation.model.spec.autonomy.max_step_percent
    allowed = max(1, before * percent // 100)
    if abs(after - before) <= allowed:
        return None
    return (
        CheckReason.STEP_TOO_LARGE,
        f"{before} to {after} replicas is more than {percent} % ({allowed}) in one step",
    )


def budget_exhausted(given: CriticInput) -> Finding:
    if given.request.protective:
        return None
    budgets = given.observation.model.spec.autonomy.budgets
    acted = tuple(
        entry
        for entry in given.ledger.of_model(given.request.model)
        if entry.acted and entry.id != given.request.decision_id
    )
    try:
        found = exhausted_budget(budgets, given.request.action, acted, at=given.at)
    except ConfigurationError as error:
        # A window that cannot be read may be open now.
        return CheckReason.FREEZE_WINDOW, f"autonomy.budgets cannot be read: {error}"
    if found is None:
        return None
    if found.actions == 0:
        return CheckReason.FREEZE_WINDOW, "a freeze window is in force: autonomy.budgets allows 0"
    return CheckReason.BUDGET_EXHAUSTED, f"the budget of {found.actions} actions is used up"


def blast_radius(given: CriticInput) -> Finding:
    if given.request.action is Action.ALERT or given.fleet.in_flight < given.blast_radius:
        return None
    if given.ledger.in_flight(given.request.model) is not None:
        return None
    return (
        CheckReason.BLAST_RADIUS,
        (
            f"{given.fleet.in_flight} of {given.fleet.models} models are being changed, "
            f"{given.blast_radius} at most"
        ),
    )
