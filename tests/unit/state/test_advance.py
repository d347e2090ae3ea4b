"""The state stage as a whole: what is learned, what is not, and what absence does."""

import base64
import json
import math
import zlib
from array import array
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from aurora.errors import StoreError
from aurora.observe.facts import AutoscalerFacts, EndpointFacts, ObjectKey
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.state.advance import Learning, advance
from aurora.state.capacity import LoadUnit
from aurora.state.history import HISTORY, History
from aurora.state.memory import ModelMemory
from aurora.state.trend import TrendDirection
from tests.unit.state.given import NOW, Clock, pod, sample, seen, target

RATE, TTFT, TPOT = Signal.REQUEST_RATE, Signal.TTFT_P95, Signal.TPOT_P95
TOO_MANY = base64.b64encode(zlib.compress(bytes(2**20 + 8))).decode("ascii")
NOTHING = Missing(Gap.NO_DATA, "no series")


def busy(load: float, **over: Reading | float) -> dict[Signal, Reading | float]:
    """Requests/s of the workload, and the latency of two replicas that saturate at 10 each."""
    latency = 0.5 / (1.0 - load / 20.0)
    signals: dict[Signal, Reading | float] = {RATE: load, TTFT: latency, TPOT: 0.1 * latency}
    return signals | {Signal[name.upper()]: value for name, value in over.items()}


def taught(cycles: int = 200, **over: Any) -> Clock:
    clock = Clock()
    for n in range(cycles):
        clock.cycle(busy(8.0 + 7.0 * math.sin(n / 60.0)), **over)
    return clock


def test_a_model_under_load_gets_a_trusted_capacity() -> None:
    clock = taught()
    state = clock.cycle(busy(10.0))
    assert state.capacity.unit is LoadUnit.REQUESTS
    assert state.capacity.trusted(TTFT)
    found = state.capacity.predict(TTFT, 6.0)
    assert found is not None
    assert found.mean == pytest.approx(0.5 / 0.4, rel=0.1)


def test_tokens_are_the_load_where_they_are_measured() -> None:
    clock = Clock()
    state = clock.cycle(busy(4.0, prompt_token_rate=4000.0, generation_token_rate=400.0))
    assert state.capacity.unit is LoadUnit.TOKENS
    assert state.load.work == pytest.approx(4000.0 + 4.0 * 400.0)
    assert state.load.per_replica == pytest.approx(2800.0)


def test_while_token_rates_are_missing_the_load_is_told_from_the_requests() -> None:
    clock = Clock()
    clock.cycle(busy(4.0, prompt_token_rate=4000.0, generation_token_rate=400.0))
    state = clock.cycle(busy(8.0, prompt_token_rate=NOTHING, generation_token_rate=NOTHING))
    assert state.capacity.unit is LoadUnit.TOKENS
    assert state.load.work == pytest.approx(2 * 5600.0)


@pytest.mark.parametrize(
    ("cycle", "why"),
    [
        pytest.param({"learning": Learning(capacity=False)}, "told not to", id="a fault is open"),
        pytest.param({"target": target(2, updated_replicas=1)}, "mixed", id="a rollout is on"),
        pytest.param({"target": None}, "gone", id="the target is gone"),
        pytest.param({"ready": 0}, "no pods", id="no replica is ready"),
    ],
)
def test_the_capacity_is_not_learned_while(cycle: dict[str, Any], why: str) -> None:
    assert taught(40, **cycle).memory.capacity.curves == {}, why


@pytest.mark.parametrize(
    "signals",
    [
        pytest.param(busy(8.0, server_error_ratio=0.4), id="many requests fail"),
        pytest.param(busy(8.0, ttft_p95=NOTHING, tpot_p95=NOTHING), id="no latency is measured"),
        pytest.param({**busy(8.0), RATE: NOTHING}, id="the load is not measured"),
        pytest.param({**busy(8.0), RATE: sample(8.0, partial=True)}, id="pods are missing from it"),
    ],
)
def test_nothing_is_learned_about_capacity_when(signals: dict[Signal, Reading | float]) -> None:
    clock = Clock()
    for n in range(10):
        rate = signals[RATE]
        if isinstance(rate, Sample):
            signals = {**signals, RATE: replace(rate, at=NOW + 15.0 * (n + 1))}
        clock.cycle(signals)
    assert clock.memory.capacity.curves == {}


