"""What balancers have in common: nothing is learned from rewards, so nothing is persisted."""

import math
from collections.abc import Mapping

from aurora.routing.contract import Arms, Snapshot
from aurora.routing.errors import InputError
from aurora.routing.types import WorkloadContext

__all__ = ["Balancer", "read_weights", "weights_of"]


class Balancer:
    """A strategy without learned state."""

    def update(self, context: WorkloadContext, arm: str, reward: float, at: float) -> None:
        """Rewards change nothing here."""

    def forget(self, arm: str) -> None:
        """Nothing is kept about an arm unless a balancer says so."""

    def snapshot(self) -> Snapshot:
        return {}

    def restore(self, snapshot: Snapshot) -> None:
        if snapshot:
            raise InputError("this balancer keeps no state: the snapshot is another strategy's")

    def status(self) -> Mapping[str, float]:
        return {}


def read_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Provider id to weight; InputError unless each is finite and not negative."""
    found = dict(weights or {})
    for arm, weight in found.items():
        if not 0.0 <= weight < math.inf:
            raise InputError(f"the weight of {arm} must be finite and not negative, not {weight!r}")
    return found


def weights_of(arms: Arms, weights: Mapping[str, float], default: float) -> list[float]:
    """The weights of these arms; all alike when none of them has any."""
    found = [weights.get(arm, default) for arm in arms]
    return found if any(weight > 0.0 for weight in found) else [1.0] * len(arms)
