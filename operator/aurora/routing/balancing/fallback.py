"""Fallback: the first tier that has anybody left, shared by weight inside the tier.

Who is left is the engine's word: an arm that fails its audit or cools down after failures is not
among the candidates, and so the next tier takes over and gives back by itself.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from aurora.routing.balancing.base import Balancer, read_weights, weights_of
from aurora.routing.contract import Arms, Distribution
from aurora.routing.errors import InputError
from aurora.routing.types import WorkloadContext

__all__ = ["Fallback", "first_tier"]


class Fallback(Balancer):
    """A chain of tiers.

    Options: `tiers`, each a provider id or a list of them, the preferred first (who is named in
    none comes last); `weights` by provider id inside a tier.
    """

    name = "fallback"

    def __init__(
        self,
        *,
        tiers: Sequence[str | Sequence[str]],
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._rank: dict[str, int] = {}
        for rank, tier in enumerate(tiers):
            for arm in (tier,) if isinstance(tier, str) else tier:
                if self._rank.setdefault(arm, rank) != rank:
                    raise InputError(f"{arm} is named in two tiers; keep the preferred one")
        if not self._rank:
            raise InputError("a fallback chain needs at least one tier with a provider id")
        self._weights = read_weights(weights)

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        del context, rng, exploration
        return first_tier(arms, self._rank, self._weights)


def first_tier(arms: Arms, rank: Mapping[str, int], weights: Mapping[str, float]) -> Distribution:
    """Weights within the best rank that is present; scores fall with the rank."""
    last = len(rank)
    ranks = [rank.get(arm, last) for arm in arms]
    best = min(ranks)
    tier = tuple(arm for arm, at in zip(arms, ranks, strict=True) if at == best)
    share = dict(zip(tier, weights_of(tier, weights, 1.0), strict=True))
    total = sum(share.values())
    return [share.get(arm, 0.0) / total for arm in arms], [-float(at) for at in ranks]