@pytest.mark.parametrize("ready", [1, 4], ids=lambda n: f"from 2 to {n}")
def test_readings_from_before_a_scale_do_not_teach_the_new_count(ready: int) -> None:
    clock = taught()
    weight = clock.memory.capacity.effective_samples(TTFT)
    for _ in range(4):
        clock.cycle(busy(6.0), ready=ready)
    assert clock.memory.capacity.effective_samples(TTFT) <= weight
    for _ in range(8):
        clock.cycle(busy(6.0), ready=ready)
    assert clock.memory.capacity.effective_samples(TTFT) > weight


def test_a_queue_that_drains_does_not_teach_that_low_load_is_slow() -> None:
    clock = taught()
    before = clock.memory.capacity.predict(TTFT, 1.0)
    clock.cycle(busy(15.0))
    for _ in range(4):
        clock.cycle({**busy(2.0), TTFT: 60.0})
    after = clock.memory.capacity.predict(TTFT, 1.0)
    assert before is not None
    assert after is not None
    assert after.mean == pytest.approx(before.mean, rel=0.1)


def test_low_load_that_is_fast_is_believed_even_while_a_burst_drains() -> None:
    clock = Clock()
    for _ in range(40):  # the first requests of a burst: little load yet, and late already
        clock.cycle({**busy(2.0), TTFT: 4.0})
    clock.cycle(busy(15.0))
    before = clock.memory.capacity
    for _ in range(4):
        clock.cycle(busy(2.0))
    after = clock.memory.capacity
    assert after.effective_samples(TTFT) > before.effective_samples(TTFT)


def test_a_new_pod_template_begins_anew() -> None:
    clock = taught()
    state = clock.cycle(busy(10.0), target=target(template_hash="t2"))
    assert state.template_hash == "t2"
    assert not state.capacity.trusted(TTFT)
    assert state.capacity.predict(TTFT, 5.0) is not None


def test_a_disturbed_cycle_does_not_become_the_baseline() -> None:
    clock = taught(60)
    before = clock.cycle(busy(8.0)).baseline(TTFT)
    for _ in range(200):
        state = clock.cycle({**busy(8.0), TTFT: 30.0}, learning=Learning(False, False))
    assert before is not None
    after = state.baseline(TTFT)
    assert after is not None
    assert after.median == before.median
    assert state.ratio_to_baseline(TTFT) == pytest.approx(30.0 / before.median)


def test_a_latency_that_the_load_does_not_explain_is_told() -> None:
    clock = taught()
    usual, odd = clock.cycle(busy(8.0)), clock.cycle({**busy(8.0), TTFT: 5.0})
    assert usual.unexplained(TTFT) == pytest.approx(1.0, rel=0.15)
    assert odd.unexplained(TTFT) == pytest.approx(6.0, rel=0.15)


@pytest.mark.parametrize("gap", list(Gap), ids=str)
def test_absence_is_never_zero(gap: Gap) -> None:
    clock = taught(60)
    gone: dict[Signal, Reading | float] = {s: Missing(gap, "why") for s in Signal}
    state = clock.cycle(gone)
    assert state.load.work is None
    assert state.load.per_replica is None
    assert state.value(TTFT) is None
    assert state.saturation.slo_ratio is None
    assert state.saturation.waiting_for_s is None
    assert state.missing[TTFT].gap is gap
    assert clock.memory.history[-1].load is None


def test_missing_readings_only_let_time_pass() -> None:
    clock = taught(100)
    level = clock.memory.requests.now
    state = clock.cycle({RATE: NOTHING}, after=120.0)
    assert clock.memory.requests.now == level
    found = state.forecast(60.0)
    assert found is not None
    assert found.mean > 1.0
    assert clock.cycle({RATE: NOTHING}, after=1000.0).forecast(60.0) is None


