"""Which actions an installation may carry out, and where: its RBAC covers no others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aurora.resources.vocabulary import Action

__all__ = ["EVERYWHERE", "Rights"]

EVERYWHERE: Final = "*"
_CHANGES_NOTHING: Final = frozenset({Action.ALERT, Action.NO_ACTION})


@dataclass(frozen=True, slots=True)
class Rights:
    """What an administrator lets the whole installation do.

    Attributes:
        namespaces: where each action may be carried out, `*` for everywhere; an action that is not
            listed is carried out nowhere. None says nothing: every action, everywhere.
    """

    namespaces: Mapping[Action, frozenset[str]] | None = None

    def cover(self, action: Action, namespace: str) -> bool:
        """Whether this action may be carried out there; one that changes nothing always may."""
        if self.namespaces is None or action in _CHANGES_NOTHING:
            return True
        return bool({EVERYWHERE, namespace} & self.namespaces.get(action, frozenset()))
