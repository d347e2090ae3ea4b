"""The learned strategy against rules on one recorded stream, each on its own share of requests.

As in a cluster: a request belongs to one side by its hash, each side has an engine of its own that
sees only its own requests and outcomes, and both are judged by the same reward.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aurora.routing.errors import InputError
from aurora.routing.evaluation.comparison import Comparison, Moments, Side, compare, side_of
from aurora.routing.replay.frontier import Costs
from aurora.routing.replay.recorded import DIMENSION, STRONG, WEAK, Recorded
from aurora.routing.replay.routers import EngineRouter, Router

__all__ = ["DEFAULT_RULES", "POLICIES", "Trial", "build_policy", "run_trial"]

POLICIES: Final = ("ai", "rules", WEAK, STRONG)
DEFAULT_RULES: Final[Sequence[Mapping[str, Any]]] = (
    {
        "name": "for experts",
        "when": 'task_type.matches("^(college|professional|formal)_")',
        "use": [STRONG, WEAK],
    },
    {"name": "long prompts", "when": "token_estimate > 150.0", "use": [STRONG, WEAK]},
    {"name": "the rest", "use": [WEAK, STRONG]},
)
"""What an engineer would write down without having measured: experts and long prompts are hard."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run: rewards compared, and what each side's requests were worth and cost."""

    reward: Comparison
    accuracy: Mapping[Side, Moments]
    cost: Mapping[Side, Moments]


def build_policy(
    name: str, price: float, seed: int, rules: Sequence[Mapping[str, Any]] = DEFAULT_RULES
) -> Router:
    """A policy by name; InputError for an unknown one."""
    if name == "ai":
        options = {"dimension": DIMENSION, "width": 0.3}
        return EngineRouter(price, seed, strategy="lints", options=options)
    if name == "rules":
        return EngineRouter(price, seed, strategy="rules", options={"rules": rules})
    if name in {WEAK, STRONG}:
        only = {"weights": {arm: float(arm == name) for arm in (WEAK, STRONG)}}
        return EngineRouter(price, seed, strategy="weighted", options=only)
    raise InputError(f"no policy is named {name!r}; choose two of {', '.join(POLICIES)}")


def run_trial(  # noqa: PLR0913, what a trial depends on
    stream: Recorded,
    sides: Mapping[Side, Router],
    costs: Costs,
    *,
    price: float,
    percent: float,
    seed: int,
) -> Trial:
    """Play the stream once, `percent` of the requests to side A."""
    order = np.random.default_rng((seed, 11)).permutation(len(stream)).tolist()
    kinds = ("reward", "accuracy", "cost")
    seen = {kind: {side: Moments() for side in Side} for kind in kinds}
    for index in order:
        side = side_of(str(index), percent, salt=str(seed))
        router, context = sides[side], stream.contexts[index]
        arm = router.choose(context)
        quality = float((stream.strong if arm else stream.weak)[index])
        cost = costs.of(arm)
        router.learn(context, arm, quality, cost / costs.strong)
        values = (quality - price * cost / costs.strong, quality, cost)
        for kind, value in zip(kinds, values, strict=True):
            seen[kind][side] = seen[kind][side].add(value)
    reward = seen["reward"]
    return Trial(compare(reward[Side.A], reward[Side.B]), seen["accuracy"], seen["cost"])
