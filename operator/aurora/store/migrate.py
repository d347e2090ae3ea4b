"""Bring the schema up to this version, or refuse one that is newer."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from aurora.errors import StoreError

__all__ = ["head", "upgrade"]

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x61757230  # one number for every AURORA process on this database ("aur0")


def head() -> str:
    """The newest schema that this version knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None, "the package was built without its migrations"
    return found


def upgrade(connection: Connection, where: str) -> None:
    """Run the missing migrations in the connection's transaction.

    Raises:
        StoreError: the schema was made by a newer version.
    """
    if connection.dialect.name == "postgresql":  # replicas start together: one migrates
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    current = MigrationContext.configure(connection).get_current_revision()
    config = _config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"the record store {where} has schema {current}, made by a newer AURORA; "
            f"this one knows {head()} at most: install the newer version or use another store",
        )
    if current == head():
        return
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    # Alembic reads % as the start of a substitution.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
