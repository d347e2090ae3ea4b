"""What the operator tells a router: strategy, floor, audit, limits, candidates, where to start."""

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from aurora.errors import ConfigurationError
from aurora.faults import one_line
from aurora.routing import Constraints, InputError, ProviderState

__all__ = ["Experiment", "Policy", "read_policy"]


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class Experiment(_Part):
    """The policy's strategy against rules, on a part of the requests each."""

    name: str = "experiment"
    """Another name draws the sides of sessions and tenants anew."""
    percent: float = Field(ge=0.0, le=100.0)
    """Share of the requests that follow the policy's strategy; the others follow the rules."""
    rules: tuple[dict[str, Any], ...] = ()
    """Of the engine's strategy `rules`: {"when": CEL, "use": [provider ids]}, in order."""
    strategy: str = "rules"
    """Another strategy of the engine in the place of rules."""
    strategy_options: dict[str, Any] = Field(default_factory=dict)
    """Of that strategy."""

    @property
    def options(self) -> dict[str, Any]:
        return {**self.strategy_options, **({"rules": self.rules} if self.rules else {})}


class Policy(_Part):
    """One policy document. What it leaves out keeps the router's own setting."""

    strategy: str = Field(default="q-learning", pattern=r"^[\w-]{1,64}$")
    """Name of a strategy of the engine; it is part of the name of its file."""
    strategy_options: dict[str, Any] = Field(default_factory=dict)
    """Of the strategy, for example {"alpha": 0.2}."""
    min_percent: float = Field(default=1.0, ge=0.0, le=100.0)
    """Exploration floor, percent of all requests."""
    strict_audit: bool | None = None
    """None leaves it to STRICT_AUDIT."""
    constraints: dict[str, Any] = Field(default_factory=dict)
    """Limits for requests that bring none of the same name."""
    providers: tuple[dict[str, Any], ...] = ()
    """Candidates for requests that bring none."""
    experiment: Experiment | None = None
    """None sends every request to the strategy."""
    state: dict[str, Any] | None = None
    """Learned state to start from, for what was not learned here yet."""

    def checked(self) -> "Policy":
        """Raise ConfigurationError for constraints or providers that the engine would refuse."""
        try:
            Constraints.of(self.constraints)
            named = [ProviderState.of(one).provider_id for one in self.providers]
        except InputError as error:
            raise ConfigurationError(f"the policy cannot be used: {error}") from error
        twice = [name for name, count in Counter(named).items() if count > 1]
        if twice:
            raise ConfigurationError(f"the policy has two providers {twice}: rename one of each")
        return self


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        ConfigurationError: it is not there, not whole, or wrong.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the policy cannot be read: {error}") from error
    try:
        return Policy.model_validate_json(text).checked()
    except ValidationError as error:
        told = one_line(error, whole="the document")
        raise ConfigurationError(f"{path}: {told}") from None
