"""The end of the demo: was each fault handled, and was nothing else done? Pure.

A fault was handled when every expected action was executed after the fault began, none of them was
judged Regressed or rolled back, each was judged at all, and what callers saw while the fault
lasted became better. The fleet knows every request: its word stands against AURORA's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aurora.demo.scenario import REQUESTED, UNTOUCHED, Episode
from aurora.demo.seen import Scene, SeenDecision, callers
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase

__all__ = ["Line", "Summary", "answers", "is_settled", "judge"]

_UNDONE: Final = frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.FAILED})
_SLACK_S: Final = 1.0
"""The API server's timestamps are whole seconds."""
FELT_S: Final = 30.0
"""So long callers must have felt an action before the run may end."""
FADE_S: Final = 5.0
"""A fault's first seconds do not count: what was sent before it is still being answered."""


@dataclass(frozen=True, slots=True)
class Line:
    """One fault of the summary; times are seconds after the fault began, None when it never was.

    Attributes:
        decisions: the executed ones that were expected, in order.
        before: what callers saw between fault and action, `after` once it could be felt.
        faults: why it was not handled; empty when it was.
    """

    episode: Episode
    decisions: tuple[SeenDecision, ...]
    decided_after_s: float | None
    done_after_s: float | None
    before: float | None
    after: float | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole judgement; `failures` are sentences, empty when the demo succeeded.

    Attributes:
        first_at: when the first expected action was executed, seconds since 1970.
    """

    lines: tuple[Line, ...]
    failures: tuple[str, ...]
    first_at: float | None = None


def answers(episode: Episode, scene: Scene) -> list[tuple[SeenDecision, ...]]:
    """The executed decisions for each expected action, the oldest first; empty where none is.

    An action may be taken again while the fault grows; the next expected one comes after the
    first of them.
    """
    since = scene.begun.get(episode.fault)
    found: list[tuple[SeenDecision, ...]] = []
    for move in episode.expected:
        matches = tuple(
            one
            for one in scene.decisions_on(episode.model)
            if one.move == move
            and one.executed_at is not None
            and since is not None
            and one.decided_at >= since - _SLACK_S
        )
        found.append(matches)
        since = matches[0].decided_at if matches else since
    return found


def is_settled(played: Sequence[Episode], scene: Scene) -> bool:
    """Whether every expected action was executed and judged, and callers had time to feel it."""
    for episode in played:
        for matches in answers(episode, scene):
            if not matches or any(one.verdict is None for one in matches):
                return False
            last = matches[-1].executed_at or scene.at
            if scene.at < last + episode.settle_s + FELT_S:
                return False
    return True


def judge(played: Sequence[Episode], scene: Scene) -> Summary:
    """Judge the run as it stands."""
    lines = tuple(_line(episode, scene) for episode in played)
    failures = [fault for line in lines for fault in line.faults]
    failures += _uncalled(played, scene)
    executed = (one.executed_at for line in lines for one in line.decisions)
    first = min((at for at in executed if at is not None), default=None)
    return Summary(lines, tuple(failures), first)


def _line(episode: Episode, scene: Scene) -> Line:
    begun = scene.begun.get(episode.fault)
    found = answers(episode, scene)
    first = found[0][0] if found[0] else None
    before, after = _felt(episode, scene, found[0])
    faults = [*_unanswered(episode, found), *_felt_faults(episode, first, before, after)]
    return Line(
        episode,
        tuple(one for matches in found for one in matches),
        _after(begun, first.decided_at if first else None),
        _after(begun, first.executed_at if first else None),
        before,
        after,
        tuple(faults),
    )


def _after(begun: float | None, at: float | None) -> float | None:
    return None if begun is None or at is None else max(0.0, at - begun)


def _unanswered(episode: Episode, found: Sequence[tuple[SeenDecision, ...]]) -> list[str]:
    faults = []
    for (action, direction), matches in zip(episode.expected, found, strict=True):
        what = f"{episode.fault}: {action} {direction} of {episode.model}"
        if not matches:
            faults.append(f"{what} was not executed")
        faults += [f"{what} {why}" for one in matches if (why := _bad_end(one))]
    return faults


def _bad_end(one: SeenDecision) -> str:
    if one.phase in _UNDONE:
        return f"was undone ({one.phase}): {one.outcome}"
    if one.verdict is None:
        return "was not judged before the run ended"
    if one.verdict is OutcomeVerdict.REGRESSED:
        return f"was judged Regressed: {one.outcome}"
    return ""


def _felt(
    episode: Episode, scene: Scene, matches: Sequence[SeenDecision]
) -> tuple[float | None, float | None]:
    """What callers saw before the first and after the last action, while the fault lasted."""
    begun = scene.begun.get(episode.fault)
    times = [one.executed_at for one in matches if one.executed_at is not None]
    if begun is None or not times:
        return None, None
    buckets = scene.models[episode.model].buckets
    ends = min(scene.at, begun + max(one.for_s for one in episode.injections))
    # An action that comes fast leaves no whole bucket after the fade: then from the fault on.
    before = callers(buckets, begun + FADE_S, times[0] + FADE_S) or callers(
        buckets, begun - FADE_S, times[0] + FADE_S
    )
    after = callers(buckets, times[-1] + episode.settle_s, ends)
    key = episode.signal.key
    return (before.value(key) if before else None, after.value(key) if after else None)


def _felt_faults(
    episode: Episode, first: SeenDecision | None, before: float | None, after: float | None
) -> list[str]:
    if first is None:
        return []
    title = f"{episode.fault}: callers' {episode.signal.title} of {episode.model}"
    if before is None or after is None:
        return [f"{title} could not be compared: the fault was too short"]
    if after >= before:
        return [f"{title} did not improve: {before:.3g} before, {after:.3g} after"]
    return []


def _uncalled(played: Sequence[Episode], scene: Scene) -> list[str]:
    """Actions that no fault called for, and any decision at all on the untouched model."""
    by_model = {episode.model: episode for episode in played}
    found = []
    for one in scene.decisions:
        if one.model == UNTOUCHED:
            found.append(f"{one.model} had no fault, but there is {one.name}: {one.message}")
        elif one.executed_at is not None and not _is_called_for(one, by_model, scene):
            found.append(f"{one.name} ({one.title} of {one.model}) was not called for")
    return found


def _is_called_for(one: SeenDecision, by_model: dict[str, Episode], scene: Scene) -> bool:
    if (one.model, one.move) in REQUESTED:
        return True
    episode = by_model.get(one.model)
    begun = scene.begun.get(episode.fault) if episode is not None else None
    if episode is None or begun is None or one.decided_at < begun - _SLACK_S:
        return False
    told = one.action is Action.ALERT  # telling people of the fault changes nothing
    return told or one.move in episode.expected
