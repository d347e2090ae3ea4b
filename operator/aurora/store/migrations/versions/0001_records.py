"""Decisions, what happened to them, states for replay, and what was learned per model.

Written out in plain types, not imported from tables.py: a migration must stay what it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=False)


def _number(name: str, *, nullable: bool = False) -> "sa.Column[float]":
    return sa.Column(name, sa.Double(), nullable=nullable)


def upgrade() -> None:
    _decisions()
    _what_happened()
    _states()
    op.create_table(
        "model_memory",
        sa.Column("namespace", sa.String(63), primary_key=True),
        sa.Column("model", sa.String(253), primary_key=True),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _number("updated_at"),
    )


def _decisions() -> None:
    before = ("name", "uid", "namespace", "model", "action", "reason", "message")
    after = ("policy_hash", "target", "before", "after", "evidence", "precedents", "features")
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(253), primary_key=True),
        *(_text(name) for name in before),
        _number("confidence"),
        _text("tier"),
        _text("risk"),
        _number("created_at"),
        *(_text(name) for name in after),
        _text("case_text"),
        sa.Column("state", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_decisions_created_at", "decisions", ["created_at", "id"])
    op.create_index("ix_decisions_model", "decisions", ["namespace", "model", "created_at"])


def _what_happened() -> None:
    op.create_table(
        "transitions",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("decision", sa.String(253), nullable=False),
        sa.Column("phase", sa.String(32), nullable=False),
        _number("at"),
        _text("detail"),
        sa.UniqueConstraint("decision", "phase", "at", name="uq_transitions_decision"),
    )
    op.create_table(
        "outcomes",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("decision", sa.String(253), nullable=False, unique=True),
        _text("verdict"),
        _number("effect", nullable=True),
        _number("low", nullable=True),
        _number("high", nullable=True),
        _text("unit"),
        _text("message"),
        _number("measured_at"),
        sqlite_autoincrement=True,
    )


def _states() -> None:
    op.create_table(
        "dictionaries",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "states",
        sa.Column("namespace", sa.String(63), primary_key=True),
        sa.Column("model", sa.String(253), primary_key=True),
        sa.Column("at", sa.Double(), primary_key=True, autoincrement=False),
        _text("reason"),
        _text("policy_hash"),
        sa.Column("day", sa.Integer(), sa.ForeignKey("dictionaries.day"), nullable=False),
        sa.Column("snapshot", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_states_at", "states", ["at"])
