"""The cases of one simulated run, found as the operator's casebook finds them by numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from aurora.memory.cases import case_vector, kind_of
from aurora.memory.outcome import Outcome
from aurora.planner.cases import CaseFeatures, Precedent
from aurora.planner.decision import Candidate, Decision
from aurora.planner.features import features_of
from aurora.planner.inputs import PlanInput
from aurora.resources.vocabulary import OutcomeVerdict

__all__ = ["RunPrecedents"]

_MOST: Final = 5
_DAY_S: Final = 86_400.0
_JUDGED: Final = frozenset(
    {OutcomeVerdict.IMPROVED, OutcomeVerdict.NEUTRAL, OutcomeVerdict.REGRESSED}
)


@dataclass(frozen=True, slots=True)
class _Case:
    decision: Decision
    features: CaseFeatures
    vector: np.ndarray
    verdict: str = ""


@dataclass(slots=True)
class RunPrecedents:
    """Starts empty, as a fresh installation does."""

    _planned: dict[str, CaseFeatures] = field(default_factory=dict)
    _open: dict[str, tuple[Decision, CaseFeatures]] = field(default_factory=dict)
    _cases: list[_Case] = field(default_factory=list)

    def recall(self, given: PlanInput, candidate: Candidate) -> Sequence[Precedent]:
        """The most similar judged cases of the same action and direction."""
        features = features_of(given, candidate)
        vector, kind = np.asarray(case_vector(features)), kind_of(features)
        self._planned[kind] = features
        found = [
            Precedent(
                decision=case.decision.id,
                similarity=float(min(1.0, max(0.0, case.vector @ vector))),
                verdict=case.verdict,
                action=case.decision.action,
                age_days=max(0.0, given.at - case.decision.decided_at) / _DAY_S,
            )
            for case in self._cases
            if kind_of(case.features) == kind
        ]
        return sorted(found, key=lambda one: one.similarity, reverse=True)[:_MOST]

    def decided(self, decision: Decision) -> None:
        """Keep the situation of a decision that was planned in this cycle."""
        features = self._planned.get(f"{decision.action.value}/{decision.direction.value}")
        if features is not None:
            self._open[decision.id] = (decision, features)

    def learned(self, decision: str, outcome: Outcome) -> None:
        """Make a case of it, where the verdict says something about the action."""
        found = self._open.pop(decision, None)
        if found is None or outcome.verdict not in _JUDGED:
            return
        vector = np.asarray(case_vector(found[1]))
        self._cases.append(_Case(*found, vector, outcome.verdict.value))
