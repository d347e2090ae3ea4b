from pathlib import Path

import pytest

from aurora.store import DecisionFilter, MemoryRow, Pruned, Store, TransitionRow, pruning
from tests.support.store_rows import DAY, NOW, decision, outcome, state


async def ids(store: Store) -> list[str]:
    return sorted(found.decision.id for found in await store.decisions(DecisionFilter()))


async def test_what_is_older_than_the_retention_goes(store: Store) -> None:
    for name, age in (("old", 31), ("young", 29)):
        at = NOW - age * DAY
        await store.record_decision(decision(name, created_at=at))
        await store.record_transition(TransitionRow(name, "Completed", at))
        await store.record_outcome(outcome(name))
        await store.record_states([state(at)])
        await store.save_memory(
            [MemoryRow(namespace="n", model=name, version=1, body={}, updated_at=at)]
        )
    assert await store.prune(NOW) == Pruned(1, 1, 1, more=False)
    assert await ids(store) == ["young"]
    assert [case.decision for case in await store.cases()] == ["young"]
    left = [row.at async for row in store.states("models", "llama", since=0, until=NOW)]
    assert left == [NOW - 29 * DAY]
    assert [row.model async for row in store.memories()] == ["young"]
    assert await store.prune(NOW) == Pruned(0, 0, 0, more=False)


async def test_a_decision_in_flight_or_kept_stays_whatever_its_age(store: Store) -> None:
    phases = {"proposed": None, "verifying": "Verifying", "kept": "Failed", "gone": "Denied"}
    for name, phase in phases.items():
        await store.record_decision(decision(name, created_at=0.0))
        await store.record_transition(TransitionRow(name, "Executing", 1.0))
        if phase is not None:
            await store.record_transition(TransitionRow(name, phase, 2.0))
    await store.prune(NOW, keep={"kept"})
    assert await ids(store) == ["kept", "proposed", "verifying"]


async def test_one_call_removes_a_bounded_number(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 3)
    monkeypatch.setattr(pruning, "BATCHES", 2)
    await store.record_states([state(float(number)) for number in range(8)])
    for number in range(4):
        await store.record_decision(decision(f"d{number}", created_at=float(number)))
        await store.record_transition(TransitionRow(f"d{number}", "Completed", 1.0))
    assert await store.prune(NOW, keep={"d0"}) == Pruned(3, 6, 0, more=True)
    assert await store.prune(NOW, keep={"d0"}) == Pruned(0, 2, 0, more=False)
    assert await ids(store) == ["d0"]


async def test_the_numbers_of_removed_cases_are_never_used_again(store: Store) -> None:
    await store.record_decision(decision("old", created_at=0.0))
    await store.record_transition(TransitionRow("old", "Completed", 1.0))
    await store.record_outcome(outcome("old"))
    (old,) = await store.cases()
    await store.prune(NOW)
    await store.record_decision(decision("new"))
    await store.record_outcome(outcome("new"))
    (new,) = await store.cases()
    assert new.seq > old.seq


async def test_sqlite_gives_the_space_back_to_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "aurora.db"
    store = await Store.open(f"sqlite:///{file}")
    noise = [str(hash((number, "noise"))) for number in range(200)]
    rows = [state(float(number), snapshot={"n": noise[number % 97 :]}) for number in range(1000)]
    await store.record_states(rows)
    await store.close()
    full = file.stat().st_size
    store = await Store.open(f"sqlite:///{file}")
    await store.prune(NOW)
    await store.close()
    assert file.stat().st_size < full / 2
