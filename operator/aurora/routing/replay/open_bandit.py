"""Open Bandit: do our off-policy estimates agree with what was logged?

Saito, Aihara, Matsutani and Narita, "Open Bandit Dataset and Pipeline", NeurIPS 2021 Datasets and
Benchmarks. The file was logged by a policy that showed every item with the same probability, so its
click rate is the uniform policy's value. Estimating that from its own log is trivial (all weights
are 1), so the log is thinned first: a step is kept with a probability that depends on its item.
What is left was logged by a policy that is not uniform but known exactly, and the uniform policy's
value must come out of it again.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from aurora.routing.errors import InputError
from aurora.routing.evaluation import (
    Estimate,
    Evaluation,
    EvaluationSettings,
    Interval,
    LoggedStep,
    NotIdentifiable,
    bounded_mean,
    evaluate,
)

__all__ = ["Agreement", "BanditLog", "Thinned", "agreement", "load_open_bandit"]

_LEAST_KEPT: Final = 0.2
_REWARDS: Final = (0.0, 1.0)
_ROUNDED: Final = 0.01


@dataclass(frozen=True, slots=True)
class BanditLog:
    """The log: which items there were, and what was shown, with its propensity and click."""

    items: tuple[str, ...]
    steps: Sequence[LoggedStep]


@dataclass(frozen=True, slots=True)
class Thinned:
    """The uniform policy's value from one thinned log."""

    seed: int
    found: Evaluation | NotIdentifiable
    within: dict[str, bool]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The logged value with its bounds, and how the estimates compare with it."""

    samples: int
    value: float
    interval: Interval
    whole: Evaluation | NotIdentifiable
    thinned: Sequence[Thinned]


def load_open_bandit(path: Path, limit: int | None = None) -> BanditLog:
    """Read item_id, click and propensity_score; InputError when the file has no such columns."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not {"item_id", "click", "propensity_score"} <= set(reader.fieldnames or ()):
                raise InputError(f"{path} needs the columns item_id, click and propensity_score")
            rows = [row for _, row in zip(range(limit or 10**9), reader, strict=False)]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise InputError(f"{path} has no rows")
    items = tuple(sorted({row["item_id"] for row in rows}))
    try:
        steps = [
            LoggedStep(row["item_id"], float(row["propensity_score"]), float(row["click"]))
            for row in rows
        ]
    except ValueError as error:
        raise InputError(f"{path} has a click or propensity that is no number: {error}") from error
    _check(steps, len(items), path)
    return BanditLog(items, steps)


def _check(steps: Sequence[LoggedStep], items: int, path: Path) -> None:
    odd = next((step.reward for step in steps if step.reward not in _REWARDS), None)
    if odd is not None:
        raise InputError(f"{path} has the click {odd:g}; a click is 0 or 1")
    if len({step.propensity for step in steps}) != 1:
        raise InputError(f"{path} was not logged by the uniform policy: its propensities differ")
    propensity = steps[0].propensity
    # Files round it: 0.0294 for one of 34.
    if not abs(propensity * items - 1.0) < _ROUNDED:
        raise InputError(
            f"{path} shows {items} items with a propensity of {propensity:g} each, which do not "
            "sum to 1: read more rows"
        )


def agreement(log: BanditLog, *, seeds: int, confidence: float = 0.95) -> Agreement:
    """Estimate the uniform policy from the whole log and from `seeds` thinned ones."""
    rewards = np.array([step.reward for step in log.steps], dtype=np.float64)
    interval = bounded_mean(rewards, *_REWARDS, alpha=1.0 - confidence)
    settings = EvaluationSettings(confidence=confidence, reward_range=_REWARDS)
    share = 1.0 / len(log.items)
    uniform = dict.fromkeys(log.items, share)
    whole = evaluate(log.steps, lambda _: uniform, settings)
    thinned = []
    for seed in range(seeds):
        steps = _thin(log, np.random.default_rng((seed, 13)))
        found = evaluate(steps, lambda _: uniform, settings)
        thinned.append(Thinned(seed, found, _within(found, interval)))
    return Agreement(len(log.steps), float(np.mean(rewards)), interval, whole, thinned)


def _within(found: Evaluation | NotIdentifiable, interval: Interval) -> dict[str, bool]:
    if isinstance(found, NotIdentifiable):
        return {}
    estimates: dict[str, Estimate] = {"ips": found.ips, "snips": found.snips, "dr": found.dr}
    return {name: one.value in interval for name, one in estimates.items()}


def _thin(log: BanditLog, rng: np.random.Generator) -> list[LoggedStep]:
    """Keep a step with a probability of its item's; what remains has known propensities.

    P(item | kept) = kept(item) * logged(item) / sum of both over items; the log is uniform, so its
    propensity cancels.
    """
    kept = dict(zip(log.items, rng.uniform(_LEAST_KEPT, 1.0, len(log.items)), strict=True))
    total = sum(kept.values())
    mixture = {item: float(chance / total) for item, chance in kept.items()}
    draws = rng.random(len(log.steps))
    return [
        LoggedStep(step.arm, mixture[step.arm], step.reward, None, mixture)
        for step, draw in zip(log.steps, draws, strict=True)
        if draw < kept[step.arm]
    ]


def as_json(found: Agreement) -> dict[str, object]:
    """The result as plain values."""
    judged = [one.within for one in found.thinned if one.within]
    return {
        "data": "open-bandit",
        "samples": found.samples,
        "logged_value": found.value,
        "logged_interval": _bounds(found.interval),
        "whole_log": _evaluation(found.whole),
        "thinned_logs": len(found.thinned),
        "within_logged_interval": {
            name: sum(one[name] for one in judged) for name in ("ips", "snips", "dr")
        },
        "thinned": [{"seed": one.seed, **_evaluation(one.found)} for one in found.thinned],
    }


def _bounds(interval: Interval) -> dict[str, object]:
    return {"lower": interval.lower, "upper": interval.upper, "bound": interval.bound.value}


def _evaluation(found: Evaluation | NotIdentifiable) -> dict[str, object]:
    if isinstance(found, NotIdentifiable):
        return {"identifiable": False, "obstacle": found.obstacle.value, "message": found.message}
    told: dict[str, object] = {
        "identifiable": True,
        "samples": found.samples,
        "effective_samples": round(found.effective_samples, 1),
    }
    for name in ("ips", "snips", "dr"):
        estimate: Estimate = getattr(found, name)
        told[name] = {"value": estimate.value, **_bounds(estimate.interval)}
    return told
