"""Readings that can be measurements, and what speaks against them: looked through once. Pure."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal

__all__ = ["PLAUSIBLE", "Seen", "looked_through"]

PLAUSIBLE: Final = 1e12
"""A larger number is a broken exporter, whatever the unit."""
_NOT_ASKED: Final = Missing(Gap.NO_DATA, "requestRate was not asked for")


class Seen(NamedTuple):
    """The readings, and which of them stand on few requests or lack pods."""

    readings: Mapping[Signal, Reading]
    thin: frozenset[Signal]
    partial: frozenset[Signal]


def looked_through(signals: Mapping[Signal, Reading], least: int) -> Seen:
    """The readings themselves, unless one is no measurement or there is no rate."""
    wrong: dict[Signal, Missing] = {}
    thin, partial = [], []
    for signal, reading in signals.items():
        if not isinstance(reading, Sample):
            continue
        if not -PLAUSIBLE <= reading.value <= PLAUSIBLE:  # written so that NaN is caught as well
            wrong[signal] = Missing(Gap.NOT_FINITE, f"{reading.value} is no measurement")
            continue
        if reading.partial:
            partial.append(signal)
        if reading.samples is not None and reading.samples < least:
            thin.append(signal)
    if Signal.REQUEST_RATE not in signals:
        wrong[Signal.REQUEST_RATE] = _NOT_ASKED
    readings = {**signals, **wrong} if wrong else signals
    return Seen(readings, frozenset(thin), frozenset(partial))
