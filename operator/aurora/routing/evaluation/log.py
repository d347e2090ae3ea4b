"""What an off-policy estimate is made from: logged decisions, seen by a target policy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "LoggedStep", "Policy", "WeightedLog", "weigh"]

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """One decision with its outcome.

    `propensity` is the probability with which the logging policy took `arm`, after filtering and
    mixing. `propensities` holds the whole mixture when it was logged: then an arm without support
    is seen directly instead of through the mean weight. A `reward` that never came is None.
    """

    arm: str
    propensity: float
    reward: float | None
    context: Any = None
    propensities: Mapping[str, float] | None = None
    features: Floats | None = None


Policy: TypeAlias = Callable[[LoggedStep], Mapping[str, float]]
"""The probability of each arm under the target policy, which may read the context alone."""


@dataclass(frozen=True, slots=True)
class WeightedLog:
    """The log as arrays, one entry a step whose outcome is known, in the order it was written."""

    steps: Sequence[LoggedStep]
    targets: Sequence[Mapping[str, float]]
    weights: Floats
    rewards: Floats
    unsupported: Floats
    missing: int = 0
    invalid: int = 0
    arms: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rewards)


def weigh(steps: Sequence[LoggedStep], policy: Policy) -> WeightedLog:
    """Weight each step by target over logging probability.

    A step whose propensity is no probability, or whose target probabilities do not sum to 1, is
    counted as invalid; one without a finite reward as missing. Neither enters the estimate.
    """
    kept: list[LoggedStep] = []
    targets: list[Mapping[str, float]] = []
    missing = invalid = 0
    for step in steps:
        target = policy(step)
        if not 0.0 < step.propensity <= 1.0 or not _is_distribution(target):
            invalid += 1
        elif step.reward is None or not np.isfinite(step.reward):
            missing += 1
        else:
            kept.append(step)
            targets.append(target)
    pairs = list(zip(kept, targets, strict=True))
    arms: dict[str, int] = {}
    for step in kept:
        arms[step.arm] = arms.get(step.arm, 0) + 1
    return WeightedLog(
        steps=kept,
        targets=targets,
        weights=np.array([t.get(s.arm, 0.0) / s.propensity for s, t in pairs], dtype=np.float64),
        rewards=np.array([s.reward for s in kept], dtype=np.float64),
        unsupported=np.array([_unsupported(s, t) for s, t in pairs], dtype=np.float64),
        missing=missing,
        invalid=invalid,
        arms=arms,
    )


def _is_distribution(target: Mapping[str, float]) -> bool:
    total = sum(target.values())
    return bool(abs(total - 1.0) < 1e-6 and all(p >= 0.0 for p in target.values()))


def _unsupported(step: LoggedStep, target: Mapping[str, float]) -> float:
    """The target's mass on arms that the logging policy could not take here."""
    if step.propensities is None:
        return 0.0
    could = step.propensities
    return sum(p for arm, p in target.items() if p > 0.0 and could.get(arm, 0.0) <= 0.0)
