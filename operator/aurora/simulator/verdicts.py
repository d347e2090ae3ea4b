"""AURORA's verdicts held against the truth: the same seed without the action.

For each executed decision that was judged Improved or Regressed the run is played again up to that
decision and then left as it was, through the time that the verdict was measured over. The truth is
read off the requests themselves, exactly, in both runs: no buckets, no scrapes, no delay.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aurora.memory.contract import Contract
from aurora.observe.sample import Signal
from aurora.resources.vocabulary import OutcomeVerdict
from aurora.simulator.aurora_controller import EPOCH, AuroraController, Settled
from aurora.simulator.journal import Journal
from aurora.simulator.pool import Outcome as Answer
from aurora.simulator.pool import Served
from aurora.simulator.run import play
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.trace import Floats, Trace
from aurora.simulator.view import Controller, Desired, MetricsView, PoolFacts
from aurora.state.interval import normal_quantile

__all__ = [
    "Agreement",
    "Untouched",
    "VerdictCheck",
    "agreement_of",
    "check_verdicts",
    "true_level",
    "truth_of",
]

SMALL: Final = math.log(1.05)
"""A true effect below 5 % is none: an operator would not call it better or worse."""
_CLAIMS: Final = (OutcomeVerdict.IMPROVED, OutcomeVerdict.REGRESSED)
_P95: Final = frozenset({Signal.LATENCY_P95, Signal.TTFT_P95, Signal.TPOT_P95})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCheck:
    """One verdict and the truth.

    Attributes:
        at: when the decision was made, seconds from the start of the run.
        promised: "better" (the signal falls) or "kept" (it stays below its limit).
        acted, untouched: true mean of the signal with the action and without it, seconds.
        truth: what an infallible judge would have said.
    """

    at: float
    direction: str
    signal: str
    promised: str
    verdict: str
    truth: str
    acted: float
    untouched: float

    @property
    def agrees(self) -> bool:
        return self.verdict == self.truth


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often Improved and Regressed were true.

    Attributes:
        share: 0 to 1; low and high bound it with 95 % (Wilson, JASA 22, 1927, p. 209).
    """

    claimed: int
    agreed: int
    share: float
    low: float
    high: float


def agreement_of(checks: Sequence[VerdictCheck]) -> Agreement | None:
    """Count the verdicts that agree; None where nothing was claimed."""
    claimed = len(checks)
    if not claimed:
        return None
    agreed = sum(check.agrees for check in checks)
    share, z2 = agreed / claimed, normal_quantile(0.95) ** 2
    centre = (share + z2 / (2 * claimed)) / (1 + z2 / claimed)
    spread = math.sqrt(z2 * share * (1 - share) / claimed + z2**2 / (4 * claimed**2))
    half = spread / (1 + z2 / claimed)
    return Agreement(claimed, agreed, share, max(0.0, centre - half), min(1.0, centre + half))


class Untouched:
    """Does as another controller does until a moment, and from then on nothing."""

    def __init__(self, inner: Controller, until_s: float) -> None:
        self.name = inner.name
        self.window_s = inner.window_s
        self._inner = inner
        self._until_s = until_s

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        return self._inner.step(view, pool) if view.now < self._until_s else Desired(pool.desired)


def check_verdicts(
    controller: AuroraController,
    journal: Journal,
    trace: Trace,
    seed: int,
    settings: SimulationSettings,
) -> tuple[VerdictCheck, ...]:
    """Check every Improved and Regressed of a run that was just played."""
    found = []
    for one in controller.settled:
        if one.outcome.verdict not in _CLAIMS or one.begin is None:
            continue
        untouched = _without(one, trace, controller.fresh(), seed, settings)
        check = _check(one, journal, untouched, controller.window_s, settings.control_interval_s)
        if check is not None:
            found.append(check)
    return tuple(found)


