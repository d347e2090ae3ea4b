"""One routing decision: what was chosen, among what, and with which probability."""

from dataclasses import dataclass
from typing import Any, Final

from aurora.routing.admission import Admission
from aurora.routing.mixture import final_probabilities
from aurora.routing.types import Outcome, ProviderState, StateKey, WorkloadContext
from aurora.routing.violations import Finding

__all__ = ["EXPLOIT", "EXPLORE", "RoutingDecision"]

EXPLORE: Final = "explore"
EXPLOIT: Final = "exploit"


@dataclass(slots=True)
class RoutingDecision:
    """An entry of the decision log; the engine fills the outcome in, nobody else writes.

    Attributes:
        decision_id: unique over processes.
        at: Unix seconds, never less than that of an earlier decision.
        since: seconds of the clock that never goes backwards, for expiry.
        state_key: (workload type, GPU type, region).
        provider_id: who was chosen.
        context: the request as it was given.
        provider: the chosen provider as it was then; None when only its id was recorded.
        admission: who could have been chosen; None when recorded from outside.
        probabilities: of the strategy, in the order of `arms`, before the floor; None once the
            log had to make room.
        scores: what the strategy believed of each arm; None once the log had to make room.
        score: that of the chosen arm; None when nobody told.
        propensity: of the final mixture, for the chosen arm; None when nobody told.
        floor: the exploration floor that was mixed in, 0 to 1.
        mode: `explore` or `exploit`.
        outcome, reward: filled by feedback; `RoutingEngine.explain` shows the terms.
        expired: feedback can no longer be given.
        sequence: number of its first entry in the audit trail; 0 when it has none.
    """

    decision_id: str
    at: float
    since: float
    state_key: StateKey | tuple[str, str, str]
    provider_id: str
    context: WorkloadContext
    provider: ProviderState | None = None
    admission: Admission | None = None
    probabilities: list[float] | None = None
    scores: list[float] | None = None
    score: float | None = None
    propensity: float | None = None
    floor: float = 0.0
    mode: str = ""
    outcome: Outcome | None = None
    reward: float | None = None
    expired: bool = False
    sequence: int = 0

    @property
    def pending(self) -> bool:
        """Whether its feedback may still come."""
        return self.outcome is None and not self.expired

    @property
    def arms(self) -> tuple[str, ...]:
        """Who could have been chosen; the chosen one alone when nothing else was recorded."""
        return self.admission.arms if self.admission is not None else (self.provider_id,)

    @property
    def propensities(self) -> dict[str, float] | None:
        """The whole final mixture by arm; None when it was not recorded."""
        if self.admission is None or self.probabilities is None:
            return None
        mixed = final_probabilities(self.probabilities, self.floor, self.admission.passing)
        return dict(zip(self.admission.arms, mixed, strict=True))

    def metadata(self, admission: Admission, scores: list[float]) -> dict[str, Any]:
        """What `decide` tells beside the provider id; on the hot path."""
        arm, failing, refused = self.provider_id, admission.failing, admission.refused
        return {
            "decision_id": self.decision_id,
            "mode": self.mode,
            "q_value": self.score,
            "propensity": self.propensity,
            "scores": dict(zip(admission.arms, scores)),  # noqa: B905  # same length
            "violations": _types(failing[arm]) if arm in failing else [],
            "refused": {name: _types(found) for name, found in refused.items()} if refused else {},
            "reason": admission.reasons[self.mode == EXPLOIT],
        }

    def to_dict(self) -> dict[str, Any]:
        """The entry as plain JSON values, for export and off-policy evaluation."""
        scores = None if self.scores is None else dict(zip(self.arms, self.scores, strict=True))
        return {
            "decision_id": self.decision_id,
            "timestamp": self.at,
            "state": list(self.state_key),
            "provider_id": self.provider_id,
            "mode": self.mode,
            "propensity": self.propensity,
            "propensities": self.propensities,
            "score": self.score,
            "scores": scores,
            "success": None if self.outcome is None else self.outcome.success,
            "cost_usd": None if self.outcome is None else self.outcome.cost_usd,
            "latency_ms": None if self.outcome is None else self.outcome.latency_ms,
            "reward": self.reward,
        }


def _types(found: tuple[Finding, ...]) -> list[str]:
    return [finding.type.value for finding in found]
