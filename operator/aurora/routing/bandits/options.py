"""Checks that several strategies share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aurora.routing.bandits.change import ChangeTest
from aurora.routing.contract import Snapshot
from aurora.routing.errors import InputError

__all__ = ["change_test", "fraction", "numbers", "part", "positive"]


def positive(name: str, value: float) -> float:
    """A finite number above 0."""
    if not 0.0 < value < float("inf"):
        raise InputError(f"{name} must be a finite number above 0, not {value!r}")
    return float(value)


def fraction(name: str, value: float) -> float:
    """A number above 0, at most 1."""
    if not 0.0 < value <= 1.0:
        raise InputError(f"{name} must be above 0 and at most 1, not {value!r}")
    return float(value)


def change_test(value: bool | Mapping[str, float] | ChangeTest) -> ChangeTest | None:
    """True for the default test, False for none, or the test's own options."""
    if isinstance(value, ChangeTest):
        return value
    if isinstance(value, Mapping):
        return ChangeTest(**value)
    return ChangeTest() if value else None


def part(snapshot: Snapshot, name: str, kind: type) -> Any:
    """A field of a snapshot, of the right type."""
    found = snapshot.get(name) if isinstance(snapshot, dict) else None
    if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
        raise InputError(f"the snapshot has no usable {name!r}: it is not one of this strategy")
    return found


def numbers(snapshot: Snapshot, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A field of a snapshot as an array of finite numbers of this shape."""
    try:
        found = np.array(part(snapshot, name, list), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name!r} in the snapshot is not made of numbers") from None
    if found.size == 0:
        found = found.reshape(shape) if 0 in shape else found
    if found.shape != shape or not np.all(np.isfinite(found)):
        raise InputError(f"{name!r} in the snapshot must be {shape} finite numbers")
    return found
