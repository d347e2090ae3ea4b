"""Whether enough is seen to take replicas away. Adding them needs less."""

from typing import Final

from aurora.critic.finding import Finding
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.observe.sample import Gap, Missing, Sample, Signal
from aurora.resources.vocabulary import Action
from aurora.state.capacity import LoadUnit

_TOKENS: Final = (Signal.PROMPT_TOKEN_RATE, Signal.GENERATION_TOKEN_RATE)
_WINDOW_S: Final = 60.0
"""Assumed of an own query, whose window is not known."""


def evidence_missing(given: CriticInput) -> Finding:
    """Replicas are taken away only while the load and every objective are seen whole."""
    if not given.request.takes_away or given.request.action is not Action.SCALE:
        return None
    for signal in _needed_to_shrink(given):
        reading = given.state.reading(signal)
        if isinstance(reading, Missing) and not _too_quiet(given, signal, reading):
            return CheckReason.EVIDENCE_MISSING, f"{signal} is missing ({reading.gap})"
        if isinstance(reading, Sample) and reading.partial:
            return CheckReason.EVIDENCE_MISSING, f"{signal} is partial: some pods did not answer"
    return None


def _needed_to_shrink(given: CriticInput) -> tuple[Signal, ...]:
    counted = _TOKENS if given.state.capacity.unit is LoadUnit.TOKENS else ()
    errors = given.observation.model.spec.objectives.error_rate_percent
    failing = () if errors is None else (Signal.SERVER_ERROR_RATIO,)
    return (Signal.REQUEST_RATE, *counted, *given.state.objectives, *failing)


def _too_quiet(given: CriticInput, signal: Signal, reading: Missing) -> bool:
    """Whether there are too few requests for a percentile or ratio: quiet is no lack of evidence.

    A percentile is believed from metrics.minSamples requests on, a ratio from the first.
    """
    rate = given.state.reading(Signal.REQUEST_RATE)
    if reading.gap is not Gap.NO_DATA or not isinstance(rate, Sample) or signal in _TOKENS:
        return False
    least = given.observation.model.spec.metrics.min_samples
    percentile = signal in given.state.objectives
    expected = rate.value * (rate.window_s or _WINDOW_S)
    return expected < least if percentile else rate.value == 0.0
