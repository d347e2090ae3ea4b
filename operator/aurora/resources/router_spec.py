"""What a RoutingPolicy pushes to the routers (`aurora router`) that mount its ConfigMap."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from aurora.resources.base import Part
from aurora.resources.quantities import ObjectName, Percent
from aurora.resources.routing_policy_parts import MOST_BACKENDS, BackendName

__all__ = ["MOST_RULES", "RouterExperiment", "RouterRule", "RouterSpec", "RouterStrategy"]

MOST_RULES = 32


class RouterStrategy(StrEnum):
    """How a router chooses for each request: a learning strategy of the routing engine."""

    Q_LEARNING = "q-learning"
    THOMPSON = "thompson"
    UCB = "ucb"
    LINUCB = "linucb"
    LINTS = "lints"


class RouterRule(Part):
    """One rule: when it holds, its backends serve."""

    when: str = Field(default="", max_length=1024)
    """Condition on the request in CEL, for example complexity < 0.4; empty always holds."""
    use: Annotated[tuple[BackendName, ...], Field(min_length=1, max_length=MOST_BACKENDS)]
    """Backends by name, the preferred first; the next one serves where it is no candidate."""


class RouterExperiment(Part):
    """The learned strategy against rules on live requests; each router reports the difference."""

    name: ObjectName = "experiment"
    """Another name draws the sides of sessions and tenants anew."""
    percent: Percent
    """Share of the requests that follow the learned strategy; the others follow the rules."""
    rules: Annotated[tuple[RouterRule, ...], Field(min_length=1, max_length=MOST_RULES)]
    """In order: the first that holds decides. Where none does, the backends share alike."""


class RouterSpec(Part):
    """Writes the ConfigMap aurora-router-<name> for routers to mount."""

    strategy: RouterStrategy | None = None
    """How a router chooses; without it as spec.learning does, or by q-learning."""
    experiment: RouterExperiment | None = None
    """Only a part of the requests follows the learned strategy, and both sides are compared."""
