"""Rows that are read straight out of an answer's text: the same as the JSON parser gives."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aurora.observe import parsing
from aurora.observe.answers import QueryAnswer
from aurora.observe.parsing import Pieces, parsed_answer
from aurora.observe.queries.settings import LabelNames, MetricsSettings
from aurora.observe.rows import numbers_of, plain_rows
from aurora.observe.table import Table, add_answer

SETTINGS = MetricsSettings(gpu_labels=LabelNames(namespace="exported_namespace"))
ODD = '"},{"metric":{"a":"'


def text_of(rows: list[dict[str, Any]]) -> bytes:
    return ",".join(json.dumps(row, separators=(",", ":")) for row in rows).encode()


def row(workload: str = "w", *, space: str = "namespace", **more: str) -> dict[str, Any]:
    labels = {space: "n", "signal": "vllm:ttftP95", "workload": workload, **more}
    written = {name: label for name, label in sorted(labels.items()) if label}
    return {"metric": written, "value": [1800000000.123, "0.5"]}


def tables_of(rows: list[dict[str, Any]]) -> tuple[Table, Table]:
    """What is read of pieces of a few rows, and of all rows as the JSON parser gives them."""
    body = b'{"status":"success","data":{"resultType":"vector","result":[%s]}}' % text_of(rows)
    with patch.object(parsing, "PIECE_BYTES", 150):
        answer = parsed_answer(body)
        assert isinstance(answer.rows, Pieces)
        add_answer(straight := Table(), "latency", answer, SETTINGS)
    add_answer(parsed := Table(), "latency", QueryAnswer(rows), SETTINGS)
    return straight, parsed


texts = st.sampled_from(["", "n", "team-1", ODD, "\\", "é", "x,y"])
numbers = st.sampled_from(["0.5", "NaN", "+Inf", "-Inf", "1e-7", "12", "", "1x"])


@st.composite
def any_row(draw: st.DrawFn) -> dict[str, Any]:
    names = ["namespace", "exported_namespace", "workload", "signal", "zone"]
    labels = {name: draw(texts) for name in names if draw(st.integers(0, 4))}
    written = {
        name: label for name, label in sorted(labels.items()) if label or draw(st.booleans())
    }
    return {"metric": written, "value": [draw(st.sampled_from([1.8e9, 1.8e9 + 5])), draw(numbers)]}


rows_of_all_kinds = st.lists(
    any_row() | st.sampled_from([row(), row("v")]), min_size=4, max_size=12
)


@settings(deadline=None)
@given(rows_of_all_kinds)
def test_a_table_is_the_same_whichever_way_its_rows_are_read(rows: list[dict[str, Any]]) -> None:
    straight, parsed = tables_of([*rows, row("a"), row("b")])
    if parsed.failures:  # where it fails, the number of rows that were read before differs
        assert straight.failures == parsed.failures
    else:
        assert repr(straight.workloads) == repr(parsed.workloads)  # NaN equals nothing
        assert (straight.doubled, straight.evaluated_at) == (parsed.doubled, parsed.evaluated_at)


def test_rows_as_prometheus_writes_them_need_no_parser() -> None:
    found = plain_rows(text_of([row("a"), row(""), row("b")]), ("namespace",))
    assert found == [
        ("n", "vllm:ttftP95", workload, "1800000000.123", "0.5") for workload in ("a", "", "b")
    ]


digits = st.text("-+.0123456789eENaIinf", max_size=6)
written = (
    digits
    | st.floats().map(repr)
    | st.sampled_from(["+Inf", "-Inf", "NaN", "12", "1e400", "1" * 400])
)


@given(st.lists(written, max_size=5))
@example(["1", "1.5", "NaN"])
@example(["1e-7", "-Infinity", "007"])
@example(["1" * 400, "1"])
def test_numbers_are_read_as_float_reads_each(texts: list[str]) -> None:
    try:
        expected = [float(text) for text in texts]
    except ValueError:
        with pytest.raises(ValueError, match="could not convert"):
            numbers_of(texts)
        return
    found = numbers_of(texts)
    assert all(type(one) is float for one in found)
    assert [repr(one + 0.0) for one in found] == [repr(one + 0.0) for one in expected]  # -0 is 0


def test_a_namespace_may_have_another_label() -> None:
    piece = text_of([row(space="exported_namespace")])
    assert plain_rows(piece, ("namespace",)) is None
    assert plain_rows(piece, ("namespace", "exported_namespace")) is not None


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(text_of([row(), row(ODD)]), id="a quote in a label"),
        pytest.param(text_of([row(), row(zone="eu")]), id="one more label"),
        pytest.param(text_of([row()]) + b"," + text_of([row()])[:-1], id="a row that is cut"),
        pytest.param(text_of([row()]) + text_of([row()]), id="no comma between two rows"),
        pytest.param(text_of([row()]) + b',"x",' + text_of([row()]), id="something between rows"),
        pytest.param(b"", id="no row"),
    ],
)
def test_anything_else_is_left_to_the_parser(piece: bytes) -> None:
    assert plain_rows(piece, ("namespace",)) is None
