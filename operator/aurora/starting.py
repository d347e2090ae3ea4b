"""Starts what one cycle decided: several models at a time, and no longer than the cycle allows."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

import structlog

from aurora.containment import contained
from aurora.critic.ledger import LedgerEntry
from aurora.critic.verdict import Approved, Rejected
from aurora.deliberation import TOLD_S, Deliberated
from aurora.resources import DecisionObject
from aurora.resources.vocabulary import Action, Phase
from aurora.telemetry import Telemetry

__all__ = ["says_the_same", "start_all"]

log = structlog.get_logger(__name__)

AT_ONCE = 16
"""Models that something is started for at the same time: each takes a dozen requests, of which one
waits for the other."""


_SAME_S = 2 * TOLD_S
"""What comes again within it is told of on the same object, which is renewed once an hour."""


async def start_all(
    wanted: Iterable[Deliberated],
    start: Callable[[Deliberated], Awaitable[DecisionObject | None]],
    *,
    telemetry: Telemetry,
    for_s: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[DecisionObject]:
    """Start each, what protects first; one that fails stays with its model.

    Args:
        wanted: at most one for a model.
        start: gives the Decision as it stands then, None where nothing was written.
        telemetry: counts what failed.
        for_s: seconds after which nothing more is begun. What is left is decided anew, on fresh
            numbers, in the next cycle: when hundreds need something at once, the others are still
            looked at in time.
        monotonic: clock, in seconds.
    """
    gate, until = asyncio.Semaphore(AT_ONCE), monotonic() + for_s
    made: list[DecisionObject] = []
    left: list[Deliberated] = []

    async def one(found: Deliberated) -> None:
        async with gate:
            if monotonic() > until:
                left.append(found)
                return
            with contained(telemetry, "decide", found.decision.model):
                started = await start(found)
                made.extend([] if started is None else [started])

    ordered = sorted(wanted, key=lambda found: not found.decision.protective)
    await asyncio.gather(*(one(found) for found in ordered))
    if left:
        log.info("some decisions wait for the next cycle", waiting=len(left), started=len(made))
    return made


def says_the_same(entry: LedgerEntry, found: Deliberated) -> bool:
    """Whether the object of an earlier, equal proposal stands for this one as well."""
    now = found.decision.decided_at
    age = now - entry.fresh_at
    if entry.phase is Phase.AWAITING_APPROVAL:
        return not isinstance(found.verdict, Approved)
    if isinstance(found.verdict, Rejected):
        return entry.phase is Phase.REJECTED and age < _SAME_S
    if found.decision.action is Action.ALERT:
        return entry.phase is Phase.COMPLETED and age < _SAME_S
    lapsed = entry.phase is Phase.EXPIRED and now - (entry.settled_at or 0.0) < TOLD_S
    return lapsed and not isinstance(found.verdict, Approved)
