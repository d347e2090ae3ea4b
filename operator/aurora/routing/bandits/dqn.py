"""A small deep Q-network, in numpy.

Mnih et al., "Human-level control through deep reinforcement learning", Nature 518, 2015: experience
replay, a target network and epsilon-greedy; van Hasselt, Guez and Silver, "Deep reinforcement
learning with double Q-learning", AAAI 2016, for the target's arm. `gamma` is 0 by default: where a
request goes does not change which one comes next. Above 0 the next request seen stands for the
next state.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aurora.routing.bandits.arms import Places
from aurora.routing.bandits.network import Adam, Network
from aurora.routing.bandits.options import fraction, numbers, part, positive
from aurora.routing.contract import Arms, Distribution, Snapshot
from aurora.routing.errors import InputError
from aurora.routing.features import DEFAULT_DIMENSION, FeatureMap
from aurora.routing.types import WorkloadContext

__all__ = ["Dqn"]

Floats = NDArray[np.float64]
_BATCH: Final = 32
_SYNC: Final = 200
_SLOWEST: Final = 1.0 / 2000.0


class Dqn:
    """Epsilon-greedy on a network's values; learns a batch from memory with every reward.

    Options: `dimension` of the features; `hidden` units; `rate` of Adam; `gamma`; `replay` rewards
    remembered (the oldest make room, so that old truths fade); `epsilon`, `epsilon_decay` per
    reward and `epsilon_floor`; `seed` of the initial weights and the replayed batches.
    """

    name = "dqn"

    def __init__(  # noqa: PLR0913, options of a strategy are keywords
        self,
        *,
        dimension: int = DEFAULT_DIMENSION,
        hidden: int = 32,
        rate: float = 0.005,
        gamma: float = 0.0,
        replay: int = 1000,
        epsilon: float = 0.2,
        epsilon_decay: float = 0.998,
        epsilon_floor: float = 0.01,
        seed: int = 0,
    ) -> None:
        if not 0.0 <= gamma < 1.0:
            raise InputError(f"gamma must be from 0 to below 1, not {gamma!r}")
        self._map = FeatureMap(dimension)
        self._hidden, self._rate = int(positive("hidden", hidden)), positive("rate", rate)
        self._gamma, self._size = gamma, int(positive("replay", replay))
        self._start = fraction("epsilon", epsilon)
        self._decay = fraction("epsilon_decay", epsilon_decay)
        self._floor = min(fraction("epsilon_floor", epsilon_floor), self._start)
        self._seed = seed
        self._clear(Places())

    def _clear(self, places: Places) -> None:
        self._rng = np.random.default_rng(self._seed)
        self._places = places
        self._network = Network(self._map.dimension, self._hidden, places.room, self._rng)
        self._target = [one.copy() for one in self._network.parameters]
        self._adam = Adam(self._network, self._rate)
        self._epsilon = self._start
        self._count, self._mean, self._variance = 0, 0.0, 0.0
        self._features = np.zeros((self._size, self._map.dimension))
        self._following = np.zeros((self._size, self._map.dimension))
        self._arms = np.zeros(self._size, dtype=np.intp)
        self._rewards = np.zeros(self._size)
        self._stored = 0
        self._latest: Floats | None = None

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        del rng
        select = self._places.select(arms)
        self._grow()
        features = self._latest = self._map.vector(context)
        values = self._mean + self._spread * self._network.values(features)[select]
        best = values == values.max()
        epsilon = min(1.0, self._epsilon * exploration)
        shares = epsilon / len(arms) + (1.0 - epsilon) * best / np.count_nonzero(best)
        return shares.tolist(), values.tolist()

    def update(self, context: WorkloadContext, arm: str, reward: float, at: float) -> None:
        del at
        place = self._places.place(arm)
        self._grow()
        self._scale(reward)
        self._epsilon = max(self._floor, self._epsilon * self._decay)
        slot = self._stored % self._size
        self._features[slot] = self._map.vector(context)
        following = self._latest
        self._following[slot] = self._features[slot] if following is None else following
        self._arms[slot], self._rewards[slot] = place, reward
        self._stored += 1
        held = min(self._stored, self._size)
        if held >= _BATCH:
            self._train(self._rng.integers(0, held, _BATCH))
        if self._stored % _SYNC == 0:
            self._target = [one.copy() for one in self._network.parameters]

    @property
    def _spread(self) -> float:
        return float(np.sqrt(self._variance)) or 1.0

    def _scale(self, reward: float) -> None:
        """The network sees rewards in standard deviations from their mean."""
        self._count += 1
        rate = max(1.0 / self._count, _SLOWEST)
        gap = reward - self._mean
        self._mean += rate * gap
        self._variance += rate * (gap * (reward - self._mean) - self._variance)

    def _train(self, batch: NDArray[np.int64]) -> None:
        targets = (self._rewards[batch] - self._mean) / self._spread
        if self._gamma > 0.0:
            following = self._following[batch]
            known = np.array(sorted(self._places.of.values()), dtype=np.intp)
            best = known[self._network.values(following)[:, known].argmax(axis=1)]
            targets = targets + self._gamma * self._ahead(following)[np.arange(_BATCH), best]
        gradients = self._network.gradients(self._features[batch], self._arms[batch], targets)
        self._adam.step(self._network, gradients)

    def _ahead(self, features: Floats) -> Floats:
        first, first_bias, second, second_bias = self._target
        found: Floats = np.maximum(features @ first + first_bias, 0.0) @ second + second_bias
        return found

    def _grow(self) -> None:
        if self._places.room > self._network.arms:
            self._network.grow(self._places.room)
            self._target = [one.copy() for one in self._network.parameters]

    def known_arms(self) -> tuple[str, ...]:
        return tuple(self._places.of)

    def forget(self, arm: str) -> None:
        """Its output begins anew and what was replayed of it is dropped."""
        place = self._places.free(arm)
        if place is None or place >= self._network.arms:
            return
        for parameters in (self._network.parameters, self._target):
            parameters[2][:, place] = 0.0
            parameters[3][place] = 0.0
        held = min(self._stored, self._size)
        kept = np.flatnonzero(self._arms[:held] != place)
        for array in (self._features, self._following, self._arms, self._rewards):
            array[: len(kept)] = array[kept]
        self._stored = len(kept)

    def snapshot(self) -> Snapshot:
        """The network; replay memory and the optimiser's moments begin anew."""
        known = {arm: at for arm, at in self._places.of.items() if at < self._network.arms}
        places = list(known.values())
        first, first_bias, second, second_bias = self._network.parameters
        return {
            "arms": list(known),
            "scale": [float(self._count), self._mean, self._variance, self._epsilon],
            "first": first.tolist(),
            "first_bias": first_bias.tolist(),
            "second": second[:, places].tolist(),
            "second_bias": second_bias[places].tolist(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        arms = part(snapshot, "arms", list)
        size, hidden = self._map.dimension, self._hidden
        shapes = {
            "first": (size, hidden),
            "first_bias": (hidden,),
            "second": (hidden, len(arms)),
            "second_bias": (len(arms),),
        }
        found = [numbers(snapshot, name, shape) for name, shape in shapes.items()]
        count, mean, variance, epsilon = numbers(snapshot, "scale", (4,)).tolist()
        self._clear(Places(map(str, arms)))
        parameters = self._network.parameters
        parameters[0], parameters[1] = found[0], found[1]
        parameters[2][:, : len(arms)], parameters[3][: len(arms)] = found[2], found[3]
        self._target = [one.copy() for one in parameters]
        self._count, self._mean, self._variance = int(count), mean, variance
        self._epsilon = epsilon

    def status(self) -> Mapping[str, float]:
        return {
            "arms": float(len(self._places.of)),
            "updates": float(self._count),
            "epsilon": self._epsilon,
        }
