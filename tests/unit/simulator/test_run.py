import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from aurora.errors import UsageError
from aurora.simulator.cli import app, parse_fault
from aurora.simulator.compare import Plan, compare, draw, simulate
from aurora.simulator.controllers import CONTROLLERS, Tuning
from aurora.simulator.engine import Replica
from aurora.simulator.faults import (
    ErrorFault,
    ErrorNoise,
    LatencyFault,
    LoadSpikes,
    LoadStep,
    LyingMetrics,
    MetricsGone,
    PodLoss,
    RepeatedPrompts,
)
from aurora.simulator.journal import ActionRecord, Journal, Scaling
from aurora.simulator.pool import Outcome
from aurora.simulator.profile import builtin_profile
from aurora.simulator.requests import Request
from aurora.simulator.run import play
from aurora.simulator.scoring import oscillations, score
from aurora.simulator.settings import FallbackSettings, Objectives, SimulationSettings
from aurora.simulator.statistics import LittleLaw, LittleLawError, estimate
from aurora.simulator.trace import Trace
from aurora.simulator.view import Action, ActionKind, Desired, known

SETTINGS = SimulationSettings()
PLAN = Plan(source=builtin_profile(), factor=0.2, settings=SETTINGS)


def steady(duration: float, rate: float) -> Trace:
    times = np.arange(0.0, duration, 1 / rate)
    ones = np.ones(len(times), dtype=np.int64)
    return Trace("steady", times, ones * 500, ones * 20, ones * -1, duration)


class Scripted:
    """Asks for what a script says and remembers what it saw."""

    name = "scripted"
    window_s = 60.0

    def __init__(self, script=lambda _now: Desired(4)) -> None:
        self.script, self.views, self.facts = script, [], []

    def step(self, view, pool):
        self.views.append(view)
        self.facts.append(pool)
        return self.script(pool.now)


def test_the_same_seed_gives_the_same_result_and_another_seed_does_not():
    results = [simulate(PLAN, "keda-rate", seed) for seed in (1, 1, 2)]
    assert results[0] == results[1]
    assert results[0] != replace(results[2], seed=1)


def test_more_replicas_attain_more_and_cost_more():
    def run(replicas):
        settings = replace(SETTINGS, initial=replicas)
        plan = replace(PLAN, factor=0.4, settings=settings, tuning=Tuning(static=replicas))
        return simulate(plan, "static", 1)

    few, many = run(3), run(10)
    assert few.attainment < many.attainment
    assert few.replica_hours == pytest.approx(3 * 3440 / 3600, rel=0.01)
    assert many.replica_hours > few.replica_hours
    assert few.writes == many.writes == 0


def test_the_oracle_reaches_its_goal_for_less_than_the_static_peak():
    plan = replace(PLAN, factor=0.35)
    oracle, static = simulate(plan, "oracle", 1), simulate(plan, "static", 1)
    assert oracle.attainment >= 0.99
    assert oracle.replica_hours < 0.9 * static.replica_hours


def test_a_controller_sees_no_reading_before_metrics_arrive_and_then_the_true_rate():
    scripted = Scripted()
    play(steady(600.0, 2.0), scripted, 1, SETTINGS)
    assert known(scripted.views[0].request_rate) is None
    settled = [known(view.request_rate) for view in scripted.views[10:]]
    # A newest sample older than 1.1 scrape intervals is extrapolated by half an interval only, so
    # that a delay makes rate() read low, as in a cluster.
    assert 1.6 <= sum(settled) / len(settled) <= 2.05
    assert [facts.now for facts in scripted.facts[:3]] == [15.0, 30.0, 45.0]


def test_what_a_controller_asks_for_is_clipped_to_the_bounds():
    journal = play(steady(120.0, 1.0), Scripted(lambda _: Desired(99)), 1, SETTINGS)
    assert [scaling.after for scaling in journal.scalings] == [16]


def faulty(*faults, **changes):
    return replace(SETTINGS, faults=faults, initial=4, **changes)


def test_a_latency_fault_is_bad_while_it_lasts_and_heals_after():
    trace, settings = steady(900.0, 2.0), faulty(LatencyFault(300.0, 600.0, 6.0))
    journal = play(trace, Scripted(), 1, settings)
    late = {o.request.identifier for o in journal.outcomes if o.finish - o.request.arrival > 4.0}
    at = np.array([trace.times[i] for i in late])
    assert np.sum((at > 299) & (at < 600)) > 200
    assert np.sum(at < 290) == 0
    assert np.sum(at > 660) == 0


