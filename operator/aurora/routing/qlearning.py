"""Tabular Q-learning over (workload type, GPU type, region), epsilon-greedy.

    Q(s, a) <- Q(s, a) + alpha * (reward + gamma * max over a' of Q(s', a') - Q(s, a))

(Watkins and Dayan, "Q-learning", Machine Learning 8, 1992.) The next state s' is told with the
reward where requests form chains (an agent's next call). Without one the request is an episode of
its own and the bootstrap term is 0: taking the next request of the stream for s' would only add
noise, since the choice of a provider does not cause it.

Epsilon starts at 0.1, is multiplied by 0.995 with each decision and stays at or above 0.01. The
constant alpha forgets old rewards exponentially, which is what a provider that changes needs.

Replicas share a table by deltas. A delta holds, for each cell that was updated, the number of
updates n and s = the sum of what they added, so that applying it to a base is exactly what the same
updates would have done there, and counts add up:

    n_new = n_base + n        Q_new = (1 - alpha)^n * Q_base + s
"""

import math
from collections.abc import Mapping
from heapq import nsmallest
from typing import Final

import numpy as np

from aurora.routing.contract import Arms, Distribution, Snapshot
from aurora.routing.errors import InputError
from aurora.routing.qtable import Key, Parameters, Row, read, rows_of
from aurora.routing.types import WorkloadContext

__all__ = ["QLearning"]

DEFAULT_MAX_STATES: Final = 100_000
"""The parts of a state come from requests, so their number is bounded like any hostile input."""


