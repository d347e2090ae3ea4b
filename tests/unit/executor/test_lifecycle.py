"""What comes next for a Decision: read off its object, never off a hope."""

from typing import Any

import pytest

from aurora.executor.entries import entry_of, ledger_of
from aurora.executor.lifecycle import (
    Next,
    Step,
    answer_to,
    approvals_by_decision,
    next_step,
)
from aurora.planner.decision import Direction
from aurora.resources import Approval
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase
from tests.support.builders import KEY, NOW
from tests.support.situations import approval, by_key, condition, decision_object

YES, NO = approval(), approval("Deny", name="by-bob", by="bob", at=NOW - 5)


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        pytest.param(None, Step.JUDGE, id="made, and its maker died"),
        pytest.param(Phase.PROPOSED, Step.JUDGE, id="proposed"),
        pytest.param(Phase.APPROVED, Step.EXECUTE, id="approved"),
        pytest.param(Phase.EXECUTING, Step.EXECUTE, id="announced: taken up again"),
        pytest.param(Phase.VERIFYING, Step.MEASURE, id="in force"),
        pytest.param(Phase.ROLLING_BACK, Step.UNDO, id="regressed"),
        pytest.param(Phase.AWAITING_APPROVAL, Step.NOTHING, id="nobody answered yet"),
        *(
            pytest.param(phase, Step.NOTHING, id=f"{phase} is an end")
            for phase in (
                Phase.COMPLETED,
                Phase.ROLLED_BACK,
                Phase.REJECTED,
                Phase.DENIED,
                Phase.EXPIRED,
                Phase.FAILED,
            )
        ),
    ],
)
def test_every_phase_has_one_step(phase: Phase | None, step: Step) -> None:
    status = {} if phase is None else {"phase": phase.value}
    assert next_step(decision_object(status=status), (), at=NOW).step is step


@pytest.mark.parametrize(
    ("approvals", "age", "expected"),
    [
        pytest.param((YES,), 600, Next(Step.APPROVE, "ann", "ann says Approve"), id="approved"),
        pytest.param((NO,), 600, Next(Step.DENY, "bob", "bob says Deny"), id="denied"),
        pytest.param(
            (YES, NO), 600, Next(Step.DENY, "bob", "bob says Deny"), id="one no outweighs a yes"
        ),
        pytest.param((), 3599, Next(Step.NOTHING), id="just before it lapses"),
        pytest.param((), 3600, Next(Step.EXPIRE), id="nobody answered in time"),
        pytest.param((YES,), 3601, Next(Step.EXPIRE), id="a yes that comes too late is none"),
        pytest.param(
            (NO,), 3601, Next(Step.DENY, "bob", "bob says Deny"), id="a no is never too late"
        ),
    ],
)
def test_what_people_answered(approvals: tuple[Approval, ...], age: float, expected: Next) -> None:
    waiting = decision_object(status={"phase": "AwaitingApproval"}, created_at=NOW - age)
    assert next_step(waiting, approvals, at=NOW) == expected


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        pytest.param("Approved", Step.EXPIRE, id="approved, and nobody was there to carry it out"),
        pytest.param("Proposed", Step.EXPIRE, id="not even judged"),
        pytest.param("Executing", Step.EXECUTE, id="half done has to be finished"),
        pytest.param("Verifying", Step.MEASURE, id="in force"),
        pytest.param("RollingBack", Step.UNDO, id="an undo does not lapse"),
    ],
)
def test_an_operator_that_was_away_decides_anew(phase: str, step: Step) -> None:
    old = decision_object(status={"phase": phase}, created_at=NOW - 3 * 3600)
    assert next_step(old, (), at=NOW).step is step


def test_the_first_yes_counts() -> None:
    later = approval(name="later", by="zoe", at=NOW - 1)
    found = answer_to((later, YES))
    assert found is not None
    assert found.spec.approver == "ann"
    assert answer_to(()) is None


def test_approvals_are_of_one_object_and_not_of_its_namesake() -> None:
    found = approvals_by_decision({KEY: YES})
    assert found == {("models", "llama-scale-1", "uid-llama-scale-1"): (YES,)}


CREATED = NOW - 600


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, {"phase": Phase.PROPOSED}, id="made, and nothing more"),
        pytest.param(
            {"phase": "Executing", "conditions": [condition("Executed", "False", NOW - 500)]},
            {"phase": Phase.EXECUTING, "executed_at": None, "in_flight": True},
            id="being written",
        ),
        pytest.param(
            {"phase": "Verifying", "conditions": [condition("Executed", "True", NOW - 500)]},
            {"executed_at": NOW - 500, "settled_at": None, "acted": True, "in_flight": True},
            id="in force",
        ),
        pytest.param(
            {
                "phase": "RolledBack",
                "conditions": [
                    condition("Executed", "True", NOW - 500),
                    condition("Verified", "True", NOW - 100),
                ],
                "outcome": {"verdict": "Regressed", "measuredAt": "2027-01-15T08:00:00Z"},
            },
            {
                "settled_at": NOW - 100,
                "fresh_at": NOW - 100,
                "verdict": OutcomeVerdict.REGRESSED,
                "in_flight": False,
            },
            id="measured and undone",
        ),
        pytest.param(
            {"phase": "Denied", "conditions": [condition("Approved", "False", NOW - 50)]},
            {"settled_at": NOW - 50, "fresh_at": NOW - 50, "acted": False},
            id="denied",
        ),
        pytest.param(
            {"phase": "Failed", "conditions": [condition("Executed", "False", NOW - 40)]},
            {"settled_at": NOW - 40, "executed_at": None, "acted": False},
            id="could not be written",
        ),
        pytest.param(
            {"phase": "AwaitingApproval", "repeats": 2, "lastSeen": "2027-01-15T07:59:30Z"},
            {"last_seen": NOW - 30, "fresh_at": NOW - 30, "in_flight": False},
            id="proposed again",
        ),
    ],
)
def test_an_object_read_back_is_an_entry_of_the_ledger(
    status: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = entry_of(decision_object(status=status))
    assert found.decided_at == CREATED
    assert (found.model, found.action, found.direction) == (KEY, Action.SCALE, Direction.UP)
    assert {name: getattr(found, name) for name in expected} == expected


def test_an_alert_that_is_being_told_holds_no_target() -> None:
    alert = decision_object(action="ALERT", status={"phase": "Executing"})
    spec = alert.spec.model_copy(update={"direction": None})
    assert not entry_of(alert.model_copy(update={"spec": spec})).in_flight


def test_the_ledger_holds_the_newest_first() -> None:
    old = decision_object("old", created_at=NOW - 900)
    new = decision_object("new", created_at=NOW - 100)
    found = ledger_of(by_key(old, new))
    assert [one.id for one in found.of_model(KEY)] == ["new", "old"]


def test_renewing_one_entry_is_the_same_as_reading_all_again() -> None:
    old = decision_object("old", created_at=NOW - 900, status={"phase": "Verifying"})
    new = decision_object("new", created_at=NOW - 100, status={"phase": "Rejected"})
    done = decision_object("old", created_at=NOW - 900, status={"phase": "Completed"})
    other = decision_object("other", modelRef={"name": "gemma"})
    before = ledger_of(by_key(old, new, other))
    assert before.in_flight(KEY) is not None
    after = before.with_entry(entry_of(done))
    assert after == ledger_of(by_key(done, new, other))
    assert after.in_flight(KEY) is None
    assert before.in_flight(KEY) is not None, "the old value stays as it was"
