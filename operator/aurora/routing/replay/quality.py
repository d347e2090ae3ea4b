"""The cost to reach a quality, for many routers and seeds, and the result as plain values."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from aurora.routing.replay.frontier import Costs, Crossing, Spread, cost_to_reach, spread_of
from aurora.routing.replay.recorded import Recorded
from aurora.routing.replay.routers import ROUTERS, missing

__all__ = ["BEST_SINGLE", "Plan", "as_json", "replay"]

BEST_SINGLE: Final = "best-single"
"""The cheapest single model that reaches the quality: the strong one, unless the weak one does."""
BASELINES: Final = ("random", BEST_SINGLE, "epsilon-greedy", "vw")
"""Whom every other router is compared with, seed by seed."""

Found = Mapping[str, Sequence[Crossing] | str]


@dataclass(frozen=True, slots=True)
class Plan:
    """One replay; `quality` is the share of the strong model's accuracy that is wanted."""

    stream: Recorded
    costs: Costs
    quality: float
    routers: Sequence[str]
    seeds: int

    @property
    def wanted(self) -> float:
        return self.quality * float(self.stream.strong.mean())


def replay(plan: Plan, *, workers: int = 1, told: Callable[[str], None] = lambda _: None) -> Found:
    """Every router's crossings, one a seed; a text where it cannot run here."""
    found: dict[str, Sequence[Crossing] | str] = {}
    seeds = range(plan.seeds)
    with ProcessPoolExecutor(max_workers=workers) as pool:
        for name in plan.routers:
            told(name)
            why = missing(name) if name != BEST_SINGLE else None
            if why is not None:
                found[name] = why
            elif name == BEST_SINGLE:
                found[name] = [Crossing(_best_single(plan), ()) for _ in seeds]
            elif workers > 1:
                found[name] = list(pool.map(partial(_one, plan, name), seeds))
            else:
                found[name] = [_one(plan, name, seed) for seed in seeds]
    return found


def _one(plan: Plan, name: str, seed: int) -> Crossing:
    return cost_to_reach(ROUTERS[name], plan.stream, plan.wanted, plan.costs, seed=seed)


def _best_single(plan: Plan) -> float:
    weak_is_enough = float(plan.stream.weak.mean()) >= plan.wanted
    return plan.costs.weak if weak_is_enough else plan.costs.strong


def as_json(plan: Plan, found: Found) -> dict[str, Any]:
    """What was measured, with intervals over the seeds."""
    weak, strong = plan.stream.names
    rows = [_row(name, found, plan) for name in found]
    return {
        "data": "routellm",
        "requests": len(plan.stream),
        "models": {"weak": weak, "strong": strong},
        "accuracy": {
            "weak": float(plan.stream.weak.mean()),
            "strong": float(plan.stream.strong.mean()),
            "wanted": plan.wanted,
        },
        "costs": {"weak": plan.costs.weak, "strong": plan.costs.strong},
        "quality_percent": 100.0 * plan.quality,
        "seeds": plan.seeds,
        "oracle_cost": _oracle(plan),
        "routers": rows,
    }


def _row(name: str, found: Found, plan: Plan) -> dict[str, Any]:
    own = found[name]
    if isinstance(own, str):
        return {"router": name, "cost": None, "note": own}
    costs = [one.cost for one in own if one.cost is not None]
    spread = spread_of(costs)
    if spread is None:
        note = "the quality was never reached"
        return {"router": name, "cost": None, "seeds_that_reached": 0, "note": note}
    return {
        "router": name,
        "cost": _spread(spread),
        "percent_of_strong": 100.0 * spread.mean / plan.costs.strong,
        "seeds_that_reached": len(costs),
        "cost_by_seed": [one.cost for one in own],
        "difference_from": _differences(own, found) if name not in BASELINES else {},
    }


def _differences(own: Sequence[Crossing], found: Found) -> dict[str, Any]:
    """Own cost less a baseline's over the seeds that both reached; below 0 is cheaper.

    A seed is one order of the questions for everybody, so the differences are paired.
    """
    told = {}
    for name in BASELINES:
        other = found.get(name)
        if other is None or isinstance(other, str):
            continue
        pairs = [(one.cost, its.cost) for one, its in zip(own, other, strict=True)]
        spread = spread_of([a - b for a, b in pairs if a is not None and b is not None])
        if spread is not None:
            told[name] = {**_spread(spread), "seeds": spread.seeds}
    return told


def _spread(spread: Spread) -> dict[str, float | None]:
    return {"mean": spread.mean, "half_width": spread.half_width}


def _oracle(plan: Plan) -> float:
    """The cost when every answer is known beforehand: no router can do better."""
    gains = np.sort(plan.stream.strong - plan.stream.weak)[::-1]
    # Sums of whole numbers are exact, so a quality that is just reached counts as reached.
    right = plan.stream.weak.sum() + np.concatenate(([0.0], np.cumsum(gains)))
    asked = int(np.argmax(right / len(plan.stream) >= plan.wanted))
    share = asked / len(plan.stream)
    return plan.costs.weak + share * (plan.costs.strong - plan.costs.weak)
