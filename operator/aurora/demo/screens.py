"""Where the scenes go: a table drawn in place on a terminal, lines in a log."""

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from aurora.demo.scenario import Episode
from aurora.demo.seen import Scene, SeenDecision
from aurora.demo.view import decision_line, live_table, model_line

__all__ = ["LineScreen", "TableScreen"]

EVERY_S: Final = 15.0
"""How often a log gets a line per model; decisions and faults are told at once."""


class TableScreen:
    """Draws the table again in the same place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, scene: Scene, played: tuple[Episode, ...], status: str) -> None:
        """Draw one scene."""
        self._live.update(live_table(scene, played, status=status), refresh=True)


class LineScreen:
    """Writes lines: what changed at once, each model every 15 s."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told_at = 0.0
        self._known: dict[str, SeenDecision] = {}
        self._begun: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, scene: Scene, played: tuple[Episode, ...], status: str) -> None:
        """Write what is new in a scene."""
        for episode in played:
            if episode.fault in scene.begun and episode.fault not in self._begun:
                self._begun.add(episode.fault)
                self._say(f"fault {episode.fault} on {episode.model}: {episode.what}")
        for one in scene.decisions:
            if self._known.get(one.name) != one:
                self._known[one.name] = one
                self._say(decision_line(one))
        if scene.at - self._told_at >= EVERY_S:
            self._told_at = scene.at
            self._say(status)
            for model in scene.models.values():
                self._say(f"  {model_line(model, scene, played)}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
