"""Ridge regression of the reward on the request's features, one model an arm (disjoint).

The inverse of each Gram matrix is kept by rank-one updates (Sherman and Morrison, 1950) and made
anew from the Gram matrix itself every 256 updates of an arm, or as soon as it is not positive.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aurora.routing.bandits.arms import Places
from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.options import numbers, part
from aurora.routing.contract import Arms, Snapshot
from aurora.routing.errors import InputError

__all__ = ["LinearArms"]

_REFRESH: Final = 256
_SLOWEST: Final = 1.0 / 2000.0
"""Mean and spreads of all rewards follow the last 2,000 or so: the world may change."""
Floats = NDArray[np.float64]
ArmIndex = NDArray[np.intp] | slice


class LinearArms:
    """The models of all arms.

    Rewards are centred on the mean over all arms, so that an arm never tried is expected to be
    average, whatever the unit. `sigma` is the standard deviation of what the models leave
    unexplained, the unit of every confidence bound. With `discount` below 1 an arm forgets by
    *updates of any arm* since (Russac, Vernade and Cappé, "Weighted linear bandits for
    non-stationary environments", NeurIPS 2019).
    """

    def __init__(
        self, dimension: int, *, penalty: float, discount: float, change: ChangeTest | None
    ) -> None:
        self.dimension = dimension
        self.penalty = penalty
        self.discount = discount
        self.change = change
        self.changes = 0
        self._clear(Places())

    def _clear(self, places: Places) -> None:
        room, size = places.room, self.dimension
        self._places = places
        self._steps = 0.0
        self._count, self._mean, self._variance, self._unexplained = 0.0, 0.0, 0.0, 0.0
        self._gram = np.tile(self.penalty * np.eye(size), (room, 1, 1))
        self._inverse = np.tile(np.eye(size) / self.penalty, (room, 1, 1))
        self._moment = np.zeros((room, size))
        self._features = np.zeros((room, size))
        # Coefficients for the rewards as they are, and for a reward of 1: the mean may still move.
        self._theta = np.zeros((room, size))
        self._offset = np.zeros((room, size))
        # Per arm: updates, step of the last one, and the two sums of the change test.
        self._facts = np.zeros((room, 4))

    @property
    def sigma(self) -> float:
        """Standard deviation of the residuals; that of the rewards, or 1, while there are few."""
        if self._count < 2.0:
            return 1.0
        if self._count < 4.0 * self.dimension:
            return math.sqrt(self._variance) or 1.0
        return math.sqrt(self._unexplained) or 1.0

    @property
    def updates(self) -> float:
        return self._count

    def __len__(self) -> int:
        return len(self._places.of)

    def predict(self, arms: Arms, features: Floats) -> tuple[Floats, Floats]:
        """Expected reward of each arm, and its standard deviation in units of `sigma`."""
        select = self._places.select(arms)
        if self._places.room > len(self._facts):
            self._grow()
        expected = self._theta[select] @ features
        expected += self._mean * (1.0 - self._offset[select] @ features)
        variance = (self._inverse[select] @ features) @ features
        if self.discount < 1.0:
            # An arm left alone grows uncertain again, up to what its prior allows.
            age = self._steps - self._facts[select, 1]
            prior = float(features @ features) / self.penalty
            variance = np.minimum(variance / self.discount**age, prior)
        return expected, np.sqrt(np.maximum(variance, 0.0))

    def learn(self, arm: str, features: Floats, reward: float) -> None:
        """Take one reward into account."""
        place = self._places.place(arm)
        if self._places.room > len(self._facts):
            self._grow()
        theta, offset = self._theta[place], self._offset[place]
        residual = float(reward - self._mean - (theta - self._mean * offset) @ features)
        self._test(place, residual)
        self._scale(reward, residual)
        if self.discount < 1.0:
            self._learn_discounted(place, features, reward)
        else:
            self._learn_rank_one(place, features, reward)
        self._theta[place] = self._inverse[place] @ self._moment[place]
        self._offset[place] = self._inverse[place] @ self._features[place]
        self._facts[place, 0] += 1.0
        self._facts[place, 1] = self._steps

    def _scale(self, reward: float, residual: float) -> None:
        """Mean, spread and residual spread of all rewards."""
        self._steps += 1.0
        self._count += 1.0
        rate = max(1.0 / self._count, _SLOWEST)
        gap = reward - self._mean
        self._mean += rate * gap
        self._variance += rate * (gap * (reward - self._mean) - self._variance)
        self._unexplained += rate * (residual**2 - self._unexplained)

    def _test(self, place: int, residual: float) -> None:
        """Restart the arm when its residuals say that it has changed."""
        if self.change is None or self._count < 4.0 * self.dimension:
            return
        count, _, up, down = self._facts[place].tolist()
        if count >= 2.0 * self.dimension:
            up, down = self.change.step(up, down, residual / self.sigma)
            self._facts[place, 2:] = up, down
        if self.change.alarm(up, down, count):
            self.changes += 1
            self._reset(place)

    def _learn_rank_one(self, place: int, features: Floats, reward: float) -> None:
        self._gram[place] += np.outer(features, features)
        self._moment[place] += reward * features
        self._features[place] += features
        direction = self._inverse[place] @ features
        divisor = 1.0 + float(direction @ features)
        if divisor < 1.0 or self._facts[place, 0] % _REFRESH == _REFRESH - 1:
            self._inverse[place] = np.linalg.inv(self._gram[place])
            return
        self._inverse[place] -= np.outer(direction, direction / divisor)

    def _learn_discounted(self, place: int, features: Floats, reward: float) -> None:
        """Forgetting is no rank-one change: the penalty must be put back, or it would vanish."""
        kept = self.discount ** (self._steps - self._facts[place, 1])
        gram = self._gram[place]
        gram *= kept
        gram[np.diag_indices(self.dimension)] += (1.0 - kept) * self.penalty
        gram += np.outer(features, features)
        self._moment[place] = kept * self._moment[place] + reward * features
        self._features[place] = kept * self._features[place] + features
        self._inverse[place] = np.linalg.inv(gram)

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self._places.of)

    def forget(self, arm: str) -> None:
        place = self._places.free(arm)
        if place is not None and place < len(self._facts):
            self._reset(place)

    def _reset(self, place: int) -> None:
        self._gram[place] = self.penalty * np.eye(self.dimension)
        self._inverse[place] = np.eye(self.dimension) / self.penalty
        for array in (self._moment, self._features, self._theta, self._offset, self._facts):
            array[place] = 0.0
        self._facts[place, 1] = self._steps

    def _grow(self) -> None:
        have, room = len(self._facts), self._places.room
        self._moment, self._features, self._theta, self._offset, self._facts = (
            np.pad(array, ((0, room - have), (0, 0)))
            for array in (self._moment, self._features, self._theta, self._offset, self._facts)
        )
        fresh = np.tile(np.eye(self.dimension), (room - have, 1, 1))
        self._gram = np.concatenate((self._gram, self.penalty * fresh))
        self._inverse = np.concatenate((self._inverse, fresh / self.penalty))

    def snapshot(self) -> Snapshot:
        """The Gram matrices and moments; inverses and coefficients follow from them."""
        known = {arm: at for arm, at in self._places.of.items() if at < len(self._facts)}
        places = list(known.values())
        return {
            "arms": list(known),
            "dimension": self.dimension,
            "scale": self._scales(),
            "gram": self._gram[places].tolist(),
            "moment": self._moment[places].tolist(),
            "features": self._features[places].tolist(),
            "facts": self._facts[places].tolist(),
        }

    def _scales(self) -> list[float]:
        return [self._steps, self._count, self._mean, self._variance, self._unexplained]

    def restore(self, snapshot: Snapshot) -> None:
        """Replace everything; InputError, and nothing changed, when it cannot be used."""
        size = self.dimension
        if part(snapshot, "dimension", int) != size:
            raise InputError(f"the snapshot has another dimension than {size}: set `dimension`")
        arms = part(snapshot, "arms", list)
        if len(set(map(str, arms))) != len(arms) or not all(isinstance(arm, str) for arm in arms):
            raise InputError("'arms' in the snapshot must be different texts")
        gram = numbers(snapshot, "gram", (len(arms), size, size))
        rest = {
            name: numbers(snapshot, name, (len(arms), width))
            for name, width in (("moment", size), ("features", size), ("facts", 4))
        }
        scale = numbers(snapshot, "scale", (5,)).tolist()
        try:
            inverse = np.linalg.inv(gram)
        except np.linalg.LinAlgError:
            raise InputError("a 'gram' matrix in the snapshot has no inverse") from None
        self._clear(Places(arms))
        count = slice(len(arms))
        self._steps, self._count, self._mean, self._variance, self._unexplained = scale
        self._gram[count], self._inverse[count] = gram, inverse
        self._moment[count], self._features[count] = rest["moment"], rest["features"]
        self._facts[count] = rest["facts"]
        self._theta[count] = np.einsum("kij,kj->ki", inverse, rest["moment"])
        self._offset[count] = np.einsum("kij,kj->ki", inverse, rest["features"])
