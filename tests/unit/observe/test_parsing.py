"""Large answers of Prometheus, read in pieces."""

import json
from typing import Any

import pytest

from aurora.errors import MetricsError
from aurora.observe.parsing import parsed_answer


def large_answer(rows: int, *, warnings: list[str]) -> tuple[bytes, list[dict[str, Any]]]:
    """An answer of several pieces, with labels that look like the end of a row."""
    found = [
        {
            "metric": {
                "namespace": f"n{n}",
                "odd": '"}},{"metric":{"a":"' * (n % 3),
                "pad": "x" * 90,
            },
            "value": [1.5, str(n)],
        }
        for n in range(rows)
    ]
    data = {"resultType": "vector", "result": found}
    answer = {"status": "success", "data": data, "warnings": warnings}
    return json.dumps(answer, separators=(",", ":")).encode(), found


def test_a_large_answer_is_read_in_pieces_and_reads_the_same() -> None:
    body, rows = large_answer(20_000, warnings=["half"])
    answer = parsed_answer(body)
    assert not isinstance(answer.rows, list)
    assert list(answer.rows) == rows
    assert list(answer.rows) == rows, "it can be walked again"
    assert answer.warnings == ("half",)


def test_a_large_answer_that_is_cut_off_is_refused_or_breaks_when_it_is_read() -> None:
    body, _ = large_answer(20_000, warnings=[])
    with pytest.raises(MetricsError, match="not JSON"):
        parsed_answer(body[:-3])
    half = len(body) // 2
    broken = body[:half] + b"\x00" + body[half:]
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own
        list(parsed_answer(broken).rows)
