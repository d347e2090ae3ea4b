"""The custom resources as typed values: the only source of the CRDs.

A Decision is first of all the planner's value; its custom resource is `DecisionObject` here.
"""

from aurora.resources.approval import Approval, ApprovalSpec, DecisionRef
from aurora.resources.autonomy import Autonomy, Budget, Cooldown, Thresholds, Verification
from aurora.resources.base import KubernetesObject, MalformedObjectError, ObjectMeta
from aurora.resources.conditions import (
    Condition,
    ConditionType,
    find_condition,
    is_true,
    remove_condition,
    set_condition,
)
from aurora.resources.decision import Change, DecisionSpec, DecisionStatus, OutcomeStatus
from aurora.resources.decision import Decision as DecisionObject
from aurora.resources.modeldeployment import (
    DecisionSummary,
    ModelDeployment,
    ModelDeploymentSpec,
    ModelDeploymentStatus,
)
from aurora.resources.routing_policy import (
    BackendStatus,
    RoutingPolicy,
    RoutingPolicySpec,
    RoutingPolicyStatus,
)
from aurora.resources.serving import (
    Cache,
    Fallback,
    Metrics,
    Notification,
    Objectives,
    Queries,
    ReplicaCounts,
    Scaling,
    SignalStatus,
    Triggers,
)

__all__ = [
    "Approval",
    "ApprovalSpec",
    "Autonomy",
    "BackendStatus",
    "Budget",
    "Cache",
    "Change",
    "Condition",
    "ConditionType",
    "Cooldown",
    "DecisionObject",
    "DecisionRef",
    "DecisionSpec",
    "DecisionStatus",
    "DecisionSummary",
    "Fallback",
    "KubernetesObject",
    "MalformedObjectError",
    "Metrics",
    "ModelDeployment",
    "ModelDeploymentSpec",
    "ModelDeploymentStatus",
    "Notification",
    "ObjectMeta",
    "Objectives",
    "OutcomeStatus",
    "Queries",
    "ReplicaCounts",
    "RoutingPolicy",
    "RoutingPolicySpec",
    "RoutingPolicyStatus",
    "Scaling",
    "SignalStatus",
    "Thresholds",
    "Triggers",
    "Verification",
    "find_condition",
    "is_true",
    "remove_condition",
    "set_condition",
]
