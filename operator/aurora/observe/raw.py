"""Reading fields of an object that may have any shape: a wrong type is an absent field.

An object comes from the API server, but its schema may be another version's, and names, labels
and annotations are whatever somebody wrote. Nothing here raises.
"""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

__all__ = [
    "dig",
    "entries",
    "flag",
    "moment",
    "name",
    "quantity",
    "strings",
    "table",
    "text",
    "whole",
]

_QUANTITY: Final = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([eE][+-]?[0-9]{1,3})|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?"
)
_FACTORS: Final = {
    **{unit: 1024.0**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{unit: 1000.0**power for power, unit in enumerate("numkMGTPE", -3) if power < 0},
    **{unit: 1000.0**power for power, unit in enumerate("kMGTPE", 1)},
}
_EMPTY: Final[Mapping[str, Any]] = {}


def dig(obj: Any, *path: str) -> Any:
    """The value at a path of keys, or None."""
    for key in path:
        # Parsed JSON is dicts; asking for Mapping costs five times as much, millions of times.
        if not isinstance(obj, dict):
            return None
        obj = obj.get(key)
    return obj


def table(obj: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at a path, or an empty one."""
    found = dig(obj, *path)
    return found if isinstance(found, dict) else _EMPTY


def entries(obj: Any, *path: str) -> Iterator[Mapping[str, Any]]:
    """The mappings of the list at a path."""
    found = dig(obj, *path)
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict):
            yield one


def text(obj: Any, *path: str) -> str:
    """The string at a path, or an empty one."""
    found = dig(obj, *path)
    return found if isinstance(found, str) else ""


def name(obj: Any, *path: str) -> str:
    """As `text`, for what many objects say: equal names are one string in memory."""
    return sys.intern(str(text(obj, *path)))


def strings(obj: Any, *path: str) -> dict[str, str]:
    """The string members of the mapping at a path, for labels and annotations.

    As with `name`, equal keys and equal values are one string in memory.
    """
    found, intern = table(obj, *path), sys.intern
    return {
        intern(str(key)): intern(str(value))
        for key, value in found.items()
        if isinstance(key, str) and isinstance(value, str)
    }


def whole(obj: Any, *path: str, default: int = 0) -> int:
    """The whole number at a path."""
    found = dig(obj, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def flag(obj: Any, *path: str) -> bool:
    """Whether the value at a path is true."""
    return dig(obj, *path) is True


def moment(obj: Any, *path: str) -> float | None:
    """The RFC 3339 time at a path, in seconds since the epoch."""
    found = text(obj, *path)
    try:
        at = datetime.fromisoformat(found)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def quantity(value: Any) -> float | None:
    """A Kubernetes quantity in base units (cores, bytes, pieces), or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _finite(value)
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    number = float(found[1] + (found[2] or ""))
    return _finite(number * _FACTORS.get(found[3] or "", 1.0))


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
