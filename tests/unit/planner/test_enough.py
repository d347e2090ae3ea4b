"""The quick way past a healthy model: what it says is what sizing would have said."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.observe.sample import Gap, Missing, Signal
from aurora.planner import scale_rules
from aurora.planner.inputs import PlanInput
from aurora.planner.scale_rules import more_needed
from aurora.planner.sizing import enough
from aurora.state.capacity import CapacityModel
from tests.support.builders import autoscaler, model, observation, pod, signals, target
from tests.support.situations import NOW, planned, series, taught, ttft_at

STEADY = {load: series(load) for load in (0.5, 4.0, 8.0, 12.0, 30.0)}
READINGS = st.lists(
    st.tuples(st.floats(0.5, 9.0), st.floats(0.6, 1.6), st.sampled_from([0.02, 0.05, 0.2])),
    max_size=30,
)
LATENCY = st.floats(0.1, 6.0) | st.none()


def learned(readings: list[tuple[float, float, float]], *, narrow: bool) -> CapacityModel:
    """Curves of two signals; over a narrow range of loads neither may be extrapolated."""
    found = CapacityModel(template_hash="hash-1")
    for n, (load, noise, tpot) in enumerate(readings):
        at = 4.0 + 0.1 * load if narrow else load
        latencies = {
            Signal.TTFT_P95: (ttft_at(at) * noise, 1.0),
            Signal.TPOT_P95: (tpot * noise, 0.7),
        }
        found = found.learned(latencies, load=at, at=NOW - 3600.0 + 60.0 * n)
    return found


@st.composite
def situations(draw: st.DrawFn) -> PlanInput:
    load, replicas = draw(st.sampled_from(sorted(STEADY))), draw(st.integers(1, 6))
    capacity = learned(draw(READINGS), narrow=draw(st.booleans()))
    work = STEADY[load]
    for step in range(draw(st.integers(0, 8))):
        assert work.now is not None
        work = work.learned(load * draw(st.floats(0.5, 2.0)), NOW - 300.0 + 15.0 * step)
    ttft, tpot = draw(LATENCY), draw(LATENCY)
    gap = Missing(Gap.NO_DATA)
    spec = model(
        scaling={"minReplicas": 1, "maxReplicas": 20},
        objectives={"ttftP95": "3s", "tpotP95": "100ms"},
    )
    seen = observation(
        model=spec,
        target=target(replicas),
        pods=tuple(pod(n) for n in range(replicas)),
        autoscalers=(autoscaler(draw(st.integers(1, 8)), 20),) if draw(st.booleans()) else (),
        signals=signals(
            request_rate=load,
            ttft_p95=gap if ttft is None else ttft,
            tpot_p95=gap if tpot is None else tpot / 40.0,
        ),
    )
    return planned(seen, memory=taught(load, ready=replicas, capacity=capacity, work=work))


@given(situations())
@settings(max_examples=400, deadline=None)
def test_replicas_that_are_enough_are_what_sizing_asks_for(given: PlanInput) -> None:
    quick = more_needed(given)
    with patch.object(scale_rules, "enough", return_value=False):
        assert more_needed(given) == quick


def test_curves_that_tell_the_least_alone_ask_for_nothing_while_objectives_are_kept() -> None:
    capacity = learned([(5.0, 1.0, 0.05)] * 20, narrow=True)
    memory = taught(40.0, capacity=capacity, work=STEADY[30.0])
    kept, missed = (
        planned(observation(target=target(2), signals=signals(ttft_p95=ttft)), memory=memory)
        for ttft in (2.0, 9.0)
    )
    assert enough(kept, 2)
    assert more_needed(kept) is None
    assert not enough(missed, 2)
