"""Remove what is older than the retention, a bounded number of rows a call."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, delete, exists, select, tuple_

from aurora.store.reading import ended
from aurora.store.rows import Pruned
from aurora.store.tables import (
    decisions,
    dictionaries,
    model_memory,
    outcomes,
    states,
    transitions,
)

__all__ = ["BATCH", "BATCHES", "give_back", "joined", "prune"]

BATCH = 1000
"""Decisions, and states, that one transaction removes at most: about 20 ms of write lock."""

BATCHES = 50
"""Transactions of one call: 10,000 models store 10,000 states in 5 minutes."""

_FREE_PAGES = 20_000
"""Pages of 4 KiB that one call gives back to the disk at most."""


def prune(connection: Connection, before: float, keep: Collection[str]) -> Pruned:
    """Remove ended decisions, states and memories last touched before `before` (epoch seconds)."""
    gone = _decisions(connection, before, keep)
    old = select(*_STATE_KEY).where(states.c.at < before).order_by(states.c.at).limit(BATCH)
    keys = [tuple(row) for row in connection.execute(old)]
    if keys:
        connection.execute(delete(states).where(tuple_(*_STATE_KEY).in_(keys)))
    used = exists().where(states.c.day == dictionaries.c.day)
    days = dictionaries.c.day < int(before // 86_400)
    connection.execute(delete(dictionaries).where(days, ~used))
    forgotten = connection.execute(delete(model_memory).where(model_memory.c.updated_at < before))
    more = gone == BATCH or len(keys) == BATCH
    return Pruned(gone, len(keys), max(0, forgotten.rowcount), more)


def joined(one: Pruned, other: Pruned) -> Pruned:
    """The sum of two calls; more is left when the later one says so."""
    return Pruned(
        one.decisions + other.decisions,
        one.states + other.states,
        one.memories + other.memories,
        other.more,
    )


_STATE_KEY = (states.c.namespace, states.c.model, states.c.at)


def _decisions(connection: Connection, before: float, keep: Collection[str]) -> int:
    old = (
        select(decisions.c.id)
        .where(decisions.c.created_at < before, ended())
        .order_by(decisions.c.created_at)
        .limit(BATCH + len(keep))
    )
    kept = frozenset(keep)
    ids = [found for found in connection.scalars(old) if found not in kept][:BATCH]
    if not ids:
        return 0
    connection.execute(delete(transitions).where(transitions.c.decision.in_(ids)))
    connection.execute(delete(outcomes).where(outcomes.c.decision.in_(ids)))
    connection.execute(delete(decisions).where(decisions.c.id.in_(ids)))
    return len(ids)


def give_back(connection: Connection) -> None:
    """Let SQLite return free pages to the disk; PostgreSQL's autovacuum does so by itself.

    Each step of SQLite's statement frees one page, and only a script runs to its last step. A
    script first ends the transaction that it finds, so this is called in one of its own.
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.dbapi_connection
        driver.executescript(f"PRAGMA incremental_vacuum({_FREE_PAGES})").close()
