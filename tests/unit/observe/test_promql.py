"""Text of PromQL: what is hostile stays data, and a pod leads back to its workload."""

import re

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import ConfigurationError, UsageError
from aurora.observe.queries import LabelNames, MetricsSettings, Source, fleet_queries, resolved
from aurora.observe.queries.promql import (
    Frame,
    Label,
    quoted,
    union,
    workload_key,
    workload_of,
)
from aurora.observe.sample import Signal

SETTINGS = MetricsSettings()
FRAME = Frame(SETTINGS, LabelNames())
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,70}[a-z0-9])?", fullmatch=True)
RANDOM = st.text("bcdfghjklmnpqrstvwxz2456789", min_size=5, max_size=5)
HASHES = st.integers(100_000, 2**32 - 1).map(
    lambda number: "".join("bcdfghjklmnpqrstvwxz2456789"[ord(digit) % 27] for digit in str(number))
)


def matchers(query: str) -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            assert not node.matchers.or_matchers
            found.append([(m.name, m.value) for m in node.matchers.matchers])

    promql_parser.walk(promql_parser.parse(query), pre_visit=visit)
    return found


@given(TEXT)
def test_a_hostile_label_value_is_one_string_literal(value: str) -> None:
    parsed = promql_parser.parse(f"m{{a={quoted(value)}}}")
    assert [(m.name, m.value) for m in parsed.matchers.matchers] == [("a", value)]


def test_text_that_no_encoding_can_carry_is_refused() -> None:
    with pytest.raises(UsageError, match="not valid text"):
        quoted("\ud800")


@given(TEXT.filter(bool), TEXT.filter(bool), st.sampled_from([Source.VLLM, Source.CONTAINERS]))
def test_a_hostile_workload_stays_inside_its_two_matchers(
    namespace: str, name: str, source: Source
) -> None:
    signal = Signal.REQUEST_RATE if source is Source.VLLM else Signal.CPU_RATIO
    for found in matchers(resolved(SETTINGS, source, signal, (namespace, name))):
        values = dict(found)
        assert values["namespace"] == namespace
        assert re.fullmatch(values["pod"].split("-(?:")[0], name[:58]) or len(name) >= 58
        assert set(values) <= {"namespace", "pod", "container", "resource"}


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_hostile_names_cannot_widen_the_query_for_single_pods(
    workloads: list[tuple[str, str]],
) -> None:
    text = fleet_queries(SETTINGS, [Source.SDK], per_pod=workloads)["pods"]
    for found in matchers(text):
        values = dict(found)
        assert set(values) <= {"namespace", "pod", "code"}
        for namespace, _ in workloads:
            assert re.fullmatch(values["namespace"], namespace)


@given(NAMES, HASHES, RANDOM)
def test_a_pod_of_a_deployment_leads_to_the_deployment(
    name: str, template_hash: str, random: str
) -> None:
    pod = f"{name}-{template_hash}-"[:58] + random
    assert workload_of(pod) == workload_key(name)
    pattern = dict(matchers(resolved(SETTINGS, Source.SDK, Signal.RUNNING, ("n", name)))[0])["pod"]
    assert re.fullmatch(pattern, pod)


@given(NAMES, st.integers(0, 4000))
def test_a_pod_of_a_statefulset_leads_to_the_statefulset(name: str, ordinal: int) -> None:
    name = name[:45].rstrip("-")
    assert workload_of(f"{name}-{ordinal}") == name


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("llama-6b4f8c9d75-x2vwz", "llama"),
        ("llama-8b-small-79c6b9d94f-bcdfg", "llama-8b-small"),
        ("llama-0", "llama"),
        ("llama-v2-17", "llama-v2"),
        ("x-4567bcd-fghjk-6b4f8c9d75-x2vwz", "x-4567bcd-fghjk"),
        ("a" * 50 + "-6b4f8c9x2vwz", "a" * 50),
        ("a" * 57 + "-x2vwz", "a" * 57),
        ("a" * 58 + "x2vwz", "a" * 58),
        ("bare", None),
        ("job-x2vwz", None),
        ("llama-6b4f8c9d75-aeiou", None),
        ("", None),
    ],
    ids=str,
)
def test_the_workload_of_a_pod(pod: str, workload: str | None) -> None:
    assert workload_of(pod) == workload


def test_union_is_a_balanced_tree_of_all_parts_in_order() -> None:
    parts = [f"m{number}" for number in range(9)]
    text = union(parts)
    assert re.findall(r"m\d", text) == parts
    depth = max(
        text[:i].count("(") - text[:i].count(")") for i in range(len(text)) if text[i] == "("
    )
    assert depth <= 3
    promql_parser.parse(text)


def test_a_union_of_one_is_that_one() -> None:
    assert union(["m"]) == "m"


def test_a_ratio_reads_as_written() -> None:
    scoped = FRAME.workload("team", "llama")
    failed = scoped.rate("errors_total", Label("code", "=~", "5.."))
    pods = (
        'namespace="team",pod=~"llama-(?:[4-9bcdf]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}|[0-9]+)"'
    )
    assert scoped.ratio(failed, scoped.rate("requests_total")) == (
        "(\n"
        "  sum(\n"
        f'    rate(errors_total{{code=~"5..",{pods}}}[120s])\n'
        "  )\n"
        "  or\n"
        "  0 * sum(\n"
        f"    rate(requests_total{{{pods}}}[120s])\n"
        "  )\n"
        ")\n"
        "/\n"
        "sum(\n"
        f"  rate(requests_total{{{pods}}}[120s])\n"
        ")"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"window_s": 0}, "at least 1 s"),
        ({"stale_after_s": 0}, "at least 1 s"),
        ({"remember_s": 10}, "at least stale_after_s"),
    ],
    ids=["no window", "always stale", "forgotten before it is stale"],
)
def test_settings_that_cannot_work_are_refused(arguments: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        MetricsSettings(**arguments)
