"""The engine end to end: what it answers, learns, leaves alone and tells."""

import json
import threading
from collections import Counter
from typing import Any

import pytest

import aurora.routing
from aurora.routing import (
    Constraints,
    CooldownSettings,
    EngineSettings,
    InputError,
    NoEligibleProviderError,
    ProviderState,
    RoutingEngine,
    UnknownDecisionError,
    WorkloadContext,
)

CONTEXT = {"workload_type": "inference", "gpu_type": "A100", "region": "eu", "gpu_hours": 1.0}
PROVIDERS = [
    {"provider_id": "a", "price_usd_per_hour": 2.0, "latency_ms": 120.0, "reputation": 90.0,
     "capacity_available": 10, "gpu_types": ["A100"], "regions": ["eu"]},
    {"provider_id": "b", "price_usd_per_hour": 1.0, "latency_ms": 300.0, "reputation": 70.0,
     "capacity_available": 10, "gpu_types": ["A100", "H100"], "regions": ["eu", "us"]},
]  # fmt: skip


def engine(**settings: Any) -> RoutingEngine:
    strict = settings.pop("strict", False)
    return RoutingEngine(strict_audit=strict, settings=EngineSettings(seed=1, **settings))


def test_everything_public_is_there() -> None:
    for name in ("RoutingEngine", "WorkloadContext", "ProviderState", "RoutingDecision",
                 "Strategist", "Executor", "Auditor"):  # fmt: skip
        assert name in aurora.routing.__all__
    assert all(hasattr(aurora.routing, name) for name in aurora.routing.__all__)


def test_a_decision_tells_what_it_rests_on() -> None:
    chosen, told = engine().decide(CONTEXT, PROVIDERS, {"max_price": 3.0})
    assert chosen in {"a", "b"}
    assert set(told) == {
        "decision_id", "mode", "q_value", "propensity", "scores", "violations", "refused", "reason",
    }  # fmt: skip
    assert told["mode"] == "explore"
    assert told["propensity"] == pytest.approx(0.5)
    assert told["scores"] == {"a": 0.0, "b": 0.0}
    assert told["reason"] == "explores 2 providers"
    json.dumps(told)


def test_feedback_learns_and_explains() -> None:
    routing = engine()
    chosen, told = routing.decide(CONTEXT, PROVIDERS)
    assert routing.explain(told["decision_id"]) is None
    reward = routing.feedback(told["decision_id"], True, 0.5, 250.0, 80.0)
    assert reward == pytest.approx(-0.5 - 0.5 + 0.8 + 10.0)
    explained = routing.explain(told["decision_id"])
    assert explained is not None
    assert explained.terms == pytest.approx(
        {"cost": -0.5, "latency": -0.5, "reputation": 0.8, "success": 10.0}
    )
    _, later = routing.decide(CONTEXT, PROVIDERS)
    assert later["scores"][chosen] == pytest.approx(0.1 * reward)


def test_the_reputation_of_the_decision_stands_in_for_one_not_given() -> None:
    routing = engine()
    chosen, told = routing.decide(CONTEXT, PROVIDERS)
    routing.feedback(told["decision_id"], True, 0.0, 0.0)
    explained = routing.explain(told["decision_id"])
    assert explained is not None
    assert explained.terms["reputation"] == {"a": 0.9, "b": 0.7}[chosen]


def test_it_comes_to_prefer_the_better_provider() -> None:
    routing = engine(cooldown=CooldownSettings(failures=0))
    for _ in range(500):
        chosen, told = routing.decide(CONTEXT, PROVIDERS)
        routing.feedback(told["decision_id"], chosen == "a", 1.0, 100.0)
    last = Counter(routing.decide(CONTEXT, PROVIDERS)[0] for _ in range(2000))
    # Epsilon 0.01 and the floor 0.01 leave about 20 of 2000 to the worse one.
    assert 1950 < last["a"] < 2000


def test_logged_propensities_are_what_is_drawn() -> None:
    """The expected number of each arm by its own propensities, against what was drawn."""
    routing = engine(min_percent=20.0, log_size=20_000,
                     strategy_options={"epsilon": 0.3, "epsilon_decay": 0.9999})  # fmt: skip
    routing.strategist.update_q_value(("inference", "A100", "eu"), "a", 10.0)
    drawn, expected, variance = Counter[str](), Counter[str](), Counter[str]()
    for _ in range(20_000):
        drawn[routing.decide(CONTEXT, PROVIDERS)[0]] += 1
    for decision in routing.decisions():
        assert decision.propensities is not None
        assert decision.propensity == decision.propensities[decision.provider_id]
        for arm, propensity in decision.propensities.items():
            expected[arm] += propensity
            variance[arm] += propensity * (1 - propensity)
    for arm in ("a", "b"):
        assert abs(drawn[arm] - expected[arm]) < 5 * variance[arm] ** 0.5


