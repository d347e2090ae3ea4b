"""Flagger's rule as a baseline."""

from dataclasses import replace

import pytest

from aurora.simulator.compare import Plan, simulate
from aurora.simulator.faults import ErrorFault, ErrorNoise
from aurora.simulator.flagger import Flagger, FlaggerRule, flagger_for
from aurora.simulator.profile import builtin_profile
from aurora.simulator.settings import FallbackSettings, Objectives, SimulationSettings
from aurora.simulator.view import ActionKind
from tests.unit.simulator.support import make_facts, make_view

SETTINGS = SimulationSettings()


def switched(readings, **facts) -> list[float]:
    """When it sends callers away, for one reading every 15 s from 15 s on."""
    rule, found = flagger_for(Objectives()), []
    for number, reading in enumerate(readings):
        now = 15.0 * (number + 1)
        answer = rule.step(make_view(now=now, **reading), make_facts(now=now, **facts))
        assert answer.replicas == 4
        found += [now for action in answer.actions]
        assert all(action.kind is ActionKind.ROUTE_TO_FALLBACK for action in answer.actions)
    return found


BAD, GOOD, SLOW, NOTHING = {"error_ratio": 0.5}, {"error_ratio": 0.01}, {"ttft_p95": 9.0}, {}


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param([BAD] * 40, 300.0, id="a fault from the start is five minutes"),
        pytest.param([SLOW] * 40, 300.0, id="slowness counts as well"),
        pytest.param([BAD] * 16 + [GOOD] * 24, None, id="four failed checks are too few"),
        pytest.param(([BAD] * 16 + [GOOD] * 4) * 4, None, id="a good check starts anew"),
        pytest.param([NOTHING] * 40, None, id="no reading is no failure"),
        pytest.param([BAD] * 16 + [NOTHING] * 8 + [BAD] * 9, 420.0, id="and no success either"),
    ],
)
def test_five_failed_checks_in_a_row_send_callers_away(readings, expected):
    found = switched(readings, fallback_ready=2)
    assert (found[:1] or [None]) == [expected]


def test_it_looks_once_a_minute():
    between = [BAD if number % 4 != 3 else GOOD for number in range(60)]
    assert switched(between, fallback_ready=2) == []


def test_without_a_fallback_and_after_the_switch_it_does_nothing():
    assert switched([BAD] * 40, fallback_ready=0) == []
    assert switched([BAD] * 40, fallback_ready=2, to_fallback=True) == []


def test_errors_alone_can_be_looked_at():
    rule = Flagger(FlaggerRule())
    for number in range(1, 30):
        now = 60.0 * number
        view = make_view(now=now, ttft_p95=9.0)
        assert rule.step(view, make_facts(now=now, fallback_ready=1)).actions == ()


def test_on_a_fault_it_is_scored_by_when_callers_were_served_again():
    settings = replace(
        SETTINGS,
        faults=(ErrorFault(600.0, 1800.0, 0.5),),
        fallback=FallbackSettings(SETTINGS.server, 8),
    )
    plan = Plan(source=builtin_profile(), factor=0.39, settings=settings)
    ours, rule = simulate(plan, "aurora", 1), simulate(plan, "flagger", 1)
    assert ours.mitigate_s < 120.0 < rule.mitigate_s
    assert ours.failed < rule.failed
    assert rule.false_rollbacks == ours.false_rollbacks == 0


def test_noise_is_no_fault_and_a_switch_in_it_is_a_false_rollback():
    noisy = replace(
        SETTINGS,
        faults=(ErrorNoise(0.0, 3440.0, 0.3),),
        fallback=FallbackSettings(SETTINGS.server, 8),
    )
    result = simulate(Plan(source=builtin_profile(), factor=0.39, settings=noisy), "flagger", 1)
    assert (result.detect_s, result.mitigate_s) == (None, None)
    assert (result.false_rollbacks, result.false_actions) == (1, 1)
    assert result.told[0].startswith("RouteToFallback at ")
