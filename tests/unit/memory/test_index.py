from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.memory.embed import Vectors
from aurora.memory.index import CaseIndex

SIZE = 8


def vectors(count: int, seed: int = 1) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, SIZE)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def filled(count: int = 12) -> CaseIndex:
    index = CaseIndex("test-1", SIZE)
    index.add({n: "SCALE/Up" if n % 3 else "CACHE/On" for n in range(1, count + 1)}, vectors(count))
    return index


def test_a_search_finds_the_best_of_one_kind() -> None:
    rows = vectors(12)
    query = vectors(1, seed=2)[0]
    scores = {n: float(rows[n - 1] @ query) for n in range(1, 13) if n % 3}
    best = sorted(scores.items(), key=lambda item: -item[1])[:5]
    found = filled().search(query, "SCALE/Up", 5)
    assert [n for n, _ in found] == [n for n, _ in best]
    assert [score for _, score in found] == pytest.approx([score for _, score in best], abs=1e-6)


def test_fewer_cases_than_asked_for_are_all_there_are() -> None:
    assert len(filled().search(vectors(1)[0], "CACHE/On", 50)) == 4
    assert filled().search(vectors(1)[0], "ROUTE/Fallback", 50) == []


def test_a_removed_case_is_not_found_and_may_be_removed_twice() -> None:
    index = filled()
    index.remove([1, 2, 99])
    index.remove([1])
    assert sorted(index.numbers) == list(range(3, 13))
    assert {n for n, _ in index.search(vectors(1)[0], "SCALE/Up", 50)} == {4, 5, 7, 8, 10, 11}


def test_a_saved_index_answers_the_same(tmp_path: Path) -> None:
    index = filled()
    index.save(tmp_path / "new", "these cases")
    loaded = CaseIndex.load(tmp_path / "new", "test-1", SIZE)
    assert loaded is not None
    again, cases = loaded
    assert (cases, sorted(again.numbers)) == ("these cases", sorted(index.numbers))
    query = vectors(1, seed=3)[0]
    assert again.search(query, "SCALE/Up", 5) == index.search(query, "SCALE/Up", 5)
    again.add({13: "SCALE/Up"}, query.reshape(1, -1))
    assert again.search(query, "SCALE/Up", 1)[0][0] == 13


def test_an_empty_index_is_saved_too(tmp_path: Path) -> None:
    CaseIndex("test-1", SIZE).save(tmp_path, "none")
    loaded = CaseIndex.load(tmp_path, "test-1", SIZE)
    assert loaded is not None
    assert loaded[0].search(vectors(1)[0], "SCALE/Up", 3) == []


def test_the_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    filled().save(tmp_path, "these")
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert found == {"cases.faiss": 0o600, "cases.json": 0o600}


@pytest.mark.parametrize("name", ["cases.faiss", "cases.json"])
def test_a_missing_file_is_no_index(tmp_path: Path, name: str) -> None:
    filled().save(tmp_path, "these")
    (tmp_path / name).unlink()
    assert CaseIndex.load(tmp_path, "test-1", SIZE) is None


@pytest.mark.parametrize(
    ("embedder", "size"),
    [pytest.param("test-2", SIZE, id="embedder"), pytest.param("test-1", 9, id="dimension")],
)
def test_an_index_of_another_maker_is_none(tmp_path: Path, embedder: str, size: int) -> None:
    filled().save(tmp_path, "these")
    assert CaseIndex.load(tmp_path, embedder, size) is None


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["cases.faiss", "cases.json"]),
    place=st.floats(0, 0.999),
    flip=st.integers(1, 255),
    cut=st.booleans(),
)
def test_damage_anywhere_is_seen(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: float, flip: int, *, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("index")
    filled().save(folder, "these")
    body = bytearray((folder / name).read_bytes())
    at = int(place * len(body))
    body[at] ^= flip
    (folder / name).write_bytes(body[:at] if cut else body)
    loaded = CaseIndex.load(folder, "test-1", SIZE)
    # The one text that may change is what the caller compares itself.
    assert loaded is None or loaded[1] != "these"


def test_a_save_that_fails_leaves_the_old_index(tmp_path: Path) -> None:
    filled().save(tmp_path, "old")
    (tmp_path / "cases.json").unlink()
    (tmp_path / "cases.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        filled(5).save(tmp_path, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.faiss", "cases.json"]
    assert CaseIndex.load(tmp_path, "test-1", SIZE) is None
