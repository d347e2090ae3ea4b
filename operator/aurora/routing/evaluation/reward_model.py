"""Reward models for the doubly robust estimate; a prediction uses earlier steps only."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from aurora.routing.evaluation.log import Floats, LoggedStep

__all__ = ["ArmMeans", "RewardModel", "RidgeRewards", "progressive"]

_BLOCKS: Final = 20


class RewardModel(Protocol):
    """Learns the expected reward of an arm from logged steps."""

    def fit(self, steps: Sequence[LoggedStep]) -> None:
        """Take further steps into account; each has a reward."""

    def predict(self, step: LoggedStep, arm: str) -> float:
        """The expected reward of `arm` in the context of `step`."""


class ArmMeans:
    """The mean reward of each arm, drawn towards the overall mean by `prior` pseudo-samples."""

    def __init__(self, prior: float = 10.0) -> None:
        self._prior = prior
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def fit(self, steps: Sequence[LoggedStep]) -> None:
        for step in steps:
            if step.reward is not None:
                self._sums[step.arm] = self._sums.get(step.arm, 0.0) + step.reward
                self._counts[step.arm] = self._counts.get(step.arm, 0) + 1

    def predict(self, step: LoggedStep, arm: str) -> float:
        del step
        total = sum(self._counts.values())
        overall = sum(self._sums.values()) / total if total else 0.0
        count = self._counts.get(arm, 0)
        return (self._sums.get(arm, 0.0) + self._prior * overall) / (count + self._prior)


class RidgeRewards:
    """Ridge regression per arm over `LoggedStep.features` (with an intercept)."""

    def __init__(self, penalty: float = 1.0) -> None:
        self._penalty = penalty
        self._gram: dict[str, Floats] = {}
        self._moment: dict[str, Floats] = {}
        self._weights: dict[str, Floats] = {}
        self._means = ArmMeans()

    def fit(self, steps: Sequence[LoggedStep]) -> None:
        self._means.fit(steps)
        for step in steps:
            if step.features is None or step.reward is None:
                continue
            row = _with_intercept(step.features)
            if step.arm not in self._gram:
                self._gram[step.arm] = self._penalty * np.eye(len(row))
                self._moment[step.arm] = np.zeros(len(row))
            self._gram[step.arm] += np.outer(row, row)
            self._moment[step.arm] += step.reward * row
        self._weights = {
            arm: np.asarray(np.linalg.solve(gram, self._moment[arm]), dtype=np.float64)
            for arm, gram in self._gram.items()
        }

    def predict(self, step: LoggedStep, arm: str) -> float:
        weights = self._weights.get(arm)
        if weights is None or step.features is None:
            return self._means.predict(step, arm)
        return float(weights @ _with_intercept(step.features))


def progressive(
    model: RewardModel, steps: Sequence[LoggedStep], targets: Sequence[Mapping[str, float]]
) -> tuple[Floats, Floats]:
    """Predictions for the arm taken and for the target policy, from earlier blocks alone.

    So that a prediction never saw the reward it is compared with, and the corrected values stay a
    martingale difference sequence: the condition of the empirical Bernstein bounds.
    """
    taken = np.zeros(len(steps))
    expected = np.zeros(len(steps))
    for block in np.array_split(np.arange(len(steps)), min(_BLOCKS, max(1, len(steps)))):
        for index in block:
            step = steps[index]
            taken[index] = model.predict(step, step.arm)
            expected[index] = sum(
                p * model.predict(step, arm) for arm, p in targets[index].items() if p > 0.0
            )
        model.fit([steps[index] for index in block])
    return taken, expected


def _with_intercept(features: Floats) -> Floats:
    return np.append(np.asarray(features, dtype=np.float64), 1.0)
