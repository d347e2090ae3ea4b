"""Database errors become one line that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from aurora.errors import StoreError

__all__ = ["as_store_error", "storing"]

_UNOPENED = "cannot be opened; name a file whose folder exists and is writable for this user"

_ADVICE: tuple[tuple[str, str], ...] = (
    ("locked", "is locked by another process; stop that process, or use PostgreSQL for several"),
    ("is full", "has no disk space left; free some, or shorten the retention"),
    ("no space left", "has no disk space left; free some, or shorten the retention"),
    ("not a database", "is damaged or no database; move the file away and a new one is made"),
    ("malformed", "is damaged; move the file away and a new one is made, or restore a backup"),
    ("unable to open", _UNOPENED),
    ("permissionerror", _UNOPENED),
    ("notadirectory", _UNOPENED),
    ("isadirectory", _UNOPENED),
    ("fileexists", _UNOPENED),
    ("readonly", "is read-only; give this user write access to the file and its folder"),
    ("disk i/o error", "cannot be read or written (disk I/O error); check the disk"),
    ("password authentication", "refused user or password; correct the connection's secret"),
    ("connection refused", "cannot be reached; check host, port and that PostgreSQL is running"),
    ("resolve host", "cannot be reached; its host name does not resolve"),
    ("timeout", "did not answer in time; check that it is up and that nothing holds its tables"),
    ("no such table", "has lost a table; move it away and a new one is made, or restore a backup"),
    ("undefinedtable", "has lost a table; restore a backup or use an empty database"),
)


@contextmanager
def storing(where: str) -> Iterator[None]:
    """Every database error inside leaves as a StoreError that names the store `where`."""
    try:
        yield
    except (SQLAlchemyError, OSError, ValueError, KeyError) as error:
        raise as_store_error(error, where) from error


def as_store_error(error: Exception, where: str) -> StoreError:
    """The one line for an error; never holds SQL, values or a password."""
    cause = error.orig if isinstance(error, StatementError) and error.orig else error
    if isinstance(cause, ValueError) and not isinstance(error, DBAPIError):
        return StoreError(f"a record was not written to {where}: {_line(cause)}")
    told = f"{type(cause).__name__} {cause}".lower()
    advice = next((advice for sign, advice in _ADVICE if sign in told), None)
    if advice is None:
        return StoreError(f"the record store {where} failed: {_line(cause)}")
    return StoreError(f"the record store {where} {advice}")


def _line(cause: BaseException) -> str:
    """The first line alone: what follows it may quote a statement's values."""
    return (str(cause).strip() or type(cause).__name__).splitlines()[0][:200]
