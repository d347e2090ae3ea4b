import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from aurora.errors import ConfigurationError, StoreError
from aurora.store import Store, engine
from tests.support.postgres import Server
from tests.support.store_rows import decision, state


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("records", "not one; write sqlite:////folder", id="no URL"),
        pytest.param("mysql://h/d", "cannot be kept in 'mysql'; use sqlite", id="another database"),
        pytest.param("sqlite://", "names no file", id="no file"),
        pytest.param("sqlite:///:memory:", "names no file", id="memory, gone at the next start"),
    ],
)
async def test_a_bad_url_is_told_in_one_line(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        await Store.open(url)


async def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "aurora.db"
    file.write_bytes(b"these are not the pages of a database " * 200)
    with pytest.raises(StoreError, match=r"is damaged or no database; move the file away"):
        await Store.open(f"sqlite:///{file}")
    assert file.read_bytes().startswith(b"these are not")


async def test_pages_damaged_later_are_told(tmp_path: Path) -> None:
    file = tmp_path / "aurora.db"
    store = await Store.open(f"sqlite:///{file}")
    await store.record_states([state(float(number)) for number in range(2000)])
    await store.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + os.urandom(len(whole) - 8192))
    with pytest.raises(StoreError, match=r"^the record store \S+ is damaged; move the file away"):
        await read_all(file)


async def read_all(file: Path) -> None:
    store = await Store.open(f"sqlite:///{file}")
    try:
        [row async for row in store.states("models", "llama", since=0, until=1e10)]
    finally:
        await store.close()


async def test_a_locked_file_is_told_and_works_again_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = tuple("PRAGMA busy_timeout=50" if "busy" in p else p for p in engine._PRAGMAS)
    monkeypatch.setattr(engine, "_PRAGMAS", quick)
    file = tmp_path / "aurora.db"
    store = await Store.open(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"is locked by another process; stop that process"):
        await store.record_decision(decision())
    assert await store.decision("d1") is None, "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    await store.record_decision(decision())
    assert await store.decision("d1") is not None
    await store.close()


async def test_a_full_disk_is_told_and_what_was_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "aurora.db"
    store = await Store.open(f"sqlite:///{file}")
    await store.record_decision(decision())
    await store.close()
    monkeypatch.setattr(engine, "_PRAGMAS", (*engine._PRAGMAS, "PRAGMA max_page_count=40"))
    store = await Store.open(f"sqlite:///{file}")
    with pytest.raises(StoreError, match=r"has no disk space left; free some"):
        await store.record_decision(decision("d2", case_text="x" * 1_000_000))
    assert await store.decision("d1") is not None
    assert await store.decision("d2") is None
    await store.record_decision(decision("d3"))
    await store.close()


@pytest.mark.parametrize("place", ["a-file/records/aurora.db", "a-folder"])
async def test_a_place_that_cannot_hold_a_file_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("in the way")
    (tmp_path / "a-folder").mkdir()
    with pytest.raises(StoreError, match=r"cannot be opened; name a file whose folder exists"):
        await Store.open(f"sqlite:///{tmp_path}/{place}")


@pytest.mark.parametrize("there", [True, False], ids=["a file that is there", "a new file"])
async def test_records_are_readable_by_their_owner_alone(tmp_path: Path, *, there: bool) -> None:
    file = tmp_path / "aurora.db"
    if there:
        file.touch(mode=0o644)
    store = await Store.open(f"sqlite:///{file}")
    await store.record_decision(decision())
    assert modes(tmp_path) == dict.fromkeys(("aurora.db", "aurora.db-shm", "aurora.db-wal"), 0o600)
    await store.close()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


WRITER = """
import asyncio, sys
from aurora.store import Store
from tests.support.store_rows import decision
async def main():
    store = await Store.open(sys.argv[1])
    number = 0
    while True:
        await store.record_decision(decision(f"d{number}"))
        print(number, flush=True)
        number += 1
asyncio.run(main())
"""


def write_until_killed(url: str) -> list[int]:
    command = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(next(writer.stdout)) for _ in range(50)]
        writer.kill()
        return told + [int(line) for line in writer.stdout if line.endswith("\n")]


async def test_a_killed_writer_loses_nothing_that_it_was_told_is_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/aurora.db"
    told = write_until_killed(url)
    store = await Store.open(url)
    assert [await store.decision(f"d{number}") is None for number in told] == [False] * len(told)
    await store.close()


@pytest.mark.postgres
class TestPostgres:
    async def test_a_wrong_password_is_told_without_it(self, postgres: Server) -> None:
        url = Server(postgres.port, "not-the-password").url("postgres")
        with pytest.raises(StoreError, match="refused user or password") as refused:
            await Store.open(url)
        assert "not-the-password" not in str(refused.value)

    async def test_a_server_that_is_not_there_is_told(self, postgres: Server) -> None:
        with pytest.raises(StoreError, match="cannot be reached; check host, port"):
            await Store.open(Server(1, "secret").url("postgres"))

    async def test_a_table_that_another_holds_is_told_and_works_again(
        self, postgres: Server
    ) -> None:
        url = postgres.create("held")
        store = await Store.open(url, deadline_s=0.5)
        async with await psycopg.AsyncConnection.connect(url) as other:
            await other.execute("LOCK TABLE decisions")
            with pytest.raises(StoreError, match="did not answer in time"):
                await store.record_decision(decision())
        await store.record_decision(decision())
        assert await store.decision("d1") is not None
        await store.close()

    async def test_a_restarted_server_is_found_again(self, postgres: Server) -> None:
        url = postgres.create("restarted")
        store = await Store.open(url)
        async with await psycopg.AsyncConnection.connect(url) as other:
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = 'restarted' AND pid <> pg_backend_pid()"
            )
        await store.record_decision(decision())
        await store.close()
