"""Carries decisions through their phases: announce, remember the old values, write, confirm.

The order is what makes a killed operator harmless. The undo hint is in the Decision's status, and
the old values are on the ModelDeployment, before the first effect; whatever is found announced is
brought about or recognised as done by reading the target.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import structlog

from aurora.critic.ledger import LedgerEntry
from aurora.critic.verdict import Approved, NeedsApproval, Rejected, Verdict
from aurora.errors import ClusterError, ConfigurationError, ForbiddenError
from aurora.executor.actuators import plan_of, undo_plan
from aurora.executor.book import DecisionBook
from aurora.executor.changes import Change, ObjectRef
from aurora.executor.effects import Effects, Result, Tag
from aurora.executor.entries import entry_of
from aurora.executor.keepsakes import Keepsakes
from aurora.executor.plan import Plan, stored_changes
from aurora.executor.projections import outcome_status, stored_annotation
from aurora.executor.records import Records
from aurora.executor.subjects import subject_of
from aurora.memory.outcome import Outcome
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import ModelObservation
from aurora.planner.cases import CaseFeatures
from aurora.planner.decision import WEIGHT, Decision
from aurora.reasons import ConditionReason
from aurora.resources import ConditionType, DecisionObject
from aurora.resources.vocabulary import Action, ConditionStatus, Phase
from aurora.state.system_state import SystemState

__all__ = ["Dispatcher"]

log = structlog.get_logger(__name__)

Decisions = Mapping[ObjectKey, DecisionObject]


class Dispatcher:
    """Moves one Decision at a time; each method is one step and safe to repeat."""

    def __init__(
        self, book: DecisionBook, effects: Effects, keepsakes: Keepsakes, records: Records
    ) -> None:
        self._book = book
        self._effects = effects
        self._keepsakes = keepsakes
        self._records = records

    async def open(
        self,
        decision: Decision,
        verdict: Verdict,
        *,
        features: CaseFeatures | None,
        text: str,
        state: SystemState | None = None,
    ) -> DecisionObject:
        """Make the object, the row and the Event of a decision."""
        found = await self._book.open(decision, verdict, at=decision.decided_at)
        await self._records.decided(
            decision,
            verdict,
            uid=found.metadata.uid,
            features=features,
            text=text,
            state=state,
        )
        self._keepsakes.tell(
            found,
            reason=decision.reason.value if isinstance(verdict, Approved) else verdict.reason,
            note=found.spec.message,
            warning=not isinstance(verdict, Approved) or decision.action is Action.ALERT,
        )
        if isinstance(verdict, Rejected | NeedsApproval):
            self._keepsakes.annotate_model(found)
        if isinstance(verdict, NeedsApproval):
            await self._keepsakes.notify(found)
        return found

    async def retell(self, found: DecisionObject) -> None:
        """Tell people again of an alert that still holds."""
        self._keepsakes.tell(found, reason=found.spec.reason, note=found.spec.message, warning=True)
        await self._keepsakes.notify(found)

    async def taken_back(self, found: DecisionObject, observation: ModelObservation) -> None:
        """Tell that somebody set other values than a decision's, which stay as they are."""
        route = observation.route if observation.routing is not None else None
        who = (route.writer if route is not None else "") or "another manager"
        target = found.spec.target
        note = f"{who} took back what was set on {target.kind} {target.name}: {_done(found)}"
        reason = ConditionReason.EXTERNALLY_REVERTED
        self._keepsakes.tell(found, reason=reason, note=note, warning=True)

    async def execute(
        self,
        found: DecisionObject,
        observation: ModelObservation,
        decisions: Decisions,
        *,
        at: float,
    ) -> DecisionObject:
        """Bring a decision about; what was announced before a crash is taken up again."""
        entry = entry_of(found)
        announced, told = stored_changes(found.status.to_kubernetes()), False
        try:
            plan = _resumed(announced, entry) or plan_of(entry, observation, decisions)
            if announced:
                plan = replace(plan, changes=announced)
            tag = Tag(stored_annotation(found, Phase.VERIFYING))
            if plan.changes:
                await self._keepsakes.keep_originals(observation.key, plan.changes, text=tag.text)
            told = True
            if found.status.phase is not Phase.EXECUTING:
                found = await self._enter(
                    found, Phase.EXECUTING, at, ConditionReason.EXECUTING, changes=plan
                )
            result = await self._effects.bring_about(plan, tag)
        except (ConfigurationError, ForbiddenError) as error:
            return await self._fail(found, str(error), at=at)
        except ClusterError:
            if told:  # by now the ModelDeployment says that it was done
                self._keepsakes.annotate_model(found)
            raise
        if result is not Result.DONE:
            return await self._fail(found, _failure(result), at=at)
        return await self._confirm(found, plan, tag, at=at)

    async def _confirm(
        self, found: DecisionObject, plan: Plan, tag: Tag, *, at: float
    ) -> DecisionObject:
        alert = found.spec.action is Action.ALERT
        phase = Phase.COMPLETED if alert else Phase.VERIFYING
        found = await self._enter(
            found, phase, at, ConditionReason.EXECUTED, changes=plan, applied=True, done=True
        )
        self._keepsakes.annotate(found, plan.changes, told=tag.on)
        if alert:
            await self._keepsakes.notify(found)
        else:
            self._keepsakes.tell(
                found, reason=ConditionReason.EXECUTED, note=_done(found), warning=False
            )
        return found

    async def _fail(self, found: DecisionObject, why: str, *, at: float) -> DecisionObject:
        log.warning("a decision could not be executed", decision=found.metadata.name, why=why)
        found = await self._enter(
            found, Phase.FAILED, at, ConditionReason.EXECUTION_FAILED, message=why
        )
        self._keepsakes.tell(found, reason=ConditionReason.EXECUTION_FAILED, note=why, warning=True)
        self._keepsakes.annotate_model(found)
        return found

    async def settle(self, found: DecisionObject, outcome: Outcome, *, at: float) -> DecisionObject:
        """Write what measurement said, and begin the undo where it has to go."""
        await self._records.measured(found.metadata.name, outcome)
        phase = Phase.ROLLING_BACK if outcome.undo else Phase.COMPLETED
        found = await self._book.move(
            found,
            phase,
            at=at,
            condition=(
                ConditionType.VERIFIED,
                ConditionStatus.TRUE,
                str(ConditionReason.OUTCOME_VERIFIED),
                f"{outcome.verdict}: {outcome.message}",
            ),
            outcome=outcome_status(outcome),
        )
        await self._records.entered(found.metadata.name, phase, at=at)
        self._keepsakes.tell(
            found,
            reason=ConditionReason.OUTCOME_VERIFIED,
            note=f"{outcome.verdict}: {outcome.message}",
            warning=outcome.undo,
        )
        self._keepsakes.annotate_model(found)
        if phase is Phase.COMPLETED:
            # A way back may have left everything as it was found.
            await self._keepsakes.tidy(subject_of(found))
        return found

    async def undo(
        self, found: DecisionObject, observation: ModelObservation, *, at: float
    ) -> DecisionObject:
        """Write the old values back, unless somebody else wrote others meanwhile."""
        tag = Tag(stored_annotation(found, Phase.ROLLED_BACK))
        try:
            result = await self._effects.bring_about(undo_plan(found, observation), tag)
            why = "" if result is Result.DONE else _failure(result)
        except (ConfigurationError, ForbiddenError) as error:
            why = str(error)
        if why:
            return await self._move_back(
                found, Phase.FAILED, ConditionReason.UNDO_FAILED, why=why, at=at
            )
        # Before the phase, which is the end of it: a process that dies in between comes back here.
        await self._keepsakes.tidy(subject_of(found))
        return await self._move_back(
            found, Phase.ROLLED_BACK, ConditionReason.UNDONE, at=at, told=tag.on
        )

    async def close(  # noqa: PLR0913 - one answer, all by name
        self,
        found: DecisionObject,
        phase: Phase,
        reason: str,
        *,
        at: float,
        message: str = "",
        who: str = "",
    ) -> DecisionObject:
        """End or approve a proposal: Approved, Denied, Expired or Rejected."""
        status = ConditionStatus.TRUE if phase is Phase.APPROVED else ConditionStatus.FALSE
        found = await self._book.move(
            found,
            phase,
            at=at,
            condition=(ConditionType.APPROVED, status, reason, message),
            decided_by=who,
        )
        await self._records.entered(found.metadata.name, phase, at=at, detail=message)
        note = f"{phase} by {who}. {message}" if who else f"{phase}. {message}"
        warning = phase is not Phase.APPROVED
        self._keepsakes.tell(found, reason=reason, note=note.strip(), warning=warning)
        self._keepsakes.annotate_model(found)
        return found

    async def _move_back(  # noqa: PLR0913 - one end, all by name
        self,
        found: DecisionObject,
        phase: Phase,
        reason: ConditionReason,
        *,
        at: float,
        why: str = "",
        told: Collection[ObjectRef] = (),
    ) -> DecisionObject:
        status = ConditionStatus.TRUE if phase is Phase.ROLLED_BACK else ConditionStatus.FALSE
        condition = (ConditionType.ROLLED_BACK, status, str(reason), why or reason.sentence)
        found = await self._book.move(found, phase, at=at, condition=condition)
        await self._records.entered(found.metadata.name, phase, at=at, detail=why)
        self._keepsakes.tell(found, reason=reason, note=why or reason.sentence, warning=True)
        changes = stored_changes(found.status.to_kubernetes())
        self._keepsakes.annotate(found, changes, told=told)
        return found

    async def _enter(  # noqa: PLR0913 - one step of a status, all by name
        self,
        found: DecisionObject,
        phase: Phase,
        at: float,
        reason: ConditionReason,
        *,
        changes: Plan | None = None,
        applied: bool = False,
        done: bool = False,
        message: str = "",
    ) -> DecisionObject:
        status = ConditionStatus.TRUE if done else ConditionStatus.FALSE
        found = await self._book.move(
            found,
            phase,
            at=at,
            condition=(ConditionType.EXECUTED, status, str(reason), message or reason.sentence),
            changes=changes.changes if changes is not None else None,
            applied=applied,
        )
        await self._records.entered(found.metadata.name, phase, at=at, detail=message)
        return found


def _resumed(announced: tuple[Change, ...], entry: LedgerEntry) -> Plan | None:
    """What was announced says all there is to do, unless objects have to be made as well."""
    whole = entry.action is not Action.CACHE and all(one.ref.uid for one in announced)
    return Plan(announced) if announced and whole else None


def _failure(result: Result) -> str:
    if result is Result.GONE:
        return "the target does not exist any more, or was made anew"
    return "somebody else set another value meanwhile: it was not overwritten"


def _done(found: DecisionObject) -> str:
    parameters = found.spec.parameters
    steps = [
        f"{name.removeprefix(WEIGHT)} {parameters.from_.get(name, 'none')} to {value}"
        for name, value in parameters.to.items()
        if name != "undo"
    ]
    return f"{found.spec.action} of {found.spec.target.name}: {', '.join(steps)}."
