"""The preset queries: their exact text, their number, and that all of it is PromQL.

The expected texts are files in promql/. After a wanted change, write them anew with
`AURORA_WRITE_EXPECTED=1 pytest tests/unit/observe/test_fleet_queries.py` and read the diff.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import promql_parser
import pytest

from aurora.observe.answers import QueryAnswer, Unread
from aurora.observe.queries import (
    MAX_PRESET_QUERIES,
    PRESETS,
    Batch,
    LabelNames,
    MetricsSettings,
    Source,
    fleet_queries,
    resolved,
)
from aurora.observe.reader import MetricsReader
from aurora.observe.sample import Signal
from aurora.observe.view import Wanted

SETTINGS = MetricsSettings()
EXPECTED = Path(__file__).parent / "promql"
ENGINES = ("vllm", "tgi", "triton", "sdk", "custom")


def everything(settings: MetricsSettings = SETTINGS) -> dict[str, str]:
    return fleet_queries(
        settings,
        list(Source),
        namespaces=["team-a", "team-b"],
        per_pod=[("team-a", "llama")],
        named=[("team-a", "llama"), ("team-b", "llama-small")],
    )


@pytest.mark.parametrize("batch", list(Batch), ids=str)
def test_the_text_of_a_batch(batch: Batch) -> None:
    path = EXPECTED / f"{batch}.promql"
    text = everything()[str(batch)] + "\n"
    if os.environ.get("AURORA_WRITE_EXPECTED"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("batch", list(Batch), ids=str)
def test_a_batch_is_promql_with_any_labels(batch: Batch) -> None:
    labels = LabelNames("kubernetes_namespace", "kubernetes_pod_name")
    text = everything(MetricsSettings(labels=labels, container_labels=labels))[str(batch)]
    promql_parser.parse(text)
    assert "by (namespace" not in text


@pytest.mark.parametrize(
    ("source", "signal"),
    [(s, signal) for s in Source for b in PRESETS[s].signals.values() for signal in b],
    ids=str,
)
def test_a_resolved_query_is_promql_for_that_workload_alone(source: Source, signal: Signal) -> None:
    text = resolved(SETTINGS, source, signal, ("team-a", "llama"))
    seen: list[dict[str, str]] = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            seen.append({m.name: m.value for m in node.matchers.matchers})

    promql_parser.walk(promql_parser.parse(text), pre_visit=visit)
    names = PRESETS[source].labels(SETTINGS)
    assert seen
    for values in seen:
        assert values[names.namespace] == "team-a"
        assert values[names.pod].startswith("llama-")


def test_a_signal_is_in_one_batch_of_a_source() -> None:
    for preset in PRESETS.values():
        found = [signal for batch in preset.signals.values() for signal in batch]
        assert len(found) == len(set(found)), preset.source


def test_every_signal_has_a_source() -> None:
    assert {s for p in PRESETS.values() for b in p.signals.values() for s in b} == set(Signal)


def test_only_what_is_needed_is_asked() -> None:
    assert "tgi_" not in "".join(fleet_queries(SETTINGS, [Source.VLLM]).values())
    assert fleet_queries(SETTINGS, []) == {}


def test_very_many_namespaces_are_no_matcher() -> None:
    many = [f"team-{number}" for number in range(51)]
    assert "team-" not in "".join(fleet_queries(SETTINGS, [Source.VLLM], namespaces=many).values())
    assert "team-7" in fleet_queries(SETTINGS, [Source.VLLM], namespaces=many[:50])["load"]


def test_names_are_asked_only_of_exporters_that_tell_them_and_where_they_are_wanted() -> None:
    assert "names" not in fleet_queries(SETTINGS, list(Source))
    assert "names" not in fleet_queries(SETTINGS, [Source.TGI], named=[("team-a", "llama")])
    text = fleet_queries(SETTINGS, [Source.VLLM], named=[("team-a", "llama")])["names"]
    assert "aurora_" not in text
    assert 'pod=~"llama-(' in text


def test_names_of_very_many_workloads_are_asked_by_namespace() -> None:
    many = [("team-a", f"llama-{number}") for number in range(101)]
    for named, by_pod in ((many[:100], True), (many, False)):
        text = fleet_queries(SETTINGS, [Source.VLLM], named=named)["names"]
        promql_parser.parse(text)
        assert 'namespace=~"team-a"' in text
        assert ("llama-99" in text) == by_pod


class Counting:
    """Answers nothing and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, str]] = []

    async def fetch(self, queries: Mapping[str, str]) -> dict[str, Unread]:
        self.asked.append(queries)
        return dict.fromkeys(queries, lambda: QueryAnswer(rows=[]))


@pytest.mark.parametrize("models", [10, 100, 1000])
async def test_ten_queries_or_fewer_whatever_the_number_of_models(models: int) -> None:
    source = Counting()
    wanted = {
        (f"team-{n % 7}", f"llama-{n}"): Wanted(
            ENGINES[n % len(ENGINES)], frozenset(Signal), per_pod=n % 5 == 0, names=n % 3 == 0
        )
        for n in range(models)
    }
    view = await MetricsReader(source, SETTINGS).read(0.0, wanted)
    [asked] = source.asked
    assert len(asked) == view.source.queries <= MAX_PRESET_QUERIES
    assert set(asked) == {str(batch) for batch in Batch}
    assert len(view.workloads) == models


async def test_a_fleet_of_none_asks_nothing() -> None:
    source = Counting()
    view = await MetricsReader(source, SETTINGS).read(0.0, {})
    assert source.asked == [{}]
    assert view.source.queries == 0
