"""What a log says about a policy that was not run, or why it says nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from aurora.routing.errors import InputError
from aurora.routing.evaluation.bounds import Bound
from aurora.routing.evaluation.estimators import (
    Estimate,
    Range,
    effective_samples,
    estimate_dr,
    estimate_ips,
    estimate_snips,
)
from aurora.routing.evaluation.log import LoggedStep, Policy, WeightedLog, weigh
from aurora.routing.evaluation.reward_model import ArmMeans, RewardModel

__all__ = ["Evaluation", "EvaluationSettings", "NotIdentifiable", "Obstacle", "evaluate"]


class Obstacle(StrEnum):
    """Why a log cannot tell the value of a policy."""

    NO_DATA = "NoData"
    INVALID_PROPENSITIES = "InvalidPropensities"
    REWARDS_MISSING = "RewardsMissing"
    MISSING_SUPPORT = "MissingSupport"
    SMALL_SAMPLE = "SmallSample"
    WEIGHTS_INCONSISTENT = "WeightsInconsistent"


@dataclass(frozen=True, slots=True)
class NotIdentifiable:
    """The log cannot tell; `message` says what is lacking."""

    obstacle: Obstacle
    message: str
    samples: int = 0
    effective_samples: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """What an answer needs.

    `confidence` is that of each interval alone. `reward_range` (lowest, highest reward) is needed
    for the bounds that hold in small samples; without it they are NORMAL. `smallest_propensity` is
    the exploration floor's: the least that any logged arm could have; without it the largest weight
    seen stands in, and the bounds hold given that none larger was possible.
    """

    confidence: float = 0.95
    bound: Bound = Bound.EMPIRICAL_BERNSTEIN
    reward_range: tuple[float, float] | None = None
    smallest_propensity: float | None = None
    min_effective_samples: float = 100.0
    max_unsupported: float = 1e-6
    max_missing_ratio: float = 0.05
    max_invalid_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Three estimates of one value; they agree when the propensities are right."""

    ips: Estimate
    snips: Estimate
    dr: Estimate
    samples: int
    effective_samples: float
    mean_weight: float
    largest_weight: float
    missing: int


def evaluate(
    steps: Sequence[LoggedStep],
    policy: Policy,
    settings: EvaluationSettings | None = None,
    *,
    model: RewardModel | None = None,
) -> Evaluation | NotIdentifiable:
    """Estimate the mean reward that `policy` would have had on the contexts of `steps`.

    `model` is a fresh reward model for the doubly robust estimate; the default knows each arm's
    mean. Raises InputError when a reward lies outside `reward_range`.
    """
    wanted = settings or EvaluationSettings()
    log = weigh(steps, policy)
    obstacle = _obstacle(log, len(steps), wanted)
    if obstacle is not None:
        return obstacle
    known = _known_range(log, wanted)
    alpha = 1.0 - wanted.confidence
    return Evaluation(
        ips=estimate_ips(log, known, alpha=alpha, bound=wanted.bound),
        snips=estimate_snips(log, alpha=alpha),
        dr=estimate_dr(log, model or ArmMeans(), known, alpha=alpha, bound=wanted.bound),
        samples=len(log),
        effective_samples=effective_samples(log.weights),
        mean_weight=float(np.mean(log.weights)),
        largest_weight=float(np.max(log.weights)),
        missing=log.missing,
    )


def _obstacle(log: WeightedLog, total: int, wanted: EvaluationSettings) -> NotIdentifiable | None:
    if total == 0:
        return NotIdentifiable(Obstacle.NO_DATA, "the log is empty")
    if log.invalid / total > wanted.max_invalid_ratio:
        return NotIdentifiable(
            Obstacle.INVALID_PROPENSITIES,
            f"{log.invalid} of {total} steps have a propensity outside (0, 1] or a target "
            "policy that does not sum to 1",
        )
    if log.missing / total > wanted.max_missing_ratio:
        return NotIdentifiable(
            Obstacle.REWARDS_MISSING,
            f"{log.missing} of {total} steps have no finite reward; what is missing may not be "
            "missing at random",
        )
    return _weak(log, wanted)


def _weak(log: WeightedLog, wanted: EvaluationSettings) -> NotIdentifiable | None:
    samples, effective = len(log), effective_samples(log.weights)
    lacking = float(np.mean(log.unsupported))
    if lacking > wanted.max_unsupported:
        return NotIdentifiable(
            Obstacle.MISSING_SUPPORT,
            f"the target gives {lacking:.1%} of its decisions to arms that were never possible",
            samples,
            effective,
        )
    if effective < wanted.min_effective_samples:
        return NotIdentifiable(
            Obstacle.SMALL_SAMPLE,
            f"{samples} steps are worth {effective:.0f} of the target policy; "
            f"{wanted.min_effective_samples:.0f} are needed",
            samples,
            effective,
        )
    return _inconsistent(log, effective)


def _inconsistent(log: WeightedLog, effective: float) -> NotIdentifiable | None:
    """Weights have mean 1 when propensities are right and nothing lacks support.

    The same check as the control variate of Swaminathan and Joachims (2015); 5 standard errors
    leave one false alarm in a million.
    """
    mean = float(np.mean(log.weights))
    error = float(np.std(log.weights)) / math.sqrt(len(log))
    if abs(mean - 1.0) <= 5.0 * error + 1e-9:
        return None
    return NotIdentifiable(
        Obstacle.WEIGHTS_INCONSISTENT,
        f"importance weights have mean {mean:.3f} instead of 1: the propensities are wrong, or "
        "the target uses arms that were never logged",
        len(log),
        effective,
    )


def _known_range(log: WeightedLog, wanted: EvaluationSettings) -> Range | None:
    if wanted.reward_range is None:
        return None
    low, high = wanted.reward_range
    if float(np.min(log.rewards)) < low or float(np.max(log.rewards)) > high:
        raise InputError(f"a reward lies outside reward_range [{low}, {high}]: widen the range")
    seen = float(np.max(log.weights))
    floor = wanted.smallest_propensity
    return Range(low, high, max(seen, 1.0 / floor) if floor else seen)
