"""Every fault that the engine is promised to survive, each with what is defined for it."""

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from aurora.routing import (
    EngineSettings,
    InputError,
    ProviderState,
    RewardWeights,
    RoutingEngine,
    UnknownDecisionError,
)

CONTEXT = {"workload_type": "inference"}
PROVIDERS = [{"provider_id": "a"}, {"provider_id": "b"}]


def engine(**settings: Any) -> RoutingEngine:
    return RoutingEngine(settings=EngineSettings(seed=1, **settings))


def learned(routing: RoutingEngine) -> Any:
    return routing.strategist.strategy.snapshot()


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param((math.nan, 1.0), id="NaN cost"),
        pytest.param((math.inf, 1.0), id="infinite cost"),
        pytest.param((-1.0, 1.0), id="negative cost"),
        pytest.param((1.0, math.nan), id="NaN latency"),
        pytest.param(("1", 1.0), id="cost as a text"),
        pytest.param((None, 1.0), id="no cost"),
        pytest.param((1.0, 1.0, 500.0), id="reputation out of range"),
        pytest.param((1e200, 1.0), id="a cost whose square is no number"),
        pytest.param((1.0, 1e200), id="a latency whose square is no number"),
    ],
)
def test_unusable_figures_change_nothing_and_may_be_corrected(figures: tuple) -> None:
    routing = engine()
    _, told = routing.decide(CONTEXT, PROVIDERS)
    before, status = learned(routing), routing.get_status()
    with pytest.raises(InputError):
        routing.feedback(told["decision_id"], True, *figures)
    assert learned(routing) == before
    assert routing.get_status() == status
    assert routing.feedback(told["decision_id"], True, 1.0, 500.0) == pytest.approx(8.0)


@pytest.mark.parametrize("providers", [None, 5])
def test_no_list_of_providers_is_refused_in_words(providers: Any) -> None:
    routing = engine()
    with pytest.raises(InputError, match="providers must be a list"):
        routing.decide(CONTEXT, providers)
    assert routing.get_status()["executor"]["pending_feedback"] == 0


@pytest.mark.parametrize("success", ["no", None, 2, math.nan])
def test_a_success_that_is_neither_true_nor_false_changes_nothing(success: Any) -> None:
    routing = engine()
    _, told = routing.decide(CONTEXT, PROVIDERS)
    before, status = learned(routing), routing.get_status()
    with pytest.raises(InputError, match="success must be true or false"):
        routing.feedback(told["decision_id"], success, 1.0, 500.0)
    assert learned(routing) == before
    assert routing.get_status() == status


@pytest.mark.parametrize("strategy", ["q-learning", "ucb", "thompson", "linucb", "lints", "dqn"])
def test_the_largest_figures_leave_every_strategy_able_to_decide(strategy: str) -> None:
    routing = RoutingEngine(strategy=strategy, settings=EngineSettings(seed=1))
    for cost in [9e99, 0.0, 8e99, 9e99, 1.0] * 10:
        _, told = routing.decide(CONTEXT, PROVIDERS)
        routing.feedback(told["decision_id"], cost < 1.0, cost, 1e90)
    _, told = routing.decide(CONTEXT, PROVIDERS)
    assert all(map(math.isfinite, told["scores"].values()))
    json.dumps([told, routing.get_status(), routing.snapshot()], allow_nan=False)


@pytest.mark.parametrize("strategy", ["linucb", "lints", "dqn"])
def test_features_that_no_regression_can_hold_are_refused(strategy: str) -> None:
    options = {"dimension": 5}
    routing = RoutingEngine(strategy=strategy, settings=EngineSettings(strategy_options=options))
    with pytest.raises(InputError, match="a feature must be"):
        routing.decide({"features": [1.0, 1e160, 0.0, 0.0, 0.0]}, PROVIDERS)
    for _ in range(100):
        _, told = routing.decide({"features": [1e6, -1e6, 1.0, 0.0, 0.5]}, PROVIDERS)
        routing.feedback(told["decision_id"], True, 1.0, 1.0)
    assert all(map(math.isfinite, told["scores"].values()))


def test_a_negative_reward_is_learned_like_any_other() -> None:
    routing = engine()
    chosen, told = routing.decide(CONTEXT, PROVIDERS)
    assert routing.feedback(told["decision_id"], False, 5.0, 500.0) == -26.0
    assert routing.decide(CONTEXT, PROVIDERS)[1]["scores"][chosen] == pytest.approx(-2.6)


def test_an_infinite_reward_is_refused_everywhere() -> None:
    routing = engine(reward=RewardWeights(cost=1e308))
    _, told = routing.decide(CONTEXT, PROVIDERS)
    before = learned(routing)
    with pytest.raises(InputError, match="check cost, latency and weights"):
        routing.feedback(told["decision_id"], True, 1e5, 1.0)
    for reward in (math.inf, -math.inf, math.nan):
        with pytest.raises(InputError, match="finite"):
            routing.strategist.update_q_value("inference||", "a", reward)
    assert learned(routing) == before


