"""Every learning strategy: it learns, its probabilities are honest, its state survives."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.dqn import Dqn
from aurora.routing.bandits.linear import LinearArms
from aurora.routing.bandits.lints import LinTs
from aurora.routing.bandits.linucb import LinUcb
from aurora.routing.bandits.thompson import Thompson
from aurora.routing.bandits.ucb import Ucb
from aurora.routing.contract import RoutingStrategy
from aurora.routing.errors import InputError
from aurora.routing.strategies import Registry
from aurora.routing.types import WorkloadContext

ARMS = ("a", "b", "c")
EVERY: Mapping[str, Callable[[], RoutingStrategy]] = {
    "ucb": Ucb,
    "discounted ucb": lambda: Ucb(discount=0.99),
    "thompson": Thompson,
    "beta thompson": lambda: Thompson(posterior="beta", reward_range=(-20.0, 20.0)),
    "linucb": LinUcb,
    "discounted linucb": lambda: LinUcb(discount=0.99),
    "lints": LinTs,
    "dqn": Dqn,
    "dqn that looks ahead": lambda: Dqn(gamma=0.5),
}
every = pytest.mark.parametrize("build", EVERY.values(), ids=list(EVERY))
CHAT = WorkloadContext(workload_type="chat", gpu_type="A100", region="eu")
CODE = WorkloadContext(workload_type="code", gpu_type="A100", region="eu")


def trained(
    strategy: RoutingStrategy,
    means: Mapping[str, tuple[float, ...]],
    *,
    steps: int = 400,
    seed: int = 1,
) -> RoutingStrategy:
    """Rewards around `means` for arms drawn as the strategy wants, with a floor of 10 %."""
    rng = np.random.default_rng(seed)
    for step in range(steps):
        context = CHAT if rng.random() < 0.5 else CODE
        shares, _ = strategy.distribution(context, ARMS, rng)
        index = int(rng.choice(3, p=0.9 * np.array(shares) + 0.1 / 3))
        reward = means[context.workload_type][index] + rng.normal(0.0, 0.5)
        strategy.update(context, ARMS[index], float(reward), float(step))
    return strategy


def average_shares(strategy: RoutingStrategy, context: WorkloadContext) -> np.ndarray:
    rng = np.random.default_rng(9)
    return np.mean([strategy.distribution(context, ARMS, rng)[0] for _ in range(20)], axis=0)


@every
def test_it_finds_the_best_arm_of_each_context(build: Callable[[], RoutingStrategy]) -> None:
    strategy = trained(build(), {"chat": (8.0, 5.0, 4.0), "code": (2.0, 3.0, 9.0)}, steps=800)
    assert average_shares(strategy, CHAT).argmax() == 0
    assert average_shares(strategy, CHAT)[0] > 0.8
    assert average_shares(strategy, CODE).argmax() == 2
    assert average_shares(strategy, CODE)[2] > 0.8


@every
def test_the_unit_of_the_reward_does_not_matter(build: Callable[[], RoutingStrategy]) -> None:
    means = {"chat": (-19.0, -12.0, -15.0), "code": (-19.0, -12.0, -15.0)}
    strategy = trained(build(), means, steps=600)
    assert average_shares(strategy, CHAT).argmax() == 1


@every
def test_a_snapshot_in_json_continues_where_it_stopped(
    build: Callable[[], RoutingStrategy],
) -> None:
    strategy = trained(build(), {"chat": (1.0, 5.0, 4.0), "code": (2.0, 3.0, 9.0)})
    snapshot = strategy.snapshot()
    other = build()
    other.restore(json.loads(json.dumps(snapshot, allow_nan=False)))
    for context in (CHAT, CODE):
        one = strategy.distribution(context, ARMS, np.random.default_rng(3))
        two = other.distribution(context, ARMS, np.random.default_rng(3))
        assert two[0] == pytest.approx(one[0])
        assert two[1] == pytest.approx(one[1], abs=1e-6)


@every
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"arms": "ab"}, id="arms that are no list"),
        pytest.param({"arms": ["a"], "states": [{"key": ["x"]}]}, id="a key that is too short"),
        pytest.param({"arms": ["a"], "dimension": 16, "gram": [[["x"]]]}, id="texts for numbers"),
        pytest.param({"arms": ["a"], "first": [[float("nan")]]}, id="not a number"),
    ],
)
def test_a_broken_snapshot_is_refused_and_changes_nothing(
    build: Callable[[], RoutingStrategy], broken: dict[str, Any]
) -> None:
    strategy = trained(build(), {"chat": (1.0, 5.0, 4.0), "code": (2.0, 3.0, 9.0)}, steps=80)
    before = json.dumps(strategy.snapshot())
    with pytest.raises(InputError):
        strategy.restore(broken)
    assert json.dumps(strategy.snapshot()) == before


@every
def test_arms_come_and_go_while_it_runs(build: Callable[[], RoutingStrategy]) -> None:
    strategy = trained(build(), {"chat": (1.0, 2.0, 6.0), "code": (1.0, 2.0, 6.0)}, steps=600)
    rng = np.random.default_rng(2)
    strategy.forget("c")
    strategy.forget("never seen")
    for step in range(600):
        arms = ("b", "a", *(f"new-{index}" for index in range(step // 100)))
        shares, scores = strategy.distribution(CHAT, arms, rng)
        assert len(shares) == len(scores) == len(arms)
        index = int(rng.choice(len(arms), p=0.9 * np.array(shares) + 0.1 / len(arms)))
        reward = 8.0 if arms[index] == "new-3" else 2.0
        strategy.update(CHAT, arms[index], reward + float(rng.normal(0.0, 0.3)), float(step))
    assert average_over(strategy, arms)[arms.index("new-3")] > 0.6


def average_over(strategy: RoutingStrategy, arms: tuple[str, ...]) -> np.ndarray:
    rng = np.random.default_rng(9)
    return np.mean([strategy.distribution(CHAT, arms, rng)[0] for _ in range(20)], axis=0)


@every
def test_a_forgotten_arm_begins_anew(build: Callable[[], RoutingStrategy]) -> None:
    strategy = trained(build(), {"chat": (1.0, 5.0, 4.0), "code": (2.0, 3.0, 9.0)})
    strategy.forget("b")
    strategy.forget("c")
    assert strategy.snapshot()["arms"] == ["a"]
    shares, _ = strategy.distribution(CHAT, ("x", "y"), np.random.default_rng(1))
    assert sum(shares) == pytest.approx(1.0)
    # Both are unknown in the places of b and c: nothing may tell them apart but chance.
    assert min(shares) > 0.2


@every
def test_ten_thousand_arms_are_served(build: Callable[[], RoutingStrategy]) -> None:
    strategy = build()
    arms = tuple(f"arm-{index}" for index in range(10_000))
    strategy.update(CHAT, "arm-7", 1.0, 0.0)
    shares, scores = strategy.distribution(CHAT, arms, np.random.default_rng(1))
    assert sum(shares) == pytest.approx(1.0)
    assert len(scores) == len(arms)


@settings(max_examples=15, deadline=None)
@example(name="ucb", rewards=[("a", 0.0, 0.0, False), ("a", 1.2e-265, 0.0, False)], exploration=0.0)
@given(
    name=st.sampled_from(sorted(EVERY)),
    rewards=st.lists(
        st.tuples(st.sampled_from(ARMS), st.floats(-1e6, 1e6), st.floats(0.0, 1.0), st.booleans()),
        max_size=60,
    ),
    exploration=st.floats(0.0, 3.0),
)
def test_probabilities_are_probabilities_whatever_the_rewards(
    name: str, rewards: list[tuple[str, float, float, bool]], exploration: float
) -> None:
    strategy = EVERY[name]()
    rng = np.random.default_rng(0)
    for step, (arm, reward, complexity, late) in enumerate(rewards):
        context = WorkloadContext(workload_type="chat", complexity=complexity)
        if not late:
            strategy.update(context, arm, reward, float(step))
        shares, scores = strategy.distribution(context, ARMS, rng, exploration=exploration)
        assert all(share >= 0.0 for share in shares)
        assert sum(shares) == pytest.approx(1.0, abs=1e-6)
        assert np.all(np.isfinite(scores))
    json.dumps(strategy.snapshot(), allow_nan=False)


@pytest.mark.parametrize("build", [Ucb, Thompson, LinUcb, LinTs])
def test_without_exploration_the_best_belief_is_followed(
    build: Callable[[], RoutingStrategy],
) -> None:
    strategy = trained(build(), {"chat": (1.0, 5.0, 4.9), "code": (1.0, 5.0, 4.9)}, steps=90)
    shares, scores = strategy.distribution(CHAT, ARMS, np.random.default_rng(1), exploration=0.0)
    assert max(shares) == 1.0
    assert shares.index(1.0) == int(np.argmax(scores))


def test_a_burst_without_answers_is_spread() -> None:
    strategy, rng = Ucb(), np.random.default_rng(1)
    asked = dict.fromkeys(ARMS, 0)
    for step in range(30):
        shares, _ = strategy.distribution(CHAT, ARMS, rng)
        arm = ARMS[int(np.argmax(shares))]
        strategy.chosen(CHAT, arm, float(step))
        asked[arm] += 1
    assert set(asked.values()) == {10}
    for arm in ARMS:
        strategy.outcome(CHAT, arm, None, 30.0)


def test_thompson_shares_are_the_probability_of_being_best() -> None:
    strategy = Thompson(draws=20_000, change_detection=False)
    rng = np.random.default_rng(4)
    for step in range(120):
        for arm, mean in (("a", 1.0), ("b", 1.1)):
            strategy.update(CHAT, arm, mean + float(rng.normal(0.0, 1.0)), float(step))
    (first, second), _ = strategy.distribution(CHAT, ("a", "b"), rng)
    cells = strategy.snapshot()["states"][0]["cells"]
    gap = cells[1][1] - cells[0][1]
    variance = sum(squares / (count - 1) / count for count, _, squares, *_ in cells)
    likely = 0.5 * (1.0 + np.tanh(0.8 * gap / np.sqrt(variance)))
    assert second == pytest.approx(likely, abs=0.04)
    assert first + second == pytest.approx(1.0)


@pytest.mark.parametrize("discount", [1.0, 0.97], ids=["rank-one updates", "with forgetting"])
def test_linear_models_agree_with_the_normal_equations(discount: float) -> None:
    rng = np.random.default_rng(5)
    models = LinearArms(4, penalty=2.0, discount=discount, change=None)
    gram, moment, features, rewards = 2.0 * np.eye(4), np.zeros(4), np.zeros(4), []
    for _ in range(700):
        row, reward = rng.normal(size=4), float(rng.normal(10.0, 3.0))
        models.learn("a", row, reward)
        gram = discount * gram + (1.0 - discount) * 2.0 * np.eye(4) + np.outer(row, row)
        moment = discount * moment + reward * row
        features = discount * features + row
        rewards.append(reward)
    expected, deviation = models.predict(("a",), np.ones(4))
    mean = models.snapshot()["scale"][2]
    truth = mean + np.ones(4) @ np.linalg.solve(gram, moment - mean * features)
    assert expected[0] == pytest.approx(truth, rel=1e-8)
    assert deviation[0] == pytest.approx(
        float(np.sqrt(np.ones(4) @ np.linalg.solve(gram, np.ones(4)))), rel=1e-8
    )


def test_nearly_parallel_and_huge_features_leave_the_inverse_sound() -> None:
    models = LinearArms(6, penalty=1.0, discount=1.0, change=None)
    rng = np.random.default_rng(6)
    base = rng.normal(size=6)
    for _ in range(3000):
        models.learn("a", 1e4 * (base + 1e-6 * rng.normal(size=6)), float(rng.normal()))
    expected, deviation = models.predict(("a",), base)
    assert np.isfinite(expected[0])
    assert 0.0 <= deviation[0] <= np.linalg.norm(base)


def test_an_arm_left_alone_grows_uncertain_when_the_world_may_change() -> None:
    models = LinearArms(3, penalty=1.0, discount=0.99, change=None)
    row = np.array([1.0, 0.2, 0.1])
    for _ in range(50):
        models.learn("a", row, 1.0)
    _, before = models.predict(("a",), row)
    for _ in range(300):
        models.learn("b", row, 1.0)
    _, after = models.predict(("a",), row)
    assert after[0] > 2.0 * before[0]
    assert after[0] <= np.linalg.norm(row) + 1e-9


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(Ucb, id="ucb"),
        pytest.param(Thompson, id="thompson"),
        pytest.param(LinUcb, id="linucb"),
        pytest.param(LinTs, id="lints"),
    ],
)
def test_a_change_is_noticed_and_learned(build: Callable[[], Any]) -> None:
    strategy = build()
    trained(strategy, {"chat": (5.0, 4.0, 3.0), "code": (5.0, 4.0, 3.0)}, steps=1500)
    assert average_shares(strategy, CHAT).argmax() == 0
    assert strategy.status()["changes"] == 0
    trained(strategy, {"chat": (2.0, 4.0, 3.0), "code": (2.0, 4.0, 3.0)}, steps=400, seed=2)
    assert strategy.status()["changes"] >= 1
    assert average_shares(strategy, CHAT).argmax() == 1


CELL = {"key": ["", "", ""], "steps": 1.0, "range": [0.0, 1.0], "cells": [[1.0, 1.0, 0, 1, 0, 0]]}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"cells": [[-1.0, 1.0, 0, 1, 0, 0]]}, id="a count below 0"),
        pytest.param({"cells": [[1.0, 1.0, -0.5, 1, 0, 0]]}, id="a spread below 0"),
        pytest.param({"cells": [[1.0, 1e308, 0, 1, 0, 0]]}, id="a mean beyond every reward"),
        pytest.param({"cells": [[1.0, 10**400, 0, 1, 0, 0]]}, id="a mean that no float can hold"),
        pytest.param({"range": [-1e308, 1.0]}, id="a range beyond every reward"),
        pytest.param({"steps": -1.0}, id="steps below 0"),
    ],
)
@pytest.mark.parametrize("build", [Ucb, Thompson])
def test_statistics_that_no_rewards_have_are_refused(
    build: Callable[[], Any], broken: dict[str, Any]
) -> None:
    strategy = build()
    strategy.restore({"arms": ["a"], "states": [CELL]})
    before = strategy.snapshot()
    with pytest.raises(InputError):
        strategy.restore({"arms": ["a"], "states": [CELL | broken]})
    assert strategy.snapshot() == before


def test_a_spread_below_0_by_rounding_is_none() -> None:
    strategy = Ucb()
    strategy.restore({"arms": ["a"], "states": [CELL | {"cells": [[1.0, 1.0, -1e-17, 1, 0, 0]]}]})
    assert strategy.snapshot()["states"][0]["cells"][0][2] == 0.0


def test_false_alarms_are_rare() -> None:
    test, rng = ChangeTest(), np.random.default_rng(7)
    alarms, up, down = 0, 0.0, 0.0
    for samples, residual in enumerate(rng.normal(size=100_000)):
        up, down = test.step(up, down, float(residual))
        if test.alarm(up, down, samples):
            alarms, up, down = alarms + 1, 0.0, 0.0
    assert alarms <= 3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("ucb", {"width": 0.0}, id="no width"),
        pytest.param("ucb", {"discount": 1.5}, id="a discount above 1"),
        pytest.param("thompson", {"posterior": "gamma"}, id="an unknown posterior"),
        pytest.param("thompson", {"reward_range": (1.0, 1.0)}, id="an empty range"),
        pytest.param("linucb", {"dimension": 2}, id="too few dimensions"),
        pytest.param("linucb", {"penalty": float("nan")}, id="a penalty that is no number"),
        pytest.param("lints", {"draws": 0}, id="no draws"),
        pytest.param("dqn", {"gamma": 1.0}, id="gamma of 1"),
        pytest.param("dqn", {"colour": "red"}, id="an unknown option"),
        pytest.param("ucb", {"change_detection": {"slack": 9.0}}, id="slack above the clip"),
    ],
)
def test_a_bad_option_is_an_input_error(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Registry().create(name, options)


def test_states_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aurora.routing.bandits.table.MAX_STATES", 50)
    strategy = Ucb()
    for index in range(200):
        strategy.update(WorkloadContext(region=str(index)), "a", 1.0, float(index))
    assert strategy.status()["states"] == 50