def test_the_status_has_every_section_and_is_plain_json() -> None:
    routing = engine()
    _, told = routing.decide(CONTEXT, PROVIDERS)
    routing.feedback(told["decision_id"], True, 0.5, 250.0)
    routing.decide(CONTEXT, PROVIDERS)
    status = json.loads(json.dumps(routing.get_status()))
    assert {"epsilon", "decision_count", "q_states", "avg_reward_100", "total_rewards"} <= set(
        status["strategist"]
    )
    assert status["strategist"]["decision_count"] == 2
    assert status["strategist"]["q_states"] == 1
    assert status["executor"] == {
        "total_decisions": 2,
        "total_outcomes": 1,
        "success_rate": 1.0,
        "avg_cost_usd": 0.5,
        "avg_latency_ms": 250.0,
        "pending_feedback": 1,
        "expired_feedback": 0,
        "duplicate_feedback": 0,
    }
    assert status["auditor"]["total_entries"] == 2
    assert status["psi_field_connected"] is False
    assert status["model_path"] is None


def test_a_fresh_engine_has_no_figures_rather_than_zeros() -> None:
    status = engine().get_status()
    assert status["executor"]["success_rate"] is None
    assert status["strategist"]["avg_reward_100"] is None
    assert status["auditor"]["approval_rate"] is None


@pytest.mark.parametrize("providers", [[], (), iter(())])
def test_no_providers_is_a_clear_error(providers: Any) -> None:
    with pytest.raises(NoEligibleProviderError, match="the list of providers is empty"):
        engine().decide(CONTEXT, providers)


