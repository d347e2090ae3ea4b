"""The engines of one policy: the learned one, and beside it the rules of an experiment."""

from collections.abc import Iterator, Mapping
from typing import Any

from aurora.router.experiment import SIDES, Trial
from aurora.routing import Constraints, RoutingEngine, WorkloadContext
from aurora.routing.admission import Providers
from aurora.routing.evaluation.comparison import Side

__all__ = ["Lineup"]


class Lineup:
    """Decides with one of its engines, and knows its own decisions again.

    Args:
        learned: the policy's strategy.
        rules: what it is compared with.
        trial: the comparison; there is one exactly where there are rules.
    """

    def __init__(
        self,
        learned: RoutingEngine,
        rules: RoutingEngine | None = None,
        trial: Trial | None = None,
    ) -> None:
        self.learned, self.rules, self.trial = learned, rules, trial

    def decide(
        self,
        context: Mapping[str, Any],
        providers: Providers,
        constraints: Constraints | Mapping[str, Any] | None,
        psi_metrics: Mapping[str, Any] | float | None,
    ) -> tuple[str, dict[str, Any]]:
        """As the engine's; in an experiment the metadata name the side."""
        if self.rules is None or self.trial is None:
            return self.learned.decide(context, providers, constraints, psi_metrics)
        asked = WorkloadContext.of(context)
        side = self.trial.side(asked)
        engine = self.learned if side is Side.A else self.rules
        provider, metadata = engine.decide(asked, providers, constraints, psi_metrics)
        self.trial.decided(side)
        return provider, {**metadata, "side": SIDES[side]}

    def knows(self, decision_id: str) -> bool:
        """Whether the decision was made here, however long ago."""
        return any(engine.executor.made(decision_id) for _, engine in self._engines())

    def feedback(self, body: Mapping[str, Any]) -> float:
        """As the engine's; the experiment counts a decision's first feedback."""
        side, engine = next(
            (found for found in self._engines() if found[1].executor.made(body["decision_id"])),
            (Side.A, self.learned),
        )
        if self.trial is None:
            return engine.feedback(**body)
        is_first = engine.is_pending(body["decision_id"])
        reward = engine.feedback(**body)
        if is_first:
            self.trial.learned(side, reward)
        return reward

    def close(self) -> None:
        """Save what the learned side learned; the other side is in memory alone."""
        if self.rules is not None:
            self.rules.close()
        self.learned.close()

    def _engines(self) -> Iterator[tuple[Side, RoutingEngine]]:
        yield Side.A, self.learned
        if self.rules is not None:
            yield Side.B, self.rules
