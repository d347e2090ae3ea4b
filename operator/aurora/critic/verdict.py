"""What the critic answers."""

from dataclasses import dataclass

from aurora.critic.reasons import CheckReason
from aurora.resources.vocabulary import Risk, Tier

__all__ = ["Approved", "NeedsApproval", "Rejected", "Verdict"]


@dataclass(frozen=True, slots=True)
class Approved:
    """Execute. Tier Monitored is verified in half the time with a tighter rollback."""

    tier: Tier
    risk: Risk


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    """Propose to a person, who has until the decision expires."""

    reason: CheckReason
    message: str
    risk: Risk


@dataclass(frozen=True, slots=True)
class Rejected:
    """Do nothing, and say why."""

    reason: CheckReason
    message: str


Verdict = Approved | NeedsApproval | Rejected
