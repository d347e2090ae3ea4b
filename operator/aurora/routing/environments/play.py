"""Play a strategy in a world, as the engine would, and count its regret."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from aurora.routing.contract import ChoiceAware, OutcomeAware, RoutingStrategy
from aurora.routing.environments.world import WORKLOADS, Floats, World
from aurora.routing.mixture import draw
from aurora.routing.types import Outcome, WorkloadContext

__all__ = ["Run", "play", "regret_of_chance"]


@dataclass(frozen=True, slots=True)
class Run:
    """Expected reward lost against the best arm of each step, cumulative, step by step."""

    regret: Floats

    @property
    def total(self) -> float:
        return float(self.regret[-1])


class _Player:
    """A strategy with the engine's duties: the floor, the draw, and late feedback."""

    def __init__(self, strategy: RoutingStrategy, world: World, floor: float, seed: int) -> None:
        self._strategy = strategy
        self._arms = world.arms
        self._floor = floor
        self._rng = np.random.default_rng((seed, 2))
        self._all = range(len(world.arms))
        self._waiting: deque[tuple[WorkloadContext, str, float]] = deque()

    def choose(self, context: WorkloadContext, at: float) -> int:
        probabilities, _ = self._strategy.distribution(context, self._arms, self._rng)
        index, _ = draw(probabilities, self._floor, self._all, float(self._rng.random()))
        if isinstance(self._strategy, ChoiceAware):
            self._strategy.chosen(context, self._arms[index], at)
        return index

    def feed(self, context: WorkloadContext, index: int, reward: float) -> None:
        self._waiting.append((context, self._arms[index], reward))

    def deliver(self, delay: int, at: float) -> None:
        """Hand over what is older than `delay` decisions."""
        while len(self._waiting) > delay:
            context, arm, reward = self._waiting.popleft()
            if isinstance(self._strategy, OutcomeAware):
                measured = Outcome(success=True, cost_usd=0.0, latency_ms=0.0)
                self._strategy.outcome(context, arm, measured, at)
            self._strategy.update(context, arm, reward, at)


def play(  # noqa: PLR0913, what a run depends on
    strategy: RoutingStrategy,
    world: World,
    *,
    steps: int,
    seed: int = 0,
    floor: float = 0.01,
    delay: int = 0,
) -> Run:
    """Regret of one run; `delay` is how many decisions later a reward arrives."""
    rng = np.random.default_rng((seed, 3))
    player = _Player(strategy, world, floor, seed)
    lost = np.zeros(steps)
    for step in range(steps):
        context = _request(rng)
        means = world.means(context, step)
        index = player.choose(context, float(step))
        lost[step] = means.max() - means[index]
        player.feed(context, index, float(means[index] + world.noise * rng.standard_normal()))
        player.deliver(delay, float(step))
    return Run(np.cumsum(lost))


def regret_of_chance(world: World, *, steps: int, seed: int = 0) -> Run:
    """What choosing evenly would lose on the same requests."""
    rng = np.random.default_rng((seed, 3))
    lost = np.zeros(steps)
    for step in range(steps):
        means = world.means(_request(rng), step)
        rng.standard_normal()
        lost[step] = means.max() - means.mean()
    return Run(np.cumsum(lost))


def _request(rng: np.random.Generator) -> WorkloadContext:
    return WorkloadContext(
        workload_type=WORKLOADS[int(rng.integers(len(WORKLOADS)))],
        complexity=float(rng.random()),
        region="any",
    )