def test_a_reading_seen_twice_is_learned_once() -> None:
    clock = taught(30)
    fixed = {s: sample(5.0, clock.at) for s in (RATE, TTFT, TPOT)}
    before = clock.cycle(fixed).memory.requests
    assert clock.cycle(fixed).memory.requests == before


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300], ids=str)
def test_a_broken_number_counts_as_missing(value: float) -> None:
    state = Clock().cycle({RATE: 4.0, TTFT: sample(value)})
    assert state.missing[TTFT].gap is Gap.NOT_FINITE


def test_a_partial_load_raises_the_forecast_but_never_lowers_it() -> None:
    clock = Clock()
    for _ in range(20):
        clock.cycle({RATE: 10.0})
    for _ in range(4):
        low = clock.cycle({RATE: sample(2.0, clock.at + 15.0, partial=True)})
    assert low.load.partial
    assert RATE in low.partial
    assert low.solid(RATE) is None
    found = low.forecast(30.0)
    assert found is not None
    assert found.mean == pytest.approx(10.0, rel=0.01)
    for _ in range(4):
        high = clock.cycle({RATE: sample(30.0, clock.at + 15.0, partial=True)})
    risen = high.forecast(30.0)
    assert risen is not None
    assert risen.mean > 25.0


def test_a_growing_queue_is_demand() -> None:
    clock = Clock()
    for n in range(6):
        state = clock.cycle({RATE: 4.0, Signal.WAITING: 30.0 * n, Signal.RUNNING: 8.0})
    assert state.load.work == 4.0
    assert state.load.demand == pytest.approx(6.0)
    assert state.load.backlog == 150.0


@given(
    loads=st.lists(st.one_of(st.none(), st.floats(0.0, 1e6)), min_size=1, max_size=8),
    gap_s=st.floats(15.0, 14_400.0),
)
@settings(deadline=None, max_examples=50)
def test_the_highest_load_fades_by_half_in_one_and_a_half_hours_and_is_never_below_that_of_now(
    loads: list[float | None], gap_s: float
) -> None:
    memory, expected = ModelMemory(), 0.0
    for turn, load in enumerate(loads):
        at = NOW + turn * gap_s
        rate = Missing(Gap.NO_DATA) if load is None else sample(load, at=at)
        memory, _ = advance(memory, seen({Signal.REQUEST_RATE: rate}, at=at), at)
        expected = max(expected * 0.5 ** ((gap_s if turn else 0.0) / 5400.0), load or 0.0)
        assert memory.peak_load == pytest.approx(expected)


@pytest.mark.parametrize(
    ("readings", "missed"),
    [
        pytest.param([3.1], 0, id="missed now"),
        pytest.param([3.1, 0.4, 2.0], 0, id="kept since, at the bound too"),
        pytest.param([3.1, 0.4, 3.2], 2, id="missed again"),
        pytest.param([0.4, None], None, id="never, and no reading is no miss"),
    ],
)
def test_the_last_missed_objective_is_remembered(
    readings: list[float | None], missed: int | None
) -> None:
    memory = ModelMemory()
    for turn, value in enumerate(readings):
        at = NOW + 15.0 * turn
        ttft = Missing(Gap.NO_DATA) if value is None else sample(value, at=at)
        memory, _ = advance(memory, seen({Signal.TTFT_P95: ttft}, at=at), at)
    assert memory.missed_at == (None if missed is None else NOW + 15.0 * missed)


def test_waiting_is_timed_and_a_missing_reading_does_not_end_it() -> None:
    clock = Clock()
    queued = {RATE: 4.0, Signal.WAITING: 3.0}
    assert clock.cycle(queued).saturation.waiting_for_s == 0.0
    assert clock.cycle(queued).saturation.waiting_for_s == 15.0
    assert clock.cycle({RATE: 4.0, Signal.WAITING: NOTHING}).saturation.waiting_for_s is None
    assert clock.cycle(queued).saturation.waiting_for_s == 45.0
    assert clock.cycle({RATE: 4.0, Signal.WAITING: 0.0}).saturation.waiting_for_s == 0.0


def test_the_worst_latency_over_its_objective_and_the_busiest_resource() -> None:
    found = (
        Clock()
        .cycle({RATE: 4.0, TTFT: 1.0, TPOT: 0.08, Signal.CPU_RATIO: 0.3, Signal.GPU_RATIO: 0.9})
        .saturation
    )
    assert (found.slo_signal, found.slo_ratio) == (TPOT, pytest.approx(0.8))
    assert (found.resource, found.resource_ratio) == (Signal.GPU_RATIO, 0.9)


