"""What leaves the cluster and what the records have then: a real SQLite file, a fake API server."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from aurora.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError, StoreError
from aurora.executor.archive import BATCH, Archive
from aurora.executor.entries import ledger_of
from aurora.executor.housekeeping import (
    LOOK_EVERY_S,
    PER_CYCLE,
    SETTLE_EVERY_S,
    Housekeeper,
)
from aurora.kube.kinds import Kind, Ref
from aurora.kube.writer import NotLeaderError
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import FleetSnapshot
from aurora.resources import DecisionObject
from aurora.store import Store, TransitionRow
from tests.support.builders import NAMESPACE, NOW, control
from tests.support.decision_objects import DAY, approval_object, decision_object
from tests.support.fleets import snapshot
from tests.support.store_rows import decision


class Gate:
    """The edge to the API server: takes deletions, refuses those named."""

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self.asked = 0
        self.errors: dict[str, ClusterError] = {}

    async def delete(self, ref: Ref, *, uid: str, resource_version: str) -> None:
        self.asked += 1
        assert uid
        assert resource_version
        if ref.name in self.errors:
            raise self.errors[ref.name]
        self.deleted.append(ref.name)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/aurora.db")
    yield opened
    await opened.close()


class House:
    """A housekeeper and what it was told to forget."""

    def __init__(self, store: Store, *namespaces: str) -> None:
        self.gate, self.store = Gate(), store
        self.gone: list[str] = []
        self.keeper = Housekeeper(
            self.gate,  # type: ignore[arg-type]
            Archive(store),
            gone=self._forget,
            namespaces=namespaces,
        )

    def _forget(self, kind: Kind, body: dict[str, Any]) -> None:
        assert body["metadata"]["uid"]
        self.gone.append(body["metadata"]["name"])

    async def run(self, seen: FleetSnapshot) -> None:
        await self.keeper.run(seen, seen.decisions, ledger_of(seen.decisions))

    async def phase(self, name: str) -> str | None:
        found = await self.store.decision(name)
        return None if found is None else found.phase


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


def old(name: str, days: float = 8.0, **over: Any) -> DecisionObject:
    return decision_object(name, age_days=days, action="ALERT", **over)


def without(seen: FleetSnapshot, names: list[str], *, later_s: float) -> FleetSnapshot:
    left = {key: one for key, one in seen.decisions.items() if key.name not in names}
    at = seen.at + later_s
    return replace(seen, at=at, monotonic=seen.monotonic + later_s, decisions=left)


async def test_old_decisions_go_and_the_records_have_all_of_them(house: House) -> None:
    measured = decision_object("a", age_days=9, executed=True, verdict="Improved")
    newest = decision_object("newest", age_days=0.5, executed=True)
    await house.run(snapshot(measured, old("b"), newest))
    assert house.gate.deleted == house.gone == ["a", "b"]
    kept = await house.store.decision("a")
    assert kept is not None
    assert (kept.phase, kept.decision.model, kept.decision.uid) == ("Completed", "llama", "uid-a")
    assert kept.decision.after == {"replicas": "3"}
    assert kept.outcome is not None
    assert (kept.outcome.verdict, kept.outcome.effect) == ("Improved", -1.3)


async def test_a_record_that_is_there_is_left_as_it_is(house: House) -> None:
    at = NOW - 8 * DAY
    await house.store.record_decision(decision("a", namespace=NAMESPACE, created_at=at))
    await house.store.record_transition(TransitionRow("a", "Completed", at))
    await house.run(snapshot(old("a")))
    kept = await house.store.decision("a")
    assert kept is not None
    assert kept.decision.features, "the case is still one"
    assert [one.at for one in kept.transitions] == [at]


async def test_in_steady_state_nothing_is_written(house: House) -> None:
    seen = snapshot(old("young", 3.0), decision_object("stands", age_days=40, executed=True))
    for number in range(5):
        await house.run(without(seen, [], later_s=LOOK_EVERY_S * number))
    assert house.gate.asked == 0


async def test_a_backlog_is_worked_off_twenty_a_cycle(house: House) -> None:
    seen, per_cycle = snapshot(*(old(f"d{n:02}", 10 + n) for n in range(45))), []
    for number in range(4):
        before = len(house.gate.deleted)
        await house.run(without(seen, house.gate.deleted, later_s=15.0 * number))
        per_cycle.append(len(house.gate.deleted) - before)
    assert per_cycle == [PER_CYCLE, PER_CYCLE, 5, 0]
    assert house.gate.deleted[0] == "d44", "the oldest first"


async def test_approvals_without_their_decision_go_too(house: House) -> None:
    there = decision_object("there", age_days=1)
    approvals = (
        approval_object("old", "uid-gone", age_days=8),
        approval_object("young", "uid-gone", age_days=2),
        approval_object("needed", "uid-there", age_days=8),
    )
    await house.run(snapshot(there, approvals=approvals))
    assert house.gate.deleted == house.gone == ["old"]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(control(stopped=True), id="the kill switch is set"),
        pytest.param(control(readable=False), id="the kill switch cannot be read"),
    ],
)
async def test_a_stopped_operator_deletes_nothing(house: House, facts: Any) -> None:
    await house.run(snapshot(old("a"), facts=facts))
    assert house.gate.asked == 0


async def test_without_the_records_nothing_is_deleted_and_it_is_told_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(house.store, "record_decision", full)
        await house.run(snapshot(old("a")))
        await house.run(snapshot(old("a")))
    assert [log["why"] for log in logs] == ["the disk is full"]
    assert house.gate.asked == 0
    await house.run(snapshot(old("a")))
    assert house.gate.deleted == ["a"]


async def test_what_is_gone_already_is_no_error(house: House) -> None:
    house.gate.errors["a"] = NotFoundError("gone")
    await house.run(snapshot(old("a"), old("b", 7.5)))
    assert (house.gate.deleted, house.gone) == (["b"], ["a", "b"])


@pytest.mark.parametrize("error", [ConflictError("written since"), ForbiddenError("no right")])
async def test_after_a_refusal_the_models_later_ones_wait_and_others_go(
    house: House, error: ClusterError
) -> None:
    house.gate.errors["a"] = error
    seen = snapshot(old("a", 10), old("b", 9))
    other = old("c", 9, model="phi")
    models = dict(seen.models)
    observed = next(iter(models.values()))
    models[ObjectKey(NAMESPACE, "phi")] = observed
    seen = replace(seen, models=models, decisions={**seen.decisions, ObjectKey(*other.key): other})
    await house.run(seen)
    assert house.gate.deleted == ["c"]
    asked = house.gate.asked
    await house.run(without(seen, ["c"], later_s=15))
    assert house.gate.asked == asked, "what is refused is not asked for in every cycle"
    house.gate.errors.clear()
    await house.run(without(seen, ["c"], later_s=LOOK_EVERY_S))
    assert house.gate.deleted == ["c", "a", "b"]


async def test_a_process_that_leads_no_more_stops_at_once(house: House) -> None:
    house.gate.errors["a"] = NotLeaderError("another leads")
    await house.run(snapshot(old("a", 10), old("b", 9)))
    assert (house.gate.asked, house.gone) == (1, [])


async def in_flight(store: Store, name: str, at: float, **over: Any) -> None:
    await store.record_decision(decision(name, namespace=NAMESPACE, created_at=at, **over))
    await store.record_transition(TransitionRow(name, "Verifying", at))


async def test_records_of_objects_that_are_gone_are_ended(house: House) -> None:
    await in_flight(house.store, "gone", NOW - DAY)
    await in_flight(house.store, "another", NOW - DAY, uid="uid-of-an-earlier-one")
    await in_flight(house.store, "there", NOW - DAY, uid="uid-there")
    await in_flight(house.store, "ended", NOW - DAY)
    await in_flight(house.store, "just made", NOW - 10)
    await house.run(
        snapshot(
            decision_object("there", age_days=1, phase="Verifying", executed=True),
            decision_object("another", age_days=1, phase="Verifying", executed=True),
            decision_object("ended", age_days=1, phase="Denied"),
        )
    )
    found = {
        name: await house.phase(name) for name in ("gone", "another", "there", "ended", "just made")
    }
    assert found == {
        "gone": "Failed",
        "another": "Failed",
        "there": "Verifying",
        "ended": "Denied",
        "just made": "Verifying",
    }
    lost = await house.store.decision("gone")
    assert lost is not None
    assert lost.transitions[-1].detail == "the Decision object was deleted before it had ended"


async def test_a_cycle_ends_one_batch_of_them_and_the_next_goes_on(house: House) -> None:
    names = [f"d{number}" for number in range(2 * BATCH + 30)]
    for number, name in enumerate(names):
        await in_flight(house.store, name, NOW - DAY - number // 7)
    left = []
    for cycle in range(3):
        await house.run(without(snapshot(), [], later_s=15.0 * cycle))
        phases = [await house.phase(name) for name in names]
        left.append(phases.count("Verifying"))
        assert set(phases) <= {"Verifying", "Failed"}
    assert left == [BATCH + 30, 30, 0]


async def test_those_that_go_on_do_not_hold_up_the_ones_behind_them(house: House) -> None:
    there = []
    for number in range(BATCH):
        name = f"there{number}"
        await in_flight(house.store, name, NOW - DAY, uid=f"uid-{name}")
        there.append(decision_object(name, age_days=1, phase="Verifying", executed=True))
    await in_flight(house.store, "gone", NOW - 2 * DAY)
    seen = snapshot(*there)
    await house.run(seen)
    assert await house.phase("gone") == "Verifying"
    await house.run(without(seen, [], later_s=15.0))
    assert await house.phase("gone") == "Failed"


async def test_once_all_were_looked_at_they_are_left_alone_for_an_hour(house: House) -> None:
    await house.run(snapshot())
    await in_flight(house.store, "gone", NOW - DAY)
    await house.run(without(snapshot(), [], later_s=SETTLE_EVERY_S - 1))
    assert await house.phase("gone") == "Verifying"
    await house.run(without(snapshot(), [], later_s=SETTLE_EVERY_S))
    assert await house.phase("gone") == "Failed"


async def test_a_store_that_fails_in_a_batch_goes_on_with_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(BATCH + 1):
        await in_flight(house.store, f"d{number}", NOW - DAY - number)
    real, room = house.store.record_transition, [50]

    async def full(row: TransitionRow) -> None:
        if not room[0]:
            raise StoreError("the disk is full")
        room[0] -= 1
        await real(row)

    monkeypatch.setattr(house.store, "record_transition", full)
    await house.run(snapshot())
    room[0] = 10_000
    for cycle in range(1, 3):
        await house.run(without(snapshot(), [], later_s=15.0 * cycle))
    assert {await house.phase(f"d{number}") for number in range(BATCH + 1)} == {"Failed"}


async def test_records_of_another_operators_namespaces_are_left_alone(store: Store) -> None:
    house = House(store, "team-a")
    await in_flight(store, "theirs", NOW - DAY)
    await house.run(snapshot())
    assert await house.phase("theirs") == "Verifying"
