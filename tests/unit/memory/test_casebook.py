import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from structlog.testing import capture_logs

from aurora.memory.casebook import Casebook
from aurora.memory.cases import case_text
from aurora.memory.embed import NumericEmbedder, Query, Vectors
from aurora.planner.cases import CaseFeatures, Precedent, Precedents
from aurora.store import CaseRow, Store, TransitionRow
from aurora.store.tables import decisions, outcomes
from tests.support.cases import features
from tests.support.store_rows import DAY, NOW, decision, outcome


class Counting(NumericEmbedder):
    """The real embedder, counting what it was asked."""

    instant = False

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, cases: Sequence[Query]) -> Vectors:
        self.encoded += len(cases)
        return super().encode(cases)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/aurora.db")
    yield opened
    await opened.close()


@pytest.fixture
def embedder() -> Counting:
    return Counting()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


async def learn(
    store: Store,
    name: str,
    case: CaseFeatures,
    verdict: str = "Improved",
    *,
    at: float = NOW - DAY,
) -> None:
    row = decision(
        name,
        action=case.action,
        created_at=at,
        features=case.to_json(),
        case_text=case_text(case, "LatencyHigh"),
    )
    await store.record_decision(row)
    await store.record_transition(TransitionRow(name, "Completed", at))
    await store.record_outcome(outcome(name, verdict=verdict, measured_at=at + 300))


async def opened(store: Store, folder: Path, embedder: NumericEmbedder, **over: int) -> Casebook:
    return await Casebook.open(store, folder, embedder, clock=lambda: NOW, **over)


def ask(book: Precedents, case: CaseFeatures | None = None, limit: int = 9) -> list[Precedent]:
    case = case or features()
    return list(book.similar(case, case_text(case, "LatencyHigh"), limit))


async def test_the_most_similar_cases_come_first_with_how_they_turned_out(
    store: Store, folder: Path, embedder: Counting
) -> None:
    await learn(store, "near", features(saturation=0.8), "Regressed", at=NOW - 7 * DAY)
    await learn(store, "far", features(saturation=0.2, load_to_capacity=0.3))
    await learn(store, "same", features(), "Neutral")
    found = ask(await opened(store, folder, embedder))
    assert [(p.decision, p.verdict) for p in found] == [
        ("same", "Neutral"),
        ("near", "Regressed"),
        ("far", "Improved"),
    ]
    assert found[0].similarity == pytest.approx(1.0)
    assert found[1].age_days == pytest.approx(7.0)
    assert 0.0 <= found[2].similarity < found[1].similarity < 1.0
    assert {p.action for p in found} == {"SCALE"}


@pytest.mark.parametrize(
    ("case", "verdict"),
    [
        pytest.param(features(action="CACHE", direction="On"), "Improved", id="another action"),
        pytest.param(features(direction="Down"), "Improved", id="the other direction"),
        pytest.param(features(), "Confounded", id="an outcome that another change explains"),
        pytest.param(features(), "NoData", id="an outcome that was not measured"),
    ],
)
async def test_what_teaches_nothing_is_no_precedent(
    store: Store, folder: Path, embedder: Counting, case: CaseFeatures, verdict: str
) -> None:
    await learn(store, "d1", case, verdict)
    assert ask(await opened(store, folder, embedder)) == []


async def test_no_cases_and_no_limit_are_no_precedents(
    store: Store, folder: Path, embedder: Counting
) -> None:
    book = await opened(store, folder, embedder)
    assert ask(book) == []
    await learn(store, "d1", features())
    await book.refresh()
    assert ask(book, limit=0) == []


async def test_a_decision_without_an_outcome_is_no_case(
    store: Store, folder: Path, embedder: Counting
) -> None:
    await store.record_decision(decision(features=features().to_json()))
    assert len(await opened(store, folder, embedder)) == 0


async def test_new_outcomes_are_followed_and_only_they_are_embedded(
    store: Store, folder: Path, embedder: Counting
) -> None:
    await learn(store, "d1", features())
    book = await opened(store, folder, embedder)
    assert embedder.encoded == 1
    await learn(store, "d2", features())
    await learn(store, "d3", features(), "Confounded")
    assert (await book.refresh(), embedder.encoded, len(book)) == (1, 2, 2)
    assert (await book.refresh(), embedder.encoded) == (0, 2)


async def test_pruned_cases_leave(store: Store, folder: Path, embedder: Counting) -> None:
    await learn(store, "old", features(), at=NOW - 40 * DAY)
    await learn(store, "new", features())
    book = await opened(store, folder, embedder)
    await store.prune(NOW)
    assert await book.refresh() == 1
    assert [p.decision for p in ask(book)] == ["new"]
    await learn(store, "newer", features())
    await book.refresh()
    assert sorted(p.decision for p in ask(book)) == ["new", "newer"]


async def test_a_saved_index_is_used_again(store: Store, folder: Path, embedder: Counting) -> None:
    for number in range(5):
        await learn(store, f"d{number}", features(saturation=number / 5))
    book = await opened(store, folder, embedder)
    await book.save()
    await learn(store, "later", features())
    again = Counting()
    second = await opened(store, folder, again)
    assert again.encoded == 1, "only the case that came later"
    await book.refresh()
    assert ask(second) == ask(book)


