"""RoutingPolicy: how one rule of an HTTPRoute spreads traffic, and what AURORA reports of it."""

from typing import Annotated, ClassVar

from pydantic import Field

from aurora.resources.autonomy import Autonomy
from aurora.resources.base import Part, StatusPart, SubjectObject
from aurora.resources.cel import Rule
from aurora.resources.columns import Column
from aurora.resources.conditions import Conditions
from aurora.resources.modeldeployment import RECENT_DECISIONS, DecisionSummary
from aurora.resources.quantities import DecimalString, LongText, Percent, ShortText, Timestamp
from aurora.resources.references import HTTPRouteRef
from aurora.resources.router_spec import RouterSpec
from aurora.resources.routing_learning import ComparisonStatus, Learning
from aurora.resources.routing_policy_parts import (
    MOST_BACKENDS,
    Backend,
    Constraints,
    Exploration,
    Health,
    Rollout,
    RoutingMetrics,
    Strategy,
)
from aurora.resources.serving import Notification
from aurora.resources.vocabulary import DeletionPolicy

__all__ = ["BackendStatus", "RoutingPolicy", "RoutingPolicySpec", "RoutingPolicyStatus"]

_ROLLS_OUT = "self.strategy in ['Canary', 'ABTest']"
_DECLARED = (
    "(self.strategy == 'Weighted' || (self.strategy == 'Learned'"
    " && (!has(self.learning) || self.learning.rules == 'Weighted')))"
)


