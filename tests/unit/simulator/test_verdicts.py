"""Verdicts against the truth: bookkeeping, and what the truth is."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from aurora.memory.contract import Contract
from aurora.observe.sample import Signal
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, OutcomeVerdict
from aurora.simulator.aurora_controller import AuroraController
from aurora.simulator.cli import app
from aurora.simulator.compare import Plan, draw, simulate
from aurora.simulator.pool import Outcome, Served
from aurora.simulator.profile import builtin_profile
from aurora.simulator.requests import Request
from aurora.simulator.run import play
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.verdicts import (
    Untouched,
    VerdictCheck,
    agreement_of,
    check_verdicts,
    true_level,
    truth_of,
)

V = OutcomeVerdict
SETTINGS = SimulationSettings(initial=4)
PLAN = Plan(source=builtin_profile(), factor=0.39, settings=SETTINGS)


def contract(*, keeps: bool) -> Contract:
    return Contract(
        decision="d",
        action=Action.SCALE,
        direction=Direction.DOWN if keeps else Direction.UP,
        signal=Signal.TPOT_P95,
        keeps=keeps,
        limit=0.1 if keeps else None,
        replicas_before=4,
        replicas_after=3 if keeps else 5,
        closely=False,
        decided_at=0.0,
        executed_at=0.0,
    )


@pytest.mark.parametrize(
    ("keeps", "acted", "untouched", "expected"),
    [
        pytest.param(False, 0.05, 0.10, V.IMPROVED, id="half of what it would have been"),
        pytest.param(False, 0.10, 0.05, V.REGRESSED, id="twice what it would have been"),
        pytest.param(False, 0.098, 0.100, V.NEUTRAL, id="two percent is nothing"),
        pytest.param(True, 0.09, 0.04, V.IMPROVED, id="slower and still within the promise"),
        pytest.param(True, 0.11, 0.04, V.REGRESSED, id="the promise broken by the action"),
        pytest.param(True, 0.11, 0.12, V.NEUTRAL, id="broken with and without it"),
    ],
)
def test_the_truth_of_a_verdict(keeps, acted, untouched, expected):
    assert truth_of(contract(keeps=keeps), math.log(acted), math.log(untouched)) is expected


def answer(number: int, at: float, tpot: float, **changes: object) -> Outcome:
    request = Request(number, at, 100, 11)
    made = Outcome(request, at + 0.5 + 10 * tpot, at + 0.5)
    return replace(made, **changes)


def test_the_true_level_is_read_off_the_requests_of_each_window():
    answers = [answer(n, 10.0 * n, 0.05 if n < 6 else 0.2) for n in range(12)]
    early = true_level(answers, Signal.TPOT_P95, np.array([60.0]), 60.0)
    late = true_level(answers, Signal.TPOT_P95, np.array([120.0]), 50.0)
    assert early == pytest.approx(math.log(0.05))
    assert late == pytest.approx(math.log(0.2))
    both = true_level(answers, Signal.TPOT_P95, np.array([60.0, 120.0]), 50.0)
    assert both == pytest.approx((early + late) / 2)
    assert true_level(answers, Signal.TTFT_P95, np.array([60.0]), 60.0) == pytest.approx(
        math.log(0.5)
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"first_token": None}, id="failed requests"),
        pytest.param({"served": Served.CACHE}, id="hits of the cache"),
    ],
)
def test_requests_that_no_server_answered_have_no_level(changes):
    answers = [answer(n, float(n), 0.05, **changes) for n in range(5)]
    assert true_level(answers, Signal.TPOT_P95, np.array([60.0]), 60.0) is None


def check(verdict: V, truth: V) -> VerdictCheck:
    return VerdictCheck(
        at=1.0,
        direction="Up",
        signal="tpotP95",
        promised="better",
        verdict=verdict.value,
        truth=truth.value,
        acted=0.1,
        untouched=0.2,
    )


def test_agreement_is_counted_with_its_interval():
    found = agreement_of([check(V.IMPROVED, V.IMPROVED)] * 9 + [check(V.IMPROVED, V.NEUTRAL)])
    assert found is not None
    assert (found.claimed, found.agreed, found.share) == (10, 9, 0.9)
    # Wilson's interval of 9 of 10.
    assert found.low == pytest.approx(0.596, abs=1e-3)
    assert found.high == pytest.approx(0.982, abs=1e-3)


def test_nothing_claimed_is_no_agreement_rather_than_a_whole_one():
    assert agreement_of([]) is None


def test_left_alone_from_a_decision_on_the_run_is_the_same_before_it_and_still_after():
    trace = draw(PLAN, 1)
    acted = play(trace, AuroraController(SETTINGS), 1, SETTINGS)
    second = acted.scalings[1]
    alone = play(trace, Untouched(AuroraController(SETTINGS), second.at), 1, SETTINGS)
    assert alone.scalings == acted.scalings[:1]
    before = [entry for entry in acted.timeline if entry[0] < second.at]
    assert alone.timeline[: len(before)] == before


def test_only_improved_and_regressed_are_checked():
    trace = draw(PLAN, 4)
    controller = AuroraController(SETTINGS)
    journal = play(trace, controller, 4, SETTINGS)
    found = check_verdicts(controller, journal, trace, 4, SETTINGS)
    claimed = [s for s in controller.settled if s.outcome.verdict in (V.IMPROVED, V.REGRESSED)]
    assert len(controller.settled) > len(claimed)
    assert 1 <= len(found) <= len(claimed)
    assert {one.verdict for one in found} <= {"Improved", "Regressed"}
    assert simulate(PLAN, "aurora", 4).verdicts == found


def test_the_comparison_prints_agreement_as_table_and_json():
    # With this seed AURORA judges something: its verdicts can agree with the truth, or not.
    arguments = ["compare", "--controllers", "aurora,static", "--seeds", "1", "--first-seed", "2"]
    arguments += ["--replicas", "1,4,16", "--workers", "1"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "verdicts true" in shown.output
    told = json.loads(CliRunner().invoke(app, [*arguments, "--output", "json"]).stdout)
    aurora, static = told["controllers"]
    assert static["verdict_agreement"] is None
    assert aurora["verdict_agreement"]["claimed"] == len(aurora["runs"][0]["verdicts"])
