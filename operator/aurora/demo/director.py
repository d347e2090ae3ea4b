"""When is the run warm, which fault is due, is it over? Pure: looks at scenes only."""

from dataclasses import dataclass, replace
from typing import Final

from aurora.demo.judge import is_settled
from aurora.demo.scenario import LONGEST_S, LONGEST_WAIT_S, WARM_S, Episode
from aurora.demo.seen import Scene, SeenModel

__all__ = ["Director", "Progress"]

WARM_WITHIN_S: Final = 150.0
"""Cold starts, the operator's start and the first windows take about a third of it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the run stands; times are seconds since 1970.

    Attributes:
        first_at: time of the first scene.
        flowing_since: since when every model's metrics have been there without a break.
        warm_at: when the faults may begin; None before.
    """

    first_at: float | None = None
    flowing_since: float | None = None
    warm_at: float | None = None


@dataclass(frozen=True, slots=True)
class Director:
    """Decides what the demo does next."""

    played: tuple[Episode, ...]

    def advance(self, progress: Progress, scene: Scene) -> Progress:
        """Take one more scene in."""
        first = progress.first_at if progress.first_at is not None else scene.at
        progress = replace(progress, first_at=first)
        if progress.warm_at is not None:
            return progress
        if self.unready(scene):
            return replace(progress, flowing_since=None)
        since = progress.flowing_since if progress.flowing_since is not None else scene.at
        warm = scene.at if scene.at - since >= WARM_S else None
        return replace(progress, flowing_since=since, warm_at=warm)

    def unready(self, scene: Scene) -> tuple[str, ...]:
        """Why the faults cannot begin yet, a sentence for each model that is not ready."""
        return tuple(why for model in scene.models.values() if (why := _why_not(model)))

    def is_too_late(self, progress: Progress, scene: Scene) -> bool:
        """Whether the models should have been warm by now."""
        if progress.warm_at is not None or progress.first_at is None:
            return False
        return scene.at - progress.first_at > WARM_WITHIN_S

    def due(self, progress: Progress, scene: Scene) -> tuple[Episode, ...]:
        """The episodes that begin now."""
        if progress.warm_at is None:
            return ()
        passed = scene.at - progress.warm_at
        return tuple(
            one
            for one in self.played
            if one.fault not in scene.begun and _may_begin(one, passed, scene)
        )

    def is_over(self, progress: Progress, scene: Scene) -> bool:
        """Whether all is judged, or the time is up."""
        if progress.warm_at is None:
            return False
        if scene.at - progress.warm_at >= LONGEST_S:
            return True
        return is_settled(self.played, scene)

    def status(self, progress: Progress, scene: Scene) -> str:
        """Where the run stands, in a line."""
        if progress.warm_at is None:
            waits = self.unready(scene)
            if waits:
                return f"warming up: {waits[0]}"
            return "warming up: AURORA reads every model, a window fills"
        passed = scene.at - progress.warm_at
        return f"{passed:.0f} s since warm, at most {LONGEST_S:.0f}"


def _may_begin(episode: Episode, passed: float, scene: Scene) -> bool:
    if passed < episode.begins_s:
        return False
    if episode.waits_for is None or passed >= LONGEST_WAIT_S:
        return True
    return any(
        one.move == episode.waits_for and one.verdict is not None
        for one in scene.decisions_on(episode.model)
    )


def _why_not(model: SeenModel) -> str:
    if model.ready < model.replicas:
        return f"{model.name} has {model.ready} of {model.replicas} replicas ready"
    return "" if model.metrics else f"{model.name}: {model.why}"
