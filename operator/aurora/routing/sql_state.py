"""Learned state in SQLite or PostgreSQL, shared by many processes. Needs SQLAlchemy (optional).

One row holds the document of one policy, with a revision. A writer reads it, merges its delta when
the revision is not the one it knows, and writes with `WHERE revision = ...`; whoever loses that
race reads again. In the same transaction it notes the number of its write, so that a commit whose
answer was lost is recognised and not counted twice.
"""

import json
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from aurora.routing.contract import Snapshot
from aurora.routing.errors import StateError
from aurora.routing.state_document import Stored, decoded, head
from aurora.routing.state_store import Write

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

__all__ = ["SqlState"]

ATTEMPTS: Final = 20
BACKOFF_SECONDS: Final = 0.01
FORGET_WRITERS_SECONDS: Final = 30 * 86_400.0
"""A write is repeated within minutes; after this long its number is of no use."""


class SqlState:
    """A `StateStore` in a database.

    Args:
        url: of SQLAlchemy, for example `sqlite:///q.db` or `postgresql://user:...@host/name`
            (psycopg 3 unless it names another driver).
        name: of the policy; policies share the tables, not their state.
        clock: Unix seconds.
    """

    def __init__(
        self, url: str, *, name: str = "default", clock: Callable[[], float] = time.time
    ) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise StateError("a SQL store needs SQLAlchemy: pip install sqlalchemy") from error
        self.name, self.warning = name, None
        self._clock = clock
        self._sql = sqlalchemy
        self._writer = secrets.token_hex(8)
        self._seen = -1
        with _translated():
            # A save is seldom: no process keeps a connection to the server in between.
            self._engine = sqlalchemy.create_engine(
                _with_driver(url), poolclass=sqlalchemy.pool.NullPool
            )
            self._metadata = sqlalchemy.MetaData()
            self._states, self._writers = self._tables()
            self._create()

    warning: str | None

    def load(self, strategy: str) -> Stored | None:
        with _translated(), self._engine.connect() as connection:
            found = self._read(connection)
        if found is None:
            return None
        if found.strategy != strategy:
            raise StateError(
                f"{self._where} was learned by {found.strategy}, not {strategy}; "
                "choose another name"
            )
        self._seen = found.revision
        return found

    def save(self, write: Write) -> Snapshot | None:
        for attempt in range(ATTEMPTS):
            # Writers that lost one race would otherwise run the next in step.
            time.sleep(random.uniform(0.0, BACKOFF_SECONDS * attempt))  # noqa: S311  # no secret
            with _translated(), self._engine.connect() as connection:
                found = self._read(connection)
                done = self._last_number(connection) >= write.number
            if found is not None and done:
                self._seen = found.revision
                return found.snapshot
            merged = None
            if found is not None and found.revision != self._seen:
                merged = write.onto(found, self._where)
            if self._put(write, found, write.full if merged is None else merged):
                return merged
        raise StateError(f"{self._where} is written too often by others; try again")

    def close(self) -> None:
        self._engine.dispose()

    @property
    def _where(self) -> str:
        return f"policy {self.name!r} in {self._engine.url.render_as_string()}"

    def _put(self, write: Write, found: Stored | None, snapshot: Snapshot) -> bool:
        """Whether it was written; False when another writer was faster."""
        revision = 1 if found is None else found.revision + 1
        row: dict[str, str | int] = {
            "strategy": write.strategy,
            "revision": revision,
            "document": _document(write.strategy, revision, snapshot),
        }
        try:
            with _translated(), self._engine.begin() as connection:
                if not self._write_row(connection, row, found):
                    return False
                self._note_number(connection, write.number)
        except StateError as error:
            if isinstance(error.__cause__, self._sql.exc.IntegrityError):
                return False
            raise
        self._seen = revision
        return True

    def _write_row(
        self, connection: "Connection", row: dict[str, str | int], found: Stored | None
    ) -> bool:
        table = self._states
        if found is None:
            connection.execute(table.insert().values(name=self.name, **row))
            return True
        mine = (table.c.name == self.name) & (table.c.revision == found.revision)
        return connection.execute(table.update().where(mine).values(**row)).rowcount == 1

    def _read(self, connection: "Connection") -> Stored | None:
        table = self._states
        row = connection.execute(
            self._sql.select(table.c.document).where(table.c.name == self.name)
        ).first()
        if row is None:
            return None
        found = decoded(row[0], self._where)
        if isinstance(found, str):
            raise StateError(f"{self._where} is damaged: {found}; restore the row from a backup")
        return found

    def _last_number(self, connection: "Connection") -> int:
        table = self._writers
        mine = (table.c.name == self.name) & (table.c.writer == self._writer)
        row = connection.execute(self._sql.select(table.c.number).where(mine)).first()
        return 0 if row is None else int(row[0])

    def _note_number(self, connection: "Connection", number: int) -> None:
        table, now = self._writers, self._clock()
        mine = (table.c.name == self.name) & (table.c.writer == self._writer)
        noted = connection.execute(table.update().where(mine).values(number=number, seen_at=now))
        if noted.rowcount:
            return
        connection.execute(table.delete().where(table.c.seen_at < now - FORGET_WRITERS_SECONDS))
        connection.execute(
            table.insert().values(name=self.name, writer=self._writer, number=number, seen_at=now)
        )

    def _tables(self) -> tuple["Table", "Table"]:
        sql = self._sql
        states = sql.Table(
            "aurora_routing_state",
            self._metadata,
            sql.Column("name", sql.String(253), primary_key=True),
            sql.Column("strategy", sql.String(63), nullable=False),
            sql.Column("revision", sql.BigInteger, nullable=False),
            sql.Column("document", sql.Text, nullable=False),
        )
        writers = sql.Table(
            "aurora_routing_writers",
            self._metadata,
            sql.Column("name", sql.String(253), primary_key=True),
            sql.Column("writer", sql.String(32), primary_key=True),
            sql.Column("number", sql.BigInteger, nullable=False),
            sql.Column("seen_at", sql.Float, nullable=False),
        )
        return states, writers

    def _create(self) -> None:
        try:
            self._metadata.create_all(self._engine)
        except self._sql.exc.DBAPIError:
            # Another process may have created them between our look and our attempt.
            self._metadata.create_all(self._engine)


def _with_driver(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme == "postgresql" and separator else url


def _document(strategy: str, revision: int, snapshot: Snapshot) -> str:
    return json.dumps({**head(strategy, revision), "state": snapshot}, allow_nan=False)


@contextmanager
def _translated() -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        first = str(error).splitlines()[0]
        raise StateError(f"the state database failed: {first}") from error
