"""How values become columns: JSON text, packed JSON, clean text and finite numbers.

Names, messages and log lines come from outside. PostgreSQL refuses a NUL character and neither
database can hold a lone surrogate, so text is made storable here instead of failing a whole batch.
"""

import json
import math
import zlib
from typing import Any

import pydantic_core
from sqlalchemy import Dialect, Double, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

__all__ = ["CleanText", "Finite", "JsonText", "PackedJson", "dump", "pack", "unpack"]

_SMALL = 6
"""For states: 20 us each; level 3 would take 14 us and 9 % more disk for 30 days."""

_QUICK = 3
"""For what is written over and over: 20 KB of learned state take 0.2 ms, at level 6 0.5 ms."""


def dump(value: object) -> str:
    """Compact JSON with sorted keys, so that equal values compress and compare as equal.

    Raises:
        ValueError: a number in it is not finite.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"), sort_keys=True)


def pack(value: object, dictionary: bytes = b"", level: int = _SMALL) -> bytes:
    """Compress a value; `dictionary` is an earlier, similar value's JSON.

    A snapshot is small and mostly field names, so zlib alone finds little to share within one:
    the shared dictionary is what makes it small.
    """
    if not dictionary:
        return zlib.compress(_unsorted(value), level)
    squeeze = zlib.compressobj(level, zdict=dictionary)
    return squeeze.compress(dump(value).encode()) + squeeze.flush()


def _unsorted(value: object) -> bytes:
    """As `dump`, keys as they come, in a quarter of its time."""
    try:
        text = pydantic_core.to_json(value, inf_nan_mode="constants")
    except pydantic_core.PydanticSerializationError:  # half of a surrogate pair
        return dump(value).encode()
    # Whether these are words or numbers, only `dump` tells.
    return dump(value).encode() if b"NaN" in text or b"Infinity" in text else text


def unpack(packed: bytes, dictionary: bytes = b"") -> Any:
    """The value that `pack` was given.

    Raises:
        ValueError: the bytes are damaged, or the dictionary is another one.
    """
    expand = zlib.decompressobj(zdict=dictionary) if dictionary else zlib.decompressobj()
    try:
        return json.loads(expand.decompress(packed) + expand.flush())
    except zlib.error as error:
        raise ValueError(f"a packed record cannot be read: {error}") from error


class JsonText(TypeDecorator[Any]):
    """A small JSON value, readable with any SQL client."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002
        return dump(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else json.loads(value)


class PackedJson(TypeDecorator[Any]):
    """A larger JSON value, compressed."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes:  # noqa: ARG002
        return pack(value, level=_QUICK)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else unpack(value)


class CleanText(TypeDecorator[str]):
    """Text from outside; what no database can hold becomes the replacement character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


class Finite(TypeDecorator[float]):
    """A number that is one: SQLite would turn NaN into NULL without a word."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return value
