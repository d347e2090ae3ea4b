"""Every error that the routing engine raises on purpose.

    RoutingError
      InputError                a value from the caller cannot be used; nothing was changed
        UnknownStrategyError    no strategy has this name
      NoEligibleProviderError   nobody is left to choose
      FeedbackError             this feedback cannot be counted; nothing was changed
        UnknownDecisionError    never made here, or too old: it made room or expired
      StateError                learned state could not be read or written; memory is unharmed
        StateConflictError      another process wrote state that cannot be merged with ours

A message is one line and says what to do. The package stands alone, so the tree has its own root.
"""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "FeedbackError",
    "InputError",
    "NoEligibleProviderError",
    "RoutingError",
    "StateConflictError",
    "StateError",
    "UnknownDecisionError",
    "UnknownStrategyError",
]


class RoutingError(Exception):
    """Base of every error of the engine; its text is one line for a person."""


class InputError(RoutingError, ValueError):
    """A value from the caller cannot be used; nothing was changed."""


class UnknownStrategyError(InputError):
    """No strategy has this name."""


class NoEligibleProviderError(RoutingError):
    """Nobody is left to choose: the list is empty, or strict audit refused every provider.

    Attributes:
        refused: what stood against each provider, by id; empty when none was a candidate.
    """

    def __init__(self, message: str, refused: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.refused: Mapping[str, Any] = refused or {}


class FeedbackError(RoutingError):
    """This feedback cannot be counted; nothing was changed."""


class UnknownDecisionError(FeedbackError, LookupError):
    """The decision was never made here, or it made room for newer ones, or it expired."""


class StateError(RoutingError):
    """Learned state could not be read or written; what is in memory is unharmed."""


class StateConflictError(StateError):
    """Another process wrote state that cannot be merged with ours."""
