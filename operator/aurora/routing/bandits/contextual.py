"""What LinUCB and LinTS have in common: features, models and everything but the distribution."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.linear import LinearArms
from aurora.routing.bandits.options import change_test, fraction, positive
from aurora.routing.contract import Snapshot
from aurora.routing.features import DEFAULT_DIMENSION, FeatureMap
from aurora.routing.types import WorkloadContext

__all__ = ["ContextualBandit"]


class ContextualBandit:
    """Linear models of the reward, one per arm, over the features of the request."""

    def __init__(
        self,
        *,
        dimension: int = DEFAULT_DIMENSION,
        penalty: float = 1.0,
        discount: float = 1.0,
        change_detection: bool | Mapping[str, float] | ChangeTest = True,
    ) -> None:
        self._features = FeatureMap(dimension)
        self._models = LinearArms(
            dimension,
            penalty=positive("penalty", penalty),
            discount=fraction("discount", discount),
            change=change_test(change_detection),
        )

    def _vector(self, context: WorkloadContext) -> NDArray[np.float64]:
        return self._features.vector(context)

    def update(self, context: WorkloadContext, arm: str, reward: float, at: float) -> None:
        del at
        self._models.learn(arm, self._vector(context), reward)

    def known_arms(self) -> tuple[str, ...]:
        return self._models.arms

    def forget(self, arm: str) -> None:
        self._models.forget(arm)

    def snapshot(self) -> Snapshot:
        return self._models.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        self._models.restore(snapshot)

    def status(self) -> Mapping[str, float]:
        return {
            "arms": float(len(self._models)),
            "updates": self._models.updates,
            "sigma": self._models.sigma,
            "changes": float(self._models.changes),
        }
