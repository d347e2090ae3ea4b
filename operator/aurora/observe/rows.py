"""Rows of a large answer read straight out of its text: no object is made of a row. Pure.

Only what is written as Prometheus writes it, labels in the order of their names, is read like this;
anything else goes through the JSON parser.
"""

import contextlib
import re
from collections.abc import Sequence
from functools import cache
from typing import Final

import pydantic_core

__all__ = ["Row", "numbers_of", "plain_rows"]

_TEXT: Final = r'([^"\\\x00-\x1f]*+)'  # possessive: nothing is kept for going back
_NUMBER: Final = r"([-+.0-9eENaIinf]++)"
_HEAD: Final = '{"metric":{'
_JOINT: Final = f'"]}},{_HEAD}'


Row = tuple[str, str, str, str, str]
"""Namespace, tag, workload (empty where there is none), time and number, as they are written."""


@cache
def _pattern(space: str) -> re.Pattern[str]:
    labels = rf'"{re.escape(space)}":"{_TEXT}","signal":"{_TEXT}"(?:,"workload":"{_TEXT}")?'
    return re.compile(
        rf'{re.escape(_HEAD)}{labels}\}},"value":\[(-?[0-9][0-9.eE+-]*+),"{_NUMBER}"\]\}}'
    )


def plain_rows(piece: bytes | bytearray, spaces: tuple[str, ...]) -> list[Row] | None:
    """Every row of a piece of an answer; None if one of them is of another form.

    Quotes inside of a label are escaped, so what stands between two rows is never part of one.

    Args:
        piece: rows with commas between them.
        spaces: names that the label of the namespace may have.

    Raises:
        ValueError: it is not UTF-8.
    """
    text = piece.decode()
    rows = text.count(_HEAD)
    if text.count(_JOINT) != rows - 1 or not text.startswith(_HEAD) or not text.endswith('"]}'):
        return None
    for space in spaces:
        found: list[Row] = _pattern(space).findall(text)
        if len(found) == rows:
            return found
    return None


def numbers_of(texts: Sequence[str]) -> list[float]:
    """What `float` reads of each text, all at once: in a quarter of its time.

    Args:
        texts: numbers of `plain_rows`; -0 is read as 0.

    Raises:
        ValueError: one of them is no number.
    """
    with contextlib.suppress(ValueError, TypeError, OverflowError):  # +Inf and such are no JSON
        found = pydantic_core.from_json(f"[{','.join(texts)}]")
        if len(found) == len(texts):
            return list(map(float, found))
    return list(map(float, texts))
