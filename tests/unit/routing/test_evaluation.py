"""Off-policy estimates against simulated logs whose truth is known."""

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.routing.evaluation import (
    ArmMeans,
    Bound,
    Evaluation,
    EvaluationSettings,
    LoggedStep,
    NotIdentifiable,
    Obstacle,
    RewardModel,
    RidgeRewards,
    bounded_mean,
    effective_samples,
    evaluate,
)

ARMS = ("a", "b", "c")
MEANS = {"x": (0.2, 0.5, 0.8), "y": (0.7, 0.4, 0.1)}
LOGGING = {"x": (0.6, 0.3, 0.1), "y": (0.1, 0.3, 0.6)}


def target(step: LoggedStep) -> Mapping[str, float]:
    return dict(zip(ARMS, (0.1, 0.1, 0.8) if step.context == "x" else (0.8, 0.1, 0.1), strict=True))


TRUTH = 0.5 * (0.02 + 0.05 + 0.64) + 0.5 * (0.56 + 0.04 + 0.01)


def simulated(rng: np.random.Generator, count: int, *, learns: bool = False) -> list[LoggedStep]:
    """Rewards 0 or 1; the logging policy may move to the arm that earned most so far."""
    steps, sums = [], np.ones(3)
    for _ in range(count):
        context = "x" if rng.random() < 0.5 else "y"
        mixture = 0.2 / 3 + 0.8 * sums / sums.sum() if learns else np.array(LOGGING[context])
        index = int(rng.choice(3, p=mixture / mixture.sum()))
        reward = float(rng.random() < MEANS[context][index])
        sums[index] += reward
        features = np.array([1.0, 0.0] if context == "x" else [0.0, 1.0])
        steps.append(
            LoggedStep(
                ARMS[index],
                float(mixture[index]),
                reward,
                context,
                dict(zip(ARMS, map(float, mixture), strict=True)),
                features,
            )
        )
    return steps


def evaluated(
    steps: list[LoggedStep], *, model: RewardModel | None = None, **changed: object
) -> Evaluation:
    options = {"reward_range": (0.0, 1.0), "smallest_propensity": 0.2 / 3}
    options |= {"min_effective_samples": 20.0, **changed}
    found = evaluate(steps, target, EvaluationSettings(**options), model=model or RidgeRewards())
    assert isinstance(found, Evaluation), found
    return found


@pytest.mark.parametrize("learns", [False, True], ids=["fixed logging", "logging that learns"])
def test_bounds_cover_the_truth_as_often_as_they_promise(learns: bool) -> None:
    runs = 100
    covered: Counter[tuple[Bound, str]] = Counter()
    for seed in range(runs):
        steps = simulated(np.random.default_rng(seed), 400, learns=learns)
        for bound in Bound:
            found = evaluated(steps, model=ArmMeans(), bound=bound, confidence=0.9)
            for name in ("ips", "snips", "dr"):
                covered[bound, name] += TRUTH in getattr(found, name).interval
    assert len(covered) == 9
    # 80 of 100 is 3.3 standard errors below 90.
    assert min(covered.values()) >= 80, covered


def test_estimates_are_unbiased_and_dr_varies_less_than_ips() -> None:
    found = [evaluated(simulated(np.random.default_rng(seed), 600)) for seed in range(40)]
    values = {n: [getattr(one, n).value for one in found] for n in ("ips", "snips", "dr")}
    for name, seen in values.items():
        error = np.std(seen) / np.sqrt(len(seen))
        assert abs(np.mean(seen) - TRUTH) < 4 * error, name
    assert np.std(values["dr"]) < np.std(values["ips"])


def test_bounds_shrink_as_the_log_grows() -> None:
    rng = np.random.default_rng(5)
    widths = []
    for count in (500, 2000, 8000):
        interval = evaluated(simulated(rng, count)).ips.interval
        widths.append(interval.upper - interval.lower)
    assert widths[0] > 1.5 * widths[1] > 2.0 * widths[2]


def test_a_confidence_sequence_holds_at_every_look() -> None:
    missed = 0
    for seed in range(60):
        values = (np.random.default_rng(seed).random(1500) < 0.3).astype(float)
        looks = (
            bounded_mean(values[:n], 0.0, 1.0, alpha=0.1, anytime=True) for n in range(20, 1500, 50)
        )
        missed += not all(0.3 in look for look in looks)
    assert missed <= 12


def step(arm: str = "a", propensity: float = 0.5, reward: float | None = 1.0) -> LoggedStep:
    return LoggedStep(arm, propensity, reward, "x", {"a": 0.5, "b": 0.5})


def only(arm: str) -> object:
    return lambda _: {arm: 1.0}


BALANCED = [step("a"), step("b")] * 300


