"""Decisions as rows of the record store. Losing the store stops no protection and no undo."""

from typing import Any

import structlog

from aurora.critic.chain import risk_of
from aurora.critic.verdict import Approved, Verdict
from aurora.errors import StoreError
from aurora.executor.gathering import Gathering, Row
from aurora.executor.projections import first_phase
from aurora.memory.outcome import Outcome
from aurora.planner.cases import CaseFeatures
from aurora.planner.decision import Decision
from aurora.resources.vocabulary import Phase, Tier
from aurora.state.record import state_to_json
from aurora.state.system_state import SystemState
from aurora.store import DecisionRow, OutcomeRow, Store, TransitionRow

__all__ = ["Records"]

log = structlog.get_logger(__name__)


class Records:
    """Writes to the store; a store that fails is told of and the operator goes on.

    The Decision objects are the ledger that it resumes from, so a row that was lost costs history
    and precedents, never safety.

    Attributes:
        failure: what the store said last, empty while it works.
    """

    def __init__(self, store: Store) -> None:
        self._gathering = Gathering(store)
        self.failure = ""

    async def decided(  # noqa: PLR0913 - one row, all by name
        self,
        decision: Decision,
        verdict: Verdict,
        *,
        uid: str,
        features: CaseFeatures | None,
        text: str,
        state: SystemState | None = None,
    ) -> None:
        """Keep a decision as it was made, on which state, with its first phase."""
        row = DecisionRow(
            id=decision.id,
            name=decision.id,
            uid=uid,
            namespace=decision.model.namespace,
            model=decision.model.name,
            action=decision.action.value,
            reason=decision.reason.value,
            message=decision.message,
            confidence=decision.confidence,
            tier=(verdict.tier if isinstance(verdict, Approved) else Tier.APPROVAL).value,
            risk=risk_of(decision.action, decision.direction).value,
            created_at=decision.decided_at,
            policy_hash=decision.policy_hash,
            target={"kind": decision.target.kind, "name": decision.target.name},
            before=dict(decision.before),
            after=dict(decision.after),
            evidence=[
                {"signal": one.signal, "value": one.value, "unit": one.unit, "query": one.query}
                for one in decision.evidence
            ],
            precedents=[
                {"decision": one.decision, "similarity": one.similarity, "verdict": one.verdict}
                for one in decision.precedents
            ],
            features=features.to_json() if features is not None else {},
            case_text=text,
            state=_state(state),
        )
        phase = first_phase(verdict).value
        await self._keep(row, TransitionRow(decision.id, phase, decision.decided_at, ""))

    async def entered(self, decision: str, phase: Phase, *, at: float, detail: str = "") -> None:
        """Keep that a decision entered a phase."""
        await self._keep(TransitionRow(decision, phase.value, at, detail))

    async def measured(self, decision: str, outcome: Outcome) -> None:
        """Keep what measurement said."""
        row = OutcomeRow(
            decision=decision,
            verdict=outcome.verdict.value,
            measured_at=outcome.measured_at,
            effect=outcome.effect,
            low=outcome.low,
            high=outcome.high,
            unit=outcome.unit,
            message=outcome.message,
        )
        await self._keep(row)

    async def _keep(self, *rows: Row) -> None:
        try:
            await self._gathering.keep(rows)
        except StoreError as error:
            if str(error) != self.failure:
                log.warning("a record was not kept", why=str(error))
            self.failure = str(error)
        else:
            self.failure = ""


def _state(state: SystemState | None) -> dict[str, Any]:
    """With what was learned, so that exactly this decision can be made again."""
    if state is None:
        return {}
    try:
        return state_to_json(state)
    except StoreError as error:
        log.warning("a decision is kept without its state", why=str(error))
        return {}
