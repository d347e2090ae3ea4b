"""Why the critic rejects or asks a person. The names go unchanged to condition, Event and log."""

from enum import StrEnum

__all__ = ["TRANSIENT", "CheckReason"]


class CheckReason(StrEnum):
    """One name per guardrail."""

    CONTROL_UNREADABLE = "ControlUnreadable"
    """The ConfigMap aurora-control is absent or unreadable; that counts as a set kill switch."""
    KILL_SWITCH_SET = "KillSwitchSet"
    """The ConfigMap aurora-control stops every write."""
    PAUSED = "Paused"
    """The ModelDeployment carries the annotation aurora.dev/paused."""
    ACTION_NOT_INSTALLED = "ActionNotInstalled"
    """This installation may not carry out the action in this namespace."""
    MODE_OBSERVE = "ModeObserve"
    """The mode for this action is Observe."""
    MODE_RECOMMEND = "ModeRecommend"
    """The mode for this action is Recommend: a person decides."""
    TARGET_NOT_FOUND = "TargetNotFound"
    """The target does not exist."""
    TARGET_REPLACED = "TargetReplaced"
    """An object of the same name replaced the target after the decision was made."""
    TARGET_CONFLICT = "TargetConflict"
    """An older ModelDeployment points at the same target and acts on it."""
    AUTOSCALER_CONFLICT = "AutoscalerConflict"
    """Two autoscalers scale the target."""
    EXTERNALLY_REVERTED = "ExternallyReverted"
    """Another manager took our last writes back twice within an hour."""
    OUT_OF_BOUNDS = "OutOfBounds"
    """The result would leave minReplicas and maxReplicas, or the autoscaler's range."""
    NO_HEALTHY_BACKEND = "NoHealthyBackend"
    """The backend that would take the traffic has no ready endpoint."""
    MODEL_NAME_DIFFERS = "ModelNameDiffers"
    """The fallback does not serve the same model name."""
    REFS_UNRESOLVED = "RefsUnresolved"
    """The RoutingPolicy and the rule of its HTTPRoute do not list the same backends."""
    EVIDENCE_MISSING = "EvidenceMissing"
    """A signal that this action must see is missing, stale or partial."""
    DENIED_RECENTLY = "DeniedRecently"
    """A person denied the same within the last hour."""
    ACTION_IN_FLIGHT = "ActionInFlight"
    """Another decision on the same target is not finished."""
    PROTECTED_RECENTLY = "ProtectedRecently"
    """A protective action was taken on this target within the last two cycles."""
    FAILED_BEFORE = "FailedBefore"
    """The same action could not be carried out: not tried again for an hour, or, where it
    protects, for a wait that doubles with each failure."""
    COOLING_DOWN = "CoolingDown"
    """The cooldown after the last action has not passed."""
    STEP_TOO_LARGE = "StepTooLarge"
    """The step is larger than autonomy.maxStepPercent."""
    BUDGET_EXHAUSTED = "BudgetExhausted"
    """The number of actions that a budget allows was used up."""
    FREEZE_WINDOW = "FreezeWindow"
    """A budget of zero actions is in force now."""
    BLAST_RADIUS = "BlastRadius"
    """Too many models of the fleet are being changed at once."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """The namespace's ResourceQuota has no room for the new pods."""
    GPU_SHORTAGE = "GpuShortage"
    """No free GPUs, and nodes are not provisioned on demand."""
    OBJECTIVE_AT_RISK = "ObjectiveAtRisk"
    """The capacity model expects an objective to be violated afterwards."""
    REGRESSED_BEFORE = "RegressedBefore"
    """The same action was measured as Regressed within the last day, or undone within the hour."""
    HIGH_RISK = "HighRisk"
    """A high-risk action is never unattended, whatever the confidence."""
    CONFIDENCE_LOW = "ConfidenceLow"
    """Confidence is below autonomy.thresholds.monitoredPercent."""


TRANSIENT = frozenset(
    {
        CheckReason.ACTION_IN_FLIGHT,
        CheckReason.PROTECTED_RECENTLY,
        CheckReason.FAILED_BEFORE,
        CheckReason.COOLING_DOWN,
        CheckReason.BLAST_RADIUS,
        CheckReason.DENIED_RECENTLY,
    }
)
"""Rejections that only say "not yet": counted and shown, but no Decision object is made of them."""
