"""Every test that takes `url` or `store` runs on SQLite and on a real PostgreSQL."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aurora.store import Store
from tests.support.postgres import Server, find_program, serving

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    if find_program("initdb") is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with serving() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records/aurora.db"
    server: Server = request.getfixturevalue("postgres")
    return server.create(f"aurora_{next(_numbers)}")


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = await Store.open(url)
    yield opened
    await opened.close()
