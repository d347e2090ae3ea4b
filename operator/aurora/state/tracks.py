"""Where a load was and where it was going, and how far such a slope is to be believed."""

import math
from array import array
from typing import Final, NamedTuple

from aurora.state.packed import Packed

__all__ = ["DAMPING_S", "SlopeTrust", "Track", "Tracks"]

DAMPING_S: Final = 180.0  # a slope is believed for about this long
TRUST_AFTER: Final = 4
TRUST_KEPT: Final = 0.95  # a minute: half is forgotten in a quarter of an hour


class Track(NamedTuple):
    """Level (unit of the series) and slope (per second) as they were at a time."""

    at: float
    level: float
    slope: float

    def rise(self, horizon_s: float) -> float:
        """What the slope adds until a horizon, damped."""
        return self.slope * DAMPING_S * (1.0 - math.exp(-horizon_s / DAMPING_S))

    def ahead(self, horizon_s: float, trust: float) -> float:
        """The middle of the forecast, never below 0, with a share of the slope."""
        return max(0.0, self.level + trust * self.rise(horizon_s))


class SlopeTrust(NamedTuple):
    """How much of the slope came true: regression of the rise that came on the rise forecast.

    A ramp earns the slope its whole weight; in bursts a rise is followed by a fall, and the slope
    loses it within minutes.
    """

    product: float = 0.0
    square: float = 0.0
    tries: int = 0

    @property
    def share(self) -> float:
        """0 to 1; 1 until it was tried four times."""
        if self.tries < TRUST_AFTER or self.square <= 0.0:
            return 1.0
        return min(max(self.product / self.square, 0.0), 1.0)

    def learned(self, came: float, forecast: float) -> "SlopeTrust":
        return SlopeTrust(
            TRUST_KEPT * self.product + came * forecast,
            TRUST_KEPT * self.square + forecast * forecast,
            min(self.tries + 1, TRUST_AFTER),
        )


class Tracks(Packed[Track]):
    """Tracks, oldest first."""

    __slots__ = ()
    WIDTH = 3
    ROWS = tuple[Track, ...]

    @staticmethod
    def _unpacked(numbers: "array[float]") -> Track:
        return Track(*numbers)
