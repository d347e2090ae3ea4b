"""Q-learning by hand, epsilon, and replicas that share one table."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.routing import InputError, ProviderState, QLearning, Strategist, WorkloadContext

RNG = np.random.default_rng(0)
STATE = ("inference", "A100", "eu")
NEXT = ("inference", "H100", "us")
CONTEXT = WorkloadContext(workload_type="inference", gpu_type="A100", region="eu")
PROVIDERS = [ProviderState(provider_id=name) for name in ("a", "b", "c")]
ARMS = ("a", "b", "c")


def test_one_reward_moves_the_value_by_alpha() -> None:
    learner = QLearning(alpha=0.1)
    assert learner.learn(STATE, "a", 10.0) == pytest.approx(1.0)
    assert learner.learn(STATE, "a", 10.0) == pytest.approx(1.9)
    assert learner.count(STATE, "a") == 2


def test_the_next_state_bootstraps_with_gamma() -> None:
    learner = QLearning(alpha=0.5, gamma=0.9)
    learner.learn(NEXT, "b", 8.0)
    learner.learn(NEXT, "c", 2.0)
    # 0.5 * (10 + 0.9 * max(4, 1))
    assert learner.learn(STATE, "a", 10.0, NEXT) == pytest.approx(6.8)


def test_a_next_state_that_was_never_seen_is_worth_the_initial_value() -> None:
    learner = QLearning(alpha=0.5, gamma=0.9, initial_q=10.0)
    # 0.5 * 10 + 0.5 * (1 + 0.9 * 10)
    assert learner.learn(STATE, "a", 1.0, NEXT) == pytest.approx(10.0)


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_teaches_nothing(reward: float) -> None:
    learner = QLearning()
    learner.learn(STATE, "a", 5.0)
    before = learner.snapshot()
    with pytest.raises(InputError, match="finite"):
        learner.learn(STATE, "a", reward)
    assert learner.snapshot() == before


@given(st.lists(st.floats(-1e300, 1e300), max_size=30))
def test_values_stay_between_the_extremes_of_the_rewards(rewards: list[float]) -> None:
    learner = QLearning(alpha=0.3)
    for reward in rewards:
        learner.learn(STATE, "a", reward)
    value = learner.q_value(STATE, "a")
    assert min([0.0, *rewards]) <= value <= max([0.0, *rewards])


def test_epsilon_greedy_puts_the_rest_on_the_best_arm() -> None:
    learner = QLearning(epsilon=0.3)
    learner.learn(STATE, "b", 10.0)
    probabilities, scores = learner.distribution(CONTEXT, ARMS, RNG)
    assert probabilities == pytest.approx([0.1, 0.8, 0.1])
    assert scores == pytest.approx([0.0, 1.0, 0.0])


def test_ties_share() -> None:
    learner = QLearning(epsilon=0.3)
    learner.learn(STATE, "a", -10.0)
    assert learner.distribution(CONTEXT, ARMS, RNG)[0] == pytest.approx([0.1, 0.45, 0.45])


def test_exploration_scales_epsilon() -> None:
    learner = QLearning(epsilon=0.3)
    learner.learn(STATE, "b", 10.0)
    damped = learner.distribution(CONTEXT, ARMS, RNG, exploration=0.1)[0]
    assert damped == pytest.approx([0.01, 0.98, 0.01])


def test_epsilon_decays_with_each_decision_down_to_its_floor() -> None:
    learner = QLearning()
    learner.chosen(CONTEXT, "a", 0.0)
    assert learner.epsilon == pytest.approx(0.1 * 0.995)
    for _ in range(1000):
        learner.decay()
    assert learner.epsilon == 0.01


def test_the_strategist_learns_which_provider_is_best() -> None:
    strategist = Strategist(seed=3)
    for _ in range(400):
        chosen, _ = strategist.recommend(CONTEXT, PROVIDERS)
        strategist.update_q_value(STATE, chosen, 12.0 if chosen == "c" else 2.0)
    last = [strategist.recommend(CONTEXT, PROVIDERS)[0] for _ in range(200)]
    assert last.count("c") > 180


def test_a_recommendation_says_what_it_rests_on() -> None:
    strategist = Strategist(seed=3, min_percent=3.0, strategy_options={"epsilon": 0.0,
                            "epsilon_min": 0.0})  # fmt: skip
    strategist.update_q_value("inference|A100|eu", "b", 10.0)
    told = {}
    while not told or told["mode"] != "exploit":
        chosen, told = strategist.recommend(CONTEXT, PROVIDERS)
    assert chosen == "b"
    assert told["q_value"] == pytest.approx(1.0)
    assert told["propensity"] == pytest.approx(0.98)
    assert told["scores"] == pytest.approx({"a": 0.0, "b": 1.0, "c": 0.0})
    assert told["state_key"] == STATE


def test_no_preference_is_exploring_even_without_a_draw_to_lose() -> None:
    assert Strategist(seed=1).recommend(CONTEXT, PROVIDERS)[1]["mode"] == "explore"
    assert Strategist(seed=1).recommend(CONTEXT, PROVIDERS[:1])[1]["mode"] == "exploit"


def test_dense_surroundings_lower_epsilon() -> None:
    strategist = Strategist(seed=1, min_percent=0.0, strategy_options={"epsilon": 0.9,
                            "epsilon_decay": 1.0})  # fmt: skip
    strategist.update_q_value(STATE, "b", 10.0)
    seen = {"b": 0.0}
    while "b" not in seen or seen["b"] == 0.0:
        chosen, told = strategist.recommend(CONTEXT, PROVIDERS, psi_density=1.0)
        seen[chosen] = told["propensity"]
    # epsilon 0.9 * (1 - 0.9): 1 - 0.09 + 0.03
    assert seen["b"] == pytest.approx(0.94)


def test_a_seed_repeats_every_draw() -> None:
    def draws() -> list[str]:
        strategist = Strategist(seed=11)
        return [strategist.recommend(CONTEXT, PROVIDERS)[0] for _ in range(50)]

    assert draws() == draws()


def test_decay_epsilon_and_status_agree() -> None:
    strategist = Strategist()
    assert strategist.decay_epsilon() == pytest.approx(0.0995)
    stats = strategist.get_stats()
    assert (stats["epsilon"], stats["decision_count"]) == (pytest.approx(0.0995), 1)
    assert stats["explored_share"] is None


def test_save_and_load_without_a_place_say_so() -> None:
    with pytest.raises(InputError, match="no model_path"):
        Strategist().save()
    with pytest.raises(InputError, match="no model_path"):
        Strategist().load()


def test_a_copy_can_be_written_and_read_elsewhere(tmp_path: Path) -> None:
    strategist = Strategist()
    strategist.update_q_value(STATE, "a", 10.0)
    strategist.save(tmp_path / "copy.json")
    other = Strategist()
    assert other.load(tmp_path / "copy.json") is True
    assert other.strategy.snapshot() == strategist.strategy.snapshot()
    assert other.load(tmp_path / "nothing.json") is False


def test_forgetting_an_arm_leaves_the_others() -> None:
    learner = QLearning()
    learner.learn(STATE, "a", 10.0)
    learner.learn(STATE, "b", 10.0)
    learner.forget("a")
    learner.forget("never seen")
    assert learner.count(STATE, "a") == 0
    assert learner.count(STATE, "b") == 1


def test_hostile_states_are_bounded_and_push_out_no_state_that_is_used() -> None:
    learner = QLearning(max_states=100)
    for _ in range(50):
        learner.learn(STATE, "a", 10.0)
    for number in range(5000):
        learner.learn((f"hostile-{number}", "", ""), "a", 1.0)
    status = learner.status()
    assert status["q_states"] <= 100
    assert status["evicted_states"] == 5001 - status["q_states"]
    assert learner.count(STATE, "a") == 50


def test_what_a_save_still_has_to_count_is_not_evicted() -> None:
    learner = QLearning(max_states=100)
    learner.take_delta()
    for number in range(150):
        learner.learn((f"state-{number}", "", ""), "a", 1.0)
    delta = learner.take_delta()
    assert len(delta["states"]) == 150
    # Saved, they may go, a tenth of the limit at a time.
    for number in range(100):
        learner.learn((f"later-{number}", "", ""), "a", 1.0)
        learner.take_delta()
    assert learner.status()["q_states"] <= 170


def test_a_store_that_is_away_for_long_does_not_grow_memory_without_bound() -> None:
    learner = QLearning(max_states=100)
    learner.take_delta()
    for number in range(5000):
        learner.learn((f"state-{number}", "", ""), "a", 1.0)
    assert learner.status()["q_states"] <= 210
    assert len(learner.take_delta()["states"]) == learner.status()["q_states"]


REWARDS = st.lists(
    st.tuples(st.sampled_from([STATE, NEXT]), st.sampled_from(ARMS), st.floats(-100, 100)),
    max_size=25,
)


@given(REWARDS, REWARDS, REWARDS)
def test_a_delta_on_a_base_is_the_same_as_learning_there(
    before: list, after: list, later: list
) -> None:
    """The store's base plus deltas equals one process that learned everything in that order."""
    alone, replica = QLearning(), QLearning()
    store = QLearning().snapshot()
    replica.take_delta()
    for batch in (before, after, later):
        for state, arm, reward in batch:
            alone.learn(state, arm, reward)
            replica.learn(state, arm, reward)
            replica.decay()
            alone.decay()
        store = replica.merged(store, replica.take_delta())
    merged = QLearning()
    merged.restore(store)
    assert merged.decisions == alone.decisions
    for state in (STATE, NEXT):
        for arm in ARMS:
            assert merged.count(state, arm) == alone.count(state, arm)
            assert math.isclose(merged.q_value(state, arm), alone.q_value(state, arm), abs_tol=1e-9)