def test_an_error_fault_fails_its_share_and_the_fallback_ends_it():
    settings = faulty(ErrorFault(100.0, 500.0, 0.5), fallback=FallbackSettings(SETTINGS.server, 4))
    route = Action(ActionKind.ROUTE_TO_FALLBACK)
    scripted = Scripted(lambda now: Desired(4, (route,) if now == 300.0 else ()))
    journal = play(steady(600.0, 2.0), scripted, 1, settings)
    failed = [o.request.arrival for o in journal.outcomes if o.failed]
    assert len(failed) == pytest.approx(200, abs=40)
    assert 100.0 <= min(failed) <= max(failed) <= 300.0
    result = score(journal, steady(600.0, 2.0), "scripted", 1, settings)
    assert result.detect_s == 200.0
    assert 180.0 <= result.mitigate_s <= 200.0
    assert result.false_actions == 0


def test_a_fault_that_nobody_handles_is_never_mitigated():
    settings, trace = faulty(LatencyFault(100.0, 500.0, 6.0)), steady(600.0, 1.0)
    journal = play(trace, Scripted(), 1, settings)
    result = score(journal, trace, "scripted", 1, settings)
    assert (result.detect_s, result.mitigate_s) == (None, None)


def test_metrics_gone_leave_the_controller_without_readings_but_with_facts():
    scripted = Scripted()
    play(steady(600.0, 2.0), scripted, 1, faulty(MetricsGone(200.0, 500.0)))
    blind = [view for view in scripted.views if 300.0 <= view.now < 500.0]
    assert all(known(view.request_rate) is None for view in blind)
    assert scripted.facts[-5].ready == 4


def test_a_lost_pod_comes_back_after_its_cold_start():
    scripted = Scripted()
    play(steady(600.0, 1.0), scripted, 1, faulty(PodLoss(200.0, 400.0, 2)))
    ready = {facts.now: facts.ready for facts in scripted.facts}
    assert (ready[195.0], ready[210.0], ready[345.0]) == (4, 2, 4)


def test_repeated_prompts_pay_for_a_cache_that_is_switched_on():
    settings = faulty(RepeatedPrompts(0.0, 600.0, share=0.8, distinct=5), cache_ttl_s=300.0)
    on = Action(ActionKind.CACHE_ON)
    scripted = Scripted(lambda now: Desired(4, (on,) if now == 15.0 else ()))
    plan = Plan(source=builtin_profile(), factor=0.5, settings=settings)
    play(draw(plan, 1), scripted, 1, settings)
    assert known(scripted.views[30].cache_hit_ratio) > 0.5


class Wide(Scripted):
    """Looks through a window of its own as well."""

    def step(self, view, pool):
        self.views.append(view.over(120.0))
        return super().step(view, pool)


def test_lying_metrics_change_every_latency_that_is_read_and_nothing_else():
    honest, lied = Wide(), Wide()
    play(steady(600.0, 2.0), honest, 1, SETTINGS)
    play(steady(600.0, 2.0), lied, 1, faulty_like(LyingMetrics(300.0, 500.0, 0.5)))
    during = [(a, b) for a, b in zip(honest.views, lied.views, strict=True) if 300 <= a.now < 500]
    assert len(during) > 20
    for true, read in during:
        assert known(read.tpot_p95) == pytest.approx(0.5 * known(true.tpot_p95))
        assert known(read.e2e_mean) == pytest.approx(0.5 * known(true.e2e_mean))
        assert known(read.request_rate) == known(true.request_rate)
    assert known(lied.views[-1].tpot_p95) == known(honest.views[-1].tpot_p95)


def faulty_like(*faults):
    return replace(SETTINGS, faults=faults)


def test_noise_fails_its_share_on_average_and_ends():
    journal = play(steady(4000.0, 2.0), Scripted(), 1, faulty(ErrorNoise(0.0, 3000.0, 0.1)))
    failed = [o.request.arrival for o in journal.outcomes if o.failed]
    assert len(failed) == pytest.approx(600, rel=0.3)
    assert max(failed) < 3000.0
    thirds = np.histogram(failed, bins=100, range=(0.0, 3000.0))[0] / 60
    assert thirds.max() > 0.25, "single draws are far above the mean"


