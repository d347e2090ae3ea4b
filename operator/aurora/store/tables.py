"""The record store's tables, as queries see them; migrations/ creates them.

A test holds the two together: the migrated schema must equal this metadata.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from aurora.store.codec import CleanText, Finite, JsonText, PackedJson

__all__ = [
    "decisions",
    "dictionaries",
    "metadata",
    "model_memory",
    "outcomes",
    "states",
    "transitions",
]

metadata = MetaData()

_Sequence = BigInteger().with_variant(Integer(), "sqlite")
"""Only INTEGER PRIMARY KEY counts up by itself in SQLite."""

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(253), primary_key=True),
    Column("name", CleanText, nullable=False),
    Column("uid", CleanText, nullable=False),
    Column("namespace", CleanText, nullable=False),
    Column("model", CleanText, nullable=False),
    Column("action", CleanText, nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("message", CleanText, nullable=False),
    Column("confidence", Finite, nullable=False),
    Column("tier", CleanText, nullable=False),
    Column("risk", CleanText, nullable=False),
    Column("created_at", Finite, nullable=False),
    Column("policy_hash", CleanText, nullable=False),
    Column("target", JsonText, nullable=False),
    Column("before", JsonText, nullable=False),
    Column("after", JsonText, nullable=False),
    Column("evidence", JsonText, nullable=False),
    Column("precedents", JsonText, nullable=False),
    Column("features", JsonText, nullable=False),
    Column("case_text", CleanText, nullable=False),
    Column("state", PackedJson, nullable=False),
    Index("ix_decisions_created_at", "created_at", "id"),
    Index("ix_decisions_model", "namespace", "model", "created_at"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("decision", String(253), nullable=False),
    Column("phase", String(32), nullable=False),
    Column("at", Finite, nullable=False),
    Column("detail", CleanText, nullable=False),
    UniqueConstraint("decision", "phase", "at", name="uq_transitions_decision"),
)
"""No foreign key: a row that could not be written must not keep the rows after it out."""

outcomes = Table(
    "outcomes",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("decision", String(253), nullable=False, unique=True),
    Column("verdict", CleanText, nullable=False),
    Column("effect", Finite),
    Column("low", Finite),
    Column("high", Finite),
    Column("unit", CleanText, nullable=False),
    Column("message", CleanText, nullable=False),
    Column("measured_at", Finite, nullable=False),
    sqlite_autoincrement=True,  # a number is never used twice, or the index could not tell
)

dictionaries = Table(
    "dictionaries",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)
"""One snapshot a day that the day's states are compressed against."""

states = Table(
    "states",
    metadata,
    Column("namespace", String(63), primary_key=True),
    Column("model", String(253), primary_key=True),
    Column("at", Finite, primary_key=True, autoincrement=False),
    Column("reason", CleanText, nullable=False),
    Column("policy_hash", CleanText, nullable=False),
    Column("day", Integer, ForeignKey("dictionaries.day"), nullable=False),
    Column("snapshot", LargeBinary, nullable=False),
    Index("ix_states_at", "at"),
)

model_memory = Table(
    "model_memory",
    metadata,
    Column("namespace", String(63), primary_key=True),
    Column("model", String(253), primary_key=True),
    Column("version", SmallInteger, nullable=False),
    Column("body", PackedJson, nullable=False),
    Column("updated_at", Finite, nullable=False),
)
