"""Which providers may take a request: worked out once per fleet and kind of request.

A decision takes microseconds, six checks of eight providers do not. So the checks run when the
providers, the constraints or the kind of request change, and a decision looks the answer up. The
answer depends on the request's GPU, region and capability, and on its GPU hours only through how
many providers have less free than that; those four make the key, so the look-up is exact.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

from aurora.routing.contract import Arms
from aurora.routing.errors import InputError, NoEligibleProviderError
from aurora.routing.types import Constraints, ProviderState, WorkloadContext
from aurora.routing.violations import Demand, Finding, ViolationType, capacity_of, findings

__all__ = ["Admission", "Fleet", "Providers"]

Providers = Iterable[ProviderState | Mapping[str, Any]]
Known = tuple[ProviderState | Mapping[str, Any], ProviderState]

NEVER: Final = object()
"""Identical to nothing that a caller can pass."""
KINDS_LIMIT: Final = 256
"""Kinds of request remembered; GPU and region are hostile input, so the memory is bounded."""
KINDS_ARMS_LIMIT: Final = 100_000
"""Arms over all kinds remembered, for fleets of thousands."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may take one kind of request.

    Attributes:
        arms: the ids that the strategy chooses among.
        passing: indices into `arms` that pass the audit; the exploration floor is theirs.
        failing: findings of the arms that are chosen among all the same (advisory mode).
        refused: findings of the providers that were taken out (strict mode).
        refused_counts: how often each violation is among the refused.
        reasons: in words, for a decision that explores and for one that does not.
    """

    arms: Arms
    passing: tuple[int, ...]
    failing: Mapping[str, tuple[Finding, ...]]
    refused: Mapping[str, tuple[Finding, ...]]
    refused_counts: tuple[tuple[ViolationType, int], ...]
    reasons: tuple[str, str]


class Fleet:
    """The candidates and constraints of the last decisions, with the admissions found so far."""

    __slots__ = (
        "_admissions",
        "_capacities",
        "_interned",
        "_raw",
        "_raw_constraints",
        "_strict",
        "by_id",
        "constraints",
        "providers",
        "source",
        "source_constraints",
    )

    def __init__(
        self,
        providers: Providers,
        constraints: Constraints | Mapping[str, Any] | None,
        *,
        strict: bool,
        interned: dict[Arms, Arms],
        before: "Fleet | None" = None,
    ) -> None:
        given = tuple(providers)
        self.constraints = Constraints.of(constraints)
        known = before._known() if before is not None else ()  # noqa: SLF001  # of our own kind
        read = [_read(value, pair) for value, pair in zip_longest(given, known[: len(given)])]
        self.providers = tuple(provider for _, provider in read)
        self.by_id = {provider.provider_id: provider for provider in self.providers}
        if len(self.by_id) != len(self.providers):
            raise InputError(f"provider ids must be unique; repeated: {self._repeated()}")
        self._raw = tuple(raw for raw, _ in read)
        self._raw_constraints = deepcopy(constraints)
        immutable = all(isinstance(value, ProviderState) for value in given)
        self.source = providers if immutable and isinstance(providers, tuple) else None
        frozen = constraints is None or isinstance(constraints, Constraints)
        self.source_constraints = constraints if frozen else NEVER
        self._strict = strict
        self._interned = interned
        self._capacities = sorted(map(capacity_of, self.providers))
        self._admissions: dict[tuple[Any, ...], Admission] = {}

    def _known(self) -> tuple[Known, ...]:
        return tuple(zip(self._raw, self.providers, strict=True))

    def same(
        self, providers: tuple[Any, ...], constraints: Constraints | Mapping[str, Any] | None
    ) -> bool:
        """Whether these are the candidates and constraints that this fleet was made from."""
        return self._raw == providers and self._raw_constraints == constraints

    def admission(self, context: WorkloadContext, cooling: frozenset[str]) -> Admission:
        """Who may take this request.

        Raises:
            NoEligibleProviderError: nobody; the message says what stood against each.
        """
        key = (
            context.gpu_type,
            context.region,
            context.required_capability,
            bisect_left(self._capacities, context.gpu_hours),
            cooling,
        )
        return self._admissions.get(key) or self._admit(key, context, cooling)

    def _admit(
        self, key: tuple[Any, ...], context: WorkloadContext, cooling: frozenset[str]
    ) -> Admission:
        candidates = self._candidates(context)
        demand = Demand(context.gpu_type, context.region, context.gpu_hours)
        found = {
            provider.provider_id: notes
            for provider in candidates
            if (notes := findings(provider, demand, self.constraints))
        }
        refused = found if self._strict else {}
        arms = [p.provider_id for p in candidates if p.provider_id not in refused]
        if not arms:
            raise NoEligibleProviderError(_nobody(refused), refused)
        # Cooldown never empties the choice: a failing provider beats no provider.
        arms = [arm for arm in arms if arm not in cooling] or arms
        admission = self._build(tuple(arms), found, refused)
        if len(self._admissions) >= min(KINDS_LIMIT, 1 + KINDS_ARMS_LIMIT // len(arms)):
            self._admissions.clear()
        self._admissions[key] = admission
        return admission

    def _build(
        self,
        arms: Arms,
        found: Mapping[str, tuple[Finding, ...]],
        refused: Mapping[str, tuple[Finding, ...]],
    ) -> Admission:
        counts = Counter(finding.type for notes in refused.values() for finding in notes)
        return Admission(
            arms=self._interned.setdefault(arms, arms),
            passing=tuple(index for index, arm in enumerate(arms) if arm not in found),
            failing={arm: found[arm] for arm in arms if arm in found},
            refused=refused,
            refused_counts=tuple(counts.items()),
            reasons=_reasons(len(arms), len(found) - len(refused), len(refused)),
        )

    def _candidates(self, context: WorkloadContext) -> list[ProviderState]:
        """Who can do the work at all: these two are conditions, not violations."""
        allowed, wanted = self.constraints.allowed_providers, context.required_capability
        found = [
            provider
            for provider in self.providers
            if (allowed is None or provider.provider_id in allowed)
            and (not wanted or wanted in provider.capabilities)
        ]
        if found:
            return found
        if not self.providers:
            raise NoEligibleProviderError("the list of providers is empty; pass at least one")
        raise NoEligibleProviderError(
            f"none of {len(self.providers)} providers is allowed"
            + (f" and declares the capability {wanted!r}" if wanted else "")
        )

    def _repeated(self) -> str:
        counts = Counter(provider.provider_id for provider in self.providers)
        return ", ".join(sorted(name for name, count in counts.items() if count > 1))


def _read(value: ProviderState | Mapping[str, Any], known: Known | None) -> Known:
    """The value as it was given, safe from later change, and what it says.

    Most providers of a new fleet are those of the one before, and reading one takes 10 us.
    """
    if isinstance(value, ProviderState):
        return value, value
    if known is not None and known[0] == value:
        return known
    return deepcopy(value), ProviderState.of(value)


def _reasons(arms: int, failing: int, refused: int) -> tuple[str, str]:
    among = f"{arms} providers" if arms != 1 else "the only provider"
    rest = f"; {refused} refused by the audit" if refused else ""
    rest += f"; {failing} violate a constraint (advisory)" if failing else ""
    return f"explores {among}{rest}", f"preferred among {among}{rest}"


def _nobody(refused: Mapping[str, tuple[Finding, ...]], *, shown: int = 5) -> str:
    parts = [
        f"{arm}: {'; '.join(f'{finding.type.value} ({finding.note})' for finding in notes)}"
        for arm, notes in list(refused.items())[:shown]
    ]
    more = f" and {len(refused) - shown} more" if len(refused) > shown else ""
    return f"strict audit refused every provider; relax the constraints: {', '.join(parts)}{more}"
