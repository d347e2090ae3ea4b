"""One decision, all of it: why, on what evidence, with what promise, and what came of it. Pure."""

from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from aurora.decisions.table import plain_table
from aurora.decisions.text import (
    age,
    change_text,
    clean,
    line,
    made_at,
    moment,
    rows,
    section,
    span,
    verbatim,
)
from aurora.decisions.undo import undo_command
from aurora.resources import Change, ConditionType, DecisionObject, find_condition
from aurora.resources.decision import Evidence
from aurora.resources.quantities import format_decimal, format_duration
from aurora.resources.vocabulary import Phase

__all__ = ["change_lines", "explain_decision"]

_BY_AURORA: Final = "aurora"


def explain_decision(found: DecisionObject, *, now: datetime) -> Group:
    """Everything that a person needs to judge the decision."""
    return Group(
        _head(found, now),
        _why(found),
        _evidence(found),
        _promise(found),
        _precedents(found),
        _alternatives(found),
        _approval(found, now),
        _changes(found),
        _outcome(found, now),
    )


def _head(found: DecisionObject, now: datetime) -> RenderableType:
    spec, phase = found.spec, found.status.phase or Phase.PROPOSED
    change = change_text(spec.parameters.from_, spec.parameters.to)
    title = Text(clean(f"{found.metadata.namespace}/{found.metadata.name}"), style="bold")
    title.append(f"  {phase.value}", style="bold cyan")
    made = made_at(found)
    when = f"{moment(made)}, {age(made, now)} ago" if made is not None else ""
    facts = (
        ("action", f"{spec.action.value} {change}".strip()),
        ("target", f"{spec.target.kind} {spec.target.name}"),
        ("model", spec.model_ref.name),
        ("decided", when),
    )
    return Group(title, Text(""), line(spec.message), Text(""), rows(facts))


def _why(found: DecisionObject) -> RenderableType:
    spec = found.spec
    protective = "yes: skips cooldown, budgets, freezes and the step limit"
    return section(
        "Why",
        rows(
            (
                ("reason", spec.reason),
                ("confidence", f"{spec.confidence_percent}%"),
                ("tier", spec.tier.value),
                ("risk", spec.risk.value),
                ("protective", protective if spec.protective else ""),
                ("policy", spec.policy_hash),
            )
        ),
    )


def _evidence(found: DecisionObject) -> RenderableType:
    if not found.spec.evidence:
        return section("Evidence", "none was recorded")
    table = plain_table("signal", "value", "threshold", "samples", "window", "measured")
    for one in found.spec.evidence:
        table.add_row(*(Text(cell) for cell in _facts(one)))
    queries = [verbatim(f"{one.signal}:", one.query) for one in found.spec.evidence if one.query]
    return section("Evidence", table, *queries)


def _facts(one: Evidence) -> tuple[str, ...]:
    unit = clean(one.unit)
    return (
        clean(one.signal),
        f"{format_decimal(one.value)} {unit}".strip(),
        f"{format_decimal(one.threshold)} {unit}".strip() if one.threshold is not None else "",
        str(one.samples) if one.samples is not None else "",
        format_duration(one.window) if one.window is not None else "",
        moment(one.at),
    )


def _promise(found: DecisionObject) -> RenderableType:
    effect = found.spec.expected_effect
    if effect is None:
        return section("Promise", "none: nothing is changed")
    interval = ""
    if effect.low is not None and effect.high is not None:
        interval = f"(between {format_decimal(effect.low)} and {format_decimal(effect.high)})"
    change = f"{effect.direction.value}, change of {format_decimal(effect.delta)} {effect.unit}"
    conditions = [
        f"{one.signal} {one.operator.value} {format_decimal(one.value)} "
        f"{_unit_of(found, one.signal)}".strip()
        for one in found.spec.rollback_if
    ]
    return section(
        "Promise",
        rows(
            (
                ("expected", f"{effect.signal} {change} {interval}".strip()),
                ("judged", moment(effect.by)),
                ("rolled back if", " or ".join(conditions)),
            )
        ),
    )


