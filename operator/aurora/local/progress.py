"""What the user sees while programs are fetched or built."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PLAIN_STEP_PERCENT = 10
PLAIN_EVERY_SECONDS = 15.0


class Reporter(Protocol):
    """Receives lines and how far a task is."""

    def say(self, line: str) -> None:
        """One line for the user."""

    def advance(self, task: str, *, done: int, total: int | None, detail: str) -> None:
        """`task` has done so many of `total` steps (None: not known yet)."""

    def finish(self, task: str) -> None:
        """`task` is over."""


class PlainReporter:
    """Lines for a log file or a pipe: each 10 % or 15 s, whichever comes later than the last."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._clock = clock
        self._last: dict[str, tuple[float, int]] = {}

    def say(self, line: str) -> None:
        self._write(line)

    def advance(self, task: str, *, done: int, total: int | None, detail: str) -> None:
        percent = done * 100 // total if total else 0
        now = self._clock()
        last = self._last.get(task)
        if last is not None and not _is_due(last, now=now, percent=percent):
            return
        self._last[task] = (now, percent)
        extent = f"{percent} % ({done} of {total})" if total else "0 %"
        self._write(f"{task}: {extent} {detail}".rstrip())

    def finish(self, task: str) -> None:
        if self._last.pop(task, None) is not None:
            self._write(f"{task}: done")


def _is_due(last: tuple[float, int], *, now: float, percent: int) -> bool:
    then, shown = last
    return percent >= shown + PLAIN_STEP_PERCENT or now - then >= PLAIN_EVERY_SECONDS


class RichReporter:
    """Bars on a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def advance(self, task: str, *, done: int, total: int | None, detail: str) -> None:
        if task not in self._tasks:
            self._tasks[task] = self._progress.add_task(task, total=total, detail=detail)
        self._progress.update(self._tasks[task], completed=done, total=total, detail=detail)

    def finish(self, task: str) -> None:
        if task in self._tasks:
            self._progress.remove_task(self._tasks.pop(task))
            self.say(f"{task}: done")
