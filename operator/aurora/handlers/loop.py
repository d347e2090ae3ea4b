"""The control loop: one cycle after the other, woken early by what a person just did."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from aurora.errors import AuroraError

__all__ = ["ControlLoop", "StalledError"]

INTERVAL_S = 15.0
DEBOUNCE_S = 0.5
"""How long an early wake-up waits for more: `kubectl apply` of a folder is one cycle, not ten.

It counts from the wake-up. What came during a cycle has waited already: while hundreds are edited,
to wait again after each cycle would only leave more to write after the last edit.
"""
SHORTEST_STALL_S = 60.0
STALLED_INTERVALS = 4.0

log = logging.getLogger(__name__)


class StalledError(AuroraError):
    """No cycle has ended for too long: restart the process."""


class ControlLoop:
    """Runs `run_cycle` every `interval_s`, and never ends because one of them failed.

    A cycle that hangs is cancelled after `limit_s`. A cycle that fails counts as ended: restarting
    the process does not mend the cause, and the failure is logged and counted.

    Attributes:
        cycles: how many ended well.
        failures: how many failed or were cancelled for hanging.
    """

    def __init__(
        self,
        run_cycle: Callable[[], Awaitable[None]],
        *,
        interval_s: float = INTERVAL_S,
        debounce_s: float = DEBOUNCE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cycles = 0
        self.failures = 0
        self._run_cycle = run_cycle
        self._interval_s = interval_s
        self._debounce_s = debounce_s
        self._monotonic = monotonic
        self._woken = asyncio.Event()
        self._woken_at = self._alive_at = monotonic()
        self._limit_s = max(SHORTEST_STALL_S, STALLED_INTERVALS * interval_s)

    def wake(self) -> None:
        """Ask for a cycle soon; safe to call at any rate."""
        if not self._woken.is_set():
            self._woken_at = self._monotonic()
        self._woken.set()

    def beat(self) -> None:
        """Say that the process gets on, while it is not yet in its cycles."""
        self._alive_at = self._monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since a cycle last ended."""
        return self._monotonic() - self._alive_at

    def check(self) -> float:
        """The age of the last cycle, for a liveness probe.

        Raises:
            StalledError: it is too old; the watchdog should have cancelled what hangs, so the
                loop itself is dead.
        """
        age, limit = self.age_s, 2 * self._limit_s
        if age > limit:
            raise StalledError(f"no control cycle has ended for {age:.0f} s (limit {limit:.0f} s)")
        return age

    async def run(self) -> None:
        """Run cycles until cancelled."""
        while True:
            started = self._monotonic()
            self._woken.clear()
            await self._one()
            await self._rest(started + self._interval_s)

    async def _one(self) -> None:
        try:
            async with asyncio.timeout(self._limit_s) as watchdog:
                await self._run_cycle()
            self.cycles += 1
        except AuroraError as error:
            self.failures += 1
            log.warning("the control cycle failed: %s", error)
        except Exception:
            # One of the two outermost loops: a fault in one cycle must not end all of them.
            self.failures += 1
            if watchdog.expired():
                log.exception("the control cycle hung: cancelled after %.0f s", self._limit_s)
            else:
                log.exception("the control cycle failed unexpectedly")
        self.beat()

    async def _rest(self, until: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, until - self._monotonic())):
                await self._woken.wait()
                await asyncio.sleep(self._woken_at + self._debounce_s - self._monotonic())
        except TimeoutError:
            return
