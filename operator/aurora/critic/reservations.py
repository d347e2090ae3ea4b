"""What has to be asked of a person first."""

from typing import Final

from aurora.critic.finding import Finding
from aurora.critic.ledger import LedgerEntry
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, Mode, OutcomeVerdict, Phase

REGRESSION_MEMORY_S: Final = 24 * 3600.0
"""How long a measured regression of the same action keeps AURORA from repeating it unattended."""
UNDONE_MEMORY_S: Final = 3600.0
"""How long the same after an undo for another reason: replicas whose pods never came up."""
REVERTS_TOLERATED: Final = 2
"""Writes that another manager may take back within an hour before AURORA stops repeating them."""


def externally_reverted(given: CriticInput) -> Finding:
    if given.request.action is Action.ALERT or given.reverted < REVERTS_TOLERATED:
        return None
    return (
        CheckReason.EXTERNALLY_REVERTED,
        (
            f"another manager took our write back {given.reverted} times within an hour: "
            "see the condition ExternallyReverted"
        ),
    )


def regressed_before(given: CriticInput) -> Finding:
    """The way back from a fallback is not asked about: its wait doubles instead."""
    if given.request.direction is Direction.PRIMARY:
        return None
    since = given.at - REGRESSION_MEMORY_S
    found = next(
        (
            entry
            for entry in given.ledger.acted_since(given.request.model, since)
            if (entry.action, entry.direction) == (given.request.action, given.request.direction)
            and dict(entry.after) == dict(given.request.after)
            and _went_wrong(entry, given.at)
        ),
        None,
    )
    if found is None:
        return None
    what = "measured as Regressed" if found.verdict is OutcomeVerdict.REGRESSED else "undone"
    return CheckReason.REGRESSED_BEFORE, f"{found.id} did the same and was {what}"


def _went_wrong(entry: LedgerEntry, at: float) -> bool:
    if entry.verdict is OutcomeVerdict.REGRESSED:
        return True
    return entry.phase is Phase.ROLLED_BACK and entry.fresh_at >= at - UNDONE_MEMORY_S


def mode_recommend(given: CriticInput) -> Finding:
    if given.request.action is Action.ALERT:
        return None
    if given.observation.model.mode_of(given.request.action) is not Mode.RECOMMEND:
        return None
    return CheckReason.MODE_RECOMMEND, f"the mode for {given.request.action} is Recommend"


def confidence_low(given: CriticInput) -> Finding:
    limit = given.observation.model.spec.autonomy.thresholds.monitored_percent
    if given.request.action is Action.ALERT or given.request.confidence * 100 >= limit:
        return None
    return (
        CheckReason.CONFIDENCE_LOW,
        f"confidence {given.request.confidence:.0%} is below {limit} %",
    )
