"""Decision: one contract of action, evidence, expected effect and rollback condition."""

from typing import Annotated, ClassVar

from pydantic import Field

from aurora.resources.autonomy import DecidedAction
from aurora.resources.base import KubernetesObject, Part, StatusPart
from aurora.resources.cel import Rule
from aurora.resources.columns import Column
from aurora.resources.conditions import Conditions
from aurora.resources.quantities import (
    DecimalString,
    Duration,
    LongText,
    Percent,
    ShortText,
    Timestamp,
    Uid,
)
from aurora.resources.references import ApiVersion, Kind
from aurora.resources.vocabulary import (
    Action,
    Comparison,
    Direction,
    ExpectedDirection,
    OutcomeVerdict,
    Phase,
    Risk,
    SubjectKind,
    Tier,
)

Reason = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule(
        "self.matches('^[A-Z][A-Za-z0-9]*$')",
        "a reason is one CamelCase word, for example LatencyAboveObjective",
    ),
]
Word = Annotated[str, Field(max_length=63)]
Hash = Annotated[str, Field(max_length=128)]
Parameters = Annotated[
    dict[Annotated[str, Field(max_length=63)], Annotated[str, Field(max_length=253)]],
    Field(max_length=16),
]


class ModelRef(Part):
    """The object that the decision is about."""

    kind: SubjectKind = SubjectKind.MODEL_DEPLOYMENT
    """ModelDeployment or RoutingPolicy."""
    name: ShortText
    """Its name, in the Decision's namespace."""
    uid: Uid
    """Its uid: another object of the same name is another one."""


class TargetIdentity(Part):
    """The workload at the time of the decision."""

    api_version: ApiVersion
    """Group and version."""
    kind: Kind
    """Kind."""
    name: ShortText
    """Name."""
    uid: Uid
    """uid: a workload made anew is another target."""


class ParameterChange(Part):
    """What is changed, as text, for example replicas 2 to 3."""

    from_: Parameters = Field(default_factory=dict, alias="from")
    """Values when it was decided."""
    to: Parameters = Field(default_factory=dict)
    """Values that the action sets."""


class Evidence(Part):
    """One measured fact that led to the decision."""

    signal: Word
    """Name of the signal."""
    query: str | None = Field(default=None, max_length=4096)
    """The resolved PromQL; missing when the fact comes from a watch."""
    value: DecimalString
    """The measured value."""
    unit: Word
    """Its unit."""
    threshold: DecimalString | None = None
    """What it was compared with."""
    samples: int | None = Field(default=None, ge=0)
    """How many requests the value stands on."""
    window: Duration | None = None
    """Length of the window."""
    at: Timestamp
    """When it was measured."""


class ExpectedEffect(Part):
    """What the action should change, and by when."""

    signal: Word
    """Signal that is judged."""
    direction: ExpectedDirection
    """Down, Up or Hold."""
    delta: DecimalString
    """Expected change of the signal, in its unit."""
    low: DecimalString | None = None
    """Lower end of the interval of the change."""
    high: DecimalString | None = None
    """Upper end of the interval of the change."""
    unit: Word
    """Unit of the change."""
    by: Timestamp
    """When it is judged."""


class RollbackCondition(Part):
    """A measurement that undoes the action."""

    signal: Word
    """Signal that is watched."""
    operator: Comparison
    """Comparison."""
    value: DecimalString
    """Value that it is compared with, in the signal's unit."""


class Precedent(Part):
    """A similar past case."""

    decision: ShortText
    """Name of the past decision."""
    similarity_percent: Percent
    """How similar the state was."""
    outcome: OutcomeVerdict | None = None
    """How it turned out."""


class Alternative(Part):
    """A candidate that lost, and what blocked it."""

    action: Action
    """The other action."""
    reason: Reason
    """Why it lost, CamelCase."""
    message: LongText = ""
    """Why it lost, in a sentence."""


