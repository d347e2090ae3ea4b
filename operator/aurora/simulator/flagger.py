"""Flagger's rollback rule: every minute a check, and five failed ones send callers away.

Source: fluxcd/flagger, docs/gitbook/usage/deployment-strategies.md: time to roll back is
`interval x threshold`, 1 m x 5 in most of its tutorials. Flagger judges a canary and gives its
traffic back to the primary; here the pool is what is judged and the fallback takes the traffic.
"""

from dataclasses import dataclass
from typing import Final

from aurora.simulator.settings import Objectives
from aurora.simulator.view import Action, ActionKind, Desired, MetricsView, PoolFacts, known

__all__ = ["Flagger", "FlaggerRule", "flagger_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlaggerRule:
    """What a check looks at.

    Attributes:
        interval_s: time between two checks, and the window of each, seconds.
        threshold: failed checks that roll back. Flagger adds them up over one analysis; here they
            have to follow each other, which is kinder to it on noise and the same on a fault.
        error_ratio: `request-success-rate`, turned round. The example's 1 % would fail on noise
            that AURORA is told to stand, so it is AURORA's own threshold.
        latency_s: `request-duration`: p95 of the time to first token; None looks at errors alone.
    """

    interval_s: float = 60.0
    threshold: int = 5
    error_ratio: float = 0.05
    latency_s: float | None = None


class Flagger:
    """Fixed replicas and the rule; it never comes back by itself, as a rolled back canary."""

    name = "flagger"

    def __init__(self, rule: FlaggerRule) -> None:
        self.window_s: float = rule.interval_s
        self._rule: Final = rule
        self._next_check = rule.interval_s
        self._failed = 0

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        """Check when the minute is over."""
        stay = Desired(pool.desired)
        if pool.to_fallback or pool.now < self._next_check:
            return stay
        self._next_check += self._rule.interval_s
        failed = self._check(known(view.error_ratio), known(view.ttft_p95))
        if failed is None:
            return stay
        self._failed = self._failed + 1 if failed else 0
        if self._failed < self._rule.threshold or not pool.fallback_ready:
            return stay
        reason = f"{self._failed} checks failed"
        return Desired(pool.desired, (Action(ActionKind.ROUTE_TO_FALLBACK, reason),))

    def _check(self, errors: float | None, latency: float | None) -> bool | None:
        """Whether the check fails; None in a lull, where Flagger's would: it is not the pool's."""
        if errors is None and latency is None:
            return None
        limit = self._rule.latency_s
        slow = limit is not None and latency is not None and latency > limit
        return slow or (errors is not None and errors > self._rule.error_ratio)


def flagger_for(objectives: Objectives) -> Flagger:
    """Both of Flagger's built-in checks, with the objective as the bound of the duration."""
    return Flagger(FlaggerRule(latency_s=objectives.ttft_s))