@pytest.mark.parametrize(
    ("steps", "policy", "obstacle"),
    [
        pytest.param([], only("a"), Obstacle.NO_DATA, id="an empty log"),
        pytest.param(BALANCED[:20], only("a"), Obstacle.SMALL_SAMPLE, id="too few steps"),
        pytest.param(BALANCED, only("c"), Obstacle.MISSING_SUPPORT, id="an arm never possible"),
        pytest.param(
            [*BALANCED, step(propensity=0.0)],
            only("a"),
            Obstacle.INVALID_PROPENSITIES,
            id="a propensity of 0",
        ),
        pytest.param(
            [*BALANCED, step(propensity=float("nan"))],
            only("a"),
            Obstacle.INVALID_PROPENSITIES,
            id="a propensity that is no number",
        ),
        pytest.param(
            BALANCED,
            lambda _: {"a": 0.4},
            Obstacle.INVALID_PROPENSITIES,
            id="a target that does not sum to 1",
        ),
        pytest.param(
            BALANCED + [step(reward=None)] * 60,
            only("a"),
            Obstacle.REWARDS_MISSING,
            id="rewards that never came",
        ),
        pytest.param(
            BALANCED + [step(reward=float("inf"))] * 60,
            only("a"),
            Obstacle.REWARDS_MISSING,
            id="rewards without end",
        ),
        pytest.param(
            [LoggedStep(s.arm, 0.25, s.reward) for s in BALANCED],
            only("a"),
            Obstacle.WEIGHTS_INCONSISTENT,
            id="propensities half of the truth",
        ),
        pytest.param(
            [LoggedStep("a", 0.5, 1.0), LoggedStep("b", 0.5, 0.0)] * 300,
            lambda _: {"a": 0.25, "b": 0.25, "c": 0.5},
            Obstacle.WEIGHTS_INCONSISTENT,
            id="an unlogged arm without the whole mixture",
        ),
    ],
)
def test_what_cannot_be_told_is_not_told(
    steps: list[LoggedStep], policy: object, obstacle: Obstacle
) -> None:
    found = evaluate(steps, policy)
    assert isinstance(found, NotIdentifiable)
    assert found.obstacle is obstacle
    assert found.message


def test_a_reward_outside_the_declared_range_is_refused() -> None:
    wanted = EvaluationSettings(reward_range=(0.0, 0.5))
    with pytest.raises(ValueError, match="widen the range"):
        evaluate(BALANCED, only("a"), wanted)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(-1.0, 1.0)), min_size=250, max_size=300),
    st.floats(-5.0, 5.0),
)
def test_moving_all_rewards_moves_the_estimates_and_their_bounds(
    pairs: list[tuple[str, float]], shift: float
) -> None:
    steps = [step(arm, 0.5, reward) for arm, reward in pairs]
    moved = [step(arm, 0.5, reward + shift) for arm, reward in pairs]

    def policy(_: LoggedStep) -> dict[str, float]:
        return {"a": 0.5, "b": 0.5}

    def at(low: float) -> EvaluationSettings:
        return EvaluationSettings(reward_range=(low - 1e-9, low + 2.0 + 1e-9))

    before = evaluate(steps, policy, at(-1.0))
    after = evaluate(moved, policy, at(-1.0 + shift))
    assert isinstance(before, Evaluation)
    assert isinstance(after, Evaluation)
    for name in ("ips", "snips"):
        one, other = getattr(before, name), getattr(after, name)
        assert other.value == pytest.approx(one.value + shift, abs=1e-6)
        assert other.interval.lower == pytest.approx(one.interval.lower + shift, abs=1e-6)
        assert other.interval.upper == pytest.approx(one.interval.upper + shift, abs=1e-6)


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=50))
def test_effective_samples_are_between_none_and_all(weights: list[float]) -> None:
    found = effective_samples(np.array(weights))
    assert 0.0 <= found <= len(weights) + 1e-6


def test_the_log_of_the_target_itself_counts_in_full() -> None:
    found = evaluate(BALANCED, lambda _: {"a": 0.5, "b": 0.5}, model=ArmMeans())
    assert isinstance(found, Evaluation)
    assert found.effective_samples == pytest.approx(len(BALANCED))
    assert found.ips.value == found.snips.value == 1.0


@pytest.mark.parametrize("anytime", [False, True], ids=["fixed sample", "sequence"])
def test_the_bounds_are_those_of_the_theorem(anytime: bool) -> None:
    # Theorem 2 of Waudby-Smith and Ramdas (2024), step by step.
    values = [0.1, 0.9, 0.4, 0.4, 0.7, 0.2, 1.0, 0.0, 0.3, 0.6] * 30
    alpha, budget = 0.1, math.log(2 / 0.1)
    bets = weighted = surprise = 0.0
    seen, squares = 0.5, 0.25
    lowest, highest = 0.0, 1.0
    mean, spread = 0.5, 0.25
    for step, value in enumerate(values, 1):
        horizon = step * math.log(1 + step) if anytime else len(values)
        bet = min(math.sqrt(2 * budget / (spread * horizon)), 0.5)
        bets, weighted = bets + bet, weighted + bet * value
        surprise += 4 * (value - mean) ** 2 * (-math.log(1 - bet) - bet) / 4
        centre, half = weighted / bets, (budget + surprise) / bets
        if anytime or step == len(values):
            lowest, highest = max(lowest, centre - half), min(highest, centre + half)
        seen += value
        mean = seen / (step + 1)
        squares += (value - mean) ** 2
        spread = squares / (step + 1)
    found = bounded_mean(np.array(values), 0.0, 1.0, alpha=alpha, anytime=anytime)
    assert (found.lower, found.upper) == pytest.approx((lowest, highest))
    assert 0.3 < found.lower < found.upper < 0.7
    moved = bounded_mean(10 * np.array(values) - 3, -3.0, 7.0, alpha=alpha, anytime=anytime)
    assert moved.lower == pytest.approx(10 * lowest - 3)
    assert moved.upper == pytest.approx(10 * highest - 3)
