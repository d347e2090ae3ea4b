"""The fleets of the last decisions, so that callers in turn do not pay for each other.

Reading and auditing a fleet takes longer than a decision; tenants with limits of their own, or two
lists of providers in turn, find theirs again.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aurora.routing.admission import Fleet, Providers
from aurora.routing.contract import Arms
from aurora.routing.errors import InputError
from aurora.routing.types import Constraints, ProviderState

__all__ = ["Fleets"]

INTERNED_LIMIT: Final = 1024
FLEETS_LIMIT: Final = 32
"""Combinations of providers and constraints remembered, for tenants with limits of their own."""
FLEETS_PROVIDERS_LIMIT: Final = 20_000
"""Providers over all of them, for fleets of thousands."""


class Fleets:
    """Finds a fleet that was read before, or reads it."""

    __slots__ = ("_interned", "_known")

    def __init__(self) -> None:
        self._interned: dict[Arms, Arms] = {}
        self._known: list[Fleet] = []

    def of(
        self,
        providers: Providers,
        constraints: Constraints | Mapping[str, Any] | None,
        *,
        strict: bool,
    ) -> Fleet:
        """The fleet of these candidates; the same object while it is remembered.

        Raises:
            InputError: a provider or constraint is wrong, or there is no list of providers.
        """
        given = providers if isinstance(providers, tuple) else _listed(providers)
        known = self._known
        found = next((fleet for fleet in known if fleet.same(given, constraints)), None)
        if found is not None:
            return found
        if len(self._interned) >= INTERNED_LIMIT:
            self._interned.clear()
        before = known[0] if known else None
        made = Fleet(given, constraints, strict=strict, interned=self._interned, before=before)
        kept = min(FLEETS_LIMIT, FLEETS_PROVIDERS_LIMIT // (len(given) + 1)) - 1
        self._known = [made, *known[: max(kept, 0)]]
        return made


def _listed(providers: Providers) -> tuple[ProviderState | Mapping[str, Any], ...]:
    if not isinstance(providers, Iterable):
        raise InputError(f"providers must be a list, not {providers!r}; give the candidates")
    return tuple(providers)
