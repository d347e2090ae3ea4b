"""The auditor: what a provider violates, the trail of verdicts, anomalies and off-policy value.

The trail is append-only: there is no call that changes or removes an entry, each has the next
number, and the ring forgets only the oldest. `entries_dropped` says how many are gone, and
`get_audit_trail(after=...)` lets an exporter take each entry exactly once.

A routed decision adds an entry for its provider and, in strict mode, one for each provider that was
refused. They are kept as the decision itself and written out when somebody reads.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from aurora.routing.anomalies import AnomalyDetector
from aurora.routing.audit_entry import (
    APPROVED,
    FLAGGED,
    REJECTED,
    AuditEntry,
    entries_of,
    last_sequence,
    notes_of,
)
from aurora.routing.decision import RoutingDecision
from aurora.routing.errors import InputError
from aurora.routing.types import Constraints, ProviderState, StateKey
from aurora.routing.violations import Demand, Finding, ViolationType, findings

if TYPE_CHECKING:
    from aurora.routing.evaluation.evaluate import (
        Evaluation,
        EvaluationSettings,
        NotIdentifiable,
    )
    from aurora.routing.evaluation.log import Policy

__all__ = ["DEFAULT_TRAIL_SIZE", "Auditor"]

Key = tuple[str, str, str]
DEFAULT_TRAIL_SIZE: Final = 10_000


class Auditor:
    """Validates, records and watches. Not locked: the engine calls it under its own lock.

    Args:
        strict: violations refuse (the engine takes the next best); otherwise they are recorded.
        trail_size: decisions and single entries kept.
        clock: Unix seconds.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        trail_size: int = DEFAULT_TRAIL_SIZE,
        clock: Callable[[], float] = time.time,
        anomalies: AnomalyDetector | None = None,
    ) -> None:
        if trail_size < 1:
            raise InputError(f"trail_size must be at least 1, not {trail_size}")
        self.strict = strict
        self.anomalies = anomalies or AnomalyDetector()
        self._clock = clock
        self._trail: deque[RoutingDecision | AuditEntry] = deque(maxlen=trail_size)
        self._entries = 0
        self._last_at = 0.0
        self._approved = self._rejected = self._flagged = 0
        self._common: Counter[ViolationType] = Counter()

    def validate_decision(  # noqa: PLR0913  # the engine's fixed public shape
        self,
        decision_id: str,
        state_key: StateKey | tuple[str, str, str] | str,
        provider_id: str,
        provider_state: ProviderState | Mapping[str, Any],
        constraints: Constraints | Mapping[str, Any] | None = None,
        *,
        gpu_hours: float = 0.0,
    ) -> tuple[bool, list[ViolationType]]:
        """Check one provider against one request and record the verdict.

        Returns:
            Whether nothing is violated, and what is. The answer is the same in both modes; what
            follows from it is the caller's: refuse (strict) or go on (advisory).
        """
        key = StateKey.of(state_key)
        if isinstance(provider_state, Mapping):
            provider_state = {"provider_id": provider_id, **provider_state}
        found = findings(
            ProviderState.of(provider_state),
            Demand(key.gpu_type, key.region, gpu_hours),
            Constraints.of(constraints),
        )
        self._verdict(decision_id, key, provider_id, found)
        return not found, [finding.type for finding in found]

    def _verdict(
        self, decision_id: str, key: Key, provider_id: str, found: tuple[Finding, ...]
    ) -> None:
        self._count(found)
        self._append(
            decision_id,
            key,
            provider_id,
            status=REJECTED if found else APPROVED,
            violations=tuple(finding.type.value for finding in found),
            notes=notes_of(found, strict=self.strict),
        )

    def refuse(
        self, state_key: Key, found: Mapping[str, tuple[Finding, ...]], decision_id: str = ""
    ) -> None:
        """Record that strict mode left nobody: one rejected entry for each provider."""
        for provider_id, notes in found.items():
            self._verdict(decision_id, state_key, provider_id, notes)

    def record(self, decision: RoutingDecision) -> None:
        """Record a routed decision; its admission was audited when the fleet was read."""
        admission = decision.admission
        if admission is None:
            raise InputError("only a decision that the engine routed can be recorded")
        decision.sequence = self._entries + 1
        self._entries = decision.sequence + len(admission.refused)
        decision.at = self._last_at = max(decision.at, self._last_at)
        if admission.failing:
            self._count(admission.failing.get(decision.provider_id, ()))
        else:
            self._approved += 1
        if admission.refused_counts:
            self._rejected += len(admission.refused)
            for kind, count in admission.refused_counts:
                self._common[kind] += count
        self._trail.append(decision)

    def flag_anomaly(
        self,
        decision_id: str,
        state_key: StateKey | tuple[str, str, str] | str,
        provider_id: str,
        note: str,
    ) -> None:
        """Record that something about a decision is unusual; it stands all the same."""
        self._flagged += 1
        self._append(decision_id, StateKey.of(state_key), provider_id, status=FLAGGED, notes=note)

    def watch(self, decision: RoutingDecision, reward: float, expected: float | None) -> None:
        """Flag a reward that is a spike, or an arm that is shown to underperform."""
        key = decision.state_key
        for note in self.anomalies.observe(key, decision.provider_id, reward, expected):
            self.flag_anomaly(decision.decision_id, key, decision.provider_id, note)

    def get_audit_trail(
        self, limit: int | None = 100, *, after: int | None = None
    ) -> list[dict[str, Any]]:
        """Entries, oldest first: the last `limit`.

        With `after` they are the first `limit` behind that sequence number.
        """
        if limit is not None and limit < 0:
            raise InputError(f"limit must not be negative, not {limit}")
        if after is not None:
            return [entry.to_dict() for entry in islice(self._expanded(after), limit)]
        found = list(self._expanded(self._entries - limit if limit is not None else 0))
        return [entry.to_dict() for entry in found]

    def get_stats(self) -> dict[str, Any]:
        """Counts over all entries ever made; the rates are None before the first entry."""
        total = self._entries
        return {
            "total_entries": total,
            "approval_rate": self._approved / total if total else None,
            "rejection_rate": self._rejected / total if total else None,
            "flagged_rate": self._flagged / total if total else None,
            "common_violations": [
                {"type": kind.value, "count": count} for kind, count in self._common.most_common()
            ],
            "entries_dropped": self._trail[0].sequence - 1 if self._trail else 0,
        }

    def off_policy_value(
        self,
        decisions: Sequence[RoutingDecision],
        policy: "Policy",
        settings: "EvaluationSettings | None" = None,
    ) -> "Evaluation | NotIdentifiable":
        """What `policy` would have earned on logged decisions, or why the log cannot tell.

        To be asked before a new policy may take more traffic. Decisions without a propensity say
        nothing and are left out, and so are those whose feedback may still come: only feedback
        that did not come in time counts as missing.
        """
        from aurora.routing.evaluation.evaluate import evaluate
        from aurora.routing.evaluation.log import LoggedStep

        steps = [
            LoggedStep(
                arm=decision.provider_id,
                propensity=decision.propensity,
                reward=decision.reward,
                context=decision.context,
                propensities=decision.propensities,
            )
            for decision in decisions
            if decision.propensity is not None and not decision.pending
        ]
        return evaluate(steps, policy, settings)

    def _count(self, found: tuple[Finding, ...]) -> None:
        if not found:
            self._approved += 1
            return
        self._rejected += 1
        for finding in found:
            self._common[finding.type] += 1

    def _append(  # noqa: PLR0913  # the columns of an entry
        self,
        decision_id: str,
        key: Key,
        provider_id: str,
        *,
        status: str,
        violations: tuple[str, ...] = (),
        notes: str = "",
    ) -> None:
        self._entries += 1
        # A wall clock set back must not make a later entry look earlier.
        at = self._last_at = max(self._clock(), self._last_at)
        entry = AuditEntry(
            self._entries, at, decision_id, key, provider_id, status, violations, notes
        )
        self._trail.append(entry)

    def _expanded(self, after: int = 0) -> Iterator[AuditEntry]:
        for item in self._trail:
            # One decision can stand for thousands of entries, so it is skipped as a whole.
            if isinstance(item, RoutingDecision) and last_sequence(item) <= after:
                continue
            for entry in [item] if isinstance(item, AuditEntry) else entries_of(item):
                if entry.sequence > after:
                    yield entry
