"""The statements that add records. Each can be repeated without error or a second row."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from aurora.store.codec import dump, pack
from aurora.store.rows import DecisionRow, MemoryRow, OutcomeRow, StateRow, TransitionRow
from aurora.store.tables import (
    decisions,
    dictionaries,
    model_memory,
    outcomes,
    states,
    transitions,
)

__all__ = ["CHUNK", "add_rows", "add_states", "put_memory"]

CHUNK = 500
"""Rows a transaction writes at most, so that no other reader or writer waits long."""

SECONDS_PER_DAY = 86_400
DICTIONARY_BYTES = 32_768
"""zlib looks back this far; a longer dictionary is of no use."""

_T = TypeVar("_T")


def chunks(rows: Sequence[_T]) -> Iterator[tuple[_T, ...]]:
    """The rows, at most CHUNK at a time."""
    waiting = iter(rows)
    while part := tuple(islice(waiting, CHUNK)):
        yield part


def add_rows(
    connection: Connection, rows: Sequence[DecisionRow | TransitionRow | OutcomeRow]
) -> None:
    """Insert rows of any of the three kinds, decisions first; one statement for each kind."""
    for kind, add in _ADDING.items():
        values = [_values(row) for row in rows if type(row) is kind]
        if values:
            connection.execute(add(connection.dialect.name), values)


# A statement is made once for each dialect: its columns point at each other, which is garbage that
# only the collector finds, and a transaction has a few rows.
@cache
def _decisions(dialect: str) -> sqlite.Insert:
    """Insert once; a repetition only tells the uid that was not known before."""
    statement = _insert(dialect, decisions)
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={"uid": statement.excluded.uid, "name": statement.excluded.name},
        where=decisions.c.uid == "",
    )


@cache
def _transitions(dialect: str) -> sqlite.Insert:
    return _insert(dialect, transitions).on_conflict_do_nothing()


@cache
def _outcomes(dialect: str) -> sqlite.Insert:
    return _insert(dialect, outcomes).on_conflict_do_nothing()


@cache
def _states(dialect: str) -> sqlite.Insert:
    return _insert(dialect, states).on_conflict_do_nothing()


@cache
def _memories(dialect: str) -> sqlite.Insert:
    """Insert or replace what is older."""
    statement = _insert(dialect, model_memory)
    return statement.on_conflict_do_update(
        index_elements=["namespace", "model"],
        set_={name: statement.excluded[name] for name in ("version", "body", "updated_at")},
        where=model_memory.c.updated_at <= statement.excluded.updated_at,
    )


_ADDING: Final = {DecisionRow: _decisions, TransitionRow: _transitions, OutcomeRow: _outcomes}


def add_states(connection: Connection, rows: Sequence[StateRow]) -> None:
    """Insert snapshots, each compressed against the dictionary of its day."""
    found: dict[int, bytes] = {}
    values: list[dict[str, Any]] = []
    for row in rows:
        day = int(row.at // SECONDS_PER_DAY)
        if day not in found:
            found[day] = _dictionary(connection, day, row)
        values.append(
            {
                "namespace": row.namespace,
                "model": row.model,
                "at": row.at,
                "reason": row.reason,
                "policy_hash": row.policy_hash,
                "day": day,
                "snapshot": pack(row.snapshot, found[day]),
            },
        )
    connection.execute(_states(connection.dialect.name), values)


def put_memory(connection: Connection, rows: Sequence[MemoryRow]) -> None:
    """Insert or replace what was learned per model; what is newer in the store stays."""
    connection.execute(_memories(connection.dialect.name), [_values(row) for row in rows])


def _values(row: DecisionRow | TransitionRow | OutcomeRow | MemoryRow) -> dict[str, Any]:
    """The columns; `asdict` would copy whole snapshots, number by number."""
    return {one.name: getattr(row, one.name) for one in fields(row)}


def _dictionary(connection: Connection, day: int, row: StateRow) -> bytes:
    """The day's dictionary; the day's first snapshot becomes it."""
    query = select(dictionaries.c.body).where(dictionaries.c.day == day)
    body = connection.execute(query).scalar()
    if body is not None:
        return bytes(body)
    first = dump(row.snapshot).encode()[:DICTIONARY_BYTES]
    statement = _insert(connection.dialect.name, dictionaries).on_conflict_do_nothing()
    connection.execute(statement.values(day=day, body=first))
    return bytes(connection.execute(query).scalar_one())


def _insert(dialect: str, table: Table) -> sqlite.Insert:
    """INSERT ... ON CONFLICT is the dialect's own; both spell it alike."""
    if dialect == "postgresql":
        return postgresql.insert(table)  # type: ignore[return-value]
    return sqlite.insert(table)