def _unit_of(found: DecisionObject, signal: str) -> str:
    """A rollback condition has the unit of the evidence that it repeats."""
    return next((one.unit for one in found.spec.evidence if one.signal == signal), "")


def _precedents(found: DecisionObject) -> RenderableType:
    if not found.spec.precedents:
        return section("Similar cases", "none yet")
    table = plain_table("decision", "similarity", "outcome")
    for one in found.spec.precedents:
        outcome = one.outcome.value if one.outcome is not None else "not measured yet"
        table.add_row(Text(clean(one.decision)), f"{one.similarity_percent}%", outcome)
    return section("Similar cases", table)


def _alternatives(found: DecisionObject) -> RenderableType:
    if not found.spec.alternatives:
        return section("Alternatives", "none was proposed")
    table = plain_table("action", "lost because", "in a sentence")
    for one in found.spec.alternatives:
        table.add_row(one.action.value, Text(clean(one.reason)), Text(clean(one.message)))
    return section("Alternatives", table)


def _approval(found: DecisionObject, now: datetime) -> RenderableType:
    fact = find_condition(found.status.conditions, ConditionType.APPROVED)
    why = ": ".join(part for part in (fact.reason, fact.message) if part) if fact else ""
    if found.status.phase is Phase.AWAITING_APPROVAL:
        return section("Approval", _waiting(found, why, now))
    by = found.status.decided_by or ""
    who = "AURORA, inside the guardrails" if by == _BY_AURORA else by
    answer = (("decided by", who or "nobody yet"), ("because", why))
    return section("Approval", rows(answer))


def _waiting(found: DecisionObject, why: str, now: datetime) -> RenderableType:
    name = f"{found.metadata.name} -n {found.metadata.namespace}"
    expires = found.spec.expires_at
    left = (expires - now).total_seconds() if expires is not None else None
    until = f"in {span(left)}" if left is not None and left > 0 else "expired"
    return rows(
        (
            ("decided by", "nobody yet: a person decides"),
            ("because", why),
            ("expires", until if expires is not None else ""),
            ("approve", f"kubectl aurora approve {name}"),
            ("deny", f"kubectl aurora deny {name}"),
        )
    )


def _changes(found: DecisionObject) -> RenderableType:
    if not found.status.changes:
        return section("Changes", "nothing was written")
    lines = [part for one in found.status.changes for part in change_lines(one)]
    if found.status.phase is Phase.ROLLED_BACK:
        return section("Changes, undone since", *lines[::2])
    return section("Changes", *lines)


def change_lines(one: Change) -> tuple[Text, Text]:
    """What was written where, and the command that undoes it by hand."""
    when = f"written {moment(one.applied_at)}" if one.applied_at else "announced, not confirmed"
    before, after = one.from_ or "absent", one.to or "absent"
    return (
        line(f"{one.kind} {one.namespace}/{one.name} {one.path}: {before} → {after}, {when}"),
        verbatim(f"  undo: {undo_command(one)}"),
    )


def _outcome(found: DecisionObject, now: datetime) -> RenderableType:
    outcome = found.status.outcome
    failed = [
        line(f"{one.type} is {one.status.value}: {one.message or one.reason}")
        for one in found.status.conditions
        if one.type in {ConditionType.EXECUTED, ConditionType.ROLLED_BACK}
    ]
    if outcome is None:
        return section("Outcome", *failed, "not measured")
    effect = ""
    if outcome.effect is not None:
        effect = f"{format_decimal(outcome.effect)} {outcome.unit or ''}"
    interval = ""
    if outcome.low is not None and outcome.high is not None:
        interval = f" (between {format_decimal(outcome.low)} and {format_decimal(outcome.high)})"
    return section(
        "Outcome",
        rows(
            (
                ("verdict", outcome.verdict.value),
                ("effect", f"{effect.strip()}{interval}".strip()),
                ("in a sentence", outcome.message),
                ("measured", f"{moment(outcome.measured_at)}, {age(outcome.measured_at, now)} ago"),
            )
        ),
        *failed,
    )
