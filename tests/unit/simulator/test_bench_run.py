"""`make bench`: one process a bench, a record each, and failures that are told."""

import json
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from bench import run as runner
from bench.comparisons import AZURE, COMPARISONS, SERVEGEN, Standing
from bench.plots import attainment, fault
from bench.tables import blocks, filled

from aurora.simulator.cli import parse_fault
from aurora.simulator.controllers import CONTROLLERS


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    return tmp_path


def bench(code: str) -> runner.Bench:
    return runner.Bench("sample", ("-c", code), lambda result: [f"{result['figure']} of 7"])


def test_a_bench_leaves_its_result_with_the_machine_it_ran_on(results):
    report = runner.run(bench("print('{\"figure\": 5}')"))
    record = json.loads((results / "sample.json").read_text())
    assert (report.failure, report.lines) == ("", ["5 of 7"])
    assert record["result"] == {"figure": 5}
    assert record["machine"].keys() == {"cores", "python", "system"}
    assert record["seconds"] >= 0


@pytest.mark.parametrize(
    ("code", "word"),
    [
        pytest.param("raise SystemExit('no runs')", "exit 1: no runs", id="it fails"),
        pytest.param("print('done')", "Expecting value", id="it prints no JSON"),
    ],
)
def test_a_bench_that_fails_is_told_and_leaves_no_result(results, code, word):
    report = runner.run(bench(code))
    assert word in report.failure
    assert not list(results.iterdir())


def test_without_data_the_built_in_profile_stands_in_and_nothing_is_fitted(tmp_path):
    chosen = {one.name: one for one in runner.benches(None, 20, 2)}
    assert "fit_server" not in chosen
    assert "builtin" in chosen["compare_builtin"].command
    (tmp_path / "vllm_runs").mkdir()
    (tmp_path / "azure_llm").mkdir()
    (tmp_path / AZURE).touch()
    found = {one.name: one for one in runner.benches(tmp_path, 20, 2)}
    assert "fit_server" in found
    assert str(tmp_path / AZURE) in found["compare_azure"].command
    assert "compare_servegen_days" not in found
    (tmp_path / "servegen").mkdir()
    (tmp_path / SERVEGEN).touch()
    assert "compare_servegen_days" in {one.name for one in runner.benches(tmp_path, 20, 2)}


def test_long_loads_are_played_on_fewer_seeds_and_every_name_is_its_own():
    days = next(one for one in COMPARISONS if one.name == "servegen_days")
    assert [days.seeds(asked) for asked in (20, 5, 1)] == [3, 1, 1]
    names = [one.name for one in COMPARISONS]
    assert len(set(names)) == len(names)


def test_every_comparison_is_a_command_that_the_simulator_takes():
    known = {name for one in COMPARISONS for name in one.controllers}
    assert known <= CONTROLLERS.keys()
    for one in COMPARISONS:
        for flag, text in pairwise(one.options.split()):
            if flag == "--fault":
                assert parse_fault(text).start >= 0.0


def test_no_load_that_is_held_out_is_one_that_was_tuned_on():
    def hours(one):
        words = one.options.split()
        begin = float(words[words.index("--from-hour") + 1])
        return begin, begin + float(words[words.index("--hours") + 1])

    held = [hours(one) for one in COMPARISONS if one.standing is Standing.HELD_OUT]
    seen = [
        hours(one)
        for one in COMPARISONS
        if one.standing is not Standing.HELD_OUT
        and "--hours" in one.options
        and one.trace == SERVEGEN
    ]
    assert held
    assert not any(a < d and c < b for a, b in held for c, d in seen)


def test_the_comparison_is_summed_up_against_the_law_to_beat():
    def row(name: str, hours: float, agreement: object) -> dict[str, object]:
        estimate = {"mean": 0.5, "half_width": None, "count": 1}
        metrics = {"attainment": estimate, "false_actions": estimate}
        metrics["replica_hours"] = estimate | {"mean": hours}
        return {"controller": name, "metrics": metrics, "verdict_agreement": agreement}

    told = {"agreed": 9, "claimed": 10}
    lines = runner.compared(
        {"controllers": [row("aurora", 8.0, told), row("llmd-slo", 10.0, None)]}
    )
    assert "replica-hours against llmd-slo: -20.0%" in lines
    assert "verdicts: 9 of 10 agree with the same seed" in lines


