"""The closed word lists of the custom resources."""

from enum import StrEnum


class Action(StrEnum):
    """What AURORA can do for one model in one cycle."""

    SCALE = "SCALE"
    CACHE = "CACHE"
    ROUTE = "ROUTE"
    RETRAIN = "RETRAIN"
    FINE_TUNE = "FINE_TUNE"
    ALERT = "ALERT"
    NO_ACTION = "NO_ACTION"
    """Recorded by the planner, never an object."""


class Mode(StrEnum):
    """How far AURORA goes without a person."""

    OBSERVE = "Observe"
    RECOMMEND = "Recommend"
    AUTO = "Auto"


class SubjectKind(StrEnum):
    """The kind that a Decision is about."""

    MODEL_DEPLOYMENT = "ModelDeployment"
    ROUTING_POLICY = "RoutingPolicy"


class Tier(StrEnum):
    """What a decision's confidence allows."""

    AUTO = "Auto"
    MONITORED = "Monitored"
    APPROVAL = "Approval"


class Direction(StrEnum):
    """Which way an action moves; a reversal is the opposite direction of the same action."""

    UP = "Up"
    DOWN = "Down"
    ARM = "Arm"
    DISARM = "Disarm"
    ON = "On"
    OFF = "Off"
    FALLBACK = "Fallback"
    PRIMARY = "Primary"
    SHIFT = "Shift"
    """Weights of a RoutingPolicy move between its backends."""


class ExpectedDirection(StrEnum):
    """Where a signal should go."""

    UP = "Up"
    DOWN = "Down"
    HOLD = "Hold"


class Comparison(StrEnum):
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="


class Risk(StrEnum):
    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


class Phase(StrEnum):
    """Where a Decision stands; a printed column, the conditions carry the facts."""

    PROPOSED = "Proposed"
    AWAITING_APPROVAL = "AwaitingApproval"
    APPROVED = "Approved"
    EXECUTING = "Executing"
    VERIFYING = "Verifying"
    COMPLETED = "Completed"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    REJECTED = "Rejected"
    DENIED = "Denied"
    EXPIRED = "Expired"
    FAILED = "Failed"


class OutcomeVerdict(StrEnum):
    """What measurement said about a decision's effect."""

    IMPROVED = "Improved"
    NEUTRAL = "Neutral"
    REGRESSED = "Regressed"
    CONFOUNDED = "Confounded"
    NO_DATA = "NoData"


class ApprovalVerdict(StrEnum):
    APPROVE = "Approve"
    DENY = "Deny"


class Engine(StrEnum):
    """Metric preset of the serving engine."""

    VLLM = "vllm"
    TGI = "tgi"
    TRITON = "triton"
    SDK = "sdk"
    """The generic `aurora_*` metrics of AURORA's client library."""
    CUSTOM = "custom"
    """Only the object's own queries."""


class CacheMode(StrEnum):
    OFF = "Off"
    AUTO = "Auto"
    ON = "On"


class NodeProvisioning(StrEnum):
    """Whether nodes appear on demand when a pod finds no room."""

    AUTO = "Auto"
    NONE = "None"


class DeletionPolicy(StrEnum):
    RESTORE = "Restore"
    KEEP = "Keep"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"
