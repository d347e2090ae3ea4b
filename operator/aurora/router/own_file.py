"""The state file of a router's engines: one that cannot merge has one writer, the newest engine."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aurora.routing import RoutingEngine, RoutingError
from aurora.routing.contract import MergeableStrategy, Snapshot
from aurora.routing.state_store import JsonFile, Write

__all__ = ["OwnFile", "file_of", "handed_over"]


class OwnFile(JsonFile):
    """The file of one engine, until another engine of this process takes it over.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._turn = threading.Lock()
        self.is_handed_over = False

    def save(self, write: Write) -> Snapshot | None:
        """As of any file; nothing once it was handed over."""
        with self._turn:
            return None if self.is_handed_over else super().save(write)

    def hand_over(self, *, over: bool = True) -> None:
        """Write no more, or go on; a write under way ends before."""
        with self._turn:
            self.is_handed_over = over


def file_of(engine: RoutingEngine) -> OwnFile | None:
    """The file that an engine writes; None where it writes none."""
    store = engine.settings.store
    return store if isinstance(store, OwnFile) else None


@contextmanager
def handed_over(engines: Iterable[RoutingEngine], path: Path | None) -> Iterator[None]:
    """Within, `path` has all that these engines learned; who cannot merge writes it no more.

    Where the body fails they go on with their file.

    Raises:
        StateError: it could not be written.
    """
    files = ((engine, file_of(engine)) for engine in engines)
    writers = [
        (engine, file)
        for engine, file in files
        if file is not None and file.path == path and not file.is_handed_over
    ]
    try:
        for engine, file in writers:
            engine.save()
            if not isinstance(engine.strategist.strategy, MergeableStrategy):
                file.hand_over()
        yield
    except RoutingError:
        for _, file in writers:
            file.hand_over(over=False)
        raise