def _without(
    one: Settled, trace: Trace, again: AuroraController, seed: int, settings: SimulationSettings
) -> Journal:
    """Play the same seed again, and leave the decision out."""
    at = one.contract.decided_at - EPOCH
    part = trace.first(one.outcome.measured_at - EPOCH)
    # A part of a run is not in balance: Little's law was checked on the whole of it.
    lenient = replace(settings, little_tolerance=math.inf)
    return play(part, Untouched(again, at), seed, lenient)


def _check(
    one: Settled, journal: Journal, untouched: Journal, window_s: float, cycle_s: float
) -> VerdictCheck | None:
    contract, signal = one.contract, one.contract.signal
    if signal is None or one.begin is None:
        return None
    times = np.arange(one.begin - EPOCH, one.outcome.measured_at - EPOCH + 1e-6, cycle_s)
    levels = [true_level(run.outcomes, signal, times, window_s) for run in (journal, untouched)]
    acted, without = levels
    if acted is None or without is None:
        return None
    return VerdictCheck(
        at=contract.decided_at - EPOCH,
        direction=contract.direction.value,
        signal=signal.value,
        promised="kept" if contract.keeps else "better",
        verdict=one.outcome.verdict.value,
        truth=truth_of(contract, acted, without).value,
        acted=math.exp(acted),
        untouched=math.exp(without),
    )


def truth_of(contract: Contract, acted: float, untouched: float) -> OutcomeVerdict:
    """What the verdict should have been, from the true levels (ln of seconds).

    A promise to get better is about the difference of the two runs. A promise to stay below a
    limit is kept below it; it is broken by the action only where the untouched run kept it.
    """
    if contract.keeps and contract.limit is not None:
        limit = math.log(contract.limit)
        if acted <= limit:
            return OutcomeVerdict.IMPROVED
        return OutcomeVerdict.REGRESSED if untouched <= limit else OutcomeVerdict.NEUTRAL
    if acted - untouched < -SMALL:
        return OutcomeVerdict.IMPROVED
    return OutcomeVerdict.REGRESSED if acted - untouched > SMALL else OutcomeVerdict.NEUTRAL


def true_level(
    answers: Sequence[Answer], signal: Signal, times: Floats, window_s: float
) -> float | None:
    """Mean of ln of a latency, each time over the requests of the window before it.

    Returns:
        None when no window holds a request, or for a signal that is no latency.
    """
    measure = _MEASURES.get(signal)
    if measure is None:
        return None
    seen = [point for answer in answers if (point := measure(answer)) is not None]
    if not seen:
        return None
    at, value = np.array(sorted(seen)).T
    levels = []
    for end in times:
        first, last = np.searchsorted(at, (end - window_s, end), side="right")
        if last > first:
            inside = value[first:last]
            level = np.percentile(inside, 95) if signal in _P95 else inside.mean()
            levels.append(math.log(max(float(level), 1e-6)))
    return math.fsum(levels) / len(levels) if levels else None


def _ttft(answer: Answer) -> tuple[float, float] | None:
    if answer.first_token is None or answer.served is not Served.PRIMARY:
        return None
    return answer.first_token, answer.first_token - answer.request.arrival


def _tpot(answer: Answer) -> tuple[float, float] | None:
    gaps = answer.request.output_tokens - 1
    if answer.first_token is None or gaps < 1 or answer.served is not Served.PRIMARY:
        return None
    return answer.finish, (answer.finish - answer.first_token) / gaps


def _latency(answer: Answer) -> tuple[float, float] | None:
    if answer.first_token is None or answer.served is not Served.PRIMARY:
        return None
    return answer.finish, answer.finish - answer.request.arrival


_MEASURES: Final[dict[Signal, Callable[[Answer], tuple[float, float] | None]]] = {
    Signal.TTFT_P95: _ttft,
    Signal.TPOT_P95: _tpot,
    Signal.TPOT_MEAN: _tpot,
    Signal.LATENCY_P95: _latency,
    Signal.LATENCY_MEAN: _latency,
}