class DecisionSpec(Part):
    """Immutable: what was decided, on what evidence, and what it promises."""

    model_ref: ModelRef
    """The ModelDeployment or RoutingPolicy."""
    target: TargetIdentity
    """The workload or HTTPRoute that is acted on."""
    action: DecidedAction
    """SCALE, CACHE, ROUTE, RETRAIN, FINE_TUNE or ALERT."""
    parameters: ParameterChange = Field(default_factory=ParameterChange)
    """What changes."""
    direction: Direction | None = None
    """Which way the action moves, where that makes sense."""
    protective: bool = False
    """Undo, fallback or needed scale-up: skips cooldown, budgets, freezes and the step limit."""
    reason: Reason
    """The rule that proposed it, CamelCase."""
    message: LongText
    """The reasoning in a sentence."""
    confidence_percent: Percent
    """Calibrated confidence."""
    tier: Tier
    """What the confidence allows: Auto, Monitored or Approval."""
    risk: Risk
    """Risk class of the action; High is never unattended."""
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=16)
    """What was measured."""
    expected_effect: ExpectedEffect | None = None
    """What should change, and by when; an ALERT has none."""
    rollback_if: tuple[RollbackCondition, ...] = Field(default=(), max_length=8)
    """What undoes it."""
    precedents: tuple[Precedent, ...] = Field(default=(), max_length=8)
    """Similar past cases."""
    alternatives: tuple[Alternative, ...] = Field(default=(), max_length=8)
    """Candidates that lost."""
    policy_hash: Hash
    """Hash of the policy that decided."""
    state_hash: Hash | None = None
    """Hash of the state that was decided on."""
    fingerprint: Hash
    """Equal for repeats of the same proposal."""
    expires_at: Timestamp | None = None
    """When it lapses if nobody decided."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self == oldSelf",
            "a Decision's spec never changes: AURORA writes a new Decision instead",
        ),
        Rule(
            "self.action == 'ALERT' || self.parameters.to.size() > 0",
            "parameters.to must say what the action sets",
            ".parameters.to",
        ),
    )


class Change(StatusPart):
    """One write that was made, with what undoes it."""

    api_version: Word
    """Group and version of the changed object."""
    kind: Word
    """Its kind."""
    namespace: ShortText
    """Its namespace."""
    name: ShortText
    """Its name."""
    uid: Uid
    """Its uid."""
    path: str = Field(max_length=512)
    """JSON pointer of the field."""
    subresource: str | None = Field(default=None, max_length=63)
    """Subresource that was written, for example scale; missing for the object itself."""
    beside: str | None = Field(default=None, max_length=1024)
    """Fields beside it that must not have changed, as JSON: whose weight it is."""
    from_: str | None = Field(default=None, alias="from", max_length=4096)
    """Value before, as JSON; missing when the field did not exist."""
    to: str | None = Field(default=None, max_length=4096)
    """Value written, as JSON; missing when the field was removed."""
    applied_at: Timestamp | None = None
    """When it was written; missing while it is only announced."""


class OutcomeStatus(StatusPart):
    """What measurement said."""

    verdict: OutcomeVerdict
    """Improved, Neutral, Regressed, Confounded or NoData."""
    effect: DecimalString | None = None
    """Measured change against what would have happened without the action."""
    low: DecimalString | None = None
    """Lower end of its interval."""
    high: DecimalString | None = None
    """Upper end of its interval."""
    unit: Word | None = None
    """Unit of the change."""
    message: LongText = ""
    """A sentence with the numbers."""
    measured_at: Timestamp
    """When it was judged."""


class DecisionStatus(StatusPart):
    """What became of the decision."""

    phase: Phase | None = None
    """A column for people; programs read the conditions."""
    conditions: Conditions = ()
    """Approved, Executed, Verified, RolledBack."""
    decided_by: ShortText | None = None
    """Who approved or denied: a user name, or aurora."""
    changes: tuple[Change, ...] = Field(default=(), max_length=16)
    """What was written, with the old values."""
    outcome: OutcomeStatus | None = None
    """What measurement said."""
    repeats: int = Field(default=0, ge=0)
    """How often the same proposal came again."""
    last_seen: Timestamp | None = None
    """When it last came again."""


class Decision(KubernetesObject):
    """One decision of AURORA: an immutable contract and what became of it."""

    kind: ClassVar[str] = "Decision"
    plural: ClassVar[str] = "decisions"
    short_names: ClassVar[tuple[str, ...]] = ("dec",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Model", ".spec.modelRef.name"),
        Column("Action", ".spec.action"),
        Column("Tier", ".spec.tier"),
        Column("Confidence", ".spec.confidencePercent", type="integer"),
        Column("Phase", ".status.phase"),
        Column("Outcome", ".status.outcome.verdict"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Reason", ".spec.reason", priority=1),
        Column("Message", ".spec.message", priority=1),
        Column("Expires", ".spec.expiresAt", priority=1),
    )

    spec: DecisionSpec
    """What was decided, on what evidence, and what it promises; immutable."""
    status: DecisionStatus = Field(default_factory=DecisionStatus)
    """What became of it; written by AURORA only."""