@pytest.mark.parametrize(
    ("context", "constraints"),
    [
        pytest.param({"required_capability": "vision"}, {}, id="nobody can"),
        pytest.param({}, {"allowed_providers": ["z"]}, id="nobody may"),
        pytest.param({}, {"allowed_providers": []}, id="nobody at all may"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_conditions_hold_in_both_modes(context: dict, constraints: dict, strict: bool) -> None:
    with pytest.raises(NoEligibleProviderError, match="none of 2 providers is allowed"):
        engine(strict=strict).decide({**CONTEXT, **context}, PROVIDERS, constraints)


def test_a_declared_capability_is_found() -> None:
    able = {**PROVIDERS[1], "capabilities": ["vision"]}
    for _ in range(20):
        chosen, _ = engine().decide(
            {**CONTEXT, "required_capability": "vision"}, [PROVIDERS[0], able]
        )
        assert chosen == "b"


def test_repeated_ids_are_named() -> None:
    with pytest.raises(InputError, match="repeated: a"):
        engine().decide(CONTEXT, [PROVIDERS[0], PROVIDERS[0]])


@pytest.mark.parametrize("change", ["provider", "constraint", "region list"])
def test_a_mapping_changed_in_place_is_noticed(change: str) -> None:
    routing = engine(strict=True)
    providers = [dict(PROVIDERS[0], regions=["eu"]), dict(PROVIDERS[1])]
    constraints = {"max_price": 3.0}
    first = {routing.decide(CONTEXT, providers, constraints)[0] for _ in range(50)}
    assert first == {"a", "b"}
    if change == "provider":
        providers[0]["price_usd_per_hour"] = 9.0
    elif change == "constraint":
        constraints["max_price"] = 1.5
    else:
        providers[0]["regions"].remove("eu")
        providers[0]["regions"].append("us")
    assert {routing.decide(CONTEXT, providers, constraints)[0] for _ in range(50)} == {"b"}


def test_constraints_changed_in_place_are_noticed_beside_values_in_a_tuple() -> None:
    routing = engine(strict=True)
    values = tuple(ProviderState.of(provider) for provider in PROVIDERS)
    constraints = {"max_price": 3.0}
    assert {routing.decide(CONTEXT, values, constraints)[0] for _ in range(50)} == {"a", "b"}
    constraints["max_price"] = 1.5
    assert {routing.decide(CONTEXT, values, constraints)[0] for _ in range(50)} == {"b"}


def test_tenants_with_limits_of_their_own_take_turns() -> None:
    routing = engine(strict=True)
    for number in range(200):
        limit = (1.5, 3.0)[number % 2] + (number % 40) / 1000
        _, told = routing.decide(CONTEXT, PROVIDERS, {"max_price": limit})
        assert set(told["scores"]) == ({"b"} if number % 2 == 0 else {"a", "b"})
    assert len(routing._fleets._known) == 32


@pytest.mark.parametrize(
    ("gpu_hours", "expected"),
    [(1.0, {"a", "b"}), (5.0, {"a", "b"}), (5.5, {"b"}), (8.0, {"b"})],
)
def test_capacity_is_compared_with_each_requests_hours(gpu_hours: float, expected: set) -> None:
    routing = engine(strict=True)
    fleet = (
        ProviderState(provider_id="a", capacity_available=5.0),
        ProviderState(provider_id="b", capacity_available=8.0),
    )
    for _ in range(3):
        context = WorkloadContext(gpu_hours=gpu_hours)
        assert {routing.decide(context, fleet)[0] for _ in range(40)} == expected
        with pytest.raises(NoEligibleProviderError, match="9 GPU hours wanted, 5 free"):
            routing.decide(WorkloadContext(gpu_hours=9.0), fleet)


def test_values_and_mappings_decide_alike() -> None:
    one, two = engine(), engine()
    values = tuple(ProviderState.of(provider) for provider in PROVIDERS)
    limits = Constraints(max_price=1.5)
    for _ in range(50):
        left = one.decide(WorkloadContext.of(CONTEXT), values, limits)
        right = two.decide(CONTEXT, PROVIDERS, {"max_price": 1.5})
        assert left[0] == right[0]
        assert {**left[1], "decision_id": ""} == {**right[1], "decision_id": ""}


def test_a_failing_provider_cools_down_and_comes_back() -> None:
    now = [0.0]
    routing = engine(monotonic=lambda: now[0], cooldown=CooldownSettings(failures=3, seconds=30.0))

    def fail(arm: str) -> None:
        chosen = ""
        while chosen != arm:
            chosen, told = routing.decide(CONTEXT, PROVIDERS)
        routing.feedback(told["decision_id"], False, 0.0, 0.0)

    for _ in range(3):
        fail("a")
    assert routing.get_status()["cooling_providers"] == ["a"]
    assert {routing.decide(CONTEXT, PROVIDERS)[0] for _ in range(100)} == {"b"}
    assert routing.decide(CONTEXT, PROVIDERS)[1]["propensity"] == pytest.approx(1.0)
    # When everybody cools down, somebody has to serve.
    for _ in range(3):
        fail("b")
    assert {routing.decide(CONTEXT, PROVIDERS)[0] for _ in range(300)} == {"a", "b"}
    now[0] = 30.0
    assert routing.get_status()["cooling_providers"] == []
    fail("a")
    now[0] = 89.0
    assert routing.get_status()["cooling_providers"] == ["a"]
    now[0] = 90.0
    assert routing.get_status()["cooling_providers"] == []


def test_late_failures_do_not_prolong_a_cooldown() -> None:
    now = [0.0]
    routing = engine(monotonic=lambda: now[0], cooldown=CooldownSettings(failures=3, seconds=30.0))
    sent = [routing.decide(CONTEXT, PROVIDERS[:1])[1]["decision_id"] for _ in range(20)]
    for decision in sent:
        routing.feedback(decision, False, 0.0, 0.0)
        now[0] += 1.0
    assert routing.get_status()["cooling_providers"] == ["a"]
    now[0] = 32.0
    assert routing.get_status()["cooling_providers"] == []


def test_feedback_on_a_chain_bootstraps_from_the_following_request() -> None:
    routing = engine(strategy_options={"alpha": 1.0, "gamma": 0.5})
    routing.strategist.update_q_value("next||", "a", 8.0)
    chosen, told = routing.decide({"workload_type": "first"}, PROVIDERS)
    reward = routing.feedback(
        told["decision_id"], True, 0.0, 0.0, 0.0, next_context={"workload_type": "next"}
    )
    _, later = routing.decide({"workload_type": "first"}, PROVIDERS)
    assert later["scores"][chosen] == pytest.approx(reward + 0.5 * 8.0)


def test_providers_come_and_go_while_it_runs() -> None:
    routing = engine()
    for size in (1, 5, 2, 8, 3):
        fleet = [{"provider_id": f"p{number}"} for number in range(size)]
        for _ in range(30):
            _, told = routing.decide(CONTEXT, fleet)
            assert set(told["scores"]) == {provider["provider_id"] for provider in fleet}
            routing.feedback(told["decision_id"], True, 0.0, 0.0)
    routing.forget("p0")
    assert routing.decide(CONTEXT, [{"provider_id": "p0"}])[1]["q_value"] == 0.0


def test_late_feedback_for_a_provider_that_is_gone_still_counts() -> None:
    routing = engine()
    _, told = routing.decide(CONTEXT, PROVIDERS[:1])
    routing.decide(CONTEXT, PROVIDERS[1:])
    assert routing.feedback(told["decision_id"], True, 0.0, 0.0) > 0.0


def test_many_threads_lose_no_count() -> None:
    routing = engine(log_size=50_000)
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(500):
                _, told = routing.decide(CONTEXT, PROVIDERS)
                routing.feedback(told["decision_id"], True, 1.0, 1.0)
        except Exception as error:  # noqa: BLE001  # shown by the assertion
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    status = routing.get_status()
    assert status["executor"]["total_decisions"] == 3000
    assert status["executor"]["total_outcomes"] == 3000
    assert status["strategist"]["decision_count"] == 3000
    assert len({decision.decision_id for decision in routing.decisions()}) == 3000
    assert [entry["sequence"] for entry in routing.get_audit_trail(None)] == list(range(1, 3001))


async def test_the_async_twins_do_what_the_plain_calls_do(tmp_path) -> None:
    path = tmp_path / "q.json"
    async with RoutingEngine(model_path=path, settings=EngineSettings(save_every=0)) as routing:
        routing.decide(CONTEXT, PROVIDERS)
        await routing.asave()
        assert json.loads(path.read_text())["state"]["decisions"] == 1
        routing.decide(CONTEXT, PROVIDERS)
        assert await routing.aload() is True
        assert routing.get_status()["strategist"]["decision_count"] == 1
    with RoutingEngine(model_path=path) as again:
        assert again.get_status()["model_path"] == str(path)
        assert again.get_status()["strategist"]["decision_count"] == 1


def test_the_log_holds_all_that_an_off_policy_estimate_needs() -> None:
    routing = engine()
    _, told = routing.decide(CONTEXT, PROVIDERS)
    routing.feedback(told["decision_id"], True, 0.5, 250.0)
    (row,) = [decision.to_dict() for decision in routing.decisions()]
    assert row["propensities"] == pytest.approx({"a": 0.5, "b": 0.5})
    assert row["scores"] == {"a": 0.0, "b": 0.0}
    assert row["reward"] == pytest.approx(
        -0.5 - 0.5 + 10.0 + {"a": 0.9, "b": 0.7}[row["provider_id"]]
    )
    assert row["state"] == ["inference", "A100", "eu"]
    json.dumps(row)


def test_the_auditor_values_a_new_policy_from_the_log() -> None:
    """The value of "always a" is known: a succeeds always, b never."""
    routing = engine(strategy_options={"epsilon": 1.0, "epsilon_decay": 1.0},
                     cooldown=CooldownSettings(failures=0))  # fmt: skip
    for _ in range(2000):
        chosen, told = routing.decide(CONTEXT, PROVIDERS)
        routing.feedback(told["decision_id"], chosen == "a", 0.0, 0.0, 0.0)
    value = routing.auditor.off_policy_value(routing.decisions(), lambda _: {"a": 1.0})
    assert value.snips.value == pytest.approx(10.0)
    assert 10.0 in value.ips.interval
    too_few = routing.auditor.off_policy_value(routing.decisions(20), lambda _: {"a": 1.0})
    assert type(too_few).__name__ == "NotIdentifiable"
    assert too_few.obstacle == "SmallSample"


def test_what_one_engine_learned_can_be_pushed_to_another() -> None:
    source, target = engine(), engine()
    source.strategist.update_q_value("inference|A100|eu", "b", 10.0)
    target.restore(json.loads(json.dumps(source.snapshot())))
    assert target.decide(CONTEXT, PROVIDERS)[1]["scores"] == {"a": 0.0, "b": 1.0}
    before = target.snapshot()
    for wrong in ({"strategy": "ucb", "state": {}}, {}, {"strategy": "q-learning"}):
        with pytest.raises(InputError):
            target.restore(wrong)
    assert target.snapshot() == before


def test_unknown_decisions_are_said_to_be_unknown() -> None:
    routing = engine()
    for call in (routing.explain, lambda known: routing.feedback(known, True, 1.0, 1.0)):
        with pytest.raises(UnknownDecisionError):
            call("d0-1")
