"""Sticky: requests with the same key go to the same arm as long as it is there.

Weighted rendezvous hashing (Thaler and Ravishankar, IEEE/ACM Transactions on Networking 1998;
weights after Schindelhauer and Schomaker, SPAA 2005). When an arm leaves, only its own keys move;
when one comes, it takes its share and nothing else moves. No state is needed, so replicas agree.
"""

import math
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from aurora.routing.balancing.base import Balancer, read_weights, weights_of
from aurora.routing.contract import Arms, Distribution
from aurora.routing.mixture import shared_best
from aurora.routing.types import WorkloadContext

__all__ = ["Sticky"]


class Sticky(Balancer):
    """Everybody keeps their arm.

    The key is the request's `session_key`, else its tenant; without either, by weight.

    Options: `weights` by provider id; `salt` gives another policy another assignment. The engine's
    exploration floor still sends its share elsewhere: set it to 0 where that must not be.
    """

    name = "sticky"

    def __init__(self, *, weights: Mapping[str, float] | None = None, salt: str = "") -> None:
        self._weights = read_weights(weights)
        self._salt = salt

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        del rng, exploration
        weights = weights_of(arms, self._weights, 1.0)
        key = context.session_key or context.tenant
        if not key:
            total = sum(weights)
            return [weight / total for weight in weights], weights
        seed = blake2b(f"{self._salt}\0{key}".encode(), digest_size=16).digest()
        scores = [
            weight / -math.log(_uniform(seed, arm)) if weight > 0.0 else 0.0
            for arm, weight in zip(arms, weights, strict=True)
        ]
        return shared_best(scores), scores


def _uniform(seed: bytes, arm: str) -> float:
    """A number strictly between 0 and 1 that key and arm always agree on."""
    drawn = int.from_bytes(blake2b(arm.encode(), digest_size=8, key=seed).digest(), "big")
    return (drawn + 0.5) / 2.0**64 if drawn < 2**64 - 2**11 else 1.0 - 2.0**-53
