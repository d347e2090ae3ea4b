"""Who is compared in a replay: the engine with one of its strategies, and the baselines.

Every router sees the same requests in the same order, chooses weak or strong, and is told the
utility of its own choice only: `correct - price * cost`, with the strong model's cost as the unit.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

import numpy as np

from aurora.routing.engine import RoutingEngine
from aurora.routing.errors import InputError
from aurora.routing.replay.recorded import DIMENSION, STRONG, WEAK
from aurora.routing.reward import RewardWeights
from aurora.routing.settings import EngineSettings
from aurora.routing.types import ProviderState, WorkloadContext

__all__ = ["ROUTERS", "EngineRouter", "Router", "missing"]

ARMS: Final = (WEAK, STRONG)


class Router(Protocol):
    """Chooses, and learns from what it chose."""

    def choose(self, context: WorkloadContext) -> int:
        """0 for the weak model, 1 for the strong one."""
        ...

    def learn(self, context: WorkloadContext, arm: int, quality: float, cost: float) -> None:
        """Quality 0 or 1, cost in units of the strong model's."""
        ...


class EngineRouter:
    """The routing engine as it runs in production: audit, floor, log, feedback."""

    def __init__(
        self, price: float, seed: int, *, strategy: str, options: Mapping[str, Any] | None = None
    ) -> None:
        settings = EngineSettings(
            strategy_options=options or {},
            reward=RewardWeights(cost=price, success=0.0, failure=0.0, quality=1.0),
            log_size=1000,
            trail_size=1000,
            seed=seed,
        )
        self._engine = RoutingEngine(auto_save=False, strategy=strategy, settings=settings)
        self._providers = tuple(ProviderState(provider_id=arm) for arm in ARMS)
        self._decision = ""

    def choose(self, context: WorkloadContext) -> int:
        arm, told = self._engine.decide(context, self._providers)
        self._decision = told["decision_id"]
        return ARMS.index(arm)

    def learn(self, context: WorkloadContext, arm: int, quality: float, cost: float) -> None:
        del context, arm
        self._engine.feedback(self._decision, True, cost, 0.0, quality=quality)


class RandomRouter:
    """The strong model with a probability that falls with the price, from all to none at 0.25."""

    def __init__(self, price: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._share = max(0.0, 1.0 - 4.0 * price)

    def choose(self, context: WorkloadContext) -> int:
        del context
        return int(self._rng.random() < self._share)

    def learn(self, context: WorkloadContext, arm: int, quality: float, cost: float) -> None:
        """Nothing is learned."""


class EpsilonGreedy:
    """The better mean utility, and 10 % of the time anything (Sutton and Barto, chapter 2)."""

    def __init__(self, price: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._price = price
        self._sums, self._counts = np.zeros(2), np.zeros(2)

    def choose(self, context: WorkloadContext) -> int:
        del context
        if self._rng.random() < 0.1 or not self._counts.all():
            return int(self._rng.integers(2))
        return int(np.argmax(self._sums / self._counts))

    def learn(self, context: WorkloadContext, arm: int, quality: float, cost: float) -> None:
        del context
        self._sums[arm] += quality - self._price * cost
        self._counts[arm] += 1.0


class VowpalWabbit:
    """VW's contextual bandit by bagging (Agarwal et al., ICML 2014) on the same features.

    Of SquareCB, epsilon-greedy, softmax, cover, first and bagging with and without interactions of
    domain and counts, bagging with them was the best on this file, so this is what is compared.
    """

    def __init__(self, price: float, seed: int, *, arguments: str = "") -> None:
        workspace = import_module("vowpalwabbit").Workspace
        how = arguments or "--cb_explore 2 --bag 5 -q dn"
        self._vw = workspace(f"{how} --quiet --random_seed {seed}")
        self._rng = np.random.default_rng(seed)
        self._price = price
        self._shares = [0.5, 0.5]

    def choose(self, context: WorkloadContext) -> int:
        found = self._vw.predict(_text(context))
        total = sum(found)
        self._shares = [share / total for share in found]
        return int(self._rng.random() < self._shares[1])

    def learn(self, context: WorkloadContext, arm: int, quality: float, cost: float) -> None:
        loss = 1.0 + self._price * cost - quality
        label = f"{arm + 1}:{loss:.6f}:{self._shares[arm]:.6f}"
        self._vw.learn(f"{label} {_text(context)}")


def _text(context: WorkloadContext) -> str:
    numbers = context.features or ()
    counts = " ".join(f"n{i}:{value:.5f}" for i, value in enumerate(numbers[1:10]))
    return f"|d {context.task_type} |n {counts}"


def _engine(strategy: str, **options: Any) -> Callable[[float, int], Router]:
    return lambda price, seed: EngineRouter(price, seed, strategy=strategy, options=options)


ROUTERS: Final[Mapping[str, Callable[[float, int], Router]]] = {
    "linucb": _engine("linucb", dimension=DIMENSION, width=0.3),
    "lints": _engine("lints", dimension=DIMENSION, width=0.3),
    "thompson": _engine("thompson"),
    "q-learning": _engine("q-learning"),
    "random": RandomRouter,
    "epsilon-greedy": EpsilonGreedy,
    "vw": VowpalWabbit,
}
"""Name to a builder `(price, seed)`."""


def missing(name: str) -> str | None:
    """Why a router cannot run here; None when it can. InputError for an unknown name."""
    if name not in ROUTERS:
        raise InputError(f"no router is named {name!r}; choose among {', '.join(ROUTERS)}")
    if name == "vw":
        try:
            import_module("vowpalwabbit")
        except ImportError:
            return "skipped: the package vowpalwabbit is not installed"
    return None