def test_the_largest_rewards_do_not_overflow_the_table() -> None:
    routing = engine()
    for sign in (1.0, -1.0) * 5:
        routing.strategist.update_q_value("inference||", "a", sign * 1.7e308)
    _, told = routing.decide(CONTEXT, PROVIDERS)
    assert all(map(math.isfinite, told["scores"].values()))


def test_feedback_twice_learns_once() -> None:
    routing = engine()
    _, told = routing.decide(CONTEXT, PROVIDERS)
    first = routing.feedback(told["decision_id"], True, 1.0, 500.0)
    before = learned(routing)
    assert routing.feedback(told["decision_id"], False, 9.0, 9.0) == first
    assert learned(routing) == before
    assert routing.get_status()["executor"]["duplicate_feedback"] == 1


def test_feedback_for_an_unknown_decision_learns_nothing() -> None:
    routing = engine()
    routing.decide(CONTEXT, PROVIDERS)
    before = learned(routing)
    with pytest.raises(UnknownDecisionError):
        routing.feedback("no such decision", True, 1.0, 1.0)
    assert learned(routing) == before
    assert routing.get_status()["executor"]["total_outcomes"] == 0


def test_clocks_that_go_back_neither_expire_nor_reorder() -> None:
    wall, ticking = [1e9], [100.0]
    routing = engine(clock=lambda: wall[0], monotonic=lambda: ticking[0])
    ids = []
    for step in (0.0, -86_400.0, -1e9):
        wall[0] += step
        ids.append(routing.decide(CONTEXT, PROVIDERS)[1]["decision_id"])
        routing.auditor.flag_anomaly(ids[-1], "inference||", "a", "looked at")
    wall[0] = 2e9
    routing.auditor.flag_anomaly(ids[-1], "inference||", "a", "the clock is right again")
    wall[0] = 1e9
    ids.append(routing.decide(CONTEXT, PROVIDERS)[1]["decision_id"])
    times = [entry["timestamp"] for entry in routing.get_audit_trail()]
    assert times == sorted(times)
    logged = [decision.at for decision in routing.decisions()]
    assert logged == sorted(logged)
    for known in ids:
        routing.feedback(known, True, 1.0, 1.0)
    assert routing.get_status()["executor"]["expired_feedback"] == 0


def test_even_a_monotonic_clock_that_goes_back_is_survived() -> None:
    ticking = [1000.0]
    routing = engine(monotonic=lambda: ticking[0], feedback_ttl_seconds=10.0)
    first = routing.decide(CONTEXT, PROVIDERS)[1]["decision_id"]
    ticking[0] = 0.0
    second = routing.decide(CONTEXT, PROVIDERS)[1]["decision_id"]
    routing.feedback(first, True, 1.0, 1.0)
    routing.feedback(second, True, 1.0, 1.0)


@pytest.mark.parametrize("strict", [True, False])
def test_ten_thousand_arms(strict: bool) -> None:
    routing = RoutingEngine(strict_audit=strict, settings=EngineSettings(seed=1, log_size=100,
                            trail_size=100))  # fmt: skip
    fleet = tuple(
        ProviderState(provider_id=f"p{number}", latency_ms=float(number))
        for number in range(10_000)
    )
    limits = {"max_latency_ms": 4999.0}
    for _ in range(20):
        chosen, told = routing.decide(CONTEXT, fleet, limits)
        routing.feedback(told["decision_id"], True, 0.0, 0.0)
        assert told["propensity"] > 0.0
        assert not strict or int(chosen[1:]) < 5000
    assert len(told["scores"]) == (5000 if strict else 10_000)
    final = routing.decisions()[-1].propensities
    assert final is not None
    assert sum(final.values()) == pytest.approx(1.0)
    assert min(list(final.values())[:5000]) >= 0.01 / 5000 - 1e-12


def test_the_log_of_ten_thousand_arms_stays_within_its_memory() -> None:
    routing = engine(log_size=1000)
    fleet = tuple(ProviderState(provider_id=f"p{number}") for number in range(10_000))
    routing.decide(CONTEXT, fleet)
    tracemalloc.start()
    try:
        for _ in range(100):
            told = routing.decide(CONTEXT, fleet)[1]
        assert tracemalloc.get_traced_memory()[0] < 16_000_000
    finally:
        tracemalloc.stop()
    assert len(told["scores"]) == 10_000
    log = routing.decisions()
    assert [decision.propensities is None for decision in log] == [True] * 81 + [False] * 20
    assert all(decision.propensity == pytest.approx(1e-4) for decision in log)
    assert all(decision.score == 0.0 for decision in log)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_provider_with_broken_figures_stops_nobody(value: float | None) -> None:
    fleet = [{"provider_id": "a", "latency_ms": value, "price_usd_per_hour": value,
              "reputation": value}, {"provider_id": "b", "latency_ms": 1.0}]  # fmt: skip
    assert {engine_for_all(fleet) for _ in range(1)} == {frozenset({"a", "b"})}
    strict = RoutingEngine(strict_audit=True)
    assert strict.decide(CONTEXT, fleet, {"max_latency_ms": 10.0})[0] == "b"


