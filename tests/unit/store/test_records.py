import asyncio
import gc
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.errors import StoreError
from aurora.store import DecisionFilter, MemoryRow, Store, TransitionRow
from tests.support.store_rows import NOW, decision, outcome, state


async def test_a_decision_reads_back_as_it_was_written(store: Store) -> None:
    row = decision(
        target={"kind": "Deployment", "name": "llama"},
        before={"replicas": 2},
        after={"replicas": 4},
        evidence=({"signal": "latencyP95", "value": 2.1, "samples": None},),
        precedents=({"decision": "d0", "similarity": 0.9},),
        state={"load": 10.25, "missing": ["driftScore"]},
        policy_hash="abc",
    )
    await store.record_decision(row)
    found = await store.decision("d1")
    assert found is not None
    assert found.decision == row
    assert (found.phase, found.transitions, found.outcome) == ("Proposed", (), None)


async def test_repeating_a_decision_changes_nothing_but_an_unknown_uid(store: Store) -> None:
    await store.record_decision(decision())
    await store.record_decision(decision(uid="u1", name="dec-1", message="another"))
    await store.record_decision(decision(uid="u2"))
    found = await store.decision("d1")
    assert found is not None
    assert found.decision == decision(uid="u1", name="dec-1")


async def test_phases_are_added_once_and_the_newest_counts(store: Store) -> None:
    await store.record_decision(decision())
    for phase, at in (("Verifying", 20.0), ("Executing", 10.0), ("Executing", 10.0)):
        await store.record_transition(TransitionRow("d1", phase, at, "why"))
    found = await store.decision("d1")
    assert found is not None
    assert [(step.phase, step.at) for step in found.transitions] == [
        ("Executing", 10.0),
        ("Verifying", 20.0),
    ]
    assert found.phase == "Verifying"


async def test_the_first_outcome_stays(store: Store) -> None:
    await store.record_decision(decision())
    first = outcome(effect=-0.4, low=-0.6, high=-0.2, unit="s", message="faster")
    await store.record_outcome(first)
    await store.record_outcome(outcome(verdict="Regressed"))
    found = await store.decision("d1")
    assert found is not None
    assert found.outcome == first


async def test_a_transition_and_an_outcome_may_come_before_their_decision(store: Store) -> None:
    await store.record_transition(TransitionRow("d1", "Completed", NOW))
    await store.record_outcome(outcome())
    assert await store.cases() == []
    await store.record_decision(decision())
    found = await store.decision("d1")
    assert found is not None
    assert found.phase == "Completed"
    assert [case.decision for case in await store.cases()] == ["d1"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(DecisionFilter(), ["d4", "d3", "d2", "d1"], id="all, newest first"),
        pytest.param(DecisionFilter(model="phi"), ["d3"], id="of one model"),
        pytest.param(DecisionFilter(namespace="other"), ["d4"], id="of one namespace"),
        pytest.param(DecisionFilter(action="CACHE"), ["d2"], id="of one action"),
        pytest.param(DecisionFilter(in_flight=True), ["d4", "d3", "d2"], id="in flight"),
        pytest.param(DecisionFilter(in_flight=False), ["d1"], id="ended"),
        pytest.param(DecisionFilter(since=NOW + 2, until=NOW + 3), ["d3"], id="of a time"),
        pytest.param(DecisionFilter(before=(NOW + 2, "d3")), ["d2", "d1"], id="the next page"),
        pytest.param(DecisionFilter(limit=1), ["d4"], id="one"),
    ],
)
async def test_decisions_are_filtered(
    store: Store, wanted: DecisionFilter, expected: list[str]
) -> None:
    over = ({}, {"action": "CACHE"}, {"model": "phi"}, {"namespace": "other"})
    for number, fields in enumerate(over):
        await store.record_decision(decision(f"d{number + 1}", created_at=NOW + number, **fields))
    await store.record_transition(TransitionRow("d1", "Executing", NOW))
    await store.record_transition(TransitionRow("d1", "Completed", NOW + 1))
    await store.record_transition(TransitionRow("d2", "Executing", NOW))
    assert [found.decision.id for found in await store.decisions(wanted)] == expected