def test_spikes_come_at_other_times_with_another_seed():
    settings = faulty(LoadSpikes(0.0, 3440.0, 4.0))
    plan = replace(PLAN, settings=settings)
    plain = [len(draw(PLAN, seed)) for seed in (1, 2)]
    spiked = [draw(plan, seed) for seed in (1, 2)]
    assert all(len(one) > 1.1 * before for one, before in zip(spiked, plain, strict=True))
    assert len(spiked[0]) != len(spiked[1])


def test_a_load_step_raises_the_load_of_every_controller_alike():
    settings = faulty(LoadStep(0.0, 3440.0, 3.0))
    stepped = draw(replace(PLAN, settings=settings), 1)
    assert len(stepped) == pytest.approx(3 * len(draw(PLAN, 1)), rel=0.05)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        pytest.param([(0, 4, 5), (60, 5, 6)], 0, id="twice up is no reversal"),
        pytest.param([(0, 4, 5), (60, 5, 4)], 1, id="up and down within two cold starts"),
        pytest.param([(0, 4, 5), (600, 5, 4)], 0, id="up and down much later"),
        pytest.param([(0, 4, 5), (60, 5, 4), (90, 4, 5)], 2, id="there and back again"),
    ],
)
def test_oscillations_are_reversals_within_two_cold_starts(moves, expected):
    assert len(oscillations([Scaling(*move) for move in moves], 235.0)) == expected


def scored(outcomes, trace, **journal):
    settings = replace(SETTINGS, objectives=Objectives(3.0, 0.1))
    full = Journal(outcomes=outcomes, arrived=len(trace), **journal)
    return score(full, trace, "x", 1, settings)


def test_a_request_is_good_when_it_meets_both_objectives_and_failed_or_lost_ones_never_are():
    trace = steady(5.0, 1.0)
    requests = [Request(i, float(i), 500, 21) for i in range(5)]
    outcomes = [
        Outcome(requests[0], 0 + 1.0 + 2.0, 0 + 1.0),  # 100 ms per token: just met
        Outcome(requests[1], 1 + 4.0 + 1.0, 1 + 4.0),  # late first token
        Outcome(requests[2], 2 + 1.0 + 3.0, 2 + 1.0),  # slow tokens
        Outcome(requests[3], 3 + 0.1, None),  # failed
    ]  # the last one never ended
    result = scored(outcomes, trace)
    assert result.attainment == pytest.approx(1 / 5)
    assert result.attainment_ttft == pytest.approx(2 / 5)
    assert result.attainment_tpot == pytest.approx(2 / 5)
    assert (result.violation_minutes, result.failed) == (1, 1)
    assert (result.detect_s, result.mitigate_s) == (None, None)


def test_a_fault_that_is_handled_late_is_not_forgiven_by_the_rest_of_it():
    trace = steady(1200.0, 1.0)
    bad = range(100, 160)  # one minute of twenty
    outcomes = [
        Outcome(request, request.arrival + (9.0 if request.identifier in bad else 1.0), None)
        if request.identifier in bad
        else Outcome(request, request.arrival + 0.5, request.arrival + 0.1)
        for request in trace.requests()
    ]
    settings = replace(SETTINGS, faults=(ErrorFault(100.0, 1200.0, 1.0),))
    journal = Journal(outcomes=outcomes, arrived=len(trace))
    assert score(journal, trace, "x", 1, settings).mitigate_s == 60.0


def test_actions_without_a_fault_are_false_actions():
    alert = ActionRecord(10.0, Action(ActionKind.ALERT))
    result = scored([], steady(5.0, 1.0), actions=[alert], scalings=[Scaling(20.0, 4, 5)])
    assert (result.false_actions, result.writes) == (1, 2)


