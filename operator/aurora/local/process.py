"""Start, find and stop the programs of one control plane.

Every program carries its state folder and its name in its environment. That mark, read from
/proc, is the only ground on which a process is stopped: there is no pid file that could name
somebody else's process after a crash or a reboot.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aurora.local.errors import LocalError

FOLDER_MARK = "AURORA_LOCAL_FOLDER"
NAME_MARK = "AURORA_LOCAL_COMPONENT"

_PROC = Path("/proc")
_PASSED_ON = ("HOME", "PATH", "TMPDIR", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
_CLUES = (
    ("address already in use", "no space left on device", "disk quota exceeded"),
    ("permission denied", "panic:", "level=error"),
)


@dataclass(frozen=True, slots=True)
class Running:
    """A live program of a control plane."""

    component: str
    pid: int


def spawn(component: str, argv: Sequence[str], *, folder: Path, log: Path) -> int:
    """Start a program in a session of its own and return its pid.

    Its output goes to `log`. Raises LocalError when it cannot be executed.
    """
    output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        output,
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {FOLDER_MARK: str(folder), NAME_MARK: component}
    try:
        pid = os.posix_spawn(argv[0], tuple(argv), environment, file_actions=actions, setsid=True)
    except OSError as error:
        raise LocalError(f"{component}: cannot execute {argv[0]}: {error.strerror}") from error
    _await_mark(pid)
    return pid


def _await_mark(pid: int) -> None:
    """Wait until the mark can be read: the kernel lets us go on a moment before it is in place."""
    deadline = time.monotonic() + 1.0
    environ = _PROC / str(pid) / "environ"
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if environ.read_bytes():
                return
        time.sleep(0.001)


def find(folder: Path) -> list[Running]:
    """Every live process that carries the mark of `folder`."""
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    found = [Running(name, pid) for pid in pids if (name := _component(pid, folder))]
    return sorted(found, key=lambda running: running.component)


def _component(pid: int, folder: Path) -> str | None:
    try:
        marks = _environment((_PROC / str(pid) / "environ").read_bytes())
        state = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # gone meanwhile, or another user's
    if marks.get(FOLDER_MARK) != str(folder) or _is_zombie(state):
        return None
    return marks.get(NAME_MARK)


def _environment(raw: bytes) -> Mapping[str, str]:
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if item)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _is_zombie(stat: str) -> bool:
    # The command name may itself contain ")" and spaces; the state follows the last one.
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def exit_code(pid: int) -> int | None:
    """How our own child ended; None while it runs. Negative is the signal that ended it."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None if (_PROC / str(pid)).exists() else 0
    return os.waitstatus_to_exitcode(status) if done else None


def stop(running: Iterable[Running], *, folder: Path, grace_seconds: float) -> list[Running]:
    """End the given processes, first asking, then by force; returns those that survived.

    A process is pinned by a pidfd before its mark is read again, so a pid that was given to
    somebody else meanwhile is left alone.
    """
    pinned = [(one, fd) for one in running if (fd := _pin(one, folder)) is not None]
    try:
        _signal(pinned, signal.SIGTERM)
        alive = _wait(pinned, seconds=grace_seconds)
        _signal(alive, signal.SIGKILL)
        return [one for one, _ in _wait(alive, seconds=5.0)]
    finally:
        for one, descriptor in pinned:
            os.close(descriptor)
            _reap(one.pid)


def _pin(running: Running, folder: Path) -> int | None:
    try:
        descriptor = os.pidfd_open(running.pid)
    except ProcessLookupError:
        return None
    if _component(running.pid, folder) == running.component:
        return descriptor
    os.close(descriptor)
    return None


def _signal(pinned: Iterable[tuple[Running, int]], number: signal.Signals) -> None:
    for _, descriptor in pinned:
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            continue


def _wait(pinned: list[tuple[Running, int]], *, seconds: float) -> list[tuple[Running, int]]:
    """Those of `pinned` that still run after `seconds`; a pidfd is readable once it ended."""
    alive = {descriptor: one for one, descriptor in pinned}
    deadline = time.monotonic() + seconds
    poll = select.poll()
    for descriptor in alive:
        poll.register(descriptor, select.POLLIN)
    while alive and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            poll.unregister(descriptor)
            alive.pop(descriptor)
    return [(one, descriptor) for descriptor, one in alive.items()]


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # started by an earlier command: init reaps it


def telling_line(log: Path, *, limit: int = 300) -> str:
    """The line of a log that best says why the program stopped, at most `limit` characters."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return pick_line(lines)[:limit]


def pick_line(lines: Sequence[str]) -> str:
    """The last line with a known cause, else with a sign of one, else an error, else the last."""
    stripped = [line.strip() for line in lines[-200:] if line.strip()]
    for clues in _CLUES:
        for line in reversed(stripped):
            if any(clue in line.lower() for clue in clues):
                return line
    for line in reversed(stripped):
        if line[:2] in {"E0", "E1", "F0", "F1"} or line.lower().startswith("error"):
            return line
    return stripped[-1] if stripped else ""
