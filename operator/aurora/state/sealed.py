"""All numbers of a record as one text: rounded, compressed, in the alphabet of base64."""

import base64
import binascii
import zlib
from array import array
from typing import Any, Final

import numpy as np

from aurora.errors import StoreError

__all__ = ["opened", "place_in", "placed", "sealed"]

_LARGE: Final = 1e6
_TIME_BITS, _BITS = 11, 28
"""Of the 52 that a number has behind its first: times since the epoch are kept to half a
millisecond without the last 11, and what is below a million to seven digits without 28."""
_QUICK: Final = 3
_MOST_BYTES: Final = 2**20
"""When unpacked: a memory that is full in every place has 4,000 numbers, 32 kB."""


def place_in(numbers: "array[float]", more: "array[float]") -> str:
    """Append to the numbers of a record; gives the place to read them from."""
    begin = len(numbers)
    numbers.extend(more)
    return f"{begin}+{len(more)}"


def placed(numbers: "array[float] | None", place: str, *, width: int, gaps: bool) -> Any:
    """What was appended there.

    Raises:
        ValueError: there are no such rows, or a number is NaN that must not be.
    """
    begin, _, count = place.partition("+")
    if numbers is None or not (begin.isdecimal() and count.isdecimal()):
        raise ValueError("no place among the numbers of a record")
    found = numbers[int(begin) : int(begin) + int(count)]
    if len(found) != int(count) or len(found) % width:
        raise ValueError("the numbers of a record are not complete")
    if not gaps and np.isnan(found).any():
        raise ValueError("a number of a record is missing")
    return found


def sealed(numbers: "array[float]") -> str:
    """The numbers, rounded to seven digits and times to milliseconds, as one text.

    The bytes of one weight stand together: signs and exponents, which are alike, and the ends,
    which are zero.

    Raises:
        StoreError: one is infinite.
    """
    found = np.frombuffer(numbers)
    sizes = np.abs(found)
    if np.isinf(sizes).any():
        raise StoreError("the memory holds a number that is not finite")
    bits = found.view(np.int64)
    rounded = np.where(sizes >= _LARGE, _without(bits, _TIME_BITS), _without(bits, _BITS))
    planes = rounded.astype("<i8").view(np.uint8).reshape(-1, 8).T
    return base64.b64encode(zlib.compress(planes.tobytes(), _QUICK)).decode("ascii")


def opened(text: str) -> "array[float]":
    """The numbers that `sealed` was given, rounded.

    Raises:
        ValueError: the text is damaged, a number in it is infinite, or it is far more than a record
            has: a kilobyte may unpack to a megabyte.
    """
    unpacker = zlib.decompressobj()
    try:
        planes = unpacker.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the numbers of a record cannot be read: {error}") from error
    if not unpacker.eof:
        why = "too many" if len(planes) == _MOST_BYTES else "cut off"
        raise ValueError(f"the numbers of a record cannot be read: {why}")
    found = np.frombuffer(planes, np.uint8).reshape(8, -1).T.copy().view("<f8")
    if np.isinf(found).any():
        raise ValueError("a number of a record is not finite")
    return array("d", found.astype("=f8").tobytes())


def _without(bits: Any, last: int) -> Any:
    """Rounded to the next number whose last bits are zero."""
    return (bits + (1 << (last - 1))) & -(1 << last)
