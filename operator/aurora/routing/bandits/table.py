"""Rewards per state and arm: counts, means and spreads, with forgetting and change points."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aurora.routing.bandits.arms import Places
from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.options import numbers, part
from aurora.routing.contract import Arms, Snapshot
from aurora.routing.errors import InputError
from aurora.routing.types import MOST_FIGURE, StateKey

__all__ = ["ArmTable", "Cells", "StateRow"]

COUNT, MEAN, SQUARES, STEP, UP, DOWN, PENDING = range(7)
FIELDS: Final = 7
NEVER: Final = (0.0,) * FIELDS
MAX_STATES: Final = 100_000
"""Bound on memory; the state that was first seen longest ago makes room."""

ROUNDING: Final = 1e-6
"""So far below 0 a sum of squares may be by rounding."""
Cells = NDArray[np.float64]


class StateRow:
    """One state.

    Attributes:
        cells: one column an arm: discounted count, mean and sum of squared deviations of its
            rewards, the step of its last reward, the two sums of its change test, and how many of
            its decisions still wait for their reward.
        steps: rewards so far.
        low: the smallest reward seen; `high` the largest.
    """

    __slots__ = ("cells", "high", "low", "steps")

    def __init__(self, room: int) -> None:
        self.cells: Cells = np.zeros((FIELDS, room))
        self.steps = 0.0
        self.low = math.inf
        self.high = -math.inf


class ArmTable:
    """The statistics of every state and arm.

    `discount` below 1 makes a reward count for less with every later reward in its state (Garivier
    and Moulines, "On upper-confidence bound policies for switching bandit problems", ALT 2011);
    `change` restarts an arm whose mean has moved.
    """

    def __init__(self, *, discount: float, change: ChangeTest | None) -> None:
        self.discount = discount
        self.change = change
        self.changes = 0
        self._places = Places()
        self._states: dict[StateKey, StateRow] = {}

    def __len__(self) -> int:
        return len(self._states)

    def row(self, key: StateKey) -> StateRow:
        """The state's row with room for every known arm; made when it is new."""
        row = self._states.get(key)
        room = self._places.room
        if row is None:
            if len(self._states) >= MAX_STATES:
                del self._states[next(iter(self._states))]
            row = self._states[key] = StateRow(room)
        elif row.cells.shape[1] < room:
            row.cells = np.pad(row.cells, ((0, 0), (0, room - row.cells.shape[1])))
        return row

    def view(self, key: StateKey, arms: Arms) -> tuple[StateRow, Cells]:
        """The state and its cells of these arms in their order, counts as they are worth now."""
        select = self._places.select(arms)
        row = self.row(key)
        cells = row.cells[:, select]
        if self.discount < 1.0:
            cells = cells.copy()
            cells[(COUNT, SQUARES), :] *= self.discount ** (row.steps - cells[STEP])
        return row, cells

    def learn(self, key: StateKey, arm: str, reward: float) -> None:
        """Take one reward into account (Welford's update, weighted)."""
        place = self._places.place(arm)
        row = self.row(key)
        row.steps += 1.0
        row.low, row.high = min(row.low, reward), max(row.high, reward)
        count, mean, squares, last, up, down, pending = row.cells[:, place].tolist()
        kept = self.discount ** (row.steps - last) if self.discount < 1.0 else 1.0
        count, squares = kept * count, kept * squares
        if self.change is not None and count >= 2.0:
            spread = math.sqrt(squares / (count - 1.0)) if count > 1.0 else 0.0
            if spread > 0.0:
                up, down = self.change.step(up, down, (reward - mean) / spread)
            if self.change.alarm(up, down, count):
                self.changes += 1
                count = mean = squares = up = down = 0.0
        count += 1.0
        gap = reward - mean
        mean += gap / count
        squares += max(0.0, gap * (reward - mean))  # it is below 0 by rounding alone
        row.cells[:, place] = (count, mean, squares, row.steps, up, down, pending)

    def wait(self, key: StateKey, arm: str, change: float) -> None:
        """One more, or one less, decision waits for its reward."""
        place = self._places.place(arm)
        cells = self.row(key).cells
        cells[PENDING, place] = max(0.0, cells[PENDING, place] + change)

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self._places.of)

    def forget(self, arm: str) -> None:
        """Drop the arm from every state; its place is free for another."""
        place = self._places.free(arm)
        if place is None:
            return
        for row in self._states.values():
            if place < row.cells.shape[1]:
                row.cells[:, place] = NEVER

    def snapshot(self) -> Snapshot:
        """Learned statistics as plain values; what is pending belongs to this process alone."""
        arms = list(self._places.of)
        places = [self._places.of[arm] for arm in arms]
        states = []
        for key, row in self._states.items():
            if row.steps > 0.0:
                room = row.cells.shape[1]
                cells = [
                    row.cells[:PENDING, place].tolist() if place < room else list(NEVER[:PENDING])
                    for place in places
                ]
                states.append(
                    {
                        "key": list(key),
                        "steps": row.steps,
                        "range": [row.low, row.high],
                        "cells": cells,
                    }
                )
        return {"arms": arms, "states": states}

    def fill(self, snapshot: Snapshot) -> int:
        """Take the cells that have no reward here, as if their rewards had just come."""
        other = ArmTable(discount=self.discount, change=self.change)
        other.restore(snapshot)
        return sum(
            self._fill_row(key, theirs, other._places)
            for key, theirs in other._states.items()
            if key in self._states or len(self._states) < MAX_STATES
        )

    def _fill_row(self, key: StateKey, theirs: StateRow, places: Places) -> int:
        known = {arm: at for arm, at in places.of.items() if theirs.cells[COUNT, at] > 0.0}
        here = {arm: self._places.place(arm) for arm in known}
        row = self.row(key)
        is_new = row.steps == 0.0
        fresh = [arm for arm in known if row.cells[COUNT, here[arm]] == 0.0]
        for arm in fresh:
            row.cells[:PENDING, here[arm]] = theirs.cells[:PENDING, known[arm]]
            if not is_new:
                row.cells[STEP, here[arm]] = row.steps
        if fresh:
            row.steps = theirs.steps if is_new else row.steps
            row.low, row.high = min(row.low, theirs.low), max(row.high, theirs.high)
        return len(fresh)

    def restore(self, snapshot: Snapshot) -> None:
        """Replace everything; InputError, and nothing changed, when it cannot be used."""
        arms = part(snapshot, "arms", list)
        if len(set(map(str, arms))) != len(arms) or not all(isinstance(arm, str) for arm in arms):
            raise InputError("'arms' in the snapshot must be different texts")
        places = Places(arms)
        states: dict[StateKey, StateRow] = {}
        for entry in part(snapshot, "states", list):
            key = part(entry, "key", list)
            if len(key) != len(StateKey._fields) or not all(isinstance(k, str) for k in key):
                raise InputError(f"'key' in the snapshot must be three texts, not {key!r}")
            row = StateRow(places.room)
            row.cells[:PENDING, : len(arms)] = numbers(entry, "cells", (len(arms), PENDING)).T
            row.low, row.high = numbers(entry, "range", (2,)).tolist()
            row.steps = float(part(entry, "steps", float))
            _plausible(row)
            states[StateKey(*key)] = row
        self._places, self._states = places, states


def _plausible(row: StateRow) -> None:
    """Raise for statistics that no rewards have: counting with them would fail much later."""
    squares = row.cells[SQUARES]
    squares[(squares < 0.0) & (squares > -ROUNDING)] = 0.0
    least = min(row.steps, row.cells[COUNT].min(initial=0.0), squares.min(initial=0.0))
    rewards = max(abs(row.low), abs(row.high), np.abs(row.cells[MEAN]).max(initial=0.0))
    if least < 0.0 or not rewards <= MOST_FIGURE:
        raise InputError("the snapshot has counts below 0, or rewards that are none")
