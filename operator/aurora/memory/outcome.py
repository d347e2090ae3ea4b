"""Whether a decision did what it promised, judged against what would have happened without it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aurora.memory.contract import Contract
from aurora.observe.sample import UNITS, Sample, Signal
from aurora.planner.decision import Direction
from aurora.resources.autonomy import Verification
from aurora.resources.vocabulary import Action, OutcomeVerdict
from aurora.state.counterfactual import (
    Expected,
    ExpectedPoint,
    expected_unchanged,
    expected_without_action,
    judge,
)
from aurora.state.history import LATENCIES, Moment
from aurora.state.interval import Interval
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState

__all__ = ["Outcome", "Surroundings", "in_force_at", "settle"]

STUCK_FACTOR: Final = 3.0
"""New pods that are not ready after this many cold starts (p90) will not come by waiting."""
LEAST_STUCK_S: Final = 300.0
EARLY_READINGS: Final = 3
"""Readings in a row above the limit that undo an action before its window is over; 2 if watched."""
ONE_READING_SPREAD: Final = 0.1
"""Spread of one reading of a percentile, of its logarithm, before any was compared."""
LOAD_PROBABILITY: Final = 0.98
"""A mean load outside of this range of the forecast makes the comparison meaningless."""


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
    """

    foreign: str = ""
    other_decision: str = ""
    autoscaler: str = ""
    lost_pod: str = ""

    @property
    def confounder(self) -> str:
        return self.other_decision or self.foreign or self.autoscaler or self.lost_pod


def in_force_at(contract: Contract, state: SystemState) -> float | None:
    """When the change began to serve; None while its pods are still starting.

    Replicas taken away, switches and weights are in force as soon as they are written.
    """
    wanted = contract.replicas_after
    if contract.action is not Action.SCALE or contract.direction is not Direction.UP:
        return contract.executed_at
    if wanted is None:
        return contract.executed_at
    return next(
        (m.at for m in state.history if m.at >= contract.executed_at and m.ready >= wanted), None
    )


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
    started = in_force_at(contract, state)
    if started is None:
        return _stuck(contract, state)
    # A reading looks back over its window: until that is past, it holds requests from before.
    begin = started + max(_wait(contract, verification), _reading_window(state))
    end = begin + _length(contract, verification)
    if around.confounder:
        return Outcome(OutcomeVerdict.CONFOUNDED, f"{around.confounder}.", at)
    window = [m for m in state.history if begin <= m.at <= end]
    if contract.signal is None:
        return _unmeasured(contract, at) if at >= end else None
    early = _limit_broken(contract, window)
    if early is not None:
        return replace(early, measured_at=at)
    if at < end:
        return None
    return _measure(contract, contract.signal, window, state, before)


def _wait(contract: Contract, verification: Verification) -> float:
    return verification.after.total_seconds() / (2.0 if contract.closely else 1.0)


def _length(contract: Contract, verification: Verification) -> float:
    """A decision that is watched closely is verified in half the time."""
    return verification.window.total_seconds() / (2.0 if contract.closely else 1.0)


def _stuck(contract: Contract, state: SystemState) -> Outcome | None:
    limit = max(LEAST_STUCK_S, STUCK_FACTOR * state.cold_start.p90_s)
    waited = state.at - contract.executed_at
    if waited < limit:
        return None
    why = f": {state.pods.why[:200]}" if state.pods.why else ""
    message = (
        f"{state.replicas.ready or 0} of {contract.replicas_after} replicas are ready "
        f"{waited:.0f} s after the action{why}"
    )
    return Outcome(OutcomeVerdict.NO_DATA, message, state.at, undo=True)


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
    contract: Contract,
    signal: Signal,
    window: Sequence[Moment],
    state: SystemState,
    before: ModelMemory,
) -> Outcome:
    outside = _load_outside(window, before, contract)
    if outside:
        return Outcome(OutcomeVerdict.CONFOUNDED, outside, state.at)
    reading_window = _reading_window(state)
    expected = _expected(contract, signal, window, before, reading_window)
    effect = judge(window, expected, window_s=reading_window) if expected is not None else None
    if effect is None or expected is None:
        found = len(_values(signal, window))
        message = f"{found} readings of {signal.value} in the window are too few to judge"
        return Outcome(OutcomeVerdict.NO_DATA, message, state.at)
    values = _values(signal, window)
    measured = math.fsum(values) / len(values)
    unit = UNITS[signal]
    against = "allowed" if contract.keeps else "expected without the action"
    message = (
        f"{signal.value} was {measured:.3g} {unit}, {expected.interval.mean:.3g} {unit} {against} "
        f"({effect.difference.low:+.3g} to {effect.difference.high:+.3g})"
    )
    return Outcome(
        effect.verdict,
        message,
        state.at,
        effect.difference.mean,
        effect.difference.low,
        effect.difference.high,
        unit,
        undo=effect.verdict is OutcomeVerdict.REGRESSED,
    )


def _expected(
    contract: Contract,
    signal: Signal,
    window: Sequence[Moment],
    before: ModelMemory,
    window_s: float,
) -> Expected | None:
    if contract.keeps:
        return _allowed(contract, signal, window)
    if signal in LATENCIES and contract.replicas_before is not None:
        return expected_without_action(
            before,
            window,
            signal=signal,
            replicas=contract.replicas_before,
            window_s=window_s,
        )
    return expected_unchanged(before.history[-8:], window, signal=signal, window_s=window_s)


def _allowed(contract: Contract, signal: Signal, window: Sequence[Moment]) -> Expected | None:
    """A promise to stay below a limit is compared with the limit itself."""
    if contract.limit is None or contract.limit <= 0 or signal not in LATENCIES:
        return None
    level = math.log(contract.limit)
    points = tuple(ExpectedPoint(m.at, level, 0.0, 0) for m in window)
    exact = Interval(contract.limit, contract.limit, contract.limit)
    return Expected(signal, points, ONE_READING_SPREAD, 0.0, logarithmic=True, interval=exact)


def _reading_window(state: SystemState) -> float:
    reading = state.reading(Signal.REQUEST_RATE)
    return reading.window_s if isinstance(reading, Sample) and reading.window_s else 60.0


def _load_outside(window: Sequence[Moment], before: ModelMemory, contract: Contract) -> str:
    loads = [m.load for m in window if m.load is not None]
    if not loads or not window:
        return ""
    horizon = window[-1].at - contract.decided_at
    found = before.work.forecast(contract.decided_at, max(0.0, horizon), LOAD_PROBABILITY)
    mean = math.fsum(loads) / len(loads)
    if found is None or not found.errors or found.low <= mean <= found.high:
        return ""
    return (
        f"the load was {mean:.3g} on average, outside of the {found.low:.3g} to {found.high:.3g} "
        "that were forecast"
    )