class RoutingPolicySpec(Part):
    """Which backends answer, how their weights come about, and what AURORA may do."""

    route_ref: HTTPRouteRef | None = None
    """The rule whose weights are set; without it the backends are only measured."""
    backends: Annotated[tuple[Backend, ...], Field(min_length=2, max_length=MOST_BACKENDS)]
    """Every backend of the rule: a rule that lists another one is not programmed."""
    strategy: Strategy = Strategy.WEIGHTED
    """How the wanted weights come about."""
    rollout: Rollout | None = None
    """The step plan of the strategies Canary and ABTest."""
    learning: Learning | None = None
    """How the strategy Learned learns; without it, as its defaults say."""
    health: Health = Field(default_factory=Health)
    """When a backend fails its callers."""
    constraints: Constraints = Field(default_factory=Constraints)
    """What a backend has to keep to."""
    exploration: Exploration = Field(default_factory=Exploration)
    """How much traffic goes to backends that are not the best."""
    load_imbalance_percent: int = Field(default=150, ge=101, le=1000)
    """LoadBalanced: weights move when the busiest pods carry this share of the idlest's load."""
    router: RouterSpec | None = None
    """What is pushed to routers (`aurora router`); without it, nothing."""
    metrics: RoutingMetrics = Field(default_factory=RoutingMetrics)
    """Where the numbers come from."""
    autonomy: Autonomy = Field(default_factory=Autonomy)
    """What AURORA may do by itself; maxStepPercent are points of weight in one step."""
    deletion_policy: DeletionPolicy = DeletionPolicy.RESTORE
    """What deleting this object does: Restore the weights found first, or Keep ours."""
    notifications: tuple[Notification, ...] = Field(default=(), max_length=4)
    """Who is told of alerts and approvals."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.backends.all(b, self.backends.exists_one(c, c.name == b.name))",
            "two backends have the same name: rename one",
            ".backends",
        ),
        Rule(
            "!has(self.routeRef) || self.backends.all(b, !has(b.provider))",
            "an HTTPRoute cannot send to an outside provider: remove the backend or routeRef",
            ".backends",
        ),
        Rule(
            f"has(self.rollout) == ({_ROLLS_OUT})",
            "rollout belongs to the strategies Canary and ABTest: set both or neither",
            ".rollout",
        ),
        Rule(
            "!has(self.rollout) || self.backends.exists(b, b.name == self.rollout.backend)",
            "rollout.backend names none of the backends",
            ".rollout.backend",
        ),
        Rule(
            "!has(self.learning) || self.strategy == 'Learned'",
            "learning belongs to the strategy Learned: choose it or remove learning",
            ".learning",
        ),
        Rule(
            f"!{_DECLARED} || self.backends.exists(b, b.weight > 0)",
            "every weight is 0, so nobody would answer: give at least one backend a weight",
            ".backends",
        ),
        Rule(
            "!has(self.rollout) || self.backends.exists(b, b.name != self.rollout.backend"
            " && b.weight > 0)",
            "what the rollout leaves has to go somewhere: give another backend a weight",
            ".backends",
        ),
        Rule(
            "!has(self.router) || !has(self.router.experiment) ||"
            " self.router.experiment.rules.all(r, r.use.all(u,"
            " self.backends.exists(b, b.name == u)))",
            "a rule uses a backend that the policy does not list: correct its name",
            ".router.experiment.rules",
        ),
        Rule(
            "self.autonomy.actions.all(a, a in ['ROUTE', 'ALERT'])",
            "a RoutingPolicy only routes and alerts: name ROUTE or ALERT",
            ".autonomy.actions",
        ),
    )

    @property
    def learns(self) -> Learning:
        """How the strategy Learned learns."""
        return self.learning or Learning()


class BackendStatus(StatusPart):
    """One backend as last told."""

    name: ShortText
    """Its name within the policy."""
    wanted_percent: Percent | None = None
    """The weight that the policy is on its way to."""
    weight_percent: Percent | None = None
    """The weight in force."""
    ready: int | None = Field(default=None, ge=0)
    """Ready endpoints."""
    latency_p95: DecimalString | None = None
    """95th percentile, in seconds."""
    error_ratio: DecimalString | None = None
    """Share of server errors, 0 to 1."""
    request_rate: DecimalString | None = None
    """Requests per second."""
    cost_per_hour: DecimalString | None = None
    """Price of its ready pods for one hour, in your currency."""
    explored_percent: Percent | None = None
    """The part of its weight that it has only to be explored."""
    audit: str | None = Field(default=None, max_length=253)
    """Passed, or what it violates."""
    message: LongText = ""
    """Why it gets no weight, or why a number is missing."""


class RoutingPolicyStatus(StatusPart):
    """Written only when something changes that a reader would act on."""

    observed_generation: int = Field(default=0, ge=0)
    """metadata.generation that was looked at last."""
    conditions: Conditions = ()
    """Ready first; Accepted, ResolvedRefs, Programmed and AuditPassed."""
    weights: str | None = Field(default=None, max_length=1024)
    """Weights in force, for people: stable=90 canary=10."""
    wanted: str | None = Field(default=None, max_length=1024)
    """Weights that the policy is on its way to."""
    backends: tuple[BackendStatus, ...] = Field(default=(), max_length=MOST_BACKENDS)
    """Each backend, in the order of the spec."""
    comparison: ComparisonStatus | None = None
    """Strategy Learned: the learned weights against the rules."""
    measured_at: Timestamp | None = None
    """When the numbers of the backends were read."""
    last_decision: DecisionSummary | None = None
    """The last decision."""
    recent_decisions: Annotated[
        tuple[DecisionSummary, ...], Field(max_length=RECENT_DECISIONS)
    ] = ()
    """The last five decisions, newest first."""


class RoutingPolicy(SubjectObject):
    """How one rule of an HTTPRoute spreads traffic over backends."""

    kind: ClassVar[str] = "RoutingPolicy"
    plural: ClassVar[str] = "routingpolicies"
    short_names: ClassVar[tuple[str, ...]] = ("rpol",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Strategy", ".spec.strategy"),
        Column("Mode", ".spec.autonomy.mode"),
        Column("Weights", ".status.weights"),
        Column("Wanted", ".status.wanted"),
        Column("Audit", '.status.conditions[?(@.type=="AuditPassed")].status'),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Route", ".spec.routeRef.name", priority=1),
        Column("P95", ".status.backends[*].latencyP95", priority=1),
        Column("Learned", ".status.comparison.verdict", priority=1),
        Column("Routers", '.status.conditions[?(@.type=="RoutersFed")].status', priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
    )

    spec: RoutingPolicySpec
    """Which backends answer, how their weights come about, and what AURORA may do."""
    status: RoutingPolicyStatus = Field(default_factory=RoutingPolicyStatus)
    """What AURORA observed and decided last; written by AURORA only."""
