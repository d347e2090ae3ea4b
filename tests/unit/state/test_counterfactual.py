"""Verdicts: measured against what would have happened without the action."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.errors import UsageError
from aurora.observe.sample import Signal
from aurora.resources.vocabulary import OutcomeVerdict
from aurora.state.capacity import CapacityModel
from aurora.state.counterfactual import (
    Effect,
    expected_unchanged,
    expected_without_action,
    judge,
)
from aurora.state.history import LATENCIES, Moment
from aurora.state.memory import ModelMemory

TTFT, ERRORS = Signal.TTFT_P95, Signal.SERVER_ERROR_RATIO
PLACE = LATENCIES.index(TTFT)
WINDOW_S = 60.0


def queue(load: float) -> float:
    return 0.5 / (1.0 - load / 10.0)


def moment(
    at: float,
    latency: float | None,
    *,
    load: float | None = 12.0,
    ready: int = 2,
    errors: float | None = None,
) -> Moment:
    latencies = tuple(latency if n == PLACE else None for n in range(len(LATENCIES)))
    return Moment(at, load, ready, None, latencies, errors)


def memory(seed: int = 1, noise: float = 0.1) -> ModelMemory:
    """Two replicas that saturate at 10 each, watched from 1 to 8 requests/s per replica."""
    rng, capacity = random.Random(seed), CapacityModel()
    for n in range(300):
        load = rng.uniform(1.0, 8.0)
        value = queue(load) * rng.lognormvariate(0.0, noise)
        capacity = capacity.learned({TTFT: (value, 0.5)}, load=load, at=30.0 * n)
    history = tuple(
        moment(9000.0 + 15.0 * n, queue(6.0) * rng.lognormvariate(0.0, noise)) for n in range(40)
    )
    return ModelMemory(capacity=capacity, history=history)


def verification(
    latency: float, *, ready: int = 2, noise: float = 0.1, seed: int = 2
) -> list[Moment]:
    rng = random.Random(seed)
    return [
        moment(9720.0 + 15.0 * n, latency * rng.lognormvariate(0.0, noise), ready=ready)
        for n in range(20)
    ]


def verdict_on(moments: list[Moment], *, before: ModelMemory | None = None) -> Effect:
    expected = expected_without_action(
        before or memory(), moments, signal=TTFT, replicas=2, window_s=WINDOW_S
    )
    assert expected is not None
    found = judge(moments, expected, window_s=WINDOW_S)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("latency", "verdict"),
    [
        pytest.param(queue(4.0), "Improved", id="three replicas serve the same load faster"),
        pytest.param(queue(6.0), "Neutral", id="nothing changed"),
        pytest.param(queue(8.0), "Regressed", id="the same load is served slower"),
    ],
)
def test_the_verdict_on_a_constant_load(latency: float, verdict: str) -> None:
    found = verdict_on(verification(latency))
    assert found.verdict == verdict
    assert found.relative is not None
    assert found.relative.low < latency / queue(6.0) - 1.0 < found.relative.high
    assert found.difference.mean == pytest.approx(latency - queue(6.0), rel=0.3, abs=0.1)


def test_a_higher_load_that_is_served_as_before_is_an_improvement() -> None:
    moments = [m._replace(load=16.0) for m in verification(queue(6.0), ready=3)]
    found = verdict_on(moments)
    assert found.verdict is OutcomeVerdict.IMPROVED


def test_what_the_curve_missed_before_is_not_credited_to_the_action() -> None:
    slow = memory()
    slow = replace(
        slow,
        history=tuple(
            m._replace(latencies=tuple(None if v is None else 2.0 * v for v in m.latencies))
            for m in slow.history
        ),
    )
    aware = verdict_on(verification(2.0 * queue(6.0)), before=slow)
    naive = verdict_on(verification(2.0 * queue(6.0)))
    assert naive.verdict is OutcomeVerdict.REGRESSED
    assert abs(aware.difference.mean) < 0.5 * abs(naive.difference.mean)


def test_a_longer_window_gives_a_narrower_interval() -> None:
    short, long = (
        verdict_on([moment(9720.0 + 15.0 * n, queue(6.0)) for n in range(count)])
        for count in (8, 60)
    )
    assert short.relative is not None
    assert long.relative is not None
    assert long.effective > short.effective
    assert long.relative.high - long.relative.low < short.relative.high - short.relative.low


def test_overlapping_windows_do_not_count_as_independent() -> None:
    found = verdict_on(verification(queue(6.0)))
    assert found.readings == 20
    assert found.effective <= 19 * 15.0 / WINDOW_S + 1.0


def test_no_effect_is_claimed_more_often_than_the_interval_allows() -> None:
    claimed = sum(
        verdict_on(
            verification(queue(6.0), noise=0.2, seed=seed), before=memory(seed, noise=0.2)
        ).verdict
        is not OutcomeVerdict.NEUTRAL
        for seed in range(60)
    )
    assert claimed <= 10


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        pytest.param(0.30, 0.00, "Improved", id="the fallback serves what failed"),
        pytest.param(0.01, 0.01, "Neutral", id="errors stayed as they were"),
        pytest.param(0.01, 0.20, "Regressed", id="errors rose"),
        pytest.param(0.0, 0.0, "Neutral", id="there were none and there are none"),
    ],
)
def test_error_ratios_are_compared_with_the_level_before(
    before: float, after: float, verdict: str
) -> None:
    rng = random.Random(5)
    jitter = min(before, after, 0.005)
    past = [moment(15.0 * n, None, errors=before + rng.uniform(0, jitter)) for n in range(40)]
    since = [moment(720 + 15.0 * n, None, errors=after + rng.uniform(0, jitter)) for n in range(20)]
    expected = expected_unchanged(past, since, signal=ERRORS, window_s=WINDOW_S)
    assert expected is not None
    found = judge(since, expected, window_s=WINDOW_S)
    assert found is not None
    assert found.verdict == verdict
    assert found.relative is None


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param([], id="no cycle"),
        pytest.param([moment(9720.0, 1.0), moment(9735.0, 1.0)], id="two cycles"),
        pytest.param([moment(9720.0 + n, None) for n in range(20)], id="no latency"),
        pytest.param([moment(9720.0 + n, 1.0, load=None) for n in range(20)], id="no load"),
    ],
)
def test_no_verdict_is_given_without_data(moments: list[Moment]) -> None:
    expected = expected_without_action(
        memory(), moments, signal=TTFT, replicas=2, window_s=WINDOW_S
    )
    assert expected is None or judge(moments, expected, window_s=WINDOW_S) is None


def test_nothing_is_expected_from_a_model_that_learned_nothing() -> None:
    moments = verification(1.0)
    assert (
        expected_without_action(ModelMemory(), moments, signal=TTFT, replicas=2, window_s=WINDOW_S)
        is None
    )
    assert expected_unchanged([], moments, signal=TTFT, window_s=WINDOW_S) is None


def test_a_signal_without_history_is_refused() -> None:
    with pytest.raises(UsageError, match="driftScore"):
        expected_unchanged([], [moment(0.0, 1.0)], signal=Signal.DRIFT_SCORE, window_s=WINDOW_S)


LATENCY = st.floats(1e-4, 1e4)


@given(
    st.lists(st.tuples(LATENCY, st.floats(0.0, 1e6)), min_size=3, max_size=40),
    st.floats(1.05, 50.0),
    st.integers(1, 8),
)
@settings(max_examples=100, deadline=None)
def test_intervals_are_finite_and_slower_never_looks_better(
    seen: list[tuple[float, float]], factor: float, replicas: int
) -> None:
    fast = [moment(9720.0 + 15.0 * n, y, load=x) for n, (y, x) in enumerate(seen)]
    slow = [moment(9720.0 + 15.0 * n, factor * y, load=x) for n, (y, x) in enumerate(seen)]
    effects = []
    for moments in (fast, slow):
        expected = expected_without_action(
            LEARNED, moments, signal=TTFT, replicas=replicas, window_s=WINDOW_S
        )
        assert expected is not None
        assert 0.0 < expected.interval.low <= expected.interval.mean <= expected.interval.high
        effect = judge(moments, expected, window_s=WINDOW_S)
        assert effect is not None
        assert all(math.isfinite(x) for x in (*effect.difference, effect.effective))
        assert effect.difference.low <= effect.difference.mean <= effect.difference.high
        neutral = effect.verdict is OutcomeVerdict.NEUTRAL
        assert neutral == effect.difference.contains_zero
        effects.append(effect)
    assert effects[0].difference.mean < effects[1].difference.mean


LEARNED = memory()
