"""Balancers: who serves the next request, by rule."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.routing.balancing.fallback import Fallback
from aurora.routing.balancing.least_latency import LeastLatency
from aurora.routing.balancing.least_outstanding import LeastOutstanding
from aurora.routing.balancing.round_robin import RoundRobin
from aurora.routing.balancing.sticky import Sticky
from aurora.routing.balancing.weighted import Weighted
from aurora.routing.errors import InputError
from aurora.routing.types import Outcome, ProviderState, WorkloadContext

REQUEST = WorkloadContext()
RNG = np.random.default_rng(1)
ARMS = ("a", "b", "c")


def shares(strategy: Any, arms: tuple[str, ...] = ARMS, context: Any = REQUEST) -> dict[str, float]:
    found, scores = strategy.distribution(context, arms, RNG)
    assert len(scores) == len(arms)
    assert sum(found) == pytest.approx(1.0)
    return dict(zip(arms, found, strict=True))


def turns(strategy: Any, count: int, arms: tuple[str, ...] = ARMS) -> list[str]:
    taken = []
    for step in range(count):
        found = shares(strategy, arms)
        arm = max(found, key=found.__getitem__)
        strategy.chosen(REQUEST, arm, float(step))
        taken.append(arm)
    return taken


def answered(latency_ms: float, *, success: bool = True) -> Outcome:
    return Outcome(success=success, cost_usd=0.0, latency_ms=latency_ms)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        pytest.param(
            {"a": 3, "b": 1, "c": 0}, {"a": 0.75, "b": 0.25, "c": 0.0}, id="in proportion"
        ),
        pytest.param({}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, id="alike without weights"),
        pytest.param({"a": 0, "b": 0, "c": 0}, dict.fromkeys(ARMS, 1 / 3), id="nobody has weight"),
    ],
)
def test_weighted_shares(weights: Mapping[str, float], expected: Mapping[str, float]) -> None:
    assert shares(Weighted(weights=weights)) == pytest.approx(expected)


def test_round_robin_spreads_the_heavy_arm_smoothly() -> None:
    strategy = RoundRobin(weights={"a": 5, "b": 1, "c": 1})
    # The sequence that nginx documents for 5, 1, 1.
    assert turns(strategy, 7) == ["a", "a", "b", "a", "c", "a", "a"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_round_robin_keeps_the_weights_over_a_full_turn(weights: list[int]) -> None:
    arms = tuple(f"p{index}" for index in range(len(weights)))
    named = dict(zip(arms, weights, strict=True))
    seen = Counter(turns(RoundRobin(weights=named), 2 * sum(weights), arms))
    assert seen == {arm: 2 * weight for arm, weight in named.items()}


def test_round_robin_never_takes_an_arm_of_weight_0() -> None:
    strategy = RoundRobin(weights={"a": 1, "b": 0, "c": 0})
    assert set(turns(strategy, 20)) == {"a"}


def test_least_latency_prefers_the_stated_then_the_measured_one() -> None:
    strategy = LeastLatency()
    strategy.fleet(
        [
            ProviderState(provider_id="a", latency_ms=50),
            ProviderState(provider_id="b", latency_ms=90),
        ]
    )
    assert shares(strategy)["a"] == 1.0
    for step in range(10):
        strategy.outcome(REQUEST, "a", answered(400.0), float(step))
    assert shares(strategy)["b"] == 1.0


def test_failing_fast_is_not_being_fast() -> None:
    strategy = LeastLatency()
    for step in range(5):
        strategy.outcome(REQUEST, "a", answered(1.0, success=False), float(step))
        strategy.outcome(REQUEST, "b", answered(200.0), float(step))
    assert shares(strategy, ("a", "b")) == {"a": 0.0, "b": 1.0}


def test_latency_is_forgotten_by_time_and_not_by_requests() -> None:
    strategy = LeastLatency(memory_s=10.0)
    for step in range(100):
        strategy.outcome(REQUEST, "a", answered(1000.0), 0.01 * step)
        strategy.outcome(REQUEST, "b", answered(300.0), 0.01 * step)
    strategy.outcome(REQUEST, "a", answered(100.0), 101.0)
    assert shares(strategy, ("a", "b"))["a"] == 1.0


def test_equals_within_the_tolerance_share() -> None:
    strategy = LeastLatency(tolerance=0.1)
    for arm, latency in (("a", 100.0), ("b", 108.0), ("c", 130.0)):
        strategy.outcome(REQUEST, arm, answered(latency), 0.0)
    assert shares(strategy) == {"a": 0.5, "b": 0.5, "c": 0.0}


def test_least_outstanding_follows_what_is_under_way() -> None:
    strategy = LeastOutstanding()
    assert sorted(turns(strategy, 3)) == ["a", "b", "c"]
    strategy.outcome(REQUEST, "b", answered(1.0), 3.0)
    assert shares(strategy) == {"a": 0.0, "b": 1.0, "c": 0.0}
    strategy.outcome(REQUEST, "a", None, 4.0)
    assert shares(strategy) == {"a": 0.5, "b": 0.5, "c": 0.0}
    assert strategy.status() == {"outstanding": 1.0}


def test_an_outcome_too_many_is_no_credit() -> None:
    strategy = LeastOutstanding()
    for _ in range(3):
        strategy.outcome(REQUEST, "a", answered(1.0), 0.0)
    assert shares(strategy)["a"] == pytest.approx(1 / 3)


def test_weights_allow_more_under_way() -> None:
    seen = Counter(turns(LeastOutstanding(weights={"a": 3.0}), 50, ("a", "b")))
    assert seen["a"] == pytest.approx(37.5, abs=1.5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=7), st.integers(1, 4))
def test_the_power_of_choices_has_the_probabilities_of_its_draw(
    loads: list[int], choices: int
) -> None:
    strategy = LeastOutstanding(choices=choices)
    arms = tuple(f"p{index}" for index in range(len(loads)))
    for arm, load in zip(arms, loads, strict=True):
        for _ in range(load):
            strategy.chosen(REQUEST, arm, 0.0)
    found = shares(strategy, arms)
    rng = np.random.default_rng(3)
    taken: Counter[str] = Counter()
    for _ in range(3000):
        drawn = rng.choice(len(arms), size=min(choices, len(arms)), replace=False)
        least = min(loads[index] for index in drawn)
        taken[arms[int(rng.choice([i for i in drawn if loads[i] == least]))]] += 1
    for arm in arms:
        # 5 standard errors of 3,000 draws.
        assert taken[arm] / 3000 == pytest.approx(found[arm], abs=0.05)


KEYS = [WorkloadContext(session_key=f"key-{index}") for index in range(400)]


def homes(strategy: Sticky, arms: tuple[str, ...]) -> list[str]:
    found = [shares(strategy, arms, key) for key in KEYS]
    assert all(max(one.values()) == 1.0 for one in found)
    return [max(one, key=one.__getitem__) for one in found]


def test_a_key_keeps_its_arm_in_every_replica_and_order() -> None:
    assert homes(Sticky(), ARMS) == homes(Sticky(), ("c", "a", "b"))


def test_only_the_keys_of_a_lost_arm_move() -> None:
    before, after = homes(Sticky(), ARMS), homes(Sticky(), ("a", "c"))
    assert all(one == two for one, two in zip(before, after, strict=True) if one != "b")
    assert {two for one, two in zip(before, after, strict=True) if one == "b"} == {"a", "c"}


def test_keys_follow_the_weights_and_the_salt() -> None:
    seen = Counter(homes(Sticky(weights={"a": 2.0, "b": 1.0, "c": 0.0}), ARMS))
    assert seen["c"] == 0
    assert seen["a"] / len(KEYS) == pytest.approx(2 / 3, abs=0.08)
    assert homes(Sticky(salt="x"), ARMS) != homes(Sticky(), ARMS)


def test_without_a_key_the_tenant_or_the_weights_decide() -> None:
    assert max(shares(Sticky(), ARMS, WorkloadContext(tenant="acme")).values()) == 1.0
    assert shares(Sticky(weights={"a": 2.0})) == {"a": 0.5, "b": 0.25, "c": 0.25}


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        pytest.param(("b", "a", "c"), {"a": 1.0}, id="the preferred one is there"),
        pytest.param(("c", "b"), {"b": 0.75, "c": 0.25}, id="the second tier shares by weight"),
        pytest.param(("x", "y"), {"x": 0.5, "y": 0.5}, id="who is not named comes last"),
    ],
)
def test_a_fallback_chain(arms: tuple[str, ...], expected: Mapping[str, float]) -> None:
    strategy = Fallback(tiers=["a", ["b", "c"]], weights={"b": 3.0, "c": 1.0})
    assert {arm: share for arm, share in shares(strategy, arms).items() if share} == expected


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: Weighted(weights={"a": -1.0}), id="a negative weight"),
        pytest.param(lambda: RoundRobin(weights={"a": float("inf")}), id="a weight without end"),
        pytest.param(lambda: LeastLatency(memory_s=0.0), id="no memory"),
        pytest.param(lambda: LeastOutstanding(weights={"a": 0.0}), id="a weight of 0 per request"),
        pytest.param(lambda: LeastOutstanding(choices=-1), id="negative choices"),
        pytest.param(lambda: Fallback(tiers=[]), id="no tier"),
        pytest.param(lambda: Fallback(tiers=["a", ["a"]]), id="an arm in two tiers"),
        pytest.param(lambda: Weighted().restore({"x": 1}), id="a snapshot of another strategy"),
    ],
)
def test_bad_input_is_refused(build: Any) -> None:
    with pytest.raises(InputError):
        build()
