from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.simulator.baselines import Hpa, HpaQueue, KedaRate, Runbook, RunbookRules, Static
from aurora.simulator.controllers import CONTROLLERS
from aurora.simulator.hpa import Behavior, HpaMemory, average_value, utilisation_target
from aurora.simulator.llmd import LlmdLaw, LlmdSlo, desired_replicas
from aurora.simulator.view import ActionKind
from tests.unit.simulator.support import NOTHING, make_facts, make_view

LAW = LlmdLaw(ttft_s=3.0, tpot_s=0.1)


@pytest.mark.parametrize(
    ("saturation", "provisioned", "ready", "expected"),
    [
        pytest.param(0.55, 4, 4, 4, id="at the upper bound it holds"),
        pytest.param(0.40, 4, 4, 4, id="at the lower bound it holds"),
        pytest.param(0.56, 4, 4, 5, id="just above it adds one"),
        pytest.param(2.0, 4, 4, 15, id="at the clamp: 4 + ceil(4 (2 / 0.55 - 1))"),
        pytest.param(1.1, 8, 4, 8, id="the credit covers what is warming up"),
        pytest.param(1.1, 4, 0, 8, id="with nothing ready there is no credit"),
        pytest.param(0.39, 4, 4, 4, id="just below it sheds nothing yet"),
        pytest.param(0.20, 4, 4, 2, id="at half of the lower bound it halves"),
        pytest.param(0.20, 4, 2, 2, id="scaling down ignores the credit"),
        pytest.param(0.0, 4, 4, 0, id="idle asks for none; the bounds clip"),
    ],
)
def test_the_llmd_law(saturation, provisioned, ready, expected):
    wanted = desired_replicas(saturation, provisioned=provisioned, ready=ready, law=LAW)
    assert wanted == expected


def play(controller, readings, facts):
    """Step every 15 s and follow what is asked for; give the desired replicas per step."""
    desired, seen = facts["desired"], []
    for step, reading in enumerate(readings):
        now = 1000.0 + 15.0 * step
        state = make_facts(now=now, **(facts | {"desired": desired, "ready": desired}))
        desired = controller.step(make_view(now=now, **reading), state).replicas
        seen.append(desired)
    return seen


def test_llmd_waits_30_s_doubles_per_minute_and_averages_over_45_s():
    calm, hot = {"ttft_p90": 1.4, "tpot_p90": 0.01}, {"ttft_p90": 30.0, "tpot_p90": 0.01}
    seen = play(LlmdSlo(LAW), [calm] * 3 + [hot] * 9, {"desired": 4})
    # 0.467 is in the band; the first hot sample lifts the mean to 0.98, but the
    # window of 30 s still holds a recommendation of 4; then at most 4 pods or 100 % a minute.
    assert seen == [4] * 4 + [8] * 4 + [16] * 4


def test_llmd_sheds_one_replica_per_two_minutes_after_three():
    seen = play(LlmdSlo(LAW), [{"ttft_p90": 0.1, "tpot_p90": 0.01}] * 40, {"desired": 6})
    changes = [i for i in range(1, len(seen)) if seen[i] < seen[i - 1]]
    assert changes[0] == 180 // 15  # a new HPA remembers the replicas that it found
    assert [seen[i - 1] - seen[i] for i in changes] == [1] * len(changes)
    assert all(b - a >= 8 for a, b in pairwise(changes))


def test_llmd_takes_no_traffic_for_no_load_as_its_recording_rule_does():
    assert play(LlmdSlo(LAW), [{}] * 30, {"desired": 6})[-1] < 6


@pytest.mark.parametrize(
    ("usage", "ready", "starting", "expected"),
    [
        pytest.param(0.54, 4, 0, 4, id="within the tolerance it holds"),
        pytest.param(0.75, 4, 0, 6, id="usage over target"),
        pytest.param(0.25, 4, 0, 2, id="down likewise"),
        pytest.param(0.75, 4, 2, 4, id="a starting pod counts as unused: held at desired"),
        pytest.param(NOTHING, 4, 0, 4, id="without a metric it holds"),
    ],
)
def test_the_hpa_law_on_utilisation(usage, ready, starting, expected):
    facts = make_facts(desired=4, ready=ready, starting=starting)
    assert utilisation_target(usage, 0.5, facts) == expected


@pytest.mark.parametrize(
    ("total", "expected"), [(4.2, 4), (6.0, 6), (1.0, 1), (0.0, 0), (NOTHING, 4)]
)
def test_the_average_value_law(total, expected):
    assert average_value(total, 1.0, make_facts(desired=4)) == expected


def test_the_hpa_scales_down_only_after_five_minutes_of_lower_demand():
    readings = [{"utilisation": 0.5}] * 4 + [{"utilisation": 0.1}] * 30
    seen = play(Hpa(0.5), readings, {"desired": 4})
    assert seen.index(1) == 3 + 300 // 15
    assert set(seen[: 3 + 300 // 15]) == {4}


def test_keda_follows_the_rate_and_holds_without_one():
    assert play(KedaRate(0.5), [{"request_rate": 4.0}], {"desired": 4}) == [8]
    assert play(KedaRate(0.5), [{}], {"desired": 4}) == [4]


def test_the_queue_hpa_counts_running_and_waiting():
    assert play(HpaQueue(2.0), [{"running": 10.0, "waiting": 6.0}], {"desired": 4}) == [8]
    assert play(HpaQueue(2.0), [{"running": 10.0}], {"desired": 4}) == [4]


def test_the_runbook_adds_one_after_five_minutes_and_never_on_missing_data():
    rules = RunbookRules(ttft_s=3.0, tpot_s=0.1)
    slow = {"ttft_p95": 5.0, "tpot_p95": 0.01}
    assert play(Runbook(rules), [slow] * 22, {"desired": 4}) == [4] * 20 + [5, 5]
    assert play(Runbook(rules), [{}] * 100, {"desired": 4}) == [4] * 100


def test_the_runbook_routes_to_a_ready_fallback_and_alerts_without_one():
    for ready, kind in ((1, ActionKind.ROUTE_TO_FALLBACK), (0, ActionKind.ALERT)):
        runbook, kinds = Runbook(RunbookRules(ttft_s=3.0, tpot_s=0.1)), []
        for step in range(22):
            now = 1000.0 + 15.0 * step
            facts = make_facts(now=now, fallback_ready=ready)
            kinds += runbook.step(make_view(now=now, error_ratio=0.5), facts).actions
        assert [action.kind for action in kinds] == [kind]


def test_static_is_static():
    assert play(Static(5), [{"utilisation": 1.0}, {}], {"desired": 2}) == [5, 5]


@given(st.lists(st.integers(-5, 40), min_size=1, max_size=60))
def test_an_hpa_keeps_bounds_and_rate_whatever_is_recommended(recommendations):
    memory = HpaMemory(Behavior(up_percent=0, up_pods=2, up_period_s=60.0))
    desired, history = 4, []
    for step, recommended in enumerate(recommendations):
        facts = make_facts(now=15.0 * step, desired=desired, minimum=2, maximum=12)
        desired = memory.apply(recommended, facts)
        history.append(desired)
        assert 2 <= desired <= 12
    ups = [max(0, b - a) for a, b in zip([4, *history], history, strict=False)]
    assert all(sum(ups[i : i + 4]) <= 2 for i in range(len(ups)))


def test_the_registry_holds_every_baseline():
    assert {"static", "hpa", "keda-rate", "llmd-slo", "oracle", "runbook"} <= CONTROLLERS.keys()
