"""Whether something that was measured lasts: a burst and a run of bad luck pass by themselves."""

from typing import Final

from aurora.observe.sample import Signal
from aurora.planner.inputs import PlanInput
from aurora.state.history import HISTORY, values_of

__all__ = ["lasts_above", "may_pass"]

GIVEN_BACK_AFTER: Final = 2.0
"""Cold starts for which a forecast alone does not bring back what was just taken away."""


def lasts_above(given: PlanInput, signal: Signal, limit: float, *, seconds: float) -> bool:
    """Whether every reading of the last `seconds` was above a limit, in the signal's unit.

    False while fewer seconds were seen (or, where the history is full, less than it holds), and
    where more than half of the readings are missing: a gap is no proof.
    """
    history, began = given.state.history, given.at - seconds
    if not history or (history[0].at > began and len(history) < HISTORY):
        return False
    cycles = sum(1 for moment in history if moment.at >= began)
    values = [value for at, value in values_of(history, signal) if at >= began]
    return bool(values) and 2 * len(values) >= cycles and min(values) > limit


def may_pass(given: PlanInput) -> bool:
    """Whether replicas were just taken away, and no objective is missed without them.

    Most forecasts of that time pass before a replica could be ready; where one comes true, an
    objective is missed, and then nothing waits. Nor does it while no objective can be read.
    """
    taken, ratio = given.taken_away_at, given.state.saturation.slo_ratio
    if taken is None or ratio is None or ratio > 1.0:
        return False
    return given.at - taken < GIVEN_BACK_AFTER * given.state.cold_start.p90_s
