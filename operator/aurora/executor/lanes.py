"""Several at a time, and in order where they belong together."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import TypeVar

__all__ = ["AT_ONCE", "in_lanes"]

T = TypeVar("T")

AT_ONCE = 16
"""Lanes that are worked on at the same time: as many models as are started together."""


async def in_lanes(
    work: Iterable[T],
    take: Callable[[T], Awaitable[None]],
    *,
    lane: Callable[[T], Hashable],
    at_once: int = AT_ONCE,
) -> None:
    """Take each; those of one lane one after the other, in the order given.

    Args:
        work: what is to be done.
        take: does one. What it raises ends its lane and is raised here: contain it where the
            rest of the lane has to go on.
        lane: what a piece belongs to.
        at_once: lanes at the same time.
    """
    gate = asyncio.Semaphore(at_once)
    lanes: dict[Hashable, list[T]] = {}
    for one in work:
        lanes.setdefault(lane(one), []).append(one)

    async def run(pieces: Sequence[T]) -> None:
        async with gate:
            for one in pieces:
                await take(one)

    await asyncio.gather(*(run(pieces) for pieces in lanes.values()))