@given(REWARDS, REWARDS, REWARDS)
def test_replicas_lose_no_count_whoever_writes_first(mine: list, theirs: list, more: list) -> None:
    one, two = QLearning(), QLearning()
    one.take_delta()
    two.take_delta()
    for learner, batch in ((one, mine), (two, theirs)):
        for state, arm, reward in batch:
            learner.learn(state, arm, reward)
    store = two.merged(QLearning().snapshot(), two.take_delta())
    delta = one.take_delta()
    for state, arm, reward in more:
        one.learn(state, arm, reward)
    store = one.merged(store, delta)
    one.rebase(store)
    for state in (STATE, NEXT):
        for arm in ARMS:
            everything = [(s, a) for s, a, _ in (*mine, *theirs, *more)]
            assert one.count(state, arm) == everything.count((state, arm))
    store = one.merged(store, one.take_delta())
    final = QLearning()
    final.restore(store)
    assert sum(final.count(s, a) for s in (STATE, NEXT) for a in ARMS) == len(
        [*mine, *theirs, *more]
    )


@given(REWARDS, REWARDS)
def test_two_deltas_put_together_are_one_delta(first: list, second: list) -> None:
    replica = QLearning(initial_q=7.0)
    replica.take_delta()
    base = QLearning(initial_q=7.0).snapshot()
    deltas = []
    for batch in (first, second):
        for state, arm, reward in batch:
            replica.learn(state, arm, reward)
        deltas.append(replica.take_delta())
    stepwise = replica.merged(replica.merged(base, deltas[0]), deltas[1])
    at_once = replica.merged(base, replica.merged(deltas[0], deltas[1]))
    as_dict = {tuple(key): cells for *key, cells in stepwise["states"]}
    for *key, cells in at_once["states"]:
        for arm, (value, count) in cells.items():
            assert as_dict[tuple(key)][arm][1] == count
            assert math.isclose(as_dict[tuple(key)][arm][0], value, abs_tol=1e-9)


