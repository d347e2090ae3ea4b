"""The guardrails in order. Reading the two lists is reading the policy."""

from collections.abc import Callable

from aurora.critic import checks, evidence, pace, reservations, safety, weights
from aurora.critic.finding import Finding
from aurora.critic.objectives import objective_at_risk
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.critic.verdict import Approved, NeedsApproval, Rejected, Verdict
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, Risk, Tier

__all__ = ["REJECTIONS", "RESERVATIONS", "judge", "judge_approved", "risk_of"]

REJECTIONS: tuple[Callable[[CriticInput], Finding], ...] = (
    # What people switched off comes first: nothing else matters then.
    checks.control_unreadable,
    checks.kill_switch_set,
    checks.paused,
    checks.action_not_installed,
    checks.mode_observe,
    # Then whether there is one thing to act on, and nobody else acting on it.
    checks.target_not_found,
    checks.target_replaced,
    checks.target_conflict,
    checks.autoscaler_conflict,
    # Then whether the result would be a state that is allowed and safe.
    safety.out_of_bounds,
    safety.no_healthy_backend,
    weights.refs_unresolved,
    weights.weights_are_no_whole,
    weights.no_ready_backend,
    safety.model_name_differs,
    evidence.evidence_missing,
    objective_at_risk,
    safety.quota_exceeded,
    safety.gpu_shortage,
    # Then how fast and how much.
    pace.denied_recently,
    pace.action_in_flight,
    pace.neighbour_in_flight,
    pace.protected_recently,
    pace.failed_before,
    pace.cooling_down,
    pace.step_too_large,
    weights.weight_step_too_large,
    pace.budget_exhausted,
    pace.blast_radius,
)
"""A finding of one of these ends the matter."""

RESERVATIONS: tuple[Callable[[CriticInput], Finding], ...] = (
    reservations.externally_reverted,
    reservations.regressed_before,
    reservations.mode_recommend,
    reservations.confidence_low,
)
"""A finding of one of these asks a person."""

_RISKS: dict[tuple[Action, Direction], Risk] = {
    (Action.SCALE, Direction.UP): Risk.LOW,
    (Action.SCALE, Direction.DOWN): Risk.MEDIUM,
    (Action.CACHE, Direction.ARM): Risk.MEDIUM,
    (Action.CACHE, Direction.DISARM): Risk.MEDIUM,
    (Action.CACHE, Direction.ON): Risk.LOW,
    (Action.CACHE, Direction.OFF): Risk.LOW,
    (Action.ROUTE, Direction.FALLBACK): Risk.MEDIUM,
    (Action.ROUTE, Direction.PRIMARY): Risk.MEDIUM,
    (Action.ROUTE, Direction.SHIFT): Risk.MEDIUM,
    (Action.ALERT, Direction.NONE): Risk.LOW,
}


def risk_of(action: Action, direction: Direction) -> Risk:
    """The risk class of an action; what is not listed is high and never unattended."""
    return _RISKS.get((action, direction), Risk.HIGH)


def judge(given: CriticInput) -> Verdict:
    """Run the chain and stop at the first finding."""
    risk = risk_of(given.request.action, given.request.direction)
    for check in REJECTIONS:
        if finding := check(given):
            return Rejected(*finding)
    if risk is Risk.HIGH:
        return NeedsApproval(
            CheckReason.HIGH_RISK, f"{given.request.action} is never unattended", risk
        )
    for check in RESERVATIONS:
        if finding := check(given):
            return NeedsApproval(*finding, risk)
    return Approved(_tier(given), risk)


def judge_approved(given: CriticInput) -> Verdict:
    """Judge what a person approved: reservations are answered, guardrails hold all the same."""
    for check in REJECTIONS:
        if finding := check(given):
            return Rejected(*finding)
    return Approved(Tier.APPROVAL, risk_of(given.request.action, given.request.direction))


def _tier(given: CriticInput) -> Tier:
    limit = given.observation.model.spec.autonomy.thresholds.auto_percent
    return Tier.AUTO if given.request.confidence * 100 > limit else Tier.MONITORED
