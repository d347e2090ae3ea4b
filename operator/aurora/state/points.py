"""What a capacity curve is made of, packed: readings by range of load, and points of the curve."""

from array import array
from typing import NamedTuple

from aurora.state.packed import Packed

__all__ = ["Bin", "Bins", "Knot", "Knots"]


class Bin(NamedTuple):
    """Readings at similar load: their weight in windows, mean load, mean and variance of ln y."""

    place: int
    weight: float
    load: float
    level: float
    spread: float
    at: float


class Knot(NamedTuple):
    """One point of the fitted curve: ln latency, spread of one reading, error of the curve."""

    load: float
    level: float
    spread: float
    error: float


class Bins(Packed[Bin]):
    """Readings by range of load, the lowest first."""

    __slots__ = ()
    WIDTH = 6
    ROWS = tuple[Bin, ...]

    @staticmethod
    def _unpacked(numbers: "array[float]") -> Bin:
        return Bin(int(numbers[0]), *numbers[1:])


class Knots(Packed[Knot]):
    """Points of a curve, the lowest load first."""

    __slots__ = ()
    WIDTH = 4
    ROWS = tuple[Knot, ...]

    @staticmethod
    def _unpacked(numbers: "array[float]") -> Knot:
        return Knot(*numbers)
