"""When it is a model's turn to learn: as often as others, in another cycle than most of them.

Models that begin together, at a start or after an outage, would otherwise learn together for good.
"""

import math
import zlib
from typing import Final

from aurora.observe.facts import ObjectKey

__all__ = ["is_turn", "phase_of"]

_STEPS: Final = 2.0**32


def phase_of(key: ObjectKey) -> float:
    """Where in an interval a model has its turn, 0 up to 1; the same in every process."""
    return zlib.crc32(f"{key.namespace}/{key.name}".encode()) / _STEPS


def is_turn(phase: float, *, last: float, at: float, every_s: float) -> bool:
    """Whether a turn has come since the last time; one in each interval, however long cycles are.

    It has where the last time lies more than an interval ahead: of a clock that was set back since.

    Args:
        phase: of the model, see `phase_of`.
        last: when it learned last, seconds since the epoch.
        at: now, the same.
        every_s: the interval, above 0.
    """
    if last - at > every_s:
        return True
    return math.floor(at / every_s - phase) > math.floor(last / every_s - phase)
