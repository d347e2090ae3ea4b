"""Regret curves: strategies in every world, averaged over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aurora.routing.environments.play import play, regret_of_chance
from aurora.routing.environments.world import WORLDS, Floats
from aurora.routing.replay.frontier import spread_of
from aurora.routing.strategies import Registry

__all__ = ["CHANCE", "DEFAULTS", "Curves", "curves"]

CHANCE: Final = "random"
DEFAULTS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "q-learning": ("q-learning", {}),
    "ucb": ("ucb", {}),
    "thompson": ("thompson", {}),
    "thompson, no change detection": ("thompson", {"change_detection": False}),
    "linucb": ("linucb", {}),
    "linucb, discount 0.998": ("linucb", {"discount": 0.998}),
    "lints": ("lints", {}),
    "dqn": ("dqn", {}),
}
"""A name for the table, the strategy and its options."""


@dataclass(frozen=True, slots=True)
class Curves:
    """How long and how often every strategy is played, and where the curve is read."""

    steps: int = 6000
    seeds: int = 5
    points: int = 12
    delay: int = 0
    floor: float = 0.01


def curves(
    plan: Curves, names: Sequence[str], *, told: Callable[[str], None] = lambda _: None
) -> list[dict[str, Any]]:
    """One entry a world and strategy: final regret with its interval, and the mean curve."""
    marks = np.linspace(0, plan.steps, plan.points + 1).astype(int)[1:] - 1
    found = []
    for world in WORLDS:
        for name in (CHANCE, *names):
            told(f"{world}: {name}")
            runs = [_regret(plan, world, name, seed) for seed in range(plan.seeds)]
            spread = spread_of([float(run[-1]) for run in runs])
            found.append(
                {
                    "world": world,
                    "strategy": name,
                    "regret": spread and {"mean": spread.mean, "half_width": spread.half_width},
                    "steps": (marks + 1).tolist(),
                    "curve": np.mean(runs, axis=0)[marks].round(1).tolist(),
                }
            )
    return found


def _regret(plan: Curves, world: str, name: str, seed: int) -> Floats:
    made = WORLDS[world](seed=seed)
    if name == CHANCE:
        return regret_of_chance(made, steps=plan.steps, seed=seed).regret
    strategy, options = DEFAULTS[name]
    learner = Registry().create(strategy, options)
    return play(
        learner, made, steps=plan.steps, seed=seed, floor=plan.floor, delay=plan.delay
    ).regret
