"""What the operator learned outlives its process, and what it decides knows of the past."""

import math
import sqlite3
import threading
import time
from collections.abc import Sequence

import pytest

from aurora import factory
from aurora.memory.embed import NumericEmbedder, Query, Vectors
from aurora.memory.keeper import WOKEN_EARLY_S
from aurora.state.record import state_from_json
from aurora.store import DecisionFilter, Store, TransitionRow
from tests.apiserver.test_loop import INTERVAL_S, World, world
from tests.support.cluster import eventually
from tests.support.store_rows import DAY, NOW, decision, outcome

__all__ = ["world"]

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]


class Batches(NumericEmbedder):
    """Compares by numbers, and is as slow to call as one that reads text."""

    name = "batches"
    instant = False

    def __init__(self) -> None:
        self.callers: set[threading.Thread] = set()

    def encode(self, cases: Sequence[Query]) -> Vectors:
        self.callers.add(threading.current_thread())
        return super().encode(cases)


async def past_case(url: str) -> None:
    """A decision of another model that helped."""
    store = await Store.open(url)
    known = {"action": "SCALE", "direction": "Up", "step": 0.58, "missing": 1.0}
    await store.record_decision(decision("helped", namespace="elsewhere", features=known))
    await store.record_transition(TransitionRow("helped", "Completed", NOW))
    await store.record_outcome(outcome("helped"))
    await store.close()


async def test_a_decision_shows_its_precedents_when_cases_are_embedded_in_batches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = Batches()
    monkeypatch.setattr(factory, "choose_embedder", lambda _: embedder)
    await past_case(world.settings().store_url)
    await world.deploy("llama", 2)
    await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})
    async with world.operator():
        found = await eventually(lambda: world.decisions(action="SCALE"))
        assert [one["decision"] for one in found[0]["spec"]["precedents"]] == ["helped"]
    assert embedder.callers
    assert threading.main_thread() not in embedder.callers, "the event loop would stand still"


async def test_what_was_learned_and_seen_is_in_the_records_after_the_end(world: World) -> None:
    await world.deploy("llama", 2)
    world.serve()
    await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})
    async with world.operator():
        found = await eventually(lambda: world.decisions(action="SCALE", phase="Verifying"))
        await world.cycles(math.ceil(2 * WOKEN_EARLY_S / INTERVAL_S))
    with sqlite3.connect(world.folder / "aurora.db") as records:
        assert records.execute("select model from model_memory").fetchall() == [("llama",)]
        reasons = {row[0] for row in records.execute("select reason from states")}
    assert len(reasons) >= 2, "each change of reason was kept"
    store = await Store.open(world.settings().store_url)
    kept = await store.decision(found[0]["metadata"]["name"])
    await store.close()
    assert kept is not None
    again = state_from_json(kept.decision.state)
    assert again.at == pytest.approx(kept.decision.created_at, abs=0.001)
    assert again.replicas.spec == 2


async def test_a_record_whose_object_was_deleted_meanwhile_is_ended(world: World) -> None:
    store, yesterday = await Store.open(world.settings().store_url), time.time() - DAY
    row = decision("lost", namespace=world.namespace, created_at=yesterday)
    await store.record_decision(row)
    await store.record_transition(TransitionRow("lost", "Executing", yesterday))
    async with world.operator():
        await world.cycles(1)

        async def ended() -> bool:
            return await store.decisions(DecisionFilter(in_flight=True)) == []

        await eventually(ended)
    lost = await store.decision("lost")
    await store.close()
    assert lost is not None
    assert lost.phase == "Failed"