def engine_for_all(fleet: list) -> frozenset[str]:
    routing = engine()
    return frozenset(routing.decide(CONTEXT, fleet)[0] for _ in range(50))


def test_feedback_that_never_comes_does_not_grow_memory() -> None:
    routing = engine(log_size=200, trail_size=200)

    def grow(times: int) -> int:
        for number in range(times):
            routing.decide({"workload_type": "inference", "tenant": f"t{number}"}, PROVIDERS)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first = grow(2000)
        assert grow(6000) - first < 50_000
    finally:
        tracemalloc.stop()
    assert routing.get_status()["executor"]["pending_feedback"] == 200


def test_hostile_kinds_of_request_do_not_grow_memory_without_bound() -> None:
    routing = engine(log_size=10, trail_size=10)
    for number in range(5000):
        routing.decide({"gpu_type": f"g{number}", "region": f"r{number}"}, PROVIDERS)
    assert routing._fleet is not None
    assert len(routing._fleet._admissions) <= 256
    many = tuple(ProviderState(provider_id=f"p{number}") for number in range(5000))
    for number in range(60):
        routing.decide({"region": f"r{number}"}, many, {"max_price": float(number % 10)})
    assert len(routing._fleets._known) <= 4
    assert all(len(fleet._admissions) <= 256 for fleet in routing._fleets._known)
    for number in range(60):
        routing.decide({"region": f"r{number}"}, many)
    assert len(routing._fleets._known[0]._admissions) <= 21


def kept_arms(strategy: Any) -> int:
    """Of how many providers a strategy keeps anything."""
    for name in ("_credit", "_measured", "_outstanding"):
        if hasattr(strategy, name):
            return len(getattr(strategy, name))
    state = strategy.snapshot()
    return len(state["arms"]) if "arms" in state else sum(len(row[3]) for row in state["states"])


@pytest.mark.parametrize(
    "strategy",
    [
        "q-learning",
        "ucb",
        "thompson",
        "linucb",
        "lints",
        "dqn",
        "round-robin",
        "least-latency",
        "least-outstanding",
    ],
)
def test_providers_that_never_come_back_make_room(strategy: str) -> None:
    """Ids of pods: a new one with every restart, feedback at once, late or never."""
    settings = EngineSettings(seed=1, arms_limit=50, log_size=120)
    routing = RoutingEngine(strategy=strategy, settings=settings)
    late: list[str] = []
    for number in range(400):
        pods = tuple(ProviderState(provider_id=f"pod-{number + i}") for i in range(2))
        told = routing.decide(CONTEXT, pods)[1]["decision_id"]
        if number % 3 == 0:
            routing.feedback(told, True, 1.0, 100.0)
        elif number % 3 == 1:
            late.append(told)
        if len(late) > 30:
            routing.feedback(late.pop(0), True, 1.0, 100.0)
    assert kept_arms(routing.strategist.strategy) <= 52
    assert kept_arms(routing.strategist.strategy) > 10


@pytest.mark.parametrize("strategy", ["q-learning", "ucb", "thompson", "linucb", "lints", "dqn"])
def test_providers_of_an_earlier_life_make_room_as_well(strategy: str, tmp_path: Path) -> None:
    for life in range(3):
        settings = EngineSettings(seed=1, arms_limit=50)
        path = tmp_path / "state.json"
        with RoutingEngine(model_path=path, strategy=strategy, settings=settings) as routing:
            for number in range(60):
                pods = (ProviderState(provider_id=f"pod-{life}-{number}"),)
                told = routing.decide(CONTEXT, pods)[1]["decision_id"]
                routing.feedback(told, True, 1.0, 100.0)
        assert 50 <= kept_arms(routing.strategist.strategy) <= 51


def test_what_is_offered_is_never_forgotten() -> None:
    routing = engine(arms_limit=0)
    fleet = tuple(ProviderState(provider_id=f"p{number}") for number in range(20))
    for _ in range(200):
        chosen, told = routing.decide(CONTEXT, fleet)
        routing.feedback(told["decision_id"], chosen == "p3", 0.0, 0.0)
    before = learned(routing)
    routing.decide(CONTEXT, list(fleet))
    routing.decide(CONTEXT, [*fleet, ProviderState(provider_id="new")])
    assert learned(routing)["states"] == before["states"]
    routing.decide(CONTEXT, fleet[:3])
    assert kept_arms(routing.strategist.strategy) == 3


def test_a_log_that_goes_round_keeps_all_its_mixtures() -> None:
    routing = engine(log_size=10)
    fleet = tuple(ProviderState(provider_id=f"p{number}") for number in range(1000))
    for _ in range(300):
        routing.decide(CONTEXT, fleet)
    assert all(decision.propensities is not None for decision in routing.decisions())


def test_a_state_costs_at_most_2_kilobytes_with_eight_arms() -> None:
    arms = [f"p{number}" for number in range(8)]
    routing = engine()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2000):
            key = (f"workload-{number}", "A100", "eu-west")
            for arm in arms:
                routing.strategist.update_q_value(key, arm, float(number) + 0.5)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown / 2000 < 2048
