"""ModelDeployment: what the user applies, and what AURORA reports about it."""

from typing import Annotated, ClassVar

from pydantic import Field

from aurora.resources.autonomy import Autonomy, Budget, DecidedAction
from aurora.resources.base import Part, StatusPart, SubjectObject
from aurora.resources.cel import Rule
from aurora.resources.columns import Column
from aurora.resources.conditions import Conditions
from aurora.resources.quantities import LongText, Percent, ShortText, Timestamp
from aurora.resources.references import ServiceRef, TargetRef
from aurora.resources.serving import (
    Cache,
    Fallback,
    Metrics,
    Notification,
    Objectives,
    ReplicaCounts,
    Scaling,
    SignalStatus,
    Triggers,
)
from aurora.resources.vocabulary import (
    Action,
    CacheMode,
    DeletionPolicy,
    Engine,
    Mode,
    OutcomeVerdict,
)

__all__ = [
    "RECENT_DECISIONS",
    "Autonomy",
    "Budget",
    "Cache",
    "DecisionSummary",
    "Fallback",
    "Metrics",
    "ModelDeployment",
    "ModelDeploymentSpec",
    "ModelDeploymentStatus",
    "Notification",
    "Objectives",
    "ReplicaCounts",
    "Scaling",
    "SignalStatus",
    "Triggers",
]

RECENT_DECISIONS = 5

_SCALES_BY_ITSELF = (
    "has(self.scaling) && ('SCALE' in self.autonomy.actions"
    " ? self.autonomy.actions['SCALE'] == 'Auto' : self.autonomy.mode == 'Auto')"
)
_OBJECTIVES = ("latencyP95", "ttftP95", "tpotP95", "errorRatePercent", "accuracyPercent")


class ModelDeploymentSpec(Part):
    """One served model: where it runs, what good service is, and what AURORA may do."""

    target_ref: TargetRef
    """The workload that serves the model."""
    service_ref: ServiceRef
    """The Service that callers use."""
    engine: Engine = Engine.VLLM
    """Metric preset: vllm, tgi, triton, sdk (the aurora_* metrics) or custom (own queries)."""
    metrics: Metrics = Field(default_factory=Metrics)
    """Where the numbers come from."""
    objectives: Objectives = Field(default_factory=Objectives)
    """What good service is."""
    scaling: Scaling | None = None
    """Bounds for SCALE; without it AURORA never changes the number of replicas."""
    cache: Cache = Field(default_factory=Cache)
    """The response cache."""
    fallback: Fallback | None = None
    """Where traffic goes when the primary fails; without it ROUTE is never proposed."""
    autonomy: Autonomy = Field(default_factory=Autonomy)
    """What AURORA may do by itself."""
    triggers: Triggers = Field(default_factory=Triggers)
    """The planner's thresholds."""
    deletion_policy: DeletionPolicy = DeletionPolicy.RESTORE
    """What deleting this object does: Restore the values found first, or Keep ours."""
    notifications: tuple[Notification, ...] = Field(default=(), max_length=4)
    """Who is told of alerts and approvals."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.cache.mode == 'Off' || self.targetRef.kind == 'Deployment'",
            'the cache needs a target of kind Deployment: set cache.mode to "Off" or point '
            "targetRef at a Deployment",
            ".cache.mode",
        ),
        Rule(
            "!has(self.fallback) || self.fallback.serviceRef.name != self.serviceRef.name",
            "the fallback must be another Service than serviceRef",
            ".fallback.serviceRef.name",
        ),
        Rule(
            "self.engine != 'custom' || (has(self.metrics.queries)"
            " && has(self.metrics.queries.latencyP95) && has(self.metrics.queries.requestRate))",
            "engine custom reads only your own queries: set at least metrics.queries.latencyP95 "
            "and metrics.queries.requestRate, or choose another engine",
            ".metrics",
        ),
        Rule(
            f"!({_SCALES_BY_ITSELF}) || "
            + " || ".join(f"has(self.objectives.{name})" for name in _OBJECTIVES[:4]),
            "SCALE in mode Auto needs to know what good service is: set at least one of "
            "objectives.latencyP95, ttftP95, tpotP95 and errorRatePercent, or use mode Recommend",
            ".objectives",
        ),
    )


class DecisionSummary(StatusPart):
    """The last decision in a few words; the Decision object has all of it."""

    name: ShortText
    """Name of the Decision object."""
    action: DecidedAction
    """What was decided."""
    confidence_percent: Percent
    """Confidence when it was decided."""
    reason: str = Field(max_length=63)
    """CamelCase reason."""
    message: LongText = ""
    """The reasoning in a sentence."""
    outcome: OutcomeVerdict | None = None
    """What measurement said; missing until measured."""
    time: Timestamp
    """When it was decided."""


class ModelDeploymentStatus(StatusPart):
    """Written only when something changes that a reader would act on."""

    observed_generation: int = Field(default=0, ge=0)
    """metadata.generation that was looked at last."""
    conditions: Conditions = ()
    """Ready first."""
    replicas: ReplicaCounts | None = None
    """Replicas as last observed and decided."""
    signals: tuple[SignalStatus, ...] = Field(default=(), max_length=32)
    """The signals last decided on."""
    last_decision: DecisionSummary | None = None
    """The last decision."""
    recent_decisions: Annotated[
        tuple[DecisionSummary, ...], Field(max_length=RECENT_DECISIONS)
    ] = ()
    """The last five decisions, newest first."""


class ModelDeployment(SubjectObject):
    """A served model that AURORA watches and, where allowed, runs."""

    kind: ClassVar[str] = "ModelDeployment"
    plural: ClassVar[str] = "modeldeployments"
    short_names: ClassVar[tuple[str, ...]] = ("mdep",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Mode", ".spec.autonomy.mode"),
        Column("Replicas", ".status.replicas.current", type="integer"),
        Column("Desired", ".status.replicas.desired", type="integer"),
        Column("Last-Action", ".status.lastDecision.action"),
        Column("Confidence", ".status.lastDecision.confidencePercent", type="integer"),
        Column("Outcome", ".status.lastDecision.outcome"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("P95", '.status.signals[?(@.name=="latencyP95")].value', priority=1),
        Column("Target", ".spec.targetRef.name", priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
    )

    spec: ModelDeploymentSpec
    """Where the model runs, what good service is, and what AURORA may do."""
    status: ModelDeploymentStatus = Field(default_factory=ModelDeploymentStatus)
    """What AURORA observed and decided last; written by AURORA only."""

    @property
    def wants_cache(self) -> bool:
        """Tell whether the cache may be armed at all."""
        return self.spec.cache.mode is not CacheMode.OFF

    def mode_of(self, action: Action) -> Mode:
        """Return the mode that holds for one action."""
        return self.spec.autonomy.mode_of(action)
