"""What one replica can carry, and when nothing may be said about it."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.observe.sample import Signal
from aurora.state.capacity import (
    Bound,
    CapacityModel,
    LoadUnit,
    Sustainable,
    Unidentified,
)

TTFT, TPOT = Signal.TTFT_P95, Signal.TPOT_P95


def queue(load: float) -> float:
    return 0.5 / (1.0 - load / 100.0)


def model(low: float, high: float, cycles: int = 200, noise: float = 0.05) -> CapacityModel:
    rng = random.Random(3)
    found = CapacityModel(template_hash="t1")
    for n in range(cycles):
        load = rng.uniform(low, high)
        latency = queue(load) * rng.lognormvariate(0.0, noise)
        found = found.learned({TTFT: (latency, 0.5)}, load=load, at=30.0 * n)
    return found


def sustained(answer: Sustainable | Unidentified) -> Sustainable:
    assert isinstance(answer, Sustainable)
    return answer


@pytest.mark.parametrize(
    ("seen", "objective", "expected", "bound"),
    [
        pytest.param((5, 80), 1.0, 50.0, Bound.MEASURED, id="crossed inside the range"),
        pytest.param((5, 60), 2.5, 80.0, Bound.EXTRAPOLATED, id="crossed beyond the load seen"),
        pytest.param((30, 40), 5.0, 40.0, Bound.AT_LEAST, id="too narrow a range to extrapolate"),
    ],
)
def test_the_sustainable_load_meets_the_true_one(
    seen: tuple[float, float], objective: float, expected: float, bound: Bound
) -> None:
    answer = sustained(model(*seen).sustainable_load_per_replica({TTFT: objective}, headroom=0.0))
    assert answer.bound is bound
    assert answer.load == pytest.approx(expected, rel=0.15)
    assert answer.load <= expected * 1.02


def test_headroom_is_taken_off_the_load() -> None:
    full = sustained(model(5, 80).sustainable_load_per_replica({TTFT: 1.0}, headroom=0.0))
    less = sustained(model(5, 80).sustainable_load_per_replica({TTFT: 1.0}, headroom=0.2))
    assert less.load == pytest.approx(0.8 * full.load)


def test_a_demand_for_more_certainty_gives_less_load() -> None:
    noisy = model(5, 80, noise=0.3)
    loads = [
        sustained(noisy.sustainable_load_per_replica({TTFT: 1.5}, probability=p)).load
        for p in (0.1, 0.5, 0.9)
    ]
    assert loads[0] > loads[1] > loads[2]


@pytest.mark.parametrize(
    ("capacity", "objectives", "word"),
    [
        pytest.param(CapacityModel(), {TTFT: 1.0}, "no readings", id="nothing was seen"),
        pytest.param(model(5, 80, cycles=4), {TTFT: 1.0}, "windows", id="too few windows"),
        pytest.param(model(5, 80), {TTFT: 0.2}, "lowest load", id="never met at any load"),
        pytest.param(model(5, 80), {}, "no latency objective", id="nothing to keep"),
    ],
)
def test_no_load_is_named_without_evidence_and_the_reason_is_said(
    capacity: CapacityModel, objectives: dict[Signal, float], word: str
) -> None:
    answer = capacity.sustainable_load_per_replica(objectives)
    assert isinstance(answer, Unidentified)
    assert word in answer.reason


def test_an_objective_without_readings_is_named_as_unjudged() -> None:
    answer = sustained(model(5, 80).sustainable_load_per_replica({TTFT: 1.0, TPOT: 0.1}))
    assert answer.limited_by is TTFT
    assert set(answer.unjudged) == {TPOT}


@pytest.mark.parametrize(
    ("capacity", "word"),
    [
        pytest.param(model(30, 40), "factor", id="a narrow range of load"),
        pytest.param(model(5, 80, cycles=4), "windows", id="few windows"),
        pytest.param(CapacityModel(), "no readings", id="nothing"),
    ],
)
def test_a_curve_that_is_not_identified_is_not_trusted(capacity: CapacityModel, word: str) -> None:
    assert not capacity.trusted(TTFT)
    assert word in capacity.distrust(TTFT)


def test_latency_that_does_not_rise_with_load_is_not_extrapolated() -> None:
    rng = random.Random(9)
    flat = CapacityModel()
    for n in range(200):
        load = rng.uniform(5.0, 80.0)
        latency = rng.lognormvariate(0.0, 0.1)
        flat = flat.learned({TTFT: (latency, 0.5)}, load=load, at=30.0 * n)
    assert "does not rise" in flat.distrust(TTFT)
    answer = sustained(flat.sustainable_load_per_replica({TTFT: 5.0}, headroom=0.0))
    assert answer.bound is Bound.AT_LEAST
    assert answer.load <= 80.0


def test_another_pod_template_keeps_the_old_curve_as_a_guide_only() -> None:
    old = model(5, 80)
    new = old.for_template("t2")
    assert new.effective_samples(TTFT) == 0.0
    assert not new.trusted(TTFT)
    before, guided = old.predict(TTFT, 40.0), new.predict(TTFT, 40.0)
    assert before is not None
    assert guided is not None
    assert guided.mean == pytest.approx(before.mean, rel=0.01)
    assert guided.high / guided.low > 2.0 * before.high / before.low
    assert isinstance(new.sustainable_load_per_replica({TTFT: 1.0}), Unidentified)


def test_a_faster_template_is_learned_over_its_prior() -> None:
    new = model(5, 80).for_template("t2")
    rng = random.Random(8)
    for n in range(200):
        load = rng.uniform(5.0, 80.0)
        new = new.learned({TTFT: (queue(load) / 3.0, 0.5)}, load=load, at=1e4 + 30.0 * n)
    found = new.predict(TTFT, 40.0)
    assert found is not None
    assert found.mean == pytest.approx(queue(40.0) / 3.0, rel=0.1)


def test_the_interval_covers_what_it_says() -> None:
    capacity = model(5, 80, cycles=600, noise=0.3)
    rng = random.Random(11)
    inside = 0
    for _ in range(400):
        load = rng.uniform(8.0, 75.0)
        found = capacity.predict(TTFT, load, probability=0.8)
        assert found is not None
        inside += found.low <= queue(load) * rng.lognormvariate(0.0, 0.3) <= found.high
    assert 0.72 <= inside / 400 <= 0.9


def test_the_mean_of_many_readings_is_known_better_than_one() -> None:
    capacity = model(5, 80, noise=0.3)
    one = capacity.predict(TTFT, 40.0, readings=1.0)
    all_ = capacity.predict(TTFT, 40.0, readings=math.inf)
    assert one is not None
    assert all_ is not None
    assert one.low < all_.low < all_.mean < all_.high < one.high


def test_nothing_is_predicted_from_nothing() -> None:
    assert CapacityModel().predict(TTFT, 10.0) is None


def test_another_unit_forgets_what_cannot_be_converted() -> None:
    changed = model(5, 80).in_unit(LoadUnit.TOKENS)
    assert changed.curves == {}
    assert changed.template_hash == "t1"


POINTS = st.lists(st.tuples(st.floats(1.0, 90.0), st.floats(0.7, 1.4)), min_size=1, max_size=40)


@given(
    points=POINTS,
    objectives=st.fixed_dictionaries(
        {TTFT: st.floats(0.2, 20.0)}, optional={TPOT: st.floats(0.2, 20.0)}
    ),
    probability=st.sampled_from([0.0, 0.6]),
    load=st.floats(0.5, 300.0),
)
@settings(max_examples=300)
def test_a_load_that_is_surely_carried_is_no_more_than_the_sustainable_one(
    points: list[tuple[float, float]],
    objectives: dict[Signal, float],
    probability: float,
    load: float,
) -> None:
    found = CapacityModel(template_hash="t1")
    for n, (at, noise) in enumerate(points):
        latency = queue(at) * noise
        learned = {TTFT: (latency, 0.5), TPOT: (latency / 3.0, 0.5)}
        found = found.learned(learned, load=at, at=30.0 * n)
    named = found.sustainable_load_per_replica(objectives, probability=probability)
    if found.carries(objectives, load, probability=probability):
        assert sustained(named).load >= load
        assert sustained(named).bound is not Bound.AT_LEAST


@pytest.mark.parametrize(
    ("share", "carried"),
    [
        pytest.param(0.5, True, id="half of what it carries"),
        pytest.param(0.99, True, id="nearly all of it"),
        pytest.param(1.01, False, id="more than that"),
    ],
)
@pytest.mark.parametrize("objective", [1.0, 2.5], ids=["crossed inside", "crossed beyond"])
def test_whether_a_load_is_carried_is_told_up_to_the_sustainable_one(
    objective: float, share: float, carried: bool
) -> None:
    found = model(5, 60)
    load = sustained(found.sustainable_load_per_replica({TTFT: objective})).load
    assert found.carries({TTFT: objective}, share * load) is carried


def test_nothing_is_carried_for_sure_by_an_unknown_server() -> None:
    assert not CapacityModel().carries({TTFT: 1.0}, 0.1)
    assert not model(30, 40).carries({TTFT: 5.0}, 1.0), "the range seen was too narrow to tell"
