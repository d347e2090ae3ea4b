"""The learned strategy against rules on live requests: who gets which, and how both fare."""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from aurora.router.policy import Experiment
from aurora.routing import WorkloadContext
from aurora.routing.evaluation.always_valid import always_valid
from aurora.routing.evaluation.any_time import compare_at_any_time
from aurora.routing.evaluation.comparison import Moments, Side, Verdict, side_of

__all__ = ["SIDES", "Trial"]

SIDES: Final[Mapping[Side, str]] = {Side.A: "learned", Side.B: "rules"}
_VERDICTS: Final = {
    Verdict.A_BETTER: "LearnedBetter",
    Verdict.B_BETTER: "RulesBetter",
    Verdict.NO_DIFFERENCE: "NoDifference",
    Verdict.TOO_FEW: "TooFew",
}


class Trial:
    """One experiment since it began, in constant memory.

    Args:
        experiment: as the policy says.
        uniform: draws from 0 to 1, for requests that belong to nobody.
    """

    def __init__(
        self, experiment: Experiment, *, uniform: Callable[[], float] = random.random
    ) -> None:
        self.experiment = experiment
        self._uniform = uniform
        self._decisions = dict.fromkeys(Side, 0)
        self._rewards = dict.fromkeys(Side, Moments())

    def side(self, context: WorkloadContext) -> Side:
        """The side of a request: its session's, else its tenant's, else drawn for it alone."""
        key, wanted = context.session_key or context.tenant, self.experiment
        if key:
            return side_of(key, wanted.percent, salt=wanted.name)
        return Side.A if self._uniform() * 100.0 < wanted.percent else Side.B

    def decided(self, side: Side) -> None:
        self._decisions[side] += 1

    def learned(self, side: Side, reward: float) -> None:
        """Count the first feedback of one decision."""
        self._rewards[side] = self._rewards[side].add(reward)

    def report(self) -> dict[str, Any]:
        """Both sides with 95 % intervals, and learned less rules; None where nothing is known.

        Intervals and p value hold however often the report is read.
        """
        found = compare_at_any_time(self._rewards[Side.A], self._rewards[Side.B])
        return {
            "name": self.experiment.name,
            "percent": self.experiment.percent,
            "sides": {name: self._told(side) for side, name in SIDES.items()},
            "difference": found.difference,
            "lower": found.lower,
            "upper": found.upper,
            "p_value": found.p_value,
            "verdict": _VERDICTS[found.verdict],
        }

    def _told(self, side: Side) -> dict[str, Any]:
        rewards = self._rewards[side]
        bounds = always_valid(rewards)
        return {
            "decisions": self._decisions[side],
            "outcomes": rewards.count,
            "mean_reward": rewards.mean if rewards.count else None,
            "lower": None if bounds is None else bounds.lower,
            "upper": None if bounds is None else bounds.upper,
        }
