"""Where learned state is kept: the interface, and one JSON file.

The file is replaced as a whole (write beside, fsync, rename), so a reader sees the old or the new
one. The version before stays as `FILE.bak`. Writers take turns by a lock on `FILE.lock`, and a
writer that finds the file changed since it last read or wrote it merges instead of overwriting.

    found                          what happens
    truncated or damaged           moved to FILE.damaged-N, FILE.bak is used; nothing is deleted
    older format                   read, and written in the current one from then on
    newer format                   StateError; the file is left as it is
    of another strategy            StateError; the file is left as it is
    changed by another writer      merged; StateConflictError if the strategy cannot merge
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aurora.routing.contract import Snapshot
from aurora.routing.errors import StateConflictError, StateError
from aurora.routing.state_document import Stored, decoded, encode, head

try:
    import fcntl
except ImportError:  # a platform without it: one writer is then the caller's affair
    fcntl = None  # type: ignore[assignment]

__all__ = ["JsonFile", "StateStore", "Write"]


@dataclass(frozen=True, slots=True)
class Write:
    """One thing to write.

    Attributes:
        strategy: name of the strategy.
        number: rises by 1 with each new write of this process; a repeated one keeps its number.
        full: all state, right if nobody else wrote since this process last read or wrote.
        delta: what is new in `full`; None when the strategy cannot merge.
        merge: (base, delta) to the state with both; None when the strategy cannot merge.
    """

    strategy: str
    number: int
    full: Snapshot
    delta: Snapshot | None = None
    merge: Callable[[Snapshot, Snapshot], Snapshot] | None = None

    def onto(self, found: Stored, where: str) -> Snapshot:
        """The state to store after another writer left `found`.

        Raises:
            StateError: it is of another strategy.
            StateConflictError: the strategy cannot merge.
        """
        _same_strategy(found, self.strategy, where)
        if self.delta is None or self.merge is None:
            raise StateConflictError(
                f"another process wrote {where}, and {self.strategy} cannot merge; "
                "give each process a place of its own"
            )
        return self.merge(found.snapshot, self.delta)


class StateStore(Protocol):
    """A place for learned state. Every call may do I/O and raise StateError."""

    def load(self, strategy: str) -> Stored | None:
        """What is stored; None when nothing is. Remembers it as the base of the next write."""
        ...

    def save(self, write: Write) -> Snapshot | None:
        """Store; returns the merged state when another writer was there first, else None."""
        ...

    @property
    def warning(self) -> str | None:
        """What had to be repaired, for the status; None when nothing."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class JsonFile:
    """A `StateStore` in one file; see the module's text."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.warning: str | None = None
        self._seen: tuple[int, int, int] | None = None
        self._revision = 0

    def load(self, strategy: str) -> Stored | None:
        with self._locked():
            found = self._read()
            self._seen = self._identity()
        if found is not None:
            _same_strategy(found, strategy, str(self.path))
            self._revision = found.revision
        return found

    def save(self, write: Write) -> Snapshot | None:
        with self._locked():
            merged = self._merge(write)
            self._replace(write.strategy, write.full if merged is None else merged)
            self._seen = self._identity()
        return merged

    def replace(self, strategy: str, snapshot: Snapshot) -> None:
        """Write a copy, whatever the file held."""
        with self._locked():
            self._replace(strategy, snapshot)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _merge(self, write: Write) -> Snapshot | None:
        """None when nobody else wrote, or what they wrote cannot be read any more."""
        identity = self._identity()
        if identity is None or identity == self._seen:
            return None
        found = self._read()
        # A backup from before our last write is contained in what we have in memory.
        if found is None or found.revision < self._revision:
            return None
        self._revision = found.revision
        return write.onto(found, str(self.path))

    def _read(self) -> Stored | None:
        for path in (self.path, self._beside("bak")):
            try:
                text = path.read_text(encoding="utf-8")
            except FileNotFoundError:
                continue
            except UnicodeDecodeError as error:
                self._set_aside(path, str(error))
                continue
            except OSError as error:
                raise StateError(f"cannot read {path}: {error}") from error
            found = decoded(text, str(path))
            if isinstance(found, Stored):
                return found
            self._set_aside(path, found)
        return None

    def _set_aside(self, path: Path, why: str) -> None:
        number = 1
        while (aside := self._beside(f"damaged-{number}")).exists():
            number += 1
        with suppress(OSError):
            path.rename(aside)
        self.warning = f"{path} could not be read ({why}); kept as {aside.name}"

    def _replace(self, strategy: str, snapshot: Snapshot) -> None:
        self._revision += 1
        try:
            self._write(head(strategy, self._revision), snapshot)
        except (OSError, ValueError) as error:
            self._revision -= 1
            raise StateError(f"cannot write {self.path}: {error}") from error

    def _write(self, start: dict[str, Any], snapshot: Snapshot) -> None:
        folder = self.path.parent
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".new", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                encode(file, start, snapshot)
                file.flush()
                os.fsync(file.fileno())
            self._keep_backup()
            Path(name).replace(self.path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        _sync_folder(folder)

    def _keep_backup(self) -> None:
        backup = self._beside("bak")
        with suppress(OSError):
            backup.unlink(missing_ok=True)
            os.link(self.path, backup)

    def _identity(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self._beside("lock").open("a")
        except OSError as error:
            raise StateError(f"cannot lock {self.path}: {error}") from error
        with file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _same_strategy(found: Stored, strategy: str, where: str) -> None:
    if found.strategy != strategy:
        raise StateError(
            f"{where} was learned by {found.strategy}, not {strategy}; choose another place"
        )


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; not every file system knows how."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
