"""Decision objects: made once, found again after a crash, and never another model's."""

from typing import Any

import pytest

from aurora.critic.reasons import CheckReason
from aurora.critic.verdict import Approved, NeedsApproval
from aurora.errors import ConflictError
from aurora.executor.book import DecisionBook
from aurora.executor.changes import Change, ObjectRef
from aurora.executor.projections import timestamp
from aurora.kube.control import ControlSwitch
from aurora.kube.kinds import CONFIG_MAP, DECISION
from aurora.kube.writer import Writer
from aurora.observe.fleet import Fleet
from aurora.resources import ConditionType, DecisionObject
from aurora.resources.vocabulary import ConditionStatus, Phase, Risk, Tier
from tests.support.builders import NOW
from tests.support.fakecluster import FakeCluster
from tests.support.situations import decision

YES = Approved(Tier.AUTO, Risk.LOW)
MAYBE = NeedsApproval(CheckReason.MODE_RECOMMEND, "the mode is Recommend", Risk.LOW)


class Fence:
    def remaining_s(self) -> float:
        return 30.0


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster(wall=lambda: NOW)
    name = {"name": "aurora-control", "namespace": "aurora-system"}
    made.put(CONFIG_MAP, {"metadata": name, "data": {"stop": "false"}})
    return made


def book_of(cluster: Any) -> DecisionBook:
    switch = ControlSwitch(cluster, namespace="aurora-system")
    fleet = Fleet(control_namespace="aurora-system")
    writer = Writer(cluster, fence=Fence(), switch=switch)
    return DecisionBook(cluster, writer, seen=lambda _: None, renewed=fleet.written_status)


async def test_an_object_and_its_first_phase(cluster: FakeCluster) -> None:
    opened = await book_of(cluster).open(decision(), YES, at=NOW)
    assert opened.status.phase is None, "it was approved, and is told of when it is begun"
    asked = await book_of(cluster).open(decision(id="other"), MAYBE, at=NOW)
    assert asked.status.phase is Phase.AWAITING_APPROVAL
    assert not asked.status.decided_by


@pytest.mark.parametrize("phase", [Phase.EXECUTING, Phase.FAILED])
async def test_what_is_begun_at_once_says_that_it_was_approved(
    cluster: FakeCluster, phase: Phase
) -> None:
    book = book_of(cluster)
    opened = await book.open(decision(), YES, at=NOW)
    before = len(cluster.writes)
    fact = (ConditionType.EXECUTED, ConditionStatus.FALSE, "Executing", "")
    begun = await book.move(opened, phase, at=NOW, condition=fact)
    assert len(cluster.writes) == before + 1
    assert (begun.status.phase, begun.status.decided_by) == (phase, "aurora")
    assert [(one.type, one.status) for one in begun.status.conditions] == [
        ("Approved", "True"),
        ("Executed", "False"),
    ]


async def test_what_is_known_of_a_step_is_what_was_written(cluster: FakeCluster) -> None:
    book, at = book_of(cluster), NOW + 0.75
    found = await book.open(decision(), YES, at=at)
    change = Change(ObjectRef("apps/v1", "Deployment", "models", "llama", "u"), "/spec/x", None, 3)
    outcome = {"verdict": "Improved", "message": "faster", "measuredAt": timestamp(at)}
    steps: list[dict[str, Any]] = [
        {"phase": Phase.EXECUTING, "changes": [change]},
        {"phase": Phase.VERIFYING, "changes": [change], "applied": True},
        {"phase": Phase.COMPLETED, "outcome": outcome, "decided_by": "ann"},
    ]
    for step in steps:
        fact = (ConditionType.EXECUTED, ConditionStatus.TRUE, str(step["phase"]), "x" * 2000)
        found = await book.move(found, condition=fact, at=at, **step)
        (written,) = cluster.all_of(DECISION)
        assert found.status == DecisionObject.parse(written).status
    found = await book.repeat(found, at=at)
    (written,) = cluster.all_of(DECISION)
    assert found.status == DecisionObject.parse(written).status


async def test_who_approved_stays_when_it_is_begun(cluster: FakeCluster) -> None:
    book = book_of(cluster)
    asked = await book.open(decision(), MAYBE, at=NOW)
    fact = (ConditionType.APPROVED, ConditionStatus.TRUE, "ApprovedByPerson", "")
    said = await book.move(asked, Phase.APPROVED, at=NOW, condition=fact, decided_by="ann")
    begun = await book.move(said, Phase.EXECUTING, at=NOW)
    assert begun.status.decided_by == "ann"
    assert [one.reason for one in begun.status.conditions] == ["ApprovedByPerson"]


async def test_opening_again_after_a_crash_finds_what_was_made(cluster: FakeCluster) -> None:
    first = await book_of(cluster).open(decision(), YES, at=NOW)
    again = await book_of(cluster).open(decision(), YES, at=NOW)
    assert again.metadata.uid == first.metadata.uid
    assert len(cluster.all_of(DECISION)) == 1


async def test_a_namesake_is_never_taken_for_ones_own(cluster: FakeCluster) -> None:
    await book_of(cluster).open(decision(), YES, at=NOW)
    with pytest.raises(ConflictError):
        await book_of(cluster).open(decision(fingerprint="another"), YES, at=NOW)


async def test_what_was_carried_out_already_is_not_judged_anew(cluster: FakeCluster) -> None:
    book = book_of(cluster)
    opened = await book.open(decision(), YES, at=NOW)
    await book.move(opened, Phase.VERIFYING, at=NOW)
    with pytest.raises(ConflictError):
        await book.open(decision(), YES, at=NOW)
    (found,) = cluster.all_of(DECISION)
    assert found["status"]["phase"] == "Verifying"


async def test_the_same_step_twice_is_one_write(cluster: FakeCluster) -> None:
    book = book_of(cluster)
    opened = await book.open(decision(), YES, at=NOW)
    moved = await book.move(opened, Phase.VERIFYING, at=NOW)
    before = len(cluster.writes)
    assert await book.move(moved, Phase.VERIFYING, at=NOW + 60) == moved
    assert len(cluster.writes) == before


async def test_a_step_on_what_changed_meanwhile_is_refused(cluster: FakeCluster) -> None:
    book = book_of(cluster)
    opened = await book.open(decision(), YES, at=NOW)
    await book.move(opened, Phase.EXECUTING, at=NOW)
    with pytest.raises(ConflictError):
        await book.move(opened, Phase.VERIFYING, at=NOW)


async def test_a_repeat_is_counted(cluster: FakeCluster) -> None:
    book = book_of(cluster)
    opened = await book.open(decision(), YES, at=NOW)
    once = await book.repeat(opened, at=NOW + 3600)
    twice = await book.repeat(once, at=NOW + 7200)
    assert (twice.status.repeats, twice.status.phase) == (2, None)
    assert twice.status.last_seen is not None
    assert twice.status.last_seen.timestamp() == NOW + 7200
