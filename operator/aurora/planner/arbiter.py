"""Picks at most one action per model and cycle, and keeps why the others lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from aurora.planner.decision import Alternative, Candidate
from aurora.resources.vocabulary import Action

__all__ = ["Blocked", "choose", "standing"]

LOST = "LowerPriority"
"""Reason of an alternative that another candidate went before."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A better proposal that may not be carried out now, with what blocked it."""

    lost: Alternative


def standing(found: Sequence[Candidate], blocked: Sequence[Blocked]) -> list[Candidate]:
    """What may still go when better proposals are blocked.

    A proposal that waits for a person must not keep an alert or a protection from callers. Nothing
    else goes: what a blocked proposal was to mend is still broken, so nothing is taken away.
    """
    if not blocked:
        return list(found)
    held = {one.lost.action for one in blocked}
    return [
        one
        for one in found
        if one.action not in held and (one.protective or one.action is Action.ALERT)
    ]


def choose(found: Sequence[Candidate]) -> tuple[Candidate | None, tuple[Alternative, ...]]:
    """The best candidate and the losers.

    Candidates come best first. One that would only repeat the winner's action is no alternative.
    """
    if not found:
        return None, ()
    winner, losers = found[0], found[1:]
    kept = [
        one
        for one in losers
        if (one.action, one.direction, dict(one.after))
        != (winner.action, winner.direction, dict(winner.after))
    ]
    return winner, tuple(_lost(one, winner) for one in kept)


def _lost(loser: Candidate, winner: Candidate) -> Alternative:
    return Alternative(
        loser.action,
        loser.direction,
        LOST,
        f"{winner.action} {winner.direction} goes first ({winner.reason}); this one says: "
        f"{loser.message}",
    )