@pytest.mark.parametrize("harm", ["missing", "damaged", "other embedder"])
async def test_an_index_that_does_not_fit_is_made_again(
    store: Store, folder: Path, embedder: Counting, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await learn(store, f"d{number}", features(saturation=number / 5))
    book = await opened(store, folder, embedder)
    await book.save()
    if harm == "missing":
        (folder / "cases.faiss").unlink()
    elif harm == "damaged":
        (folder / "cases.faiss").write_bytes(b"no index")
    else:
        monkeypatch.setattr(Counting, "name", "another")
    again = Counting()
    second = await opened(store, folder, again)
    assert again.encoded == 5
    assert ask(second) == ask(book)


async def test_an_index_of_other_records_with_the_same_numbers_is_made_again(
    store: Store, folder: Path, embedder: Counting, tmp_path: Path
) -> None:
    other = await Store.open(f"sqlite:///{tmp_path}/other.db")
    for number in range(5):
        await learn(store, f"d{number}", features(saturation=number / 5))
        await learn(other, f"e{number}", features(saturation=1 - number / 5))
    book = await opened(other, folder, embedder)
    await book.save()
    found = ask(await opened(store, folder, Counting()), features(saturation=0.0), limit=1)
    assert [(p.decision, round(p.similarity, 5)) for p in found] == [("d0", 1.0)]
    await other.close()


async def test_only_the_newest_cases_are_kept(
    store: Store, folder: Path, embedder: Counting
) -> None:
    for number in range(30):
        await learn(store, f"d{number:02}", features())
    book = await opened(store, folder, embedder, limit=20)
    assert min(p.decision for p in ask(book, limit=99)) == "d10"
    for number in range(30, 33):
        await learn(store, f"d{number:02}", features())
    await book.refresh()
    found = [p.decision for p in ask(book, limit=99)]
    assert (len(found), min(found), max(found)) == (20, "d13", "d32")


async def test_cases_are_read_page_by_page(
    store: Store, folder: Path, embedder: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        await learn(store, f"d{number:02}", features())
    pages: list[tuple[int, int]] = []
    read = Store.cases

    async def counted(store: Store, *, limit: int, **bounds: Any) -> list[CaseRow]:
        found = await read(store, limit=limit, **bounds)
        pages.append((limit, len(found)))
        return found

    monkeypatch.setattr(Store, "cases", counted)
    monkeypatch.setattr("aurora.memory.casebook._PAGE", 4)
    book = await opened(store, folder, embedder, limit=10)
    assert pages == [(4, 4), (4, 4), (2, 2)]
    assert sorted(p.decision for p in ask(book, limit=99)) == [f"d{n:02}" for n in range(2, 12)]
    await book.save()
    pages.clear()
    again = Counting()
    second = await opened(store, folder, again, limit=10)
    await second.refresh()
    assert (again.encoded, len(second)) == (0, 10)
    assert pages == [(4, 4), (4, 4), (2, 2)], "an index that lacks nothing costs one reading"


async def test_a_case_that_cannot_be_read_is_left_out_and_told(
    store: Store, folder: Path, embedder: Counting
) -> None:
    await learn(store, "good", features())
    await store.record_decision(decision("bad", features={"action": ["?"]}))
    await store.record_outcome(outcome("bad"))
    with capture_logs() as logs:
        book = await opened(store, folder, embedder)
    assert [p.decision for p in ask(book)] == ["good"]
    assert [(log["event"], log["decision"]) for log in logs] == [("a case was left out", "bad")]


async def test_prepared_questions_are_not_embedded_again(
    store: Store, folder: Path, embedder: Counting
) -> None:
    await learn(store, "d1", features())
    book = await opened(store, folder, embedder)
    cases = [features(hour=float(hour)) for hour in range(24)]
    await book.prepare((case, case_text(case, "LatencyHigh")) for case in (*cases, *cases))
    await book.prepare([(cases[0], case_text(cases[0], "LatencyHigh"))])
    assert embedder.encoded == 1 + 24
    assert all(ask(book, case) for case in cases)
    assert embedder.encoded == 1 + 24


async def test_an_index_that_cannot_be_saved_is_only_told(
    store: Store, folder: Path, embedder: Counting
) -> None:
    await asyncio.to_thread(folder.write_text, "in the way")
    await learn(store, "d1", features())
    book = await opened(store, folder, embedder)
    with capture_logs() as logs:
        await book.save()
    assert [log["event"] for log in logs] == ["the index of cases was not saved"]
    assert len(ask(book)) == 1


async def test_saving_and_following_do_not_meet(
    store: Store, folder: Path, embedder: Counting
) -> None:
    book = await opened(store, folder, embedder)
    for number in range(20):
        await learn(store, f"d{number}", features())
        await asyncio.gather(book.refresh(), book.save(), book.refresh())
    await book.save()
    again = Counting()
    assert len(await opened(store, folder, again)) == 20
    assert again.encoded == 0


async def test_ten_thousand_cases_are_searched_within_a_millisecond(
    store: Store, folder: Path
) -> None:
    await store._write(many_cases, 10_000)
    book = await opened(store, folder, NumericEmbedder())
    assert len(book) == 10_000
    took = []
    for number in range(200):
        case = replace(features(), hour=number / 3)
        began = time.thread_time()
        assert len(ask(book, case, limit=10)) == 10
        took.append(time.thread_time() - began)
    assert min(took) < 0.001


def many_cases(connection: Connection, count: int) -> None:
    """In two statements, for the sake of the clock."""
    known = features().to_json()
    rows = [
        decision(f"d{number}", features=known | {"saturation": number / count})
        for number in range(count)
    ]
    connection.execute(insert(decisions), [asdict(row) for row in rows])
    connection.execute(insert(outcomes), [asdict(outcome(row.id)) for row in rows])
