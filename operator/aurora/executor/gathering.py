"""Rows of many models' decisions, put into the store together: a transaction costs most of a row.

While one transaction is under way, and for a moment before, what is to be kept next gathers; it all
goes into the next one. Nobody is told that a row is kept before it is.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from aurora.errors import StoreError
from aurora.store import DecisionRow, OutcomeRow, Store, TransitionRow

__all__ = ["Gathering", "Row"]

COMPANY_S: Final = 0.003
"""How long a transaction waits for more rows: sixteen starts at a time need half as many then."""

Row = DecisionRow | TransitionRow | OutcomeRow
_Waiting = tuple[Sequence[Row], "asyncio.Future[None]"]


class Gathering:
    """Keeps rows of several callers at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []
        self._keeping: asyncio.Task[None] | None = None

    async def keep(self, rows: Sequence[Row]) -> None:
        """Return once the rows are in the store: all of them or, with an error, none.

        Raises:
            StoreError: they could not be kept.
        """
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, kept))
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._run(), name="records")
        await kept

    async def _run(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(COMPANY_S)
                together, self._waiting = self._waiting, []
                await self._write(together)
        finally:
            self._keeping = None

    async def _write(self, together: Sequence[_Waiting]) -> None:
        try:
            await self._store.record([row for rows, _ in together for row in rows])
        except Exception as error:  # noqa: BLE001 - it is raised where the rows came from
            if len(together) == 1 or not isinstance(error, StoreError):
                _tell(together, error)
                return
            # One row that cannot be kept must not take the others with it.
            for one in together:
                await self._write([one])
        else:
            _tell(together, None)


def _tell(together: Sequence[_Waiting], error: Exception | None) -> None:
    for _, kept in together:
        if kept.done():  # whoever waited was cancelled
            continue
        if error is None:
            kept.set_result(None)
        else:
            kept.set_exception(error)
