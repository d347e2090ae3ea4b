"""Picks at most one action per model and cycle, and keeps why the others lost."""

from collections.abc import Sequence

from aurora.planner.decision import Alternative, Candidate

__all__ = ["choose"]

LOST = "LowerPriority"
"""Reason of an alternative that another candidate went before."""


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
