"""Entries of the audit trail, and how a routed decision is written out as some."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aurora.routing.decision import RoutingDecision
from aurora.routing.violations import Finding

__all__ = [
    "APPROVED",
    "FLAGGED",
    "REJECTED",
    "AuditEntry",
    "entries_of",
    "last_sequence",
    "notes_of",
]

APPROVED: Final = "approved"
REJECTED: Final = "rejected"
FLAGGED: Final = "flagged"
ADVISORY: Final = "advisory: recorded, not enforced"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One verdict.

    Attributes:
        sequence: rises by 1 with each entry, from 1.
        at: Unix seconds.
        status: `approved`, `rejected` or `flagged`.
        violations: lower-case values of `ViolationType`.
        notes: the figures in words.
    """

    sequence: int
    at: float
    decision_id: str
    state_key: tuple[str, str, str]
    provider_id: str
    status: str
    violations: tuple[str, ...] = ()
    notes: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The entry as plain JSON values, its time in ISO 8601."""
        return {
            "sequence": self.sequence,
            "timestamp": datetime.fromtimestamp(self.at, UTC).isoformat(),
            "decision_id": self.decision_id,
            "state": list(self.state_key),
            "provider_id": self.provider_id,
            "status": self.status,
            "violations": list(self.violations),
            "notes": self.notes,
        }


def last_sequence(decision: RoutingDecision) -> int:
    """The number of the last entry that a decision stands for."""
    refused = decision.admission.refused if decision.admission is not None else ()
    return decision.sequence + len(refused)


def entries_of(decision: RoutingDecision) -> Iterator[AuditEntry]:
    """The refused, then the chosen, each with its number."""
    admission = decision.admission
    refused = admission.refused if admission is not None else {}
    failing = admission.failing.get(decision.provider_id, ()) if admission is not None else ()
    verdicts = [*((arm, found, True) for arm, found in refused.items())]
    verdicts.append((decision.provider_id, failing, False))
    for offset, (arm, found, strict) in enumerate(verdicts):
        yield AuditEntry(
            decision.sequence + offset,
            decision.at,
            decision.decision_id,
            decision.state_key,
            arm,
            REJECTED if found else APPROVED,
            tuple(finding.type.value for finding in found),
            notes_of(found, strict=strict),
        )


def notes_of(found: tuple[Finding, ...], *, strict: bool) -> str:
    """The figures in words; empty when nothing was found."""
    if not found:
        return ""
    text = "; ".join(finding.note for finding in found)
    return text if strict else f"{text} ({ADVISORY})"
