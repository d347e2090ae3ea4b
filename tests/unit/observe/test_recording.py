"""The recording rules, and what is asked instead of the queries that they answer."""

from dataclasses import replace

import promql_parser
import pytest
import yaml
from typer.testing import CliRunner

from aurora.cli import app
from aurora.observe.answers import QueryAnswer, QueryFailure
from aurora.observe.queries import (
    LabelNames,
    MetricsSettings,
    Source,
    fleet_queries,
    recorded_answer,
    recorded_queries,
    rule_groups,
)
from aurora.observe.queries.recording import RECORDED

SETTINGS = MetricsSettings(recorded=True)
ASKED = fleet_queries(SETTINGS, list(Source))
ROW = {"metric": {"signal": "rule:x"}, "value": [1.0, "1"]}


def test_each_rule_holds_the_query_that_it_stands_for() -> None:
    groups = rule_groups(SETTINGS)
    assert [group["name"] for group in groups] == [f"aurora-{batch}" for batch in RECORDED]
    for batch, group in zip(RECORDED, groups, strict=True):
        (rule,) = group["rules"]
        assert rule["record"] == f"aurora:{batch}"
        assert ASKED[batch].splitlines()[1].strip() in rule["expr"]
        promql_parser.parse(rule["expr"])


@pytest.mark.parametrize(
    ("namespaces", "selected"),
    [
        ([], ["aurora:latency + 0"]),
        ([f"team-{n}" for n in range(51)], ["aurora:latency + 0"]),
        (
            ["b", "a", "b"],
            [
                'aurora:latency{namespace=~"a|b"} + 0',
                'aurora:latency{exported_namespace=~"a|b"} + 0',
                'aurora:latency{signal="rule:',
            ],
        ),
    ],
    ids=[
        "of the whole cluster",
        "too many namespaces for a matcher",
        "a few namespaces, by any label that may name them, and the rule's own row",
    ],
)
def test_what_is_asked_of(namespaces: list[str], selected: list[str]) -> None:
    text = recorded_queries(SETTINGS, ASKED, namespaces)["latency"]
    promql_parser.parse(text)
    assert all(one in text for one in selected)
    assert text.count("+ 0") == len(selected)
    assert text.count("timestamp(") == 1


def test_cheap_queries_are_asked_as_they_are() -> None:
    assert recorded_queries(SETTINGS, ASKED, []).keys() == set(RECORDED)
    assert not {"load", "freshness"} & set(RECORDED)
    assert recorded_queries(SETTINGS, ["load", "latency"], []).keys() == {"latency"}


def test_without_recording_rules_nothing_is_asked_instead_and_nothing_is_missed() -> None:
    settings = replace(SETTINGS, recorded=False)
    assert recorded_queries(settings, ASKED, []) == {}
    assert recorded_answer("latency", empty := QueryAnswer([]), settings) is empty


@pytest.mark.parametrize(
    "other",
    [
        replace(SETTINGS, window_s=60),
        replace(SETTINGS, labels=LabelNames("kubernetes_namespace", "kubernetes_pod")),
    ],
    ids=["another window", "other labels"],
)
def test_rules_with_other_settings_have_another_mark(other: MetricsSettings) -> None:
    mark = recorded_queries(SETTINGS, ASKED, [])["latency"].split("timestamp(")[1]
    assert mark != recorded_queries(other, ASKED, [])["latency"].split("timestamp(")[1]


def test_an_answer_without_the_rules_row_is_a_failure_that_says_what_to_do() -> None:
    answers = {
        "latency": QueryAnswer([]),
        "traffic": QueryAnswer([ROW], evaluated_at=1.0),
        "samples": QueryFailure("down"),
        "load": QueryAnswer([]),
    }
    read = {name: recorded_answer(name, one, SETTINGS) for name, one in answers.items()}
    failures = {name: one for name, one in read.items() if one is not answers[name]}
    assert failures.keys() == {"latency"}
    assert isinstance(failures["latency"], QueryFailure)
    assert "load what `aurora recording-rules` prints" in failures["latency"].reason


@pytest.mark.parametrize("plain", [False, True], ids=["a PrometheusRule", "a rule file"])
def test_the_command_prints_what_the_operator_reads(
    plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURORA_METRICS_WINDOW_SECONDS", "60")
    done = CliRunner().invoke(app, ["recording-rules", *(["--plain"] if plain else [])])
    assert done.exit_code == 0, done.output
    document = yaml.safe_load(done.output)
    if not plain:
        assert document["kind"] == "PrometheusRule"
        assert document["metadata"] == {"name": "aurora-recording", "namespace": "aurora-system"}
        document = document["spec"]
    assert document == {"groups": rule_groups(replace(SETTINGS, window_s=60))}
