"""Looks after the policy file: what changed is taken over, what cannot be used is told of."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from aurora.errors import AuroraError
from aurora.router.policy import read_policy
from aurora.router.service import Router
from aurora.router.telemetry import RouterMetrics
from aurora.routing import RoutingError

__all__ = ["PolicyWatch"]

log = structlog.get_logger(__name__)

EVERY_S: Final = 2.0
"""How often the file is looked at: the kubelet takes longer to bring a change."""
Mark = tuple[int, int, int]


class PolicyWatch:
    """Takes over a policy file; one that cannot be used leaves the last good one in force.

    A file that did not change is not read again: with learned state it is up to 900 kB, which
    would hold up requests for longer than a decision may take.

    Args:
        path: of the file.
        router: takes the policy over.
        metrics: tell whether the file is in force.
    """

    def __init__(self, path: Path, router: Router, metrics: RouterMetrics) -> None:
        self._path, self._router, self._metrics = path, router, metrics
        self._seen: Mark | str | None = "never looked"

    async def until(self, stop: asyncio.Event) -> None:
        """Look at the file again and again until told to stop."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()
            except TimeoutError:
                self.look()

    def look(self) -> None:
        """Take the file over if it changed."""
        mark = self._mark()
        if mark == self._seen:
            return
        self._seen = mark
        try:
            adopted = self._router.adopt(read_policy(self._path))
        except (AuroraError, RoutingError) as error:
            self._metrics.policy_ok.set(0)
            log.warning("the policy was not adopted; the one before stays", why=str(error))
            return
        self._metrics.policy_ok.set(1)
        if adopted:
            log.info("policy adopted", strategy=self._router.policy.strategy)

    def _mark(self) -> Mark | None:
        """What changes with the file, also where a mount puts another one in its place."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
