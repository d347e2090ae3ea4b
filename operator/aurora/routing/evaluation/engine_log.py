"""A strategy as the target of an off-policy estimate over the engine's decision log.

`Auditor.off_policy_value(engine.decisions(), candidate(strategy, floor=0.01), settings)` answers
what the strategy would have earned; `smallest_propensity` gives the settings their largest weight.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from aurora.routing.contract import RoutingStrategy
from aurora.routing.decision import RoutingDecision
from aurora.routing.errors import InputError
from aurora.routing.evaluation.log import LoggedStep, Policy
from aurora.routing.mixture import final_probabilities

__all__ = ["candidate", "smallest_propensity"]


def smallest_propensity(decisions: Iterable[RoutingDecision]) -> float | None:
    """The least that the exploration floor gave any passing arm; None without a floor."""
    floors = [
        one.floor / len(one.admission.passing)
        for one in decisions
        if one.admission is not None and one.admission.passing
    ]
    return min(floors, default=0.0) or None


def candidate(strategy: RoutingStrategy, *, floor: float, seed: int = 0) -> Policy:
    """A strategy as the engine would run it with this floor (0 to 1), without learning meanwhile.

    The floor goes to the arms that the log could choose. The strategy must have learned from other
    data than the log, or its value is flattered. InputError for a floor that is no share.
    """
    if not 0.0 <= floor <= 1.0:
        raise InputError(f"floor must be from 0 to 1, not {floor!r}")
    rng = np.random.default_rng(seed)

    def probabilities(step: LoggedStep) -> Mapping[str, float]:
        """Nothing, and so an invalid step, where the mixture was not logged."""
        logged = step.propensities or {}
        if not logged:
            return {}
        arms = tuple(logged)
        possible = [index for index, arm in enumerate(arms) if logged[arm] > 0.0]
        own, _ = strategy.distribution(step.context, arms, rng)
        return dict(zip(arms, final_probabilities(own, floor, possible), strict=True))

    return probabilities
