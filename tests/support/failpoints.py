"""Operators as processes that a test can kill or stop, and what stands in for clock and disk.

A process is forked from a server that has imported AURORA already: it starts in a tenth of a
second, is a process of its own all the same, and runs what `aurora operator` runs. Between which
two external writes it dies is said by the fault proxy in front of it (`killed_after`): when the API
server has done the write and before the answer comes back.
"""

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support.faultproxy import Fault
from tests.support.faultproxy_calls import Call
from tests.support.faultproxy_handlings import after, nth_write

__all__ = ["OperatorProcess", "Patience", "killed_after", "locked_store"]

_IMPORTED = ["aurora.operator_cli", "aurora.factory", "aurora.handlers.operator", "tests.support"]


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_IMPORTED, "tests.support.failpoints"])
    return context


@dataclass(frozen=True)
class Patience:
    """Times that are too long for a test.

    Attributes:
        inactivity_s: how long a watch may be silent before it counts as dead.
        sweep_s: from one sweep of everything to the next.
    """

    inactivity_s: float = 70.0
    sweep_s: float = 600.0


def _operate(fields: dict[str, Any], log: str, patience: Patience, offset: Any) -> None:
    """What the process runs; its log goes to a file."""
    with Path(log).open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from aurora import factory
    from aurora.config import Settings
    from aurora.handlers import kopfsettings
    from aurora.handlers.sweep import Sweeper
    from aurora.logs import configure
    from aurora.operator_cli import _operate as operate

    configure("json")
    kopfsettings.INACTIVITY_S = patience.inactivity_s
    Sweeper.keep.__kwdefaults__["every_s"] = patience.sweep_s
    Sweeper.keep.__kwdefaults__["look_s"] = min(5.0, patience.sweep_s / 4)
    # The wall clock is injected where the operator is put together; a test can set it.
    factory.time = SimpleNamespace(  # type: ignore[assignment]
        time=lambda: time.time() + offset.value, monotonic=time.monotonic
    )
    # A test's cycle may be shorter than people's: most of its time is waiting for the next one.
    wanted = {name: fields.pop(name) for name in ("cycle_seconds",) if name in fields}
    asyncio.run(operate(Settings(**fields).model_copy(update=wanted)))


@dataclass
class OperatorProcess:
    """One process of the operator; started again, it is another one.

    Attributes:
        fields: of its Settings.
        log: where its output goes.
        patience: times that are too long for a test.
        offset: seconds that its wall clock is ahead; set `value` at any time.
    """

    fields: dict[str, Any]
    log: Path
    patience: Patience = field(default_factory=Patience)
    process: ForkServerProcess | None = None
    offset: Any = field(default_factory=lambda: _server().Value("d", 0.0))

    def start(self) -> None:
        assert self.process is None or not self.process.is_alive()
        given = (self.fields, str(self.log), self.patience, self.offset)
        self.process = _server().Process(target=_operate, args=given, daemon=True)
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.is_alive()

    @property
    def exit_code(self) -> int | None:
        return self.process.exitcode if self.process is not None else None

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-50_000:]

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        self.join()

    def stop(self) -> None:
        """SIGSTOP: it does nothing more and knows nothing of it."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def end(self) -> None:
        """SIGTERM, as Kubernetes ends a pod; the proxy goes on meanwhile."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
        await asyncio.to_thread(self.join)

    async def dies(self, within_s: float = 60.0) -> None:
        """Wait until it is gone by itself or by a failpoint."""
        await asyncio.to_thread(self.join, within_s)

    def join(self, within_s: float = 40.0) -> None:
        if self.process is None:
            return
        self.process.join(within_s)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            raise AssertionError(f"the operator did not end within {within_s:g} s: see {self.log}")


def killed_after(writes: int, process: OperatorProcess) -> Fault:
    """The process dies when so many of its writes are done, before the last one is answered."""

    async def kill(_: Call) -> None:
        os.kill(process.pid, signal.SIGKILL)

    return Fault(f"killed after write {writes}", nth_write(writes - 1), after(kill), times=1)


def _hold(path: str, held: Any, let_go: Any) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    held.set()
    let_go.wait()
    connection.execute("ROLLBACK")
    connection.close()


@contextmanager
def locked_store(path: Path) -> Iterator[Callable[[], None]]:
    """Another process holds the write lock of the SQLite file; the answer lets go of it early."""
    context = _server()
    held, let_go = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(path), held, let_go), daemon=True)
    holder.start()
    try:
        assert held.wait(30), "the lock was not taken"
        yield let_go.set
    finally:
        let_go.set()
        holder.join(30)
