"""Own queries are confined by their syntax tree, whatever their text tries."""

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import UsageError
from aurora.observe.confine import confine

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def selectors(query: str) -> list[list[tuple[str, str, str]]]:
    found: list[list[tuple[str, str, str]]] = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            assert not node.matchers.or_matchers
            found.append([(str(m.op), m.name, m.value) for m in node.matchers.matchers])

    promql_parser.walk(promql_parser.parse(query), pre_visit=visit)
    return found


def assert_confined(query: str, namespace: str) -> None:
    own = (str(promql_parser.MatchOp.Equal), "namespace", namespace)
    found = selectors(query)
    assert found
    for matchers in found:
        assert own in matchers, query


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("m", 'm{namespace="team"}'),
        ("m # comment", 'm{namespace="team"}'),
        ('sum(rate(m{a="1"}[5m]))', 'sum(rate(m{a="1",namespace="team"}[5m]))'),
        (
            "a / on (x) group_left (y) b",
            'a{namespace="team"} / on (x) group_left (y) b{namespace="team"}',
        ),
        (
            "max_over_time(rate(m[1m])[10m:30s])",
            'max_over_time(rate(m{namespace="team"}[1m])[10m:30s])',
        ),
        ('{__name__=~".+"}', '{__name__=~".+",namespace="team"}'),
        ('{"m",a="1"}', '{__name__="m",a="1",namespace="team"}'),
        ('m{namespace="team"}', 'm{namespace="team",namespace="team"}'),
        ('m{namespace=~".+"}', 'm{namespace=~".+",namespace="team"}'),
        ('m{namespace!="team"}', 'm{namespace!="team",namespace="team"}'),
        (
            'm{a="x\\"} or secret{b=\\""}',
            'm{a="x\\"} or secret{b=\\"",namespace="team"}',
        ),
        ("m{a='it\\'s'}", 'm{a="it\'s",namespace="team"}'),
        (
            'label_replace(m, "a", "$1", "b", "(.*)\\"\\\\d")',
            'label_replace(m{namespace="team"}, "a", "$1", "b", "(.*)\\"\\\\d")',
        ),
        ("m - m offset 1h", 'm{namespace="team"} - m{namespace="team"} offset 1h'),
        ("quantile(scalar(a), b)", 'quantile(scalar(a{namespace="team"}), b{namespace="team"})'),
    ],
    ids=lambda value: value[:40],
)
def test_every_selector_gets_the_namespace(query: str, text: str) -> None:
    confined = confine(query, "team")
    assert confined.text == text
    assert_confined(confined.text, "team")
    assert_confined(confined.request, "team")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sum(", "not PromQL"),
        ("", "not PromQL"),
        ("m{a=`\\`}", "not PromQL"),
        ('m{namespace="other"}', "reads the namespace 'other'"),
        ('m{a="1" or b="2"}', "'or' between matchers"),
        ("vector(1)", "reads no series of now"),
        ("m offset 5m", "reads no series of now"),
        ("m @ 1700000000", "reads no series of now"),
        ("m[5m]", "answers no number"),
        ("rate(m[30d])", "looks back further"),
        ("max_over_time(m[2d:1h])", "looks back further"),
        ("rate(m[5m:])", "needs a step"),
        ("info(m)", "experimental"),
        ('m{"a b"="1"}', "not PromQL"),
        ("m" * 2049, "at most 2048 characters"),
    ],
    ids=lambda value: value[:40] or "empty",
)
def test_what_cannot_be_confined_is_refused_with_the_reason(query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        confine(query, "team")


def test_a_scalar_is_sent_as_a_vector() -> None:
    assert "vector(\n" in confine("scalar(m) + 1", "team").request
    assert "vector(" not in confine("m + 1", "team").request


def test_the_stalest_of_several_series_is_asked_for() -> None:
    request = confine('a{x="\\""} / b + b', "team").request
    assert request.count("max(timestamp(") == 2
    assert "min(" in request
    promql_parser.parse(request)


@given(TEXT, TEXT, st.sampled_from(["=", "!="]))
def test_hostile_values_and_namespaces_stay_values(value: str, namespace: str, op: str) -> None:
    literal = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    confined = confine(f'sum(rate(m{{a{op}"{literal}"}}[5m])) + n', namespace)
    assert_confined(confined.text, namespace)
    assert_confined(confined.request, namespace)
    assert ("a", value) in [(name, found) for _, name, found in selectors(confined.text)[0]]


PIECES = st.sampled_from(
    [
        *("m", "n{", "}", "{", "(", ")", ",", '"', "'", "`", "\\", "#", " ", "\n", "1m", "@ 1"),
        *("namespace", "__name__", "=", "=~", ".*", '"team"', '"other"', "[5m]", "offset", "or"),
        *("sum", "by", "-"),
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_no_text_made_of_promql_gets_out(query: str) -> None:
    try:
        confined = confine(query, "team")
    except UsageError:
        return
    assert_confined(confined.text, "team")
    assert_confined(confined.request, "team")


def test_text_that_does_not_mean_what_was_checked_is_never_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query = 'm{a="x\\"} or secret{b=\\""}'
    confine(query, "team")
    monkeypatch.setattr("aurora.observe.confine._escaped", lambda value: value)
    with pytest.raises(UsageError, match="cannot be confined"):
        confine(query, "team")