class QLearning:
    """The strategy `q-learning`; see the module's text.

    Args:
        alpha: step size, above 0 and at most 1.
        gamma: discount of the next state's value, at least 0 and below 1.
        epsilon: share of uniform exploration at the start.
        epsilon_decay: factor for each decision.
        epsilon_min: epsilon never falls below it.
        initial_q: value of what was never tried.
        max_states: states kept, at least 10; beyond it the tenth with the fewest rewards goes.
    """

    name: Final = "q-learning"

    def __init__(  # noqa: PLR0913  # settings, each with a default
        self,
        *,
        alpha: float = 0.1,
        gamma: float = 0.95,
        epsilon: float = 0.1,
        epsilon_decay: float = 0.995,
        epsilon_min: float = 0.01,
        initial_q: float = 0.0,
        max_states: int = DEFAULT_MAX_STATES,
    ) -> None:
        if max_states < 10:
            raise InputError(f"max_states must be at least 10, not {max_states}")
        self.evicted = 0
        self._max_states = self._room = max_states
        self.parameters = Parameters(alpha, gamma, epsilon, epsilon_decay, epsilon_min, initial_q)
        self.epsilon = max(epsilon, epsilon_min)
        self.decisions = 0
        self._rows: dict[Key, Row] = {}
        self._initial = initial_q
        self._decay, self._least = epsilon_decay, epsilon_min
        # None until somebody asks for deltas: a lone process should not pay their memory.
        self._delta_decisions: int | None = None
        self._touched: set[Key] = set()

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,  # noqa: ARG002  # greedy: nothing to draw here
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        n = len(arms)
        row = self._rows.get((context.workload_type, context.gpu_type, context.region))
        if row is None:
            return [1.0 / n] * n, [self._initial] * n
        get, initial = row.q.get, self._initial
        scores = [get(arm, initial) for arm in arms]
        best = max(scores)
        epsilon = self.epsilon * exploration
        probabilities = [epsilon / n] * n
        ties = scores.count(best)
        if ties == 1:
            probabilities[scores.index(best)] += 1.0 - epsilon
            return probabilities, scores
        share = (1.0 - epsilon) / ties
        return [p + share if q == best else p for p, q in zip(probabilities, scores)], scores  # noqa: B905  # same length; strict costs time on the hot path

    def chosen(self, context: WorkloadContext, arm: str, at: float) -> None:  # noqa: ARG002
        """Count a decision and let epsilon decay."""
        self.decisions += 1
        if self._delta_decisions is not None:
            self._delta_decisions += 1
        epsilon = self.epsilon * self._decay
        self.epsilon = epsilon if epsilon > self._least else self._least  # noqa: FURB136  # max() is slower

    def decay(self) -> float:
        """Count a decision; the epsilon that follows."""
        self.chosen(WorkloadContext(), "", 0.0)
        return self.epsilon

    def update(self, context: WorkloadContext, arm: str, reward: float, at: float) -> None:  # noqa: ARG002
        self.learn((context.workload_type, context.gpu_type, context.region), arm, reward)

    def learn(
        self, state_key: Key, arm: str, reward: float, next_state_key: Key | None = None
    ) -> float:
        """Learn one reward, bootstrapping from the next state when there is one.

        Returns:
            The new Q value.

        Raises:
            InputError: the reward is not finite; nothing was changed.
        """
        if not math.isfinite(reward):
            raise InputError(f"a reward must be finite, not {reward!r}; nothing was learned")
        target = reward + self.parameters.gamma * self._value(next_state_key)
        row = self._rows.get(state_key)
        if row is None:
            if len(self._rows) >= self._room:
                self._evict()
            row = self._rows[state_key] = Row()
        before = row.q.get(arm, self._initial)
        # The convex form cannot overflow where q + alpha * (target - q) would.
        alpha = self.parameters.alpha
        after = row.q[arm] = (1.0 - alpha) * before + alpha * target
        row.counts[arm] = row.counts.get(arm, 0) + 1
        if self._delta_decisions is not None:
            self._note(state_key, row, arm, 1, alpha * target)
        return after

    def q_value(self, state_key: Key, arm: str) -> float:
        """The current value; the initial one for what was never tried."""
        row = self._rows.get(state_key)
        return self._initial if row is None else row.q.get(arm, self._initial)

    def count(self, state_key: Key, arm: str) -> int:
        """How many rewards the cell has seen, in all replicas that shared them."""
        row = self._rows.get(state_key)
        return 0 if row is None else row.counts.get(arm, 0)

    def known_arms(self) -> set[str]:
        return {arm for row in self._rows.values() for arm in row.q}

    def forget(self, arm: str) -> None:
        for row in self._rows.values():
            row.q.pop(arm, None)
            row.counts.pop(arm, None)
            if row.delta is not None:
                row.delta.pop(arm, None)

    def status(self) -> Mapping[str, float]:
        return {
            "epsilon": self.epsilon,
            "decision_count": self.decisions,
            "q_states": len(self._rows),
            "evicted_states": self.evicted,
        }

    def snapshot(self) -> Snapshot:
        return {"decisions": self.decisions, "states": rows_of(self._rows)}

    def restore(self, snapshot: Snapshot) -> None:
        decisions, rows = read(snapshot)
        self._rows = rows
        self._touched = set()
        self._set_decisions(decisions)
        if self._delta_decisions is not None:
            self._delta_decisions = 0

    def fill(self, snapshot: Snapshot) -> int:
        """Take the cells that have no reward here; a replica's next delta has them too."""
        _, rows = read(snapshot)
        taken, keep = 0, 1.0 - self.parameters.alpha
        for key, row in rows.items():
            known = self._rows.get(key)
            fresh = [arm for arm in row.q if known is None or not known.counts.get(arm)]
            if not fresh or (known is None and len(self._rows) >= self._max_states):
                continue
            known = self._rows.setdefault(key, Row())
            for arm in fresh:
                n = row.counts[arm]
                known.q[arm], known.counts[arm] = row.q[arm], n
                if self._delta_decisions is not None:
                    self._note(key, known, arm, n, row.q[arm] - keep**n * self._initial)
            taken += len(fresh)
        return taken

    def take_delta(self) -> Snapshot:
        """What was learned since the last call; the first call hands over everything."""
        if self._delta_decisions is None:
            self._delta_decisions = 0
            return {"delta": True, **self._everything()}
        rows = []
        for key in self._touched:
            row = self._rows[key]
            rows.append([*key, {arm: [s, n] for arm, (n, s) in (row.delta or {}).items()}])
            row.delta = None
        delta = {"delta": True, "decisions": self._delta_decisions, "states": rows}
        self._delta_decisions, self._touched = 0, set()
        return delta

    def merged(self, base: Snapshot, delta: Snapshot) -> Snapshot:
        decisions, rows = read(base)
        added, changes = read(delta)
        keep = 1.0 - self.parameters.alpha
        # Onto a delta the sums add up from nothing; onto a table, from the initial value.
        start = 0.0 if base.get("delta") else self._initial
        for key, change in changes.items():
            row = rows.setdefault(key, Row())
            for arm, value in change.q.items():
                n = change.counts[arm]
                row.q[arm] = keep**n * row.q.get(arm, start) + value
                row.counts[arm] = row.counts.get(arm, 0) + n
        merged = {"decisions": decisions + added, "states": rows_of(rows)}
        return {"delta": True, **merged} if base.get("delta") else merged

    def rebase(self, base: Snapshot) -> None:
        decisions, rows = read(base)
        keep = 1.0 - self.parameters.alpha
        for key in self._touched:
            delta = self._rows[key].delta or {}
            row = rows.setdefault(key, Row())
            row.delta = delta
            for arm, (n, s) in delta.items():
                row.q[arm] = keep**n * row.q.get(arm, self._initial) + s
                row.counts[arm] = row.counts.get(arm, 0) + n
        self._rows = rows
        self._set_decisions(decisions + (self._delta_decisions or 0))

    def _everything(self) -> Snapshot:
        """All that was learned as one delta: what the initial value contributed is taken out."""
        keep = 1.0 - self.parameters.alpha
        states = [
            [
                *key,
                {
                    arm: [q - keep ** row.counts[arm] * self._initial, row.counts[arm]]
                    for arm, q in row.q.items()
                },
            ]
            for key, row in self._rows.items()
        ]
        return {"decisions": self.decisions, "states": states}

    def _evict(self) -> None:
        """Make room. What a save still has to count stays, up to twice the limit."""
        tenth = self._max_states // 10
        spare = len(self._rows) < 2 * self._max_states
        found = [
            (sum(row.counts.values()), key)
            for key, row in self._rows.items()
            if not (spare and row.delta)
        ]
        for _, key in nsmallest(tenth, found):
            del self._rows[key]
            self._touched.discard(key)
            self.evicted += 1
        # Looking through all rows takes long, so not again before a tenth was added.
        self._room = max(self._max_states, len(self._rows) + tenth)

    def _note(self, key: Key, row: Row, arm: str, count: int, added: float) -> None:
        if row.delta is None:
            row.delta = {}
            self._touched.add(key)
        n, s = row.delta.get(arm, (0, 0.0))
        row.delta[arm] = (n + count, (1.0 - self.parameters.alpha) ** count * s + added)

    def _value(self, key: Key | None) -> float:
        """The best known value of a state; 0 where there is no next state."""
        if key is None:
            return 0.0
        row = self._rows.get(key)
        return self._initial if row is None else max(row.q.values(), default=self._initial)

    def _set_decisions(self, decisions: int) -> None:
        p = self.parameters
        self.decisions = decisions
        self.epsilon = max(p.epsilon * p.epsilon_decay**decisions, p.epsilon_min)
