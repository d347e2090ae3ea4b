"""From a URL to a database engine with the right settings for SQLite or PostgreSQL."""

import importlib.util
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from aurora.errors import ConfigurationError

__all__ = ["WRITE", "make_engine", "place_of", "resolve"]

WRITE = {"aurora_write": True}
"""Execution options of a connection that is about to write."""

BUSY_TIMEOUT_MS = 5000
"""SQLite waits this long for another process's write before it says "locked"."""

CONNECT_TIMEOUT_S = 10
"""PostgreSQL's client would wait for an unreachable host without end."""

_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",  # first: the next ones wait for locks too
    "PRAGMA auto_vacuum=INCREMENTAL",  # pruned pages go back to the disk; only before any table
    "PRAGMA synchronous=NORMAL",  # a power cut may lose the newest rows, never the file
    "PRAGMA foreign_keys=ON",
    "PRAGMA journal_size_limit=67108864",
)

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def resolve(url: str) -> URL:
    """Check a records URL and name its driver.

    Raises:
        ConfigurationError: no URL, another database, or the driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "the records URL is not one; write sqlite:////folder/aurora.db "
            "or postgresql://user@host/database",
        ) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise ConfigurationError(
            f"records cannot be kept in {parsed.drivername!r}; use sqlite or postgresql",
        )
    if driver.startswith("sqlite") and parsed.database in {None, "", ":memory:"}:
        raise ConfigurationError("the records URL names no file; write sqlite:////folder/aurora.db")
    if driver.startswith("postgresql") and importlib.util.find_spec("psycopg") is None:
        raise ConfigurationError(
            "PostgreSQL needs the extra 'postgres': pip install 'aurora-operator[postgres]'",
        )
    return parsed.set(drivername=driver)


def place_of(url: URL) -> str:
    """What messages call the store: a file, or a database without user and password."""
    if url.drivername.startswith("sqlite"):
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or 'localhost'}{port}/{url.database or ''}"


def make_engine(url: URL) -> Engine | AsyncEngine:
    """An engine that is not connected yet, asynchronous where a network lies in between.

    Raises:
        OSError: a SQLite file or its folder could not be made.
    """
    if url.drivername.startswith("postgresql"):
        limits = {"connect_timeout": CONNECT_TIMEOUT_S}
        return create_async_engine(url, pool_pre_ping=True, connect_args=limits)
    _private_file(Path(str(url.database)))
    engine = create_engine(url)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _private_file(path: Path) -> None:
    """Make the file before SQLite does, readable by its owner alone; SQLite's WAL copies the mode.

    Records quote metrics, names and settings of workloads: they are not for every local user.
    A file that is there is never opened here, since closing it would drop the locks of every other
    SQLite connection of this process.
    """
    if path.is_dir():
        raise IsADirectoryError(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        path.chmod(0o600)


def _on_connect(dbapi: Any, _record: object) -> None:
    dbapi.isolation_level = None  # the driver would begin late and deferred; _on_begin does it
    cursor = dbapi.cursor()
    try:
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        with suppress(sqlite3.OperationalError):  # busy: the one who holds it switches or has
            cursor.execute("PRAGMA journal_mode=WAL")
    finally:
        cursor.close()


def _on_begin(connection: Connection) -> None:
    """Take the write lock at once: a deferred one that is upgraded later ignores busy_timeout."""
    writes = connection.get_execution_options().get("aurora_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
