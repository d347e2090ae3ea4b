"""Conditions as `metav1.Condition`, kept and compared without side effects."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from aurora.resources.base import StatusPart
from aurora.resources.cel import Schema
from aurora.resources.quantities import Timestamp
from aurora.resources.vocabulary import ConditionStatus


class ConditionType(StrEnum):
    """Types that AURORA sets; on a RoutingPolicy, a ModelDeployment, and a Decision."""

    READY = "Ready"
    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    PROGRAMMED = "Programmed"
    AUDIT_PASSED = "AuditPassed"
    ROUTERS_FED = "RoutersFed"
    METRICS_AVAILABLE = "MetricsAvailable"
    SCALING_ACTIVE = "ScalingActive"
    CACHE_ACTIVE = "CacheActive"
    DRIFT_DETECTED = "DriftDetected"
    PAUSED = "Paused"
    APPROVAL_PENDING = "ApprovalPending"
    AUTOSCALER_CONFLICT = "AutoscalerConflict"
    TARGET_CONFLICT = "TargetConflict"
    EXTERNALLY_REVERTED = "ExternallyReverted"
    APPROVED = "Approved"
    EXECUTED = "Executed"
    VERIFIED = "Verified"
    ROLLED_BACK = "RolledBack"


class Condition(StatusPart):
    """One observation about the object, as in `metav1.Condition`."""

    type: str = Field(min_length=1, max_length=63)
    """CamelCase name of what is observed."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: str = Field(min_length=1, max_length=63)
    """CamelCase reason, for programs."""
    message: str = Field(default="", max_length=1024)
    """A sentence for people."""
    last_transition_time: Timestamp
    """When status last changed."""
    observed_generation: int = Field(default=0, ge=0)
    """metadata.generation that was looked at."""


Conditions = Annotated[
    tuple[Condition, ...],
    Field(max_length=16),
    Schema((("x-kubernetes-list-type", "map"), ("x-kubernetes-list-map-keys", ["type"]))),
]

_ORDER = {name.value: place for place, name in enumerate(ConditionType)}
_MESSAGE_LIMIT = 1024


def find_condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """Return the condition of that type, or None."""
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Tell whether the condition exists and its status is True."""
    found = find_condition(conditions, type_)
    return found is not None and found.status is ConditionStatus.TRUE


def set_condition(  # noqa: PLR0913 - the fields of a condition, all by keyword
    conditions: Iterable[Condition],
    *,
    type_: str,
    status: ConditionStatus,
    reason: str,
    now: datetime,
    message: str = "",
    observed_generation: int = 0,
) -> tuple[Condition, ...]:
    """Return the conditions with this one set.

    lastTransitionTime moves only when the status changes, so that setting the same facts again
    gives an equal value and therefore no write. It holds whole seconds, as it is written. Known
    types come first, `Ready` at the head.
    """
    kept = tuple(conditions)
    before = find_condition(kept, type_)
    message = message[:_MESSAGE_LIMIT]
    said = (status, str(reason), message, observed_generation)
    if before is not None and said == _facts(before):  # nearly always, for 10,000 objects
        return kept
    same = before is not None and before.status is status
    condition = Condition(
        type=str(type_),
        status=status,
        reason=str(reason),
        message=message,
        last_transition_time=(
            before.last_transition_time if before and same else now.replace(microsecond=0)
        ),
        observed_generation=observed_generation,
    )
    others = (one for one in kept if one.type != condition.type)
    return tuple(sorted((*others, condition), key=_place))


def remove_condition(conditions: Iterable[Condition], type_: str) -> tuple[Condition, ...]:
    """Return the conditions without that type."""
    return tuple(condition for condition in conditions if condition.type != type_)


def _facts(condition: Condition) -> tuple[ConditionStatus, str, str, int]:
    return condition.status, condition.reason, condition.message, condition.observed_generation


def _place(condition: Condition) -> tuple[int, str]:
    return _ORDER.get(condition.type, len(_ORDER)), condition.type
