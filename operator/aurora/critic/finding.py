"""What a check answers, and how it reads the parameters of a request."""

from collections.abc import Mapping

from aurora.critic.reasons import CheckReason

__all__ = ["Finding", "replicas_in"]

Finding = tuple[CheckReason, str] | None
"""A reason and the sentence that a person reads, or nothing."""


def replicas_in(parameters: Mapping[str, str]) -> int | None:
    """The number of replicas among an action's parameters; what comes back to us is input."""
    value = parameters.get("replicas", "")
    return int(value) if value.isdecimal() else None
