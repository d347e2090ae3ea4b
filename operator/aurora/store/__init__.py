"""Records in SQLite or PostgreSQL; the only importer of SQLAlchemy."""

from aurora.store.rows import (
    TERMINAL_PHASES,
    CaseMark,
    CaseRow,
    DecisionFilter,
    DecisionRecord,
    DecisionRow,
    Json,
    MemoryRow,
    OutcomeRow,
    Pruned,
    StateRow,
    TransitionRow,
)
from aurora.store.store import RETENTION_DAYS, Store

__all__ = [
    "RETENTION_DAYS",
    "TERMINAL_PHASES",
    "CaseMark",
    "CaseRow",
    "DecisionFilter",
    "DecisionRecord",
    "DecisionRow",
    "Json",
    "MemoryRow",
    "OutcomeRow",
    "Pruned",
    "StateRow",
    "Store",
    "TransitionRow",
]
