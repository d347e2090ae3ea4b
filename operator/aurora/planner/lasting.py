"""Whether something that was measured lasts: a burst and a run of bad luck pass by themselves."""

from aurora.observe.sample import Signal
from aurora.planner.inputs import PlanInput
from aurora.state.history import HISTORY, values_of

__all__ = ["lasts_above"]


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
