"""AURORA as a controller of the simulation: the operator's decisions on a simulated pool."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.critic.verdict import Approved
from aurora.observe.queries.settings import MetricsSettings
from aurora.observe.sample import Gap, Missing, Sample, Signal
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase
from aurora.simulator.aurora_controller import EPOCH, AuroraController
from aurora.simulator.aurora_observation import MIN_SAMPLES, Lookout, model_of
from aurora.simulator.compare import Plan, draw, simulate
from aurora.simulator.controllers import CONTROLLERS, Context, build
from aurora.simulator.faults import ErrorFault, LatencyFault, LoadStep, MetricsGone
from aurora.simulator.profile import builtin_profile
from aurora.simulator.run import play
from aurora.simulator.settings import FallbackSettings, SimulationSettings
from aurora.simulator.trace import Trace
from aurora.simulator.view import ActionKind
from tests.unit.simulator.support import make_facts, make_view

SETTINGS = SimulationSettings()
PLAN = Plan(source=builtin_profile(), factor=0.39, settings=SETTINGS)


def steady(duration: float, rate: float) -> Trace:
    """Requests at a fixed rate; at most 20 s of GPU time in 100 s each."""
    times = np.arange(0.0, duration, 1 / rate)
    ones = np.ones(len(times), dtype=np.int64)
    return Trace("steady", times, ones * 800, ones * 40, ones * -1, duration)


def played(trace: Trace, chosen: SimulationSettings = SETTINGS, seed: int = 1):
    controller = AuroraController(chosen)
    return controller, play(trace, controller, seed, chosen)


def test_it_is_registered_and_looks_through_the_operators_own_window():
    context = Context(SETTINGS, steady(60.0, 1.0), 1)
    assert "aurora" in CONTROLLERS
    assert build("aurora", context).window_s == MetricsSettings().window_s


def test_its_policy_is_the_default_but_for_the_mode():
    spec = model_of(SETTINGS).spec
    plain = spec.autonomy.model_copy(update={"mode": type(spec.autonomy)().mode})
    assert plain == type(spec.autonomy)()
    assert (spec.scaling.min_replicas, spec.scaling.max_replicas) == (1, 16)


def test_the_same_seed_decides_the_same_and_another_seed_does_not():
    first, second, other = (simulate(PLAN, "aurora", seed) for seed in (1, 1, 2))
    assert first == second
    assert first != replace(other, seed=1)


def test_a_load_step_is_met_with_more_replicas_that_stay_below_the_maximum():
    chosen = replace(SETTINGS, initial=3, maximum=6, faults=(LoadStep(300.0, 3440.0, 4.0),))
    plan = replace(PLAN, factor=0.2, settings=chosen)
    controller, journal = played(draw(plan, 1), chosen)
    assert journal.scalings[0].after > 3
    assert max(step.after for step in journal.scalings) <= 6
    first = next(one for one in controller.decided if isinstance(one.verdict, Approved))
    assert (first.decision.action, first.decision.protective) == (Action.SCALE, True)


def test_errors_send_traffic_to_the_fallback_and_back_once_probes_succeed():
    faults = (ErrorFault(600.0, 1500.0, 0.5),)
    fallback = FallbackSettings(SETTINGS.server, 4)
    chosen = replace(SETTINGS, faults=faults, fallback=fallback)
    _, journal = played(steady(3000.0, 2.0), chosen)
    kinds = [record.action.kind for record in journal.actions]
    away, back = (record.at for record in journal.actions)
    assert kinds == [ActionKind.ROUTE_TO_FALLBACK, ActionKind.ROUTE_BACK]
    assert 600.0 < away < 690.0
    assert back > 1500.0
    failed = [outcome.request.arrival for outcome in journal.outcomes if outcome.failed]
    assert max(failed) < away + 5.0


def test_errors_without_a_fallback_alert_once_an_hour_and_change_nothing():
    chosen = replace(SETTINGS, faults=(ErrorFault(600.0, 3000.0, 0.5),))
    controller, journal = played(steady(3000.0, 2.0), chosen)
    alerts = [record for record in journal.actions if record.action.kind is ActionKind.ALERT]
    reasons = [record.action.reason for record in alerts]
    assert reasons.count("ServerErrors") == 1
    assert all(record.action.kind is ActionKind.ALERT for record in journal.actions)
    assert all(one.contract.action is not Action.ALERT for one in controller.settled)


def test_nothing_is_taken_away_while_metrics_are_gone():
    chosen = replace(SETTINGS, faults=(MetricsGone(300.0, 3000.0),))
    _, journal = played(steady(3000.0, 1.0), chosen)
    blind = [step for step in journal.scalings if 420.0 < step.at < 3000.0]
    assert blind == []


def test_a_slow_server_is_no_reason_to_take_new_replicas_back():
    chosen = replace(SETTINGS, faults=(LatencyFault(900.0, 1800.0, 4.0),))
    plan = replace(PLAN, settings=chosen)
    for seed in (1, 2):
        controller, _ = played(draw(plan, seed), chosen, seed)
        ups = [one for one in controller.settled if one.contract.direction == "Up"]
        assert ups
        assert all(one.outcome.verdict is not OutcomeVerdict.REGRESSED for one in ups)
        assert not any(one.outcome.undo for one in ups)


def test_every_executed_decision_is_settled_once_and_in_order():
    chosen = replace(SETTINGS, initial=4)
    controller, _ = played(draw(replace(PLAN, settings=chosen), 3), chosen, 3)
    executed = [
        one.decision.id
        for one in controller.decided
        if isinstance(one.verdict, Approved) and one.decision.action is not Action.ALERT
    ]
    settled = [one.contract.decision for one in controller.settled]
    assert len(executed) >= 2
    assert len(set(settled)) == len(settled)
    assert set(executed[:-1]) <= set(settled)


@pytest.mark.parametrize(
    ("samples", "age", "reporting", "expected"),
    [
        pytest.param(MIN_SAMPLES, 10.0, 4, None, id="enough requests"),
        pytest.param(MIN_SAMPLES - 1, 10.0, 4, Gap.NO_DATA, id="one too few for a p95"),
        pytest.param(MIN_SAMPLES, 91.0, 4, Gap.STALE, id="scraped too long ago"),
        pytest.param(MIN_SAMPLES, 10.0, 0, Gap.STALE, id="no pod answers"),
    ],
)
def test_a_percentile_is_read_as_the_operator_reads_it(samples, age, reporting, expected):
    view = replace(
        make_view(ttft_p95=2.0, completion_rate=1.0, age_s=age),
        ttft_samples=samples,
        pods_reporting=reporting,
    )
    seen = Lookout(model_of(SETTINGS)).observe(view, make_facts(), EPOCH + 1000.0)
    found = seen.signals[Signal.TTFT_P95]
    if expected is None:
        assert found == Sample(2.0, EPOCH + 1000.0 - age, 60.0, samples, False)
    else:
        assert isinstance(found, Missing)
        assert found.gap is expected


def test_a_pod_that_does_not_report_makes_every_number_partial():
    view = replace(make_view(completion_rate=1.0, age_s=5.0), pods_reporting=3)
    seen = Lookout(model_of(SETTINGS)).observe(view, make_facts(), EPOCH)
    rate = seen.signals[Signal.REQUEST_RATE]
    assert isinstance(rate, Sample)
    assert rate.partial


readings = st.fixed_dictionaries(
    {
        "completion_rate": st.floats(0.0, 50.0),
        "prompt_token_rate": st.floats(0.0, 1e5),
        "generation_token_rate": st.floats(0.0, 1e4),
        "ttft_p95": st.floats(0.0, 100.0),
        "tpot_p95": st.floats(0.0, 5.0),
        "error_ratio": st.sampled_from([0.0, 0.0, 0.02, 0.5]),
        "utilisation": st.floats(0.0, 1.0),
        "waiting": st.floats(0.0, 500.0),
        "running": st.floats(0.0, 500.0),
        "age_s": st.floats(0.0, 120.0),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(readings, st.booleans()), min_size=5, max_size=60),
    st.integers(1, 4),
    st.integers(0, 6),
)
def test_bounds_hold_and_one_decision_is_in_flight_whatever_is_measured(cycles, minimum, room):
    chosen = replace(SETTINGS, minimum=minimum, initial=minimum, maximum=minimum + room)
    controller, desired = AuroraController(chosen), minimum
    for number, (seen, dark) in enumerate(cycles):
        now = 15.0 * (number + 1)
        view = replace(
            make_view(now=now, **({} if dark else seen)),
            ttft_samples=100.0,
            tpot_samples=100.0,
            pods_reporting=desired,
        )
        facts = make_facts(
            now=now,
            desired=desired,
            ready=desired,
            minimum=chosen.minimum,
            maximum=chosen.maximum,
        )
        desired = controller.step(view, facts).replicas
        assert chosen.minimum <= desired <= chosen.maximum
        open_ones = [e for e in controller.entries if e.phase is Phase.VERIFYING]
        assert len(open_ones) <= 2, "a protective action may pre-empt one for a cycle"
    assert all(math.isfinite(one.decision.confidence) for one in controller.decided)
