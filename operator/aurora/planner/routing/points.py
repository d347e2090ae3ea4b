"""Shares in whole points that sum to 100, and a step of so many points towards others."""

import math
from collections.abc import Mapping
from typing import Final

from aurora.planner.decision import WHOLE

__all__ = ["LEAST_MOVED", "completed", "moved", "points", "stepped"]

LEAST_MOVED: Final = 5
"""Points below which weights that follow measurements stay: a p95 is never quite still."""


def points(shares: Mapping[str, float], *, whole: int = WHOLE) -> dict[str, int]:
    """Whole points in proportion to the shares (largest remainder; ties go to the first name).

    A share above 0 keeps a point where there are enough, so that rounding ends no backend's
    traffic. Without any share above 0 every backend gets 0.
    """
    known = {name: max(0.0, share) for name, share in shares.items()}
    total = math.fsum(known.values())
    if total <= 0 or not math.isfinite(total):
        return dict.fromkeys(known, 0)
    exact = {name: share * whole / total for name, share in known.items()}
    made = {name: math.floor(value) for name, value in exact.items()}
    left = whole - sum(made.values())
    order = sorted(exact, key=lambda name: (made[name] - exact[name], name))
    for name in order[:left]:
        made[name] += 1
    return _none_lost(made, known)


def _none_lost(made: dict[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    lost = [name for name, share in shares.items() if share > 0 and made[name] == 0]
    for name in lost:
        richest = max(made, key=lambda one: (made[one], one))
        if made[richest] > 1:
            made[richest] -= 1
            made[name] += 1
    return made


def completed(fixed: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """Fixed points, and the others in proportion over what is left of 100."""
    left = max(0, WHOLE - sum(fixed.values()))
    return {**fixed, **points(shares, whole=left)}


def stepped(now: Mapping[str, int], wanted: Mapping[str, int], most: int) -> dict[str, int]:
    """Move at most `most` points from those with too many to those with too few.

    Args:
        now: points in force, of every backend, summing to 100.
        wanted: the same for where they are to go.
        most: points of one step.
    """
    made = dict(now)
    for _ in range(most):
        over = max(made, key=lambda name: (made[name] - wanted[name], name))
        under = max(made, key=lambda name: (wanted[name] - made[name], name))
        if made[over] <= wanted[over] or made[under] >= wanted[under]:
            break
        made[over] -= 1
        made[under] += 1
    return made


def moved(now: Mapping[str, int], then: Mapping[str, int]) -> int:
    """Points that change hands."""
    return sum(max(0, then[name] - now.get(name, 0)) for name in then)
