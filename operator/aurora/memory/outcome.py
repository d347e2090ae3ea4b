"""Whether a decision did what it promised, judged against what would have happened without it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median_low
from typing import Final

from aurora.memory.contract import Contract
from aurora.memory.expectation import expected_of, load_outside
from aurora.observe.sample import UNITS, Sample, Signal
from aurora.planner.decision import Direction
from aurora.resources.autonomy import Verification
from aurora.resources.vocabulary import Action, OutcomeVerdict
from aurora.state.counterfactual import judge
from aurora.state.history import LATENCIES, Moment
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState

__all__ = ["Outcome", "Surroundings", "in_force_at", "settle", "window_of"]

STUCK_FACTOR: Final = 3.0
"""New pods that are not ready after this many cold starts (p90) will not come by waiting."""
LEAST_STUCK_S: Final = 300.0
LOOK_S: Final = 60.0
"""What a longer step between two cycles has beyond it, or beyond twice the usual one, is of a clock
that was set ahead or of a time when nobody looked: pods are not given up for it."""
EARLY_READINGS: Final = 3
"""Readings in a row above the limit that undo an action before its window is over; 2 if watched."""

_JUDGED: Final = frozenset({*LATENCIES, Signal.SERVER_ERROR_RATIO})
"""Signals whose values are kept from cycle to cycle."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What measurement said of one decision.

    Attributes:
        effect, low, high: measured minus expected without the action, in `unit`; None when it
            could not be measured.
        undo: the change has to be taken back.
    """

    verdict: OutcomeVerdict
    message: str
    measured_at: float
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else happened to the target since the action; texts are empty when it did not.

    Attributes:
        foreign: somebody else changed the target's template or replicas.
        other_decision: another Decision was executed.
        autoscaler: the autoscaler stepped.
        lost_pod: a pod that served was lost.
        neighbour: weights moved while replicas were measured, or the other way round.
        left_again: traffic that had returned to the primary had to leave it again.
    """

    foreign: str = ""
    other_decision: str = ""
    autoscaler: str = ""
    lost_pod: str = ""
    left_again: str = ""
    neighbour: str = ""

    @property
    def taken_over(self) -> str:
        """Somebody set another value: nothing of this decision is left to measure or to undo."""
        return self.other_decision or self.foreign

    @property
    def confounder(self) -> str:
        return self.taken_over or self.autoscaler or self.lost_pod or self.neighbour


def in_force_at(contract: Contract, state: SystemState) -> float | None:
    """When the change began to serve; None while its pods are still starting.

    Replicas taken away, switches and weights are in force as soon as they are written.
    """
    wanted, executed = contract.replicas_after, contract.executed_at
    if contract.action is not Action.SCALE or contract.direction is not Direction.UP:
        return executed
    if wanted is None:
        return executed
    found = next((m.at for m in state.history if m.at >= executed and m.ready >= wanted), None)
    if found is None or state.history[0].at <= executed or found > state.history[0].at:
        return found
    # The history is short: without this, the start would move on with its oldest moment.
    return min(found, executed + state.cold_start.p90_s)


def window_of(
    contract: Contract, state: SystemState, verification: Verification
) -> tuple[float, float] | None:
    """Between which times the effect is measured; None while the change is not in force."""
    started = in_force_at(contract, state)
    if started is None:
        return None
    # A reading looks back over its window: until that is past, it holds requests from before.
    begin = started + max(_wait(contract, verification), _reading_window(state))
    return begin, begin + _length(contract, verification)


def settle(
    contract: Contract,
    *,
    state: SystemState,
    before: ModelMemory,
    around: Surroundings,
    verification: Verification,
) -> Outcome | None:
    """Judge a decision; None while it is too early.

    Args:
        contract: what was promised.
        state: the model now, with the cycles since.
        before: what was known when it was decided: the counterfactual comes from it.
        around: what else happened.
        verification: when to measure and for how long.
    """
    at = state.at
    if around.left_again:
        return Outcome(OutcomeVerdict.REGRESSED, f"{around.left_again}.", at)
    if around.taken_over:
        return Outcome(OutcomeVerdict.CONFOUNDED, f"{around.taken_over}.", at)
    measured = window_of(contract, state, verification)
    if measured is None:
        return _stuck(contract, state)
    begin, end = measured
    window = [m for m in state.history if begin <= m.at <= end]
    confounder = around.confounder or _replica_lost(contract, window)
    early = _limit_broken(contract, window)
    if early is not None:
        return _undone_early(early, confounder, at)
    if confounder:
        return Outcome(OutcomeVerdict.CONFOUNDED, f"{confounder}.", at)
    return _measure(contract, window, state, before) if at >= end else None


def _replica_lost(contract: Contract, window: Sequence[Moment]) -> str:
    wanted = contract.replicas_after
    if contract.action is not Action.SCALE or wanted is None:
        return ""
    least = min((m.ready for m in window), default=wanted)
    return f"only {least} of {wanted} replicas were ready meanwhile" if least < wanted else ""


def _undone_early(early: Outcome, confounder: str, at: float) -> Outcome:
    """A broken limit is undone whatever broke it; the action is blamed only for its own."""
    if not confounder:
        return replace(early, measured_at=at)
    message = f"{early.message}; {confounder}"
    return replace(early, verdict=OutcomeVerdict.CONFOUNDED, message=message, measured_at=at)