async def test_only_measured_decisions_with_features_are_cases(store: Store) -> None:
    for name, features in (("d1", {"load": 1.0}), ("d2", {}), ("d3", {"load": 2.0})):
        await store.record_decision(decision(name, features=features))
    await store.record_outcome(outcome("d2"))
    assert (await store.case_mark()).count == 0
    await store.record_outcome(outcome("d1", verdict="Regressed", effect=0.5))
    await store.record_outcome(outcome("d3", measured_at=NOW + 900))
    cases = await store.cases()
    assert [(case.decision, case.verdict, case.features) for case in cases] == [
        ("d1", "Regressed", {"load": 1.0}),
        ("d3", "Improved", {"load": 2.0}),
    ]
    mark = await store.case_mark()
    assert (mark.count, mark.last) == (2, cases[-1].seq)
    assert await store.cases(after=cases[0].seq) == cases[1:]
    assert await store.cases(before=cases[1].seq) == cases[:1]
    assert await store.cases(limit=1) == cases[1:]
    assert await store.cases(since=NOW + 600) == cases[1:]


async def test_states_come_back_in_order_whatever_their_number(store: Store) -> None:
    rows = [state(NOW + 300.0 * number) for number in range(1203)]
    await store.record_states(rows)
    await store.record_states([replace(rows[0], reason="Other"), state(NOW, model="phi")])
    found = [row async for row in store.states("models", "llama", since=0.0, until=NOW * 2)]
    assert found == rows
    bounded = store.states("models", "llama", since=rows[3].at, until=rows[5].at)
    assert [row async for row in bounded] == rows[3:5]


async def test_an_older_memory_never_replaces_a_newer_one(store: Store) -> None:
    row = MemoryRow(namespace="n", model="m", version=2, body={"a": [1, 2]}, updated_at=10.0)
    await store.save_memory([row])
    await store.save_memory([replace(row, updated_at=9.0, body={})])
    assert [one async for one in store.memories()] == [row]
    newer = replace(row, updated_at=11.0, body={"a": [3]})
    await store.save_memory([newer])
    assert [one async for one in store.memories()] == [newer]


async def test_empty_batches_are_no_error(store: Store) -> None:
    await store.record_states([])
    await store.save_memory([])


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(decision(confidence=float("nan")), id="a column"),
        pytest.param(decision(evidence=[{"value": float("inf")}]), id="inside JSON"),
        pytest.param(decision(state={"load": float("nan")}), id="inside a packed snapshot"),
    ],
)
async def test_a_number_that_is_not_finite_is_refused(store: Store, row: object) -> None:
    with pytest.raises(StoreError, match=r"^a record was not written to .*(?i:float|finite)"):
        await store.record_decision(row)  # type: ignore[arg-type]
    assert await store.decision("d1") is None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.text(st.characters(exclude_categories=())),
    body=st.dictionaries(st.text(st.characters(exclude_categories=())), st.text()),
)
def test_no_text_from_outside_keeps_a_record_out(
    tmp_path_factory: pytest.TempPathFactory, text: str, body: dict[str, str]
) -> None:
    async def check() -> None:
        store = await Store.open(f"sqlite:///{tmp_path_factory.mktemp('text')}/aurora.db")
        try:
            await store.record_decision(decision(message=text, reason=text, state=body))
            found = await store.decision("d1")
        finally:
            await store.close()
        assert found is not None
        assert found.decision.state == body
        if text.isascii() and "\0" not in text:
            assert found.decision.message == text

    asyncio.run(check())


@pytest.mark.parametrize("text", ["nul \0 inside", "half \ud800 a pair", "'; DROP TABLE decisions"])
async def test_hostile_text_is_stored_on_every_database(store: Store, text: str) -> None:
    await store.record_decision(decision(message=text, case_text=text, target={"name": text}))
    found = await store.decision("d1")
    assert found is not None
    assert found.decision.target == {"name": text}
    assert found.decision.message.startswith(text[:4])


async def test_a_transaction_leaves_nothing_that_only_the_collector_frees(store: Store) -> None:
    async def kept(name: str) -> None:
        await store.record([decision(name), TransitionRow(name, "Executing", NOW)])
        await store.record_outcome(outcome(name))
        await store.record_states([state()])
        await store.save_memory(
            [MemoryRow(namespace="n", model=name, version=1, body={"a": 1.0}, updated_at=NOW)]
        )

    await kept("warm")
    gc.collect()
    gc.disable()
    try:
        for turn in range(20):
            await kept(f"d{turn}")
        found = gc.collect()
    finally:
        gc.enable()
    assert found < 20  # a statement that is made anew leaves 250
