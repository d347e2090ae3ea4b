"""`make bench`: one process a bench, a record each, and failures that are told."""

import json

import pytest
from bench import run as runner


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
    assert "builtin" in chosen["compare"].command
    (tmp_path / "vllm_runs").mkdir()
    (tmp_path / "azure_llm").mkdir()
    (tmp_path / runner.TRACE).touch()
    found = {one.name: one for one in runner.benches(tmp_path, 20, 2)}
    assert "fit_server" in found
    assert str(tmp_path / runner.TRACE) in found["compare"].command


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