@pytest.mark.parametrize(
    ("away", "false"),
    [
        pytest.param(3.0, 0, id="the way back from a fault is called for"),
        pytest.param(0.5, 2, id="there and back without a fault is two false actions"),
    ],
)
def test_the_way_back_is_judged_by_the_way_there(away, false):
    kinds = ((away, ActionKind.ROUTE_TO_FALLBACK), (4.9, ActionKind.ROUTE_BACK))
    journal = Journal(arrived=5, actions=[ActionRecord(at, Action(kind)) for at, kind in kinds])
    settings = replace(SETTINGS, faults=(ErrorFault(2.0, 4.0, 0.5),))
    result = score(journal, steady(5.0, 1.0), "x", 1, settings)
    assert (result.false_actions, result.false_rollbacks) == (false, false // 2)


def test_littles_law_catches_a_miscounted_system():
    LittleLaw(10.0, 10.3).check(0.05, 100_000)
    with pytest.raises(LittleLawError, match=r"10.000 .* is 12.000"):
        LittleLaw(10.0, 12.0).check(0.05, 100_000)


def test_a_simulator_that_loses_time_is_refused(monkeypatch):
    monkeypatch.setattr(Replica, "outstanding", property(lambda self: 2 * self.running))
    with pytest.raises(LittleLawError):
        play(steady(600.0, 4.0), Scripted(), 1, SETTINGS)


def test_an_interval_is_students():
    values = estimate([1.0, 2.0, 3.0])
    assert values.mean == 2.0
    assert values.half_width == pytest.approx(4.302653 / 3**0.5)
    assert np.isnan(estimate([1.0]).half_width)
    assert estimate([]).count == 0


def test_compare_summarises_every_controller_over_every_seed():
    summaries = compare(replace(PLAN, factor=0.05), ["static", "hpa"], [1, 2], workers=2)
    assert [summary.controller for summary in summaries] == ["static", "hpa"]
    assert all(summary.estimates["attainment"].count == 2 for summary in summaries)
    assert [run.seed for run in summaries[1].runs] == [1, 2]


def test_an_unknown_controller_is_refused_before_anything_runs():
    with pytest.raises(UsageError, match="unknown controller 'nope'"):
        compare(PLAN, ["static", "nope"], [1])


def invoke(*arguments):
    return CliRunner().invoke(app, ["compare", *arguments])


def test_the_command_prints_json_with_every_controller():
    result = invoke(
        *("--controllers", "static,hpa", "--seeds", "2", "--factor", "0.05", "--output", "json")
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [entry["controller"] for entry in report["controllers"]] == ["static", "hpa"]
    assert report["controllers"][0]["metrics"]["attainment"]["count"] == 2
    assert report["controllers"][0]["metrics"]["detect_s"]["mean"] is None


def test_the_command_plays_the_seeds_it_is_told_to_on_servers_that_start_slowly():
    plain, slow = (
        json.loads(
            invoke(
                *("--controllers", "hpa", "--seeds", "2", "--first-seed", "101"),
                *("--factor", "0.4", "--output", "json", *options),
            ).stdout
        )["controllers"][0]["runs"]
        for options in ((), ("--cold-start", "4"))
    )
    assert [run["seed"] for run in plain] == [101, 102]
    assert sum(run["attainment"] for run in slow) < sum(run["attainment"] for run in plain)


def test_the_command_prints_one_table():
    result = invoke("--controllers", "static", "--seeds", "2", "--factor", "0.05")
    assert result.exit_code == 0, result.output
    assert "builtin x 0.05" in result.stdout
    assert "100.00 ±0.00" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--trace", "/no/such/file"], id="no such trace"),
        pytest.param(["--controllers", "nope"], id="an unknown controller"),
        pytest.param(["--controllers", ","], id="no controller"),
        pytest.param(["--replicas", "3"], id="one bound"),
        pytest.param(["--replicas", "5,1,3"], id="bounds the wrong way round"),
        pytest.param(["--factor", "-1"], id="a negative factor"),
        pytest.param(["--ttft", "0"], id="an objective of 0"),
        pytest.param(["--server", "nope"], id="an unknown server"),
        pytest.param(["--cold-start", "0"], id="a cold start of no time"),
        pytest.param(["--hours", "2"], id="a window of the built-in profile"),
        pytest.param(["--fault", "latency:5:1:3"], id="a fault that ends before it begins"),
        pytest.param(["--fault", "nope:1:2:3"], id="an unknown fault"),
        pytest.param(["--fault", "latency:a:2:3"], id="a fault at a"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments):
    result = invoke("--seeds", "1", *arguments)
    assert result.exit_code == 2
    assert result.stderr.strip().startswith("aurora simulate compare: ")
    assert result.stderr.strip().count("\n") == 0


def test_faults_are_parsed():
    assert parse_fault("latency:10:20:3") == LatencyFault(10.0, 20.0, 3.0)
    assert parse_fault("metrics:10:20") == MetricsGone(10.0, 20.0)
    assert parse_fault("pods:10:20:2") == PodLoss(10.0, 20.0, 2)


@pytest.mark.parametrize("name", sorted(set(CONTROLLERS) - {"oracle"}))
def test_every_controller_survives_a_run_without_any_metric(name):
    settings = replace(SETTINGS, faults=(MetricsGone(0.0, 3440.0),))
    result = simulate(replace(PLAN, factor=0.05, settings=settings), name, 1)
    assert result.requests > 0