def test_a_window_with_few_requests_is_thin() -> None:
    state = Clock().cycle({RATE: 4.0, TTFT: sample(1.0, samples=99.0)})
    assert TTFT in state.thin
    assert state.value(TTFT) == 1.0
    assert state.solid(TTFT) is None


def test_the_trend_of_a_latency() -> None:
    clock = Clock()
    for n in range(24):
        state = clock.cycle({RATE: 4.0, TTFT: 1.0 + 0.05 * n})
    assert state.trend(TTFT).direction is TrendDirection.RISING
    assert state.trend(RATE).direction is TrendDirection.FLAT


def test_pods_are_counted_by_what_is_wrong_with_them() -> None:
    state = Clock().cycle(
        {RATE: 4.0},
        pods=(
            pod("ready", created=NOW - 500, ready=True, ready_at=NOW - 400),
            pod("crash", created=NOW - 300, crash_looping=True, restarts=4),
            pod("stuck", created=NOW - 85, unschedulable="0/3 nodes: insufficient nvidia.com/gpu"),
            pod("young", created=NOW - 15),
            pod("leaving", created=NOW - 15, deleting=True),
        ),
    )
    pods = state.pods
    assert (pods.total, pods.ready, pods.crash_looping) == (4, 1, 1)
    assert (pods.pending, pods.oldest_pending_s) == (2, 100.0)
    assert (pods.unschedulable, pods.oldest_unschedulable_s) == (1, 100.0)
    assert "insufficient" in pods.why


def test_endpoints_say_for_how_long_none_was_ready() -> None:
    since = NOW - 30.0
    state = Clock().cycle(
        {RATE: 4.0},
        endpoints=EndpointFacts(ObjectKey("models", "llama"), 0, 2, since),
        fallback_endpoints=EndpointFacts(ObjectKey("models", "small"), 1, 1),
    )
    assert state.service is not None
    assert state.service.not_ready_for_s == 45.0
    assert state.fallback is not None
    assert (state.fallback.ready, state.fallback.not_ready_for_s) == (1, 0.0)


def hpa(**over: Any) -> AutoscalerFacts:
    fields: dict[str, Any] = {
        "kind": "HorizontalPodAutoscaler",
        "key": ObjectKey("models", "llama"),
        "api_version": "autoscaling/v2",
        "uid": "u",
        "resource_version": "1",
        "target": target().key,
        "floor": 2,
        "ceiling": 6,
        "desired": 3,
    }
    return AutoscalerFacts(**(fields | over))


@pytest.mark.parametrize(
    ("autoscalers", "expected"),
    [
        pytest.param((), (None, None, None), id="none"),
        pytest.param((hpa(),), (2, 6, 3), id="one"),
        pytest.param(
            (
                hpa(kind="ScaledObject", floor=1, desired=None),
                hpa(owner="ScaledObject/llama"),
            ),
            (1, 6, 3),
            id="a ScaledObject with its own HPA is one hand",
        ),
        pytest.param((hpa(), hpa(floor=4)), (None, None, None), id="two real ones"),
    ],
)
def test_the_autoscaler_is_told_only_when_there_is_one_hand(
    autoscalers: tuple[AutoscalerFacts, ...], expected: tuple[int | None, ...]
) -> None:
    found = Clock().cycle({RATE: 4.0}, autoscalers=autoscalers).replicas
    assert (found.floor, found.ceiling, found.desired) == expected


