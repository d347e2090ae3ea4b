"""What the keeper keeps, in a real SQLite file."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aurora.errors import StoreError
from aurora.memory import keeper as module
from aurora.memory.casebook import Casebook
from aurora.memory.embed import NumericEmbedder, Query, Vectors
from aurora.memory.keeper import MEMORY_EVERY_S, STATE_EVERY_S, MemoryKeeper
from aurora.observe.facts import ObjectKey
from aurora.state.memory import ModelMemory
from aurora.state.record import state_from_json
from aurora.store import StateRow, Store, TransitionRow, pruning
from tests.support.builders import KEY, NAMESPACE, NOW
from tests.support.cases import features
from tests.support.decision_objects import DAY, decision_object
from tests.support.fleets import SmallFleet
from tests.support.store_rows import decision, outcome, state


class Textual(NumericEmbedder):
    """Not instant, as the one with text."""

    name = "textual"
    instant = False

    def __init__(self) -> None:
        self.asked: list[int] = []

    def encode(self, cases: Sequence[Query]) -> Vectors:
        self.asked.append(len(cases))
        return super().encode(cases)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/aurora.db")
    yield opened
    await opened.close()


@pytest.fixture
async def keeper(store: Store, tmp_path: Path) -> MemoryKeeper:
    return await open_keeper(store, tmp_path / "index")


async def open_keeper(
    store: Store, folder: Path | None, embedder: NumericEmbedder | None = None
) -> MemoryKeeper:
    book = await Casebook.open(store, folder, embedder or NumericEmbedder(), clock=lambda: NOW)
    return MemoryKeeper(store, book, retention_days=30)


async def keep(
    keeper: MemoryKeeper, fleet: SmallFleet, at: float, *decisions: object, writes: int = 0
) -> None:
    seen = fleet.cycle(at, *decisions)  # type: ignore[arg-type]
    await keeper.keep(seen, fleet.states, fleet.memories, writes=writes)


async def kept(store: Store, name: str = "llama") -> list[StateRow]:
    return [row async for row in store.states(NAMESPACE, name, since=0, until=1e12)]


async def memories(store: Store) -> dict[str, float]:
    return {row.model: row.updated_at async for row in store.memories()}


async def test_a_state_is_kept_every_five_minutes_and_can_be_replayed(
    keeper: MemoryKeeper, store: Store
) -> None:
    fleet = SmallFleet()
    for number in range(60):
        await keep(keeper, fleet, NOW + 15 * number)
    rows = await kept(store)
    gaps = [later.at - one.at for one, later in pairwise(rows[1:])]
    assert len(rows) in {3, 4}
    assert gaps == pytest.approx([STATE_EVERY_S] * len(gaps))
    again = state_from_json(rows[-1].snapshot, memory=fleet.memories[KEY])
    assert again.key == KEY
    assert again.readings.keys() == fleet.states[KEY].readings.keys()
    assert rows[-1].policy_hash


async def test_a_change_of_reason_is_kept_at_once(keeper: MemoryKeeper, store: Store) -> None:
    fleet = SmallFleet()
    await keep(keeper, fleet, NOW)
    fleet.say("llama", "MetricsStale")
    await keep(keeper, fleet, NOW + 15)
    await keep(keeper, fleet, NOW + 30)
    assert [row.reason for row in await kept(store)][:2] == ["Pending", "MetricsStale"]


async def test_a_cycle_that_was_woken_early_keeps_nothing(
    keeper: MemoryKeeper, store: Store
) -> None:
    fleet = SmallFleet()
    await keep(keeper, fleet, NOW)
    fleet.say("llama", "MetricsStale")
    for early in (1.0, 4.9):
        await keep(keeper, fleet, NOW + early)
    assert [row.at for row in await kept(store)] == [NOW]
    await keep(keeper, fleet, NOW + 5)
    assert [row.at for row in await kept(store)] == [NOW, NOW + 5]


async def test_a_cycle_with_many_writes_leaves_what_is_due_to_the_next(
    keeper: MemoryKeeper, store: Store
) -> None:
    fleet = SmallFleet()
    await keep(keeper, fleet, NOW)
    fleet.say("llama", "MetricsStale")
    await keep(keeper, fleet, NOW + 15, writes=module.BUSY_WRITES)
    assert [row.at for row in await kept(store)] == [NOW]
    await keep(keeper, fleet, NOW + 30, writes=module.BUSY_WRITES)
    assert [row.at for row in await kept(store)] == [NOW, NOW + 30]
    fleet.say("llama", "TargetNotFound")
    await keep(keeper, fleet, NOW + 45, writes=module.BUSY_WRITES - 1)
    assert [row.at for row in await kept(store)] == [NOW, NOW + 30, NOW + 45]


async def test_a_change_of_reason_is_not_forgotten_while_the_store_fails(
    keeper: MemoryKeeper, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = SmallFleet()
    await keep(keeper, fleet, NOW)
    fleet.say("llama", "MetricsStale")

    async def full(_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(store, "record_states", full)
        await keep(keeper, fleet, NOW + 15)
        await keep(keeper, fleet, NOW + 30)
    assert [log["why"] for log in logs] == ["the disk is full"], "told once"
    assert keeper.failure == "the disk is full"
    await keep(keeper, fleet, NOW + 45)
    assert keeper.failure == ""
    assert [(row.at, row.reason) for row in await kept(store)][-1] == (NOW + 45, "MetricsStale")


async def test_what_was_learned_is_kept_once_an_hour(keeper: MemoryKeeper, store: Store) -> None:
    fleet, seen = SmallFleet(), set()
    for number in range(9 * 20):
        await keep(keeper, fleet, NOW + 60 * number)
        seen |= set((await memories(store)).values())
    assert len(seen) == 3
    assert max(seen) - min(seen) == pytest.approx(2 * MEMORY_EVERY_S)


async def test_at_the_end_everything_that_was_learned_is_kept(
    keeper: MemoryKeeper, store: Store, tmp_path: Path
) -> None:
    fleet = SmallFleet(tuple(f"m{number}" for number in range(45)))
    await keep(keeper, fleet, NOW)
    await keep(keeper, fleet, NOW + 15)
    assert await memories(store) == {}
    await keeper.close()
    assert await memories(store) == dict.fromkeys(fleet.names, NOW + 15)
    again = await open_keeper(store, tmp_path / "index")
    await again.load()
    first = ObjectKey(NAMESPACE, "m0")
    assert again.recalled(first) == ModelMemory.from_json(fleet.memories[first].to_json())
    assert again.recalled(first) == ModelMemory(), "given once"


async def test_an_end_with_too_much_to_keep_is_bounded_and_told(
    keeper: MemoryKeeper, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = SmallFleet(tuple(f"m{number}" for number in range(45)))
    await keep(keeper, fleet, NOW)
    await keep(keeper, fleet, NOW + 15)
    monkeypatch.setattr(module, "CLOSING_S", 0.05)

    async def slow(_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(store, "save_memory", slow)
    with capture_logs() as logs:
        await asyncio.wait_for(keeper.close(), timeout=10)
    assert [log["event"] for log in logs] == ["not everything that was learned was kept"]


async def test_an_end_without_a_store_raises_nothing(keeper: MemoryKeeper, store: Store) -> None:
    fleet = SmallFleet()
    await keep(keeper, fleet, NOW)
    await keep(keeper, fleet, NOW + 15)
    await store._write(lambda connection: connection.exec_driver_sql("drop table model_memory"))
    with capture_logs() as logs:
        await keeper.close()
    assert [log["event"] for log in logs] == ["what was seen is not kept"]


async def test_pruning_goes_on_until_nothing_is_left_a_bounded_part_each_cycle(
    keeper: MemoryKeeper, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 10)
    monkeypatch.setattr(pruning, "BATCHES", 2)
    await store.record_states([state(NOW - 40 * DAY + n, model="old") for n in range(55)])
    fleet, left = SmallFleet(), []
    for number in range(5):
        await keep(keeper, fleet, NOW + 15 * number)
        left.append(len(await kept(store, "old")))
    assert left == [35, 15, 0, 0, 0]


async def test_pruned_cases_are_no_precedents_any_more(store: Store, tmp_path: Path) -> None:
    for name, at in (("gone", NOW - 40 * DAY), ("held", NOW - 41 * DAY), ("new", NOW - DAY)):
        await store.record_decision(decision(name, created_at=at, features=features().to_json()))
        await store.record_transition(TransitionRow(name, "Completed", at))
        await store.record_outcome(outcome(name, measured_at=at))
    book = await Casebook.open(store, None, NumericEmbedder(), clock=lambda: NOW)
    keeper = MemoryKeeper(store, book, retention_days=30)
    assert len(book) == 3
    fleet, there = SmallFleet(), decision_object("held", age_days=41, executed=True)
    keeper._pruned_at = keeper._levelled_at = NOW - 60
    await keep(keeper, fleet, NOW, there)
    assert len(book) == 3
    keeper._pruned_at = NOW - 3700
    await keep(keeper, fleet, NOW + 15, there)
    found = {one.decision for one in book.similar(features(), "", 9)}
    assert found == {"held", "new"}, "an object that is still there keeps its record"


async def test_the_index_is_saved_every_ten_minutes_and_only_when_it_changed(
    store: Store, tmp_path: Path
) -> None:
    keeper, fleet = await open_keeper(store, tmp_path / "index"), SmallFleet()
    file = tmp_path / "index" / "cases.json"
    await keep(keeper, fleet, NOW)
    first = file.read_bytes()
    file.unlink()
    await keep(keeper, fleet, NOW + 700)
    assert not file.exists(), "nothing changed"
    await store.record_decision(decision("d1", features=features().to_json()))
    await store.record_outcome(outcome("d1"))
    await keep(keeper, fleet, NOW + 1000)
    assert not file.exists(), "not yet"
    await keep(keeper, fleet, NOW + 1400)
    assert file.read_bytes() != first


async def test_what_was_known_before_a_decision_is_dropped_when_it_never_is_measured(
    keeper: MemoryKeeper,
) -> None:
    fleet = SmallFleet()
    await keep(keeper, fleet, NOW)
    for name in ("failed", "open"):
        keeper.remember_before(name, fleet.memories[KEY])
    objects = (
        decision_object("failed", age_days=0, phase="Failed"),
        decision_object("open", age_days=0, phase="Verifying", executed=True),
    )
    await keep(keeper, fleet, NOW + 30, *objects)
    assert set(keeper._before) == {"failed", "open"}
    await keep(keeper, fleet, NOW + 700, *objects)
    assert set(keeper._before) == {"open"}


async def test_a_cycles_cases_are_embedded_as_one_batch(store: Store) -> None:
    embedder = Textual()
    keeper = await open_keeper(store, None, embedder)
    assert keeper.foresees
    cases = [(features(hour=float(hour)), f"at {hour}") for hour in range(5)]
    keeper._foreseen.extend(cases)
    await keeper.prepare()
    assert embedder.asked == [5]
    await keeper.prepare()
    assert embedder.asked == [5], "only what this cycle foresaw"


async def test_numbers_need_no_foresight(keeper: MemoryKeeper) -> None:
    assert not keeper.foresees


async def test_the_event_loop_gets_its_turns_while_a_large_fleet_is_kept(
    keeper: MemoryKeeper,
) -> None:
    fleet = SmallFleet(tuple(f"m{number}" for number in range(400)))
    await keep(keeper, fleet, NOW)
    seen = fleet.cycle(NOW + 15)
    longest, done = 0.0, False

    async def heartbeat() -> None:
        nonlocal longest
        while not done:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    beating = asyncio.create_task(heartbeat())
    gc.disable()  # its pauses are not the keeper's
    try:
        await keeper.keep(seen, fleet.states, fleet.memories)
        await keeper.close()
    finally:
        gc.enable()
    done = True
    await beating
    assert longest < 0.05
