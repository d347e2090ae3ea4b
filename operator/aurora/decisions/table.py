"""Many decisions: a table for people and rows for programs. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from aurora.decisions.text import age, change_text, clean, made_at
from aurora.resources import DecisionObject
from aurora.resources.quantities import format_timestamp
from aurora.resources.vocabulary import OutcomeVerdict, Phase

__all__ = ["PHASE_STYLES", "decision_rows", "decision_table", "newest_first", "plain_table"]

PHASE_STYLES = {
    Phase.AWAITING_APPROVAL: "bold yellow",
    Phase.EXECUTING: "cyan",
    Phase.VERIFYING: "cyan",
    Phase.ROLLING_BACK: "magenta",
    Phase.ROLLED_BACK: "magenta",
    Phase.FAILED: "red",
}
_OUTCOME_STYLES = {OutcomeVerdict.IMPROVED: "green", OutcomeVerdict.REGRESSED: "red"}
_EPOCH = 0.0


def newest_first(found: Iterable[DecisionObject]) -> tuple[DecisionObject, ...]:
    """Decisions by the time they were made, the newest first."""
    return tuple(sorted(found, key=_order, reverse=True))


def _order(one: DecisionObject) -> tuple[float, str]:
    made = made_at(one)
    return (made.timestamp() if made is not None else _EPOCH, one.metadata.name)


def plain_table(*columns: str) -> Table:
    """A table as kubectl prints it: upper-case heads, no lines, two blanks between columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.upper(), overflow="fold")
    return table


def decision_table(
    decisions: Sequence[DecisionObject], *, now: datetime, namespaces: bool = False
) -> Table:
    """One line a decision, in the given order.

    Args:
        decisions: what to show.
        now: the time that ages count from.
        namespaces: add a column with the namespace.
    """
    place = ("namespace",) if namespaces else ()
    table = plain_table(
        "age", *place, "model", "decision", "action", "change", "reason", "conf", "tier", "phase",
        "outcome",
    )  # fmt: skip
    for one in decisions:
        where = (clean(one.metadata.namespace),) if namespaces else ()
        table.add_row(age(made_at(one), now), *where, *_cells(one))
    return table


def _cells(one: DecisionObject) -> tuple[str | Text, ...]:
    spec, phase, outcome = one.spec, one.status.phase, one.status.outcome
    verdict = outcome.verdict if outcome is not None else None
    cells: tuple[str | Text, ...] = (
        Text(clean(spec.model_ref.name)),
        Text(clean(one.metadata.name)),
        spec.action.value,
        Text(change_text(spec.parameters.from_, spec.parameters.to)),
        Text(clean(spec.reason)),
        f"{spec.confidence_percent}%",
        spec.tier.value,
        Text(phase.value, style=PHASE_STYLES.get(phase, "")) if phase is not None else "",
        Text(verdict.value, style=_OUTCOME_STYLES.get(verdict, "")) if verdict is not None else "",
    )
    return cells


def decision_rows(decisions: Sequence[DecisionObject]) -> list[dict[str, Any]]:
    """The same as plain values; what is not known is null, never a made-up value."""
    return [_row(one) for one in decisions]


def _row(one: DecisionObject) -> dict[str, Any]:
    spec, status, made = one.spec, one.status, made_at(one)
    return {
        "namespace": one.metadata.namespace,
        "name": one.metadata.name,
        "model": spec.model_ref.name,
        "createdAt": format_timestamp(made) if made is not None else None,
        "action": spec.action.value,
        "from": dict(spec.parameters.from_),
        "to": dict(spec.parameters.to),
        "reason": spec.reason,
        "message": spec.message,
        "confidencePercent": spec.confidence_percent,
        "tier": spec.tier.value,
        "risk": spec.risk.value,
        "phase": status.phase.value if status.phase is not None else None,
        "decidedBy": status.decided_by,
        "outcome": status.outcome.verdict.value if status.outcome is not None else None,
        "expiresAt": format_timestamp(spec.expires_at) if spec.expires_at is not None else None,
    }
