"""The Q-table: its parameters, its rows, and reading and writing them as plain values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aurora.routing.contract import Snapshot
from aurora.routing.errors import InputError
from aurora.routing.types import StateKey

__all__ = ["Key", "Parameters", "Row", "read", "rows_of"]

Key: TypeAlias = tuple[str, str, str]
MOST_COUNT: Final = 10**15
"""Of decisions or rewards: a million a second for thirty years. More is a damaged file."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Learning and exploration; see `qlearning` for the formulas."""

    alpha: float
    gamma: float
    epsilon: float
    epsilon_decay: float
    epsilon_min: float
    initial_q: float

    def __post_init__(self) -> None:
        within = (
            ("alpha", 0.0 < self.alpha <= 1.0, "above 0 and at most 1"),
            ("gamma", 0.0 <= self.gamma < 1.0, "at least 0 and below 1"),
            ("epsilon", 0.0 <= self.epsilon <= 1.0, "from 0 to 1"),
            ("epsilon_decay", 0.0 < self.epsilon_decay <= 1.0, "above 0 and at most 1"),
            ("epsilon_min", 0.0 <= self.epsilon_min <= 1.0, "from 0 to 1"),
            ("initial_q", math.isfinite(self.initial_q), "finite"),
        )
        for name, good, rule in within:
            if not good:
                raise InputError(f"{name} must be {rule}, not {getattr(self, name)!r}")


class Row:
    """One state: Q values, update counts, and what was learned since the last delta."""

    __slots__ = ("counts", "delta", "q")

    def __init__(self) -> None:
        self.q: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.delta: dict[str, tuple[int, float]] | None = None


def rows_of(rows: Mapping[Key, Row]) -> list[Any]:
    """[workload, gpu, region, {arm: [value, count]}] for each row."""
    return [
        [*key, {arm: [q, row.counts[arm]] for arm, q in row.q.items()}] for key, row in rows.items()
    ]


def read(snapshot: Snapshot) -> tuple[int, dict[Key, Row]]:
    """Counts and rows of a snapshot or delta; InputError when it is not one."""
    try:
        decisions = int(snapshot["decisions"])
        if not 0 <= decisions <= MOST_COUNT:
            raise InputError(f"the saved number of decisions must be from 0 to {MOST_COUNT:g}")
        rows: dict[Key, Row] = {}
        for *key, cells in snapshot["states"]:
            row = rows[StateKey.of(tuple(key))] = Row()
            for arm, (value, count) in cells.items():
                if not math.isfinite(value) or not 0 <= count <= MOST_COUNT:
                    raise InputError(f"the saved value of {arm} in {key} is no finite number")
                row.q[arm] = float(value)
                row.counts[arm] = int(count)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"this is no saved Q-table: {error}") from error
    return decisions, rows
