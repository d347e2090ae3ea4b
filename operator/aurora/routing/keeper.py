"""Saves learned state in the background, so that a decision never waits for a disk.

A save is due every 10 decisions (or outcomes). Those that come due while one is being written are
one save. A save of a large table takes time, so the next starts only when saving would take at most
`DUTY` of the time; a small table is saved within milliseconds.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from aurora.routing.contract import MergeableStrategy, RoutingStrategy, Snapshot
from aurora.routing.errors import InputError, RoutingError, StateError
from aurora.routing.state_store import StateStore, Write

__all__ = ["Keeper"]

DUTY: Final = 0.05
RETRY_SECONDS: Final = 5.0


class Keeper:
    """Loads and saves the state of one strategy.

    Args:
        strategy: whose state; every access is under `lock`.
        store: where it is kept; never called under `lock`.
        lock: the engine's.
    """

    def __init__(
        self,
        strategy: RoutingStrategy,
        store: StateStore,
        lock: threading.Lock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._strategy, self._store, self._lock = strategy, store, lock
        self._monotonic = monotonic
        self._writing = threading.Lock()
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._unsent: Write | None = None
        self._number = 0
        self.saves = 0
        self.last_error: str | None = None

    @property
    def warning(self) -> str | None:
        """What had to be repaired while reading, or why the last save failed."""
        return self.last_error or self._store.warning

    def load(self) -> bool:
        """Take over what is stored; False when nothing is.

        Raises:
            StateError: it cannot be read or does not fit the strategy.
        """
        with self._writing:
            found = self._store.load(self._strategy.name)
            if found is None:
                return False
            with self._lock:
                self._take_over(found.snapshot)
        return True

    def save(self) -> None:
        """Write now, and merge with what other replicas wrote.

        Raises:
            StateError: it could not be written; it is tried again with the next save.
        """
        with self._writing:
            if self._unsent is not None:
                self._send(self._unsent)
            with self._lock:
                self._unsent = self._next()
            self._send(self._unsent)

    def due(self) -> None:
        """A save is due; returns at once."""
        if self._thread is None:
            self._start()
        self._due.set()

    def close(self, *, save: bool = True) -> None:
        """Stop, by default after writing what is left. A second call does nothing.

        Raises:
            StateError: the last save failed.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        try:
            if save:
                self.save()
        finally:
            self._store.close()

    def _next(self) -> Write:
        self._number += 1
        strategy = self._strategy
        if not isinstance(strategy, MergeableStrategy):
            return Write(strategy.name, self._number, strategy.snapshot())
        delta = strategy.take_delta()
        return Write(strategy.name, self._number, strategy.snapshot(), delta, strategy.merged)

    def _send(self, write: Write) -> None:
        # Kept with its number until it is known to be stored, so that it counts exactly once.
        merged = self._store.save(write)
        self._unsent = None
        self.saves += 1
        self.last_error = None
        if merged is not None and isinstance(self._strategy, MergeableStrategy):
            with self._lock:
                self._strategy.rebase(merged)

    def _take_over(self, snapshot: Snapshot) -> None:
        try:
            self._strategy.restore(snapshot)
        except InputError as error:
            raise StateError(f"the stored state does not fit: {error}") from error
        self._unsent = None
        # What was just restored is stored already, so it is not new.
        if isinstance(self._strategy, MergeableStrategy):
            self._strategy.take_delta()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="aurora-routing-save", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._due.wait()
            self._due.clear()
            if self._closing.is_set():
                return
            self._closing.wait(self._save_once())

    def _save_once(self) -> float:
        """Seconds until the next save may start."""
        began = self._monotonic()
        try:
            self.save()
        except (RoutingError, OSError) as error:
            self.last_error = str(error)
            self._due.set()
            return RETRY_SECONDS
        return (self._monotonic() - began) * (1.0 / DUTY - 1.0)
