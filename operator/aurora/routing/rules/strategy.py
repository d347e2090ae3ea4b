"""The strategy `rules`: the first rule whose condition holds and whose arms are there decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aurora.routing.balancing.base import Balancer, read_weights
from aurora.routing.balancing.fallback import first_tier
from aurora.routing.contract import Arms, Distribution
from aurora.routing.errors import InputError
from aurora.routing.rules.conditions import Condition, Conditions, values_of
from aurora.routing.types import WorkloadContext

__all__ = ["Rule", "Rules"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition (None always holds) and who serves then: ranks, and weights within a rank."""

    name: str
    condition: Condition | None
    ranks: Mapping[str, int]
    weights: Mapping[str, float]


class Rules(Balancer):
    """Options: `rules`, in order, each `{"when": CEL or "" for always, "use": ..., "name": ...}`.

    `use` is a list of provider ids, a fallback chain with the preferred first, or a mapping of
    provider id to weight. A rule none of whose arms is a candidate is passed over; when no rule
    decides, the candidates share alike. A condition on something unknown does not hold.
    """

    name = "rules"

    def __init__(self, *, rules: Sequence[Mapping[str, Any]]) -> None:
        conditions = Conditions() if any(rule.get("when") for rule in rules) else None
        self._rules = [_read(rule, number, conditions) for number, rule in enumerate(rules, 1)]
        self._matched = dict.fromkeys((rule.name for rule in self._rules), 0)
        self._unmatched = 0

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        del rng, exploration
        rule = self.match(context, arms)
        if rule is None:
            self._unmatched += 1
            return [1.0 / len(arms)] * len(arms), [0.0] * len(arms)
        self._matched[rule.name] += 1
        return first_tier(arms, rule.ranks, rule.weights)

    def match(self, context: WorkloadContext, arms: Arms) -> Rule | None:
        """The rule that decides, if any."""
        values = values_of(context)
        for rule in self._rules:
            if not any(arm in rule.ranks for arm in arms):
                continue
            if rule.condition is None or rule.condition.holds(values):
                return rule
        return None

    def status(self) -> Mapping[str, float]:
        counts = {f"matched_{name}": float(count) for name, count in self._matched.items()}
        return {**counts, "unmatched": float(self._unmatched)}


def _read(rule: Mapping[str, Any], number: int, conditions: Conditions | None) -> Rule:
    unknown = set(rule) - {"when", "use", "name"}
    if unknown:
        raise InputError(f"rule {number} has unknown keys {sorted(unknown)}; use when, use, name")
    when, use = rule.get("when"), rule.get("use")
    condition = conditions.compile(when) if when and conditions else None
    name = str(rule.get("name") or number)
    if isinstance(use, Mapping) and use:
        weights = read_weights(use)
        ranks = {arm: 0 for arm, weight in weights.items() if weight > 0.0}
        if ranks:
            return Rule(name, condition, ranks, weights)
    elif isinstance(use, Sequence) and not isinstance(use, str) and use:
        return Rule(name, condition, {arm: at for at, arm in enumerate(use)}, {})
    raise InputError(f"rule {number}: `use` must list provider ids, or map them to weights above 0")