def _wait(contract: Contract, verification: Verification) -> float:
    return verification.after.total_seconds() / (2.0 if contract.closely else 1.0)


def _length(contract: Contract, verification: Verification) -> float:
    """A decision that is watched closely is verified in half the time."""
    return verification.window.total_seconds() / (2.0 if contract.closely else 1.0)


def _stuck(contract: Contract, state: SystemState) -> Outcome | None:
    limit = max(LEAST_STUCK_S, STUCK_FACTOR * state.cold_start.p90_s)
    waited = _waited_s(contract, state)
    if waited < limit:
        return None
    why = f": {state.pods.why[:200]}" if state.pods.why else ""
    message = (
        f"{state.replicas.ready or 0} of {contract.replicas_after} replicas are ready "
        f"{waited:.0f} s after the action{why}"
    )
    return Outcome(OutcomeVerdict.NO_DATA, message, state.at, undo=True)


def _waited_s(contract: Contract, state: SystemState) -> float:
    """Seconds since the action, each step between two cycles for no more than it can have taken."""
    looks = [moment.at for moment in state.history]
    begun = max(contract.executed_at, min(looks, default=state.at))
    usual = median_low([b - a for a, b in pairwise(looks)]) if len(looks) > 1 else 0.0
    times = [begun, *(at for at in looks if at > begun), state.at]
    steps = [min(b - a, max(LOOK_S, 2.0 * usual)) for a, b in pairwise(times)]
    return begun - contract.executed_at + math.fsum(steps)


def _unmeasured(contract: Contract, at: float) -> Outcome:
    return Outcome(OutcomeVerdict.NO_DATA, f"{contract.action} promised no measurable effect", at)


def _values(signal: Signal, window: Sequence[Moment]) -> list[float]:
    if signal is Signal.SERVER_ERROR_RATIO:
        return [m.errors for m in window if m.errors is not None]
    if signal not in LATENCIES:
        return []
    place = LATENCIES.index(signal)
    return [value for m in window if (value := m.latencies[place]) is not None]


def _limit_broken(contract: Contract, window: Sequence[Moment]) -> Outcome | None:
    """The signal stays above what the contract allows: no need to wait for the window's end."""
    if contract.limit is None or contract.signal is None:
        return None
    needed = EARLY_READINGS - (1 if contract.closely else 0)
    last = _values(contract.signal, window)[-needed:]
    if len(last) < needed or min(last) <= contract.limit:
        return None
    unit = UNITS[contract.signal]
    message = (
        f"{contract.signal.value} was above {contract.limit:.3g} {unit} in {needed} readings in a "
        f"row, last {last[-1]:.3g} {unit}"
    )
    over = last[-1] - contract.limit
    return Outcome(
        OutcomeVerdict.REGRESSED, message, 0.0, over, min(last) - contract.limit, over, unit, True
    )


def _measure(
    contract: Contract, window: Sequence[Moment], state: SystemState, before: ModelMemory
) -> Outcome:
    signal = contract.signal
    if signal is None or signal not in _JUDGED:
        return _unmeasured(contract, state.at)
    outside = load_outside(window, before, contract) if signal in LATENCIES else ""
    if outside:
        return Outcome(OutcomeVerdict.CONFOUNDED, outside, state.at)
    reading_window = _reading_window(state)
    expected = expected_of(contract, signal, window, before, reading_window)
    effect = judge(window, expected, window_s=reading_window) if expected is not None else None
    if effect is None or expected is None:
        found = len(_values(signal, window))
        message = f"{found} readings of {signal.value} in the window are too few to judge"
        return Outcome(OutcomeVerdict.NO_DATA, message, state.at)
    values = _values(signal, window)
    measured = math.fsum(values) / len(values)
    unit = UNITS[signal]
    verdict = effect.verdict
    if verdict is OutcomeVerdict.IMPROVED and measured > (contract.allowed or math.inf):
        # Better than no answer at all, and still not what was promised.
        verdict = OutcomeVerdict.NEUTRAL
    against = "allowed" if contract.keeps else "expected without the action"
    message = (
        f"{signal.value} was {measured:.3g} {unit}, {expected.interval.mean:.3g} {unit} {against} "
        f"({effect.difference.low:+.3g} to {effect.difference.high:+.3g})"
    )
    if verdict is OutcomeVerdict.REGRESSED and _adds_replicas(contract):
        # Taking them back while a fault goes on would make it worse.
        verdict = OutcomeVerdict.CONFOUNDED
        message += "; more replicas slow nothing down, so something else did"
    return Outcome(
        verdict,
        message,
        state.at,
        effect.difference.mean,
        effect.difference.low,
        effect.difference.high,
        unit,
        undo=verdict is OutcomeVerdict.REGRESSED,
    )


def _adds_replicas(contract: Contract) -> bool:
    return contract.action is Action.SCALE and contract.direction is Direction.UP


def _reading_window(state: SystemState) -> float:
    reading = state.reading(Signal.REQUEST_RATE)
    return reading.window_s if isinstance(reading, Sample) and reading.window_s else 60.0
