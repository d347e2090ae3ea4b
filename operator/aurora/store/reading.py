"""The queries over the records; every one is bounded."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select, tuple_

from aurora.store.codec import unpack
from aurora.store.rows import (
    TERMINAL_PHASES,
    CaseMark,
    CaseRow,
    DecisionFilter,
    DecisionRecord,
    DecisionRow,
    MemoryRow,
    OutcomeRow,
    StateRow,
    TransitionRow,
)
from aurora.store.tables import (
    decisions,
    dictionaries,
    model_memory,
    outcomes,
    states,
    transitions,
)

__all__ = ["MOST", "case_mark", "cases", "ended", "memories", "records", "snapshots"]

MOST = 500
"""Decision records a call gives at most."""

_DECISION = tuple(field.name for field in fields(DecisionRow))
_OUTCOME = tuple(field.name for field in fields(OutcomeRow))


def ended() -> ColumnElement[bool]:
    """Whether the newest transition of a decision is a terminal phase."""
    newest = (
        select(transitions.c.phase)
        .where(transitions.c.decision == decisions.c.id)
        .order_by(transitions.c.at.desc(), transitions.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(newest, "").in_(TERMINAL_PHASES)


def records(connection: Connection, wanted: DecisionFilter) -> list[DecisionRecord]:
    """The decisions that match, newest first, with their transitions and outcome."""
    query = (
        select(decisions)
        .where(*_conditions(wanted))
        .order_by(decisions.c.created_at.desc(), decisions.c.id.desc())
        .limit(max(1, min(wanted.limit, MOST)))
    )
    rows = [_decision(row) for row in connection.execute(query)]
    ids = [row.id for row in rows]
    happened = _transitions(connection, ids)
    measured = _outcomes(connection, ids)
    return [
        DecisionRecord(
            decision=row,
            transitions=tuple(happened[row.id]),
            outcome=measured.get(row.id),
        )
        for row in rows
    ]


def _decision(row: Row[Any]) -> DecisionRow:
    lists = {name: tuple(row._mapping[name]) for name in ("evidence", "precedents")}  # noqa: SLF001
    return DecisionRow(**(_named(row, _DECISION) | lists))


def _conditions(wanted: DecisionFilter) -> list[ColumnElement[bool]]:
    columns = decisions.c
    equal = {name: getattr(wanted, name) for name in ("id", "namespace", "model", "action")}
    found = [columns[name] == value for name, value in equal.items() if value is not None]
    if wanted.since is not None:
        found.append(columns.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(columns.created_at < wanted.until)
    if wanted.in_flight is not None:
        found.append(~ended() if wanted.in_flight else ended())
    if wanted.before is not None:
        at, last = wanted.before
        earlier = and_(columns.created_at == at, columns.id < last)
        found.append(or_(columns.created_at < at, earlier))
    return found


def _transitions(connection: Connection, ids: Sequence[str]) -> dict[str, list[TransitionRow]]:
    query = (
        select(transitions)
        .where(transitions.c.decision.in_(ids))
        .order_by(transitions.c.at, transitions.c.seq)
    )
    found: dict[str, list[TransitionRow]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.decision].append(TransitionRow(row.decision, row.phase, row.at, row.detail))
    return found


def _outcomes(connection: Connection, ids: Sequence[str]) -> dict[str, OutcomeRow]:
    query = select(outcomes).where(outcomes.c.decision.in_(ids))
    return {row.decision: OutcomeRow(**_named(row, _OUTCOME)) for row in connection.execute(query)}


def memories(connection: Connection, *, after: tuple[str, str], limit: int) -> list[MemoryRow]:
    """What was learned of the models after (namespace, model), in that order."""
    names = tuple(field.name for field in fields(MemoryRow))
    key = (model_memory.c.namespace, model_memory.c.model)
    query = select(model_memory).where(tuple_(*key) > after).order_by(*key).limit(limit)
    return [MemoryRow(**_named(row, names)) for row in connection.execute(query)]


def cases(
    connection: Connection, *, limit: int, since: float | None, after: int, before: int | None
) -> list[CaseRow]:
    """The newest measured cases, at most `limit`, in the order of their numbers."""
    query = (
        _cases(
            outcomes.c.seq,
            outcomes.c.decision,
            outcomes.c.verdict,
            outcomes.c.effect,
            outcomes.c.measured_at,
            decisions.c.namespace,
            decisions.c.model,
            decisions.c.action,
            decisions.c.reason,
            decisions.c.created_at,
            decisions.c.features,
            decisions.c.case_text.label("text"),
        )
        .where(outcomes.c.seq > after)
        .order_by(outcomes.c.seq.desc())
        .limit(limit)
    )
    if since is not None:
        query = query.where(outcomes.c.measured_at >= since)
    if before is not None:
        query = query.where(outcomes.c.seq < before)
    names = tuple(field.name for field in fields(CaseRow))
    found = [CaseRow(**_named(row, names)) for row in connection.execute(query)]
    return found[::-1]


def case_mark(connection: Connection) -> CaseMark:
    query = _cases(func.count(), func.max(outcomes.c.seq))
    count, last = connection.execute(query).one()
    return CaseMark(count, last or 0)


def _cases(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(outcomes.join(decisions, decisions.c.id == outcomes.c.decision))
        .where(decisions.c.features != {})
    )


def snapshots(  # noqa: PLR0913 - one page of a scan has that many bounds
    connection: Connection,
    *,
    namespace: str,
    model: str,
    since: float,
    until: float,
    limit: int,
) -> list[StateRow]:
    """One model's states with since <= at < until, oldest first."""
    query = (
        select(states, dictionaries.c.body)
        .join(dictionaries, dictionaries.c.day == states.c.day)
        .where(states.c.namespace == namespace, states.c.model == model)
        .where(states.c.at >= since, states.c.at < until)
        .order_by(states.c.at)
        .limit(limit)
    )
    return [
        StateRow(
            namespace=row.namespace,
            model=row.model,
            at=row.at,
            reason=row.reason,
            policy_hash=row.policy_hash,
            snapshot=unpack(bytes(row.snapshot), bytes(row.body)),
        )
        for row in connection.execute(query)
    ]


def _named(row: Row[Any], names: Sequence[str]) -> dict[str, Any]:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    return {name: values[name] for name in names}
