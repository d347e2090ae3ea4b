"""The value of a policy from another policy's log: IPS, self-normalised IPS, doubly robust."""

from dataclasses import dataclass

import numpy as np

from aurora.routing.evaluation.bounds import (
    Bound,
    Interval,
    bounded_mean,
    mean_interval,
    ratio_interval,
)
from aurora.routing.evaluation.log import Floats, WeightedLog
from aurora.routing.evaluation.reward_model import RewardModel, progressive

__all__ = ["Estimate", "effective_samples", "estimate_dr", "estimate_ips", "estimate_snips"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated mean reward of a step under the target policy, with its bounds."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Range:
    """What bounds a reward and an importance weight; without it only NORMAL bounds can be had."""

    low: float
    high: float
    largest_weight: float


def effective_samples(weights: Floats) -> float:
    """How many samples of the target policy the log is worth (Kish, "Survey sampling", 1965)."""
    squares = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / squares if squares > 0.0 else 0.0


def estimate_ips(log: WeightedLog, known: Range | None, *, alpha: float, bound: Bound) -> Estimate:
    """Inverse propensity scoring (Horvitz and Thompson, JASA 1952).

    The reward is first moved to start at 0: its importance weights have mean 1, so this changes no
    expectation, and the weighted reward is then bounded below by 0.
    """
    if known is None or bound is Bound.NORMAL:
        values = log.weights * log.rewards
        return Estimate(float(np.mean(values)), mean_interval(values, alpha=alpha))
    values = known.low + log.weights * (log.rewards - known.low)
    high = known.low + known.largest_weight * (known.high - known.low)
    return Estimate(
        float(np.mean(values)), _bounded(values, (known.low, high), known, alpha=alpha, bound=bound)
    )


def estimate_snips(log: WeightedLog, *, alpha: float) -> Estimate:
    """Self-normalised IPS (Swaminathan and Joachims, NeurIPS 2015); its bounds are asymptotic."""
    value = float(np.sum(log.weights * log.rewards) / np.sum(log.weights))
    return Estimate(value, ratio_interval(log.weights, log.rewards, alpha=alpha))


def estimate_dr(
    log: WeightedLog, model: RewardModel, known: Range | None, *, alpha: float, bound: Bound
) -> Estimate:
    """Doubly robust (Dudík, Langford and Li, ICML 2011) with progressively fitted predictions."""
    taken, expected = progressive(model, log.steps, log.targets)
    if known is not None:
        taken = np.clip(taken, known.low, known.high)
        expected = np.clip(expected, known.low, known.high)
    values = expected + log.weights * (log.rewards - taken)
    if known is None or bound is Bound.NORMAL:
        return Estimate(float(np.mean(values)), mean_interval(values, alpha=alpha))
    margin = known.largest_weight * (known.high - known.low)
    limits = (known.low - margin, known.high + margin)
    interval = _bounded(values, limits, known, alpha=alpha, bound=bound)
    return Estimate(float(np.mean(values)), interval)


def _bounded(
    values: Floats, limits: tuple[float, float], known: Range, *, alpha: float, bound: Bound
) -> Interval:
    anytime = bound is Bound.CONFIDENCE_SEQUENCE
    found = bounded_mean(values, *limits, alpha=alpha, anytime=anytime)
    # A value outside the rewards' range is possible for the estimate, not for the truth.
    return Interval(max(found.lower, known.low), min(found.upper, known.high), bound)
