"""Reads the JSON of an instant query; a large one row by row, so that it is never there as a whole.

A fleet of 10,000 has 400,000 rows in 50 MB of JSON, which would be 250 MB of Python objects.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pydantic_core

from aurora.collector import collector_off
from aurora.errors import MetricsError
from aurora.observe.answers import QueryAnswer

__all__ = ["Pieces", "parsed_answer", "rows_of"]

PIECE_BYTES: Final = 32 * 1024
"""A larger answer is read in pieces of this size: what is made of one fits into a core's cache.

With 512 kB a row took 3.0 microseconds instead of 1.9 (278,000 rows of 10,000 models).
"""

_RESULT: Final = b'"result":['
_BETWEEN: Final = b'},{"metric":'
"""Both hold quotes, which are escaped inside of a JSON string: they are never part of a label."""


def parsed_answer(body: bytes | bytearray) -> QueryAnswer:
    """Read the JSON of an instant query.

    Raises:
        MetricsError: it is not an answer of the Prometheus API.
    """
    start, last = body.find(_RESULT) + len(_RESULT), body.rfind(_BETWEEN)
    if len(body) <= PIECE_BYTES or not len(_RESULT) <= start < last:
        rows, warnings = _envelope(body)
        return QueryAnswer(rows, warnings, _evaluated_at(rows))
    # Without all rows but the last it is still an answer, and tells what is said of all of them.
    tail, warnings = _envelope(body[:start] + body[last + 2 :])
    return QueryAnswer(Pieces(body, start, last + 1, tail), warnings, _evaluated_at(tail))


def _envelope(body: bytes | bytearray) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    try:
        answer = _from_json(body)
    except ValueError:
        raise MetricsError("the answer is not JSON: is this the Prometheus API?") from None
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or data.get("resultType") not in {"vector", "scalar"}:
        raise MetricsError("the answer is no instant vector: is this the Prometheus API?")
    result = data.get("result")
    if data["resultType"] == "scalar":
        result = [{"metric": {}, "value": result}]
    if not isinstance(result, list):
        raise MetricsError("the answer holds no list of series")
    return result, tuple(str(text) for text in answer.get("warnings") or ())


def _evaluated_at(rows: list[Mapping[str, Any]]) -> float | None:
    """The time of one row, which is that of all; a row that is none is told of where it is read."""
    try:
        return float(rows[-1]["value"][0])
    except (LookupError, TypeError, ValueError):
        return None


class Pieces:
    """The rows of one large answer; read anew each time that they are walked.

    Args:
        body: the whole answer.
        start: where its rows begin.
        end: where all of them but the last end.
        tail: the last row.

    Walking them raises ValueError where the JSON is broken.
    """

    def __init__(
        self, body: bytes | bytearray, start: int, end: int, tail: list[Mapping[str, Any]]
    ) -> None:
        self._body, self._start, self._end, self.tail = body, start, end, tail

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for piece in self.pieces():
            yield from rows_of(piece)
        yield from self.tail

    def pieces(self) -> Iterator[bytes | bytearray]:
        """The text of the rows but those of the tail, some hundred rows at a time."""
        begin = self._start
        while begin < self._end:
            cut = self._body.find(_BETWEEN, begin + PIECE_BYTES, self._end)
            until = self._end if cut < 0 else cut + 1
            yield self._body[begin:until]
            begin = until + 1


def rows_of(piece: bytes | bytearray) -> list[Mapping[str, Any]]:
    """The rows of one of `Pieces.pieces`.

    Raises:
        ValueError: it is no JSON.
    """
    found: list[Mapping[str, Any]] = _from_json(b"".join((b"[", piece, b"]")))
    return found


def _from_json(body: bytes | bytearray) -> Any:
    """Without the garbage collector, which would take two thirds of a large answer's time.

    It walks all rows again and again while they are made, and they hold no cycles to find.
    """
    with collector_off():
        return pydantic_core.from_json(body)
