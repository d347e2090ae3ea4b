"""The decision log, pending feedback that is bounded and expires, and the reward."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.routing import (
    Executor,
    InputError,
    Outcome,
    RewardWeights,
    UnknownDecisionError,
    WorkloadContext,
)

STATE = ("inference", "A100", "eu")
CONTEXT = WorkloadContext(workload_type="inference")


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_the_reward_is_the_sum_of_its_terms() -> None:
    outcome = Outcome(success=True, cost_usd=0.5, latency_ms=250.0, reputation=80.0)
    reward = RewardWeights().reward(outcome)
    assert reward.terms == {"cost": -0.5, "latency": -0.5, "reputation": 0.8, "success": 10.0}
    assert reward.total == pytest.approx(9.8)
    assert str(reward) == "9.8 = cost -0.5, latency -0.5, reputation +0.8, success +10"


def test_a_failure_costs_20() -> None:
    outcome = Outcome(success=False, cost_usd=0.0, latency_ms=0.0)
    assert RewardWeights().reward(outcome).total == -20.0


def test_what_nobody_judged_has_no_term() -> None:
    weights = RewardWeights(quality=5.0)
    told = weights.reward(Outcome(success=True, cost_usd=0.0, latency_ms=0.0))
    assert set(told.terms) == {"cost", "latency", "success"}
    judged = weights.reward(Outcome(success=True, cost_usd=0.0, latency_ms=0.0, quality=0.5))
    assert judged.terms["quality"] == 2.5


def test_the_providers_reputation_stands_in() -> None:
    outcome = Outcome(success=True, cost_usd=0.0, latency_ms=0.0)
    assert RewardWeights().reward(outcome, reputation=50.0).terms["reputation"] == 0.5


@pytest.mark.parametrize(
    "fields",
    [{"cost": math.nan}, {"latency_scale_ms": 0.0}, {"reputation_scale": -1.0},
     {"success": math.inf}],
)  # fmt: skip
def test_weights_must_make_sense(fields: dict) -> None:
    with pytest.raises(InputError, match=next(iter(fields))):
        RewardWeights(**fields)


@given(st.booleans(), st.floats(0, 1e308), st.floats(0, 1e308), st.none() | st.floats(0, 100))
def test_a_reward_is_finite_and_equals_its_terms_or_is_refused(
    success: bool, cost: float, latency: float, reputation: float | None
) -> None:
    try:
        outcome = Outcome(success=success, cost_usd=cost, latency_ms=latency, reputation=reputation)
        reward = RewardWeights().reward(outcome)
    except InputError:
        assert max(cost, latency) > 0.9e100
        return
    assert math.isfinite(reward.total**2)
    assert reward.total == sum(reward.terms.values())


def test_an_infinite_reward_is_refused_and_the_decision_stays_pending() -> None:
    executor = Executor(weights=RewardWeights(cost=1e308))
    decision = executor.record_decision(STATE, "a", CONTEXT)
    with pytest.raises(InputError, match="reward would be -inf"):
        executor.record_outcome(decision, True, 1e10, 1.0)
    assert executor.get_stats()["pending_feedback"] == 1
    assert executor.record_outcome(decision, True, 0.0, 0.0) == 10.0


@pytest.mark.parametrize("cost", [math.nan, math.inf, -1.0])
def test_a_cost_that_is_none_is_refused_and_nothing_is_counted(cost: float) -> None:
    executor = Executor()
    decision = executor.record_decision(STATE, "a", CONTEXT)
    before = executor.get_stats()
    with pytest.raises(InputError, match="cost_usd"):
        executor.record_outcome(decision, True, cost, 1.0)
    assert executor.get_stats() == before


def test_feedback_given_twice_counts_once_and_answers_the_same() -> None:
    executor = Executor()
    decision = executor.record_decision(STATE, "a", CONTEXT)
    first = executor.record_outcome(decision, True, 1.0, 500.0, 50.0)
    assert executor.record_outcome(decision, False, 9.0, 9.0) == first
    stats = executor.get_stats()
    assert (stats["total_outcomes"], stats["duplicate_feedback"]) == (1, 1)
    assert stats["success_rate"] == 1.0
    assert stats["pending_feedback"] == 0


@pytest.mark.parametrize(
    "twist",
    [
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "d-1", id="of nobody"),
        pytest.param(lambda known: known + "0", id="a number never given"),
        pytest.param(lambda known: known.replace("-", "-0"), id="a leading zero"),
        pytest.param(lambda known: known + "9" * 10_000, id="a huge number"),
        pytest.param(lambda known: known.replace("-0", "-٠"), id="a digit of another script"),
        pytest.param(lambda known: known.upper(), id="another case"),
    ],
)
def test_an_unknown_decision_is_said_to_be_unknown(twist) -> None:
    executor = Executor()
    known = executor.record_decision(STATE, "a", CONTEXT)
    with pytest.raises(UnknownDecisionError, match="not in the log"):
        executor.record_outcome(twist(known), True, 1.0, 1.0)
    assert executor.get_stats()["total_outcomes"] == 0


def test_decisions_of_another_process_are_unknown() -> None:
    theirs = Executor().record_decision(STATE, "a", CONTEXT)
    with pytest.raises(UnknownDecisionError, match="another process"):
        Executor().record_outcome(theirs, True, 1.0, 1.0)


def test_pending_feedback_is_bounded_and_the_oldest_makes_room() -> None:
    gone = []
    executor = Executor(log_size=3, on_expired=lambda decision: gone.append(decision.provider_id))
    ids = [executor.record_decision(STATE, f"p{n}", CONTEXT) for n in range(5)]
    assert gone == ["p0", "p1"]
    stats = executor.get_stats()
    assert (stats["pending_feedback"], stats["expired_feedback"]) == (3, 2)
    with pytest.raises(UnknownDecisionError):
        executor.record_outcome(ids[0], True, 1.0, 1.0)
    executor.record_outcome(ids[4], True, 1.0, 1.0)
    assert [decision.provider_id for decision in executor.recent()] == ["p2", "p3", "p4"]
    assert [decision.provider_id for decision in executor.recent(1)] == ["p4"]


def test_feedback_expires_after_its_time() -> None:
    monotonic = Clock()
    executor = Executor(ttl_seconds=60.0, monotonic=monotonic)
    late = executor.record_decision(STATE, "a", CONTEXT)
    monotonic.now += 30.0
    intime = executor.record_decision(STATE, "b", CONTEXT)
    monotonic.now += 30.0
    with pytest.raises(UnknownDecisionError, match="waited longer than 60 s"):
        executor.record_outcome(late, True, 1.0, 1.0)
    executor.record_outcome(intime, True, 1.0, 1.0)
    stats = executor.get_stats()
    assert (stats["expired_feedback"], stats["total_outcomes"]) == (1, 1)


def test_an_expired_decision_stays_in_the_log_for_evaluation() -> None:
    monotonic = Clock()
    executor = Executor(ttl_seconds=60.0, monotonic=monotonic)
    executor.record_decision(STATE, "a", CONTEXT)
    monotonic.now += 61.0
    executor.record_decision(STATE, "b", CONTEXT)
    assert [decision.expired for decision in executor.recent()] == [True, False]


def test_a_wall_clock_set_back_expires_nothing_and_keeps_the_order() -> None:
    wall, monotonic = Clock(10_000.0), Clock(5.0)
    executor = Executor(ttl_seconds=60.0, clock=wall, monotonic=monotonic)
    first = executor.record_decision(STATE, "a", CONTEXT)
    wall.now -= 7200.0
    second = executor.record_decision(STATE, "b", CONTEXT)
    times = [decision.at for decision in executor.recent()]
    assert times == [10_000.0, 10_000.0]
    executor.record_outcome(first, True, 1.0, 1.0)
    executor.record_outcome(second, True, 1.0, 1.0)
    assert executor.get_stats()["expired_feedback"] == 0


def test_no_data_is_none_and_not_0() -> None:
    stats = Executor().get_stats()
    assert stats["success_rate"] is None
    assert stats["avg_cost_usd"] is None
    assert Executor().reward_stats()["avg_reward_100"] is None


def test_means_are_over_all_outcomes_and_the_reward_over_the_last_100() -> None:
    executor = Executor()
    for number in range(150):
        decision = executor.record_decision(STATE, "a", CONTEXT)
        executor.record_outcome(decision, number >= 50, 2.0, 500.0)
    stats = executor.get_stats()
    assert stats["success_rate"] == pytest.approx(100 / 150)
    assert stats["avg_cost_usd"] == pytest.approx(2.0)
    assert executor.reward_stats() == pytest.approx(
        {"avg_reward_100": 7.0, "total_rewards": 100 * 7.0 - 50 * 23.0}
    )


@given(st.lists(st.sampled_from(["decide", "newest", "oldest", "wait"]), max_size=60))
def test_counts_always_add_up(steps: list[str]) -> None:
    monotonic = Clock(0.0)
    executor = Executor(log_size=4, ttl_seconds=10.0, monotonic=monotonic)
    ids: list[str] = []
    for step in steps:
        if step == "decide":
            ids.append(executor.record_decision(STATE, "a", CONTEXT))
        elif step == "wait":
            monotonic.now += 6.0
        elif ids:
            with contextlib.suppress(UnknownDecisionError):
                executor.record_outcome(ids[-1 if step == "newest" else 0], True, 1.0, 1.0)
    stats = executor.get_stats()
    assert stats["total_decisions"] == (
        stats["total_outcomes"] + stats["pending_feedback"] + stats["expired_feedback"]
    )
    assert 0 <= stats["pending_feedback"] <= 4


@pytest.mark.parametrize("settings", [{"log_size": 0}, {"ttl_seconds": 0.0},
                                      {"ttl_seconds": math.nan}])  # fmt: skip
def test_settings_must_make_sense(settings: dict) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        Executor(**settings)