def figures(name: str, hours: float, attained: float = 0.99) -> dict[str, object]:
    plain = {"mean": 1.0, "half_width": 0.5, "count": 20}
    names = ("violation_minutes", "oscillations", "false_actions", "writes", "failed")
    more = ("detect_s", "mitigate_s", "false_rollbacks")
    metrics = dict.fromkeys((*names, *more), plain)
    metrics["attainment"] = plain | {"mean": attained, "half_width": 0.001}
    metrics["replica_hours"] = plain | {"mean": hours, "half_width": None}
    run = {"verdicts": [], "requests": 100, "attainment": attained, "replica_hours": hours}
    return {"controller": name, "metrics": metrics, "runs": [run]}


def everything() -> dict[str, dict[str, object]]:
    return {
        one.name: {
            "controllers": [figures(name, 8.0 + n) for n, name in enumerate(one.controllers)]
        }
        for one in COMPARISONS
    }


def test_every_table_of_the_page_is_made_from_the_results():
    tables = blocks(everything())
    page = (runner.ROOT / "docs" / "simulator.md").read_text()
    wanted = set(re.findall(r"<!-- bench:([a-z0-9_]+) -->", page))
    assert wanted
    assert wanted <= tables.keys()
    for table in tables.values():
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1


def test_a_table_is_replaced_whole_and_nothing_around_it():
    text = (
        "before\n<!-- bench:a -->\nold\n<!-- /bench -->\nafter <!-- bench:b -->\nx<!-- /bench -->"
    )
    assert filled(text, {"a": "| new |"}) == text.replace("old", "| new |")


def test_a_load_is_told_with_how_it_stands_to_the_constants():
    table = blocks(everything())["loads"]
    assert "| ServeGen, day 8 | looked at while tuning | 20 | 99.00 ±0.10 at 8.0 h |" in table
    # Only AURORA and the law are played there.
    assert "| ServeGen, day 5 | held out | 20 | 99.00 ±0.10 at 8.0 h |  | 99" in table
    assert "+0.00 points, -20 % hours" in table  # 8 hours of ours, 10 of theirs


def test_days_together_add_their_hours_and_their_requests_seed_by_seed():
    results = everything()
    for day, requests, attained in ((5, 300, 0.98), (6, 100, 0.90)):
        for row in results[f"servegen_day{day}"]["controllers"]:
            kept = row["runs"][0] | {"requests": requests, "attainment": attained}
            row["runs"] = [kept, kept | {"replica_hours": row["runs"][0]["replica_hours"] + 2}]
    table = blocks(results)["loads"]
    # 8 and 10 hours of ours on each day, 9 and 11 of theirs; (300 * 0.98 + 100 * 0.90) / 400.
    assert "| ServeGen, days 5 and 6 together | held out | 2 | 96.00 at 18.0 h |" in table
    assert "| 96.00 at 20.0 h |  | +0.00 points, -10 % hours |" in table


def test_a_missing_result_leaves_its_row_and_its_table_out():
    results = everything()
    del results["servegen_day8"]
    tables = blocks(results)
    assert "ServeGen, day 8" not in tables["loads"]
    assert "Azure code, whole" in tables["loads"]
    assert "servegen_day8" not in tables
    assert blocks({}) == {}


def test_the_plots_are_whole_files_of_a_size_for_a_repository():
    results = everything()
    drawn = attainment([("one", results["azure"]), ("two", results["servegen_days"])])
    line = {
        "controller": "aurora",
        "arrived": [20, 0, 10],
        "good": [20.0, 0.0, 4.0],
        "actions": [{"at": 30.0, "what": "RouteToFallback"}],
        "failed": 6,
        "mitigate_s": None,
    }
    timeline = fault(
        {"trace": "t", "bin_s": 20.0, "fault": {"start": 20, "end": 40}, "controllers": [line]}
    )
    for text in (drawn, timeline):
        root = ET.fromstring(text)
        assert root.tag.endswith("svg")
        assert len(text) < 60_000
    assert "not mitigated" in timeline
    assert drawn.count("<circle") == len(results["azure"]["controllers"]) * 2 + 1
