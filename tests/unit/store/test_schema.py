import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from aurora.errors import StoreError
from aurora.store import Store
from aurora.store.engine import resolve
from aurora.store.migrate import head
from aurora.store.tables import metadata
from tests.support.store_rows import decision


async def test_the_migrated_schema_is_what_the_queries_expect(url: str, store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    engine = create_engine(resolve(url))
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


async def test_opening_again_keeps_the_records(url: str, store: Store) -> None:
    await store.record_decision(decision())
    again = await Store.open(url)
    assert await again.decision("d1") is not None
    await again.close()


async def test_several_processes_may_open_a_new_store_at_once(url: str) -> None:
    opened = await asyncio.gather(*(Store.open(url) for _ in range(4)))
    await asyncio.gather(
        *(
            each.record_decision(decision(f"d{number}-{turn}"))
            for number, each in enumerate(opened)
            for turn in range(10)
        )
    )
    for each in opened:
        assert await each.decision("d3-9") is not None
        await each.close()


async def test_a_schema_of_a_newer_version_is_refused(url: str, store: Store) -> None:
    engine = create_engine(resolve(url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match="schema 9999, made by a newer AURORA") as refused:
        await Store.open(url)
    assert f"knows {head()} at most: install the newer version" in str(refused.value)