def test_the_first_delta_hands_over_what_was_learned_before_there_was_a_store() -> None:
    learner = QLearning(initial_q=3.0)
    learner.learn(STATE, "a", 10.0)
    merged = learner.merged(QLearning(initial_q=3.0).snapshot(), learner.take_delta())
    again = QLearning(initial_q=3.0)
    again.restore(merged)
    assert again.q_value(STATE, "a") == pytest.approx(learner.q_value(STATE, "a"))


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param({}, id="empty"),
        pytest.param({"decisions": 1, "states": [["a", "b"]]}, id="short row"),
        pytest.param({"decisions": 1, "states": [["a", "b", "c", {"x": [math.nan, 1]}]]}, id="NaN"),
        pytest.param({"decisions": "many", "states": []}, id="count in words"),
        pytest.param({"decisions": -5, "states": []}, id="decisions below 0"),
        pytest.param({"decisions": math.inf, "states": []}, id="endless decisions"),
        pytest.param({"decisions": 10**400, "states": []}, id="decisions that no float can hold"),
        pytest.param(
            {"decisions": 1, "states": [["a", "b", "c", {"x": [10**400, 1]}]]}, id="such a value"
        ),
        pytest.param(
            {"decisions": 1, "states": [["a", "b", "c", {"x": [1.0, 10**400]}]]}, id="such a count"
        ),
    ],
)
def test_a_bad_snapshot_changes_nothing(snapshot: dict) -> None:
    learner = QLearning()
    learner.learn(STATE, "a", 10.0)
    before = learner.snapshot()
    with pytest.raises(InputError, match=r"saved|Q-table"):
        learner.restore(snapshot)
    assert learner.snapshot() == before
