"""What a RoutingPolicy says: backends, rollout, health, constraints, exploration."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from aurora.resources.base import Part
from aurora.resources.cel import Rule
from aurora.resources.quantities import (
    Cost,
    ObjectName,
    Percent,
    PositiveDuration,
    PositivePercent,
    ServiceName,
)
from aurora.resources.vocabulary import Engine

__all__ = [
    "MOST_BACKENDS",
    "Backend",
    "BackendName",
    "Constraints",
    "Enforcement",
    "Exploration",
    "Health",
    "InferencePoolRef",
    "ModelNameRef",
    "Provider",
    "Rollout",
    "RoutingMetrics",
    "Strategy",
    "WeightedServiceRef",
]

MOST_BACKENDS = 16
"""As many as one rule of an HTTPRoute may list, and as a Decision has parameters."""

BackendName = Annotated[
    str,
    Field(min_length=1, max_length=40),
    Rule(
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "name a backend with lower-case letters, digits and '-', for example canary",
    ),
]
Place = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule("self.trim().size() > 0", "write a name or leave the field out, for example eu-west-1"),
]
Places = Annotated[tuple[Place, ...], Field(max_length=32)]


class Strategy(StrEnum):
    """How the wanted weights come about."""

    EQUAL = "Equal"
    """Every backend the same."""
    WEIGHTED = "Weighted"
    """In proportion to backends[].weight."""
    LATENCY_WEIGHTED = "LatencyWeighted"
    """In inverse proportion to the measured p95."""
    LOAD_BALANCED = "LoadBalanced"
    """So that every ready pod carries the same load."""
    CANARY = "Canary"
    """rollout.backend takes over step by step while it is no worse than the others."""
    AB_TEST = "ABTest"
    """rollout.backend gets its share step by step and keeps it, however it compares."""
    LEARNED = "Learned"
    """As learned from what answers cost, how long they take and whether they fail."""


class Enforcement(StrEnum):
    """What a constraint does."""

    ADVISORY = "Advisory"
    STRICT = "Strict"


class WeightedServiceRef(Part):
    """A Service in this namespace, as the HTTPRoute's backendRef names it."""

    name: ServiceName
    """Name of the Service."""
    port: int = Field(ge=1, le=65535)
    """Port of the Service, the same as in the backendRef."""


class InferencePoolRef(Part):
    """An InferencePool (Gateway API Inference Extension) in this namespace."""

    name: ObjectName
    """Name of the InferencePool."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the backendRef, where it has one."""


class ModelNameRef(Part):
    """A ModelDeployment in this namespace."""

    name: ObjectName
    """Name of the ModelDeployment."""


class Provider(Part):
    """A provider outside of the cluster; an HTTPRoute cannot send to it."""

    name: ObjectName
    """Name of the provider."""


class Backend(Part):
    """One place that can answer the traffic."""

    name: BackendName
    """Its name within the policy."""
    service_ref: WeightedServiceRef | None = None
    """A Service."""
    inference_pool_ref: InferencePoolRef | None = None
    """An InferencePool; needs modelRef, which tells whose pods serve behind it."""
    provider: Provider | None = None
    """A provider outside of the cluster."""
    model_ref: ModelNameRef | None = None
    """The ModelDeployment behind it: its metric preset and its target's pods. Alone it stands for
    that model's Service, which must then have one port."""
    engine: Engine = Engine.VLLM
    """Metric preset of the pods behind the Service; a modelRef's own goes first."""
    weight: Percent = 1
    """Its part with strategy Weighted, and of what a rollout leaves to the others."""
    region: Place | None = None
    """Where it runs."""
    gpu_type: Place | None = None
    """What it runs on."""
    cost_per_replica_hour: Cost | None = None
    """Price of one ready pod for one hour, in your currency."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.serviceRef), has(self.inferencePoolRef), has(self.provider)]"
            ".filter(one, one).size() == (has(self.serviceRef) || has(self.inferencePoolRef)"
            " || has(self.provider) || !has(self.modelRef) ? 1 : 0)",
            "a backend is one thing: set one of serviceRef, inferencePoolRef, provider, "
            "or modelRef alone",
        ),
        Rule(
            "!has(self.inferencePoolRef) || has(self.modelRef)",
            "an InferencePool needs modelRef: the ModelDeployment whose pods serve behind it",
            ".inferencePoolRef",
        ),
        Rule(
            "!has(self.engine) || self.engine != 'custom'",
            "a backend has no own queries: choose a preset, or point modelRef at a ModelDeployment "
            "that has them",
            ".engine",
        ),
    )


class Rollout(Part):
    """A step plan for one backend; strategies Canary and ABTest follow it."""

    backend: BackendName
    """Which backend is rolled out."""
    steps: Annotated[
        tuple[PositivePercent, ...],
        Field(min_length=1, max_length=16),
        Rule(
            "self.isSorted() && self.all(one, self.exists_one(other, other == one))",
            "steps rise: write each share once, the smallest first, for example [5, 25, 50, 100]",
        ),
    ]
    """Its share after each step; at the last one it stays."""
    max_latency_percent: int = Field(default=120, ge=100, le=1000)
    """Canary: the next step waits while its p95 is above this share of the others'."""
    max_extra_error_percent: Percent = 1
    """Canary: the next step waits while it fails so many points more of its requests."""


class Health(Part):
    """When a backend fails its callers: its weight goes to 0 at once, without a step limit."""

    error_rate_percent: PositivePercent = 5
    """Share of server errors above which it fails."""
    latency_p95: PositiveDuration | None = None
    """95th percentile above which it fails; without it a slow backend only loses weight."""
    no_endpoint_for: PositiveDuration = timedelta(seconds=30)
    """It fails when none of its endpoints was ready for this long."""


class Constraints(Part):
    """What a backend has to keep to for traffic; the audit checks it each cycle."""

    enforcement: Enforcement = Enforcement.ADVISORY
    """Advisory: a violation is reported. Strict: the backend gets no weight as well."""
    max_cost_per_replica_hour: Cost | None = None
    """Highest price of one pod for one hour."""
    max_latency_p95: PositiveDuration | None = None
    """Highest 95th percentile."""
    regions: Places = ()
    """Where traffic may go; anywhere without it."""
    gpu_types: Places = ()
    """What it may run on; anything without it."""


class Exploration(Part):
    """How much traffic goes to backends that are not the best, to learn how they do."""

    min_percent: int = Field(default=1, ge=0, le=20)
    """Least weight of a healthy backend with strategies that weigh by measurement."""


class RoutingMetrics(Part):
    """Where the numbers come from."""

    min_samples: int = Field(default=100, ge=1, le=1_000_000)
    """Requests that a window must hold before a backend's percentile is believed."""
