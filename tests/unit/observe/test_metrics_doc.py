"""docs/metrics.md says what the presets do."""

import re
from pathlib import Path

import promql_parser

from aurora.observe.custom import MAX_PER_CYCLE, MAX_PER_OBJECT
from aurora.observe.queries import (
    MAX_PRESET_QUERIES,
    PRESETS,
    MetricsSettings,
    Source,
    fleet_queries,
    resolved,
)
from aurora.observe.sample import UNITS, Gap, Signal

TEXT = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
OWN_SUFFIX = re.compile(r"_(bucket|sum|count)$")
# Named in the text by what they stand beside.
BESIDE = {"nv_inference_request_failure", "kube_pod_container_resource_requests"}


def test_every_signal_stands_there_with_its_unit() -> None:
    rows = [row for row in TEXT.splitlines() if row.startswith("|")]
    for signal in Signal:
        assert any(f"`{signal}`" in row and f"| {UNITS[signal]} |" in row for row in rows), signal


def test_every_metric_of_the_presets_stands_there() -> None:
    found: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            found.add(OWN_SUFFIX.sub("", node.name))

    for text in fleet_queries(MetricsSettings(), list(Source)).values():
        promql_parser.walk(promql_parser.parse(text), pre_visit=visit)
    names = found - {"tgi_request"}  # tgi_request_count, a counter of its own, stands there
    assert len(names) > 40
    for name in names - BESIDE:
        assert name in TEXT, name


def test_limits_and_reasons_are_told() -> None:
    settings = MetricsSettings()
    assert f"at most {MAX_PRESET_QUERIES} preset queries" in TEXT
    assert f"At most {MAX_PER_OBJECT} per object and {MAX_PER_CYCLE} per" in TEXT
    for seconds in (settings.window_s, settings.stale_after_s, settings.remember_s):
        assert f"{seconds} s" in TEXT
    for gap in set(Gap) - {Gap.PARTIAL}:
        assert f"| `{gap}` |" in TEXT


def test_the_resolved_query_that_is_shown_is_a_real_one() -> None:
    shown = TEXT.split("```promql\n")[1].split("\n```")[0]
    workload = ("team-a", "llama")
    assert shown == resolved(MetricsSettings(), Source.VLLM, Signal.LATENCY_P95, workload)


def test_what_an_engine_lacks_is_a_dash() -> None:
    engines = (Source.VLLM, Source.TGI, Source.TRITON, Source.SDK)
    for row in (line.split("|") for line in TEXT.splitlines() if line.count("|") == 7):
        for signal in (s for s in Signal if f"`{s}`" in row[1]):
            for engine, cell in zip(engines, row[3:7], strict=True):
                lacks = PRESETS[engine].batch(signal) is None
                assert (cell.strip() == "-") == lacks, (signal, engine)