def test_what_is_remembered_survives_a_restart() -> None:
    clock = taught()
    record = json.loads(json.dumps(clock.memory.to_json(), allow_nan=False))
    restored = Clock(ModelMemory.from_json(record))
    restored.at = clock.at
    assert restored.memory.to_json() == record
    before, after = clock.cycle(busy(9.0)), restored.cycle(busy(9.0))
    for signal in (TTFT, TPOT):
        one, other = before.capacity.predict(signal, 5.0), after.capacity.predict(signal, 5.0)
        assert one is not None
        assert other is not None
        assert other.mean == pytest.approx(one.mean, rel=0.02)
    assert after.forecast(120.0) is not None
    assert after.baseline(TTFT) is not None


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        pytest.param({"version": 99}, "version", id="another version"),
        pytest.param({"history": "?"}, "damaged", id="a field of the wrong type"),
        pytest.param({"history": "0+99999"}, "damaged", id="more numbers than there are"),
        pytest.param({"history": "0+7"}, "damaged", id="half a row"),
        pytest.param({"numbers": "?"}, "damaged", id="numbers that are no base64"),
        pytest.param({"numbers": "AAAA"}, "damaged", id="numbers that are not compressed"),
        pytest.param({"numbers": TOO_MANY}, "damaged: .* too many", id="a megabyte of numbers"),
        pytest.param({"numbers": None}, "damaged", id="no numbers"),
        pytest.param({"queued_since": math.nan}, "damaged", id="a number that is not finite"),
        pytest.param({"capacity": {"curves": {"nosuch": []}}}, "damaged", id="an unknown signal"),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(damage: dict[str, Any], word: str) -> None:
    record = taught(10).memory.to_json() | damage
    with pytest.raises(StoreError, match=word) as caught:
        ModelMemory.from_json(record)
    assert "\n" not in str(caught.value)


def test_a_record_with_its_numbers_row_by_row_is_still_read() -> None:
    memory = taught().memory
    kept = TypeAdapter(ModelMemory).dump_python(memory, mode="json") | {"version": 1}
    for curve in kept["capacity"]["curves"].values():
        curve[1:-1] = [[], 0.0, 0.0, 0.0, 0]  # what was fitted was left out
    again = ModelMemory.from_json(json.loads(json.dumps(kept, allow_nan=False)))
    assert again.history == memory.history
    assert again.requests == memory.requests
    assert again.version == memory.version
    for signal in (TTFT, TPOT):
        one, other = memory.capacity.curves[signal], again.capacity.curves[signal]
        assert other.bins == one.bins
        assert len(other.knots) == len(one.knots)


def test_what_is_not_finite_is_not_kept() -> None:
    memory = replace(taught().memory, history=History(numbers=array("d", 11 * [math.inf])))
    with pytest.raises(StoreError, match="not finite"):
        memory.to_json()


VALUES = st.floats(min_value=0.0, max_value=1e7)
READINGS = st.one_of(
    VALUES,
    st.builds(
        sample,
        VALUES,
        partial=st.booleans(),
        samples=st.one_of(st.none(), st.floats(0.0, 1e5)),
    ),
    st.sampled_from([Missing(gap) for gap in Gap]),
)
CYCLES = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(list(Signal)), READINGS),
        st.integers(0, 4),
        st.sampled_from([0.0, 1.0, 15.0, 60.0, 5000.0]),
        st.sampled_from(["t1", "t2"]),
    ),
    max_size=30,
)


def finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(finite(v) for v in value.values())
    return all(finite(v) for v in value) if isinstance(value, list) else True


@given(CYCLES)
@settings(max_examples=120, deadline=None)
def test_whatever_comes_the_memory_is_finite_bounded_and_round_trips(
    cycles: list[tuple[dict[Signal, Any], int, float, str]],
) -> None:
    memory, at = ModelMemory(), NOW
    for signals, ready, after, template in cycles:
        at += after
        observation = seen(signals, at=at, target=target(ready, template_hash=template))
        memory, state = advance(memory, observation, at)
        assert all(state.value(s) is None for s in state.missing)
        for curve in state.capacity.curves:
            found = state.capacity.predict(curve, 5.0)
            assert found is None or 0.0 <= found.low <= found.mean <= found.high < math.inf
    record = memory.to_json()
    assert finite(record)
    assert len(memory.history) <= HISTORY
    wire = json.loads(json.dumps(record, allow_nan=False))
    assert ModelMemory.from_json(wire).to_json() == wire


def test_a_memory_of_two_days_stays_small() -> None:
    clock = Clock()
    for n in range(2 * 24 * 60):
        clock.cycle(busy(8.0 + 7.0 * math.sin(n / 300.0)), after=60.0)
    assert len(json.dumps(clock.memory.to_json(), separators=(",", ":"))) < 32_000
