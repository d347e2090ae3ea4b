"""What a status tells of the learned weights against the rules, and how often."""

from dataclasses import replace
from typing import Any

import pytest

from aurora.executor.routing_comparison import comparison_of
from aurora.planner.routing.given import RoutingInput
from aurora.resources.routing_learning import ComparisonStatus
from aurora.routing.evaluation.comparison import Moments
from aurora.state.routing_memory import RoutingMemory, SideMoments, Versus
from tests.support.routing import NOW, given, seen

FOUND = {"a": seen(50), "b": seen(50)}


def remembered(differences: list[float]) -> RoutingInput:
    learned = SideMoments(
        Moments.of(8.0 + one for one in differences), Moments.of([0.01]), Moments.of([0.5])
    )
    rules = SideMoments(Moments.of([8.0] * len(differences)))
    versus = Versus("mark", NOW - 7200.0, None, learned, rules, Moments.of(differences))
    shares = {"a": 0.8, "b": 0.2}
    memory = RoutingMemory(
        "mark", "thompson", shares=shares, rules={"a": 0.5, "b": 0.5}, versus=versus
    )
    return given(FOUND, strategy="Learned", learned=memory)


def told(differences: list[float], before: ComparisonStatus | None = None) -> ComparisonStatus:
    found = comparison_of(remembered(differences), before)
    assert found is not None
    return found


def swaying(mean: float, count: int) -> list[float]:
    return [mean + (0.1 if n % 2 else -0.1) for n in range(count)]


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        pytest.param([], "TooFew", id="nothing yet"),
        pytest.param(swaying(0.5, 29), "TooFew", id="29 blocks are too few, however clear"),
        pytest.param(swaying(0.5, 40), "LearnedBetter", id="clearly above 0"),
        pytest.param(swaying(-0.5, 40), "RulesBetter", id="clearly below 0"),
        pytest.param(swaying(0.01, 40), "NoDifference", id="lost in the noise"),
    ],
)
def test_the_verdict(differences: list[float], verdict: str) -> None:
    found = told(differences)
    assert found.verdict == verdict
    assert found.blocks == len(differences)
    assert (found.p_value is None) == (verdict == "TooFew")


def test_both_sides_are_told_with_their_weights_and_intervals() -> None:
    found = told(swaying(0.5, 40))
    assert (found.learned.weights, found.rules.weights) == ("a=79 b=21", "a=50 b=50")
    assert found.learned.reward_low is not None
    assert found.learned.reward is not None
    assert found.learned.reward_high is not None
    assert found.learned.reward_low < found.learned.reward < found.learned.reward_high
    assert str(found.learned.error_ratio) == "0.01"
    assert str(found.learned.latency_mean) == "0.5"
    assert found.rules.latency_mean is None, "what was not measured is not 0"
    assert found.since is not None
    assert found.since.timestamp() == NOW - 7200.0


def test_what_nobody_acts_on_is_not_told_anew() -> None:
    before = told(swaying(0.5, 40))
    assert told(swaying(0.52, 41), before) is before
    assert told(swaying(0.52, 50), before).blocks == 50
    assert told(swaying(-0.5, 41), before).verdict == "RulesBetter"
    assert told([], before).blocks == 0, "a comparison that began anew is told at once"


@pytest.mark.parametrize(
    ("weights", "news"),
    [
        pytest.param("a=79 b=21", False, id="the same"),
        pytest.param("a=77 b=23", False, id="a few points"),
        pytest.param("a=50 b=50", True, id="other weights"),
        pytest.param("a=79", True, id="another backend"),
        pytest.param("a=x b=y", True, id="no weights at all"),
    ],
)
def test_weights_are_told_anew_when_they_moved(weights: str, news: bool) -> None:
    before = told(swaying(0.5, 40))
    side = before.learned.model_copy(update={"weights": weights})
    before = before.model_copy(update={"learned": side})
    assert (told(swaying(0.5, 41), before) is not before) is news


def test_a_policy_that_does_not_learn_has_none() -> None:
    routing = replace(remembered([]), learned=None)
    before: Any = told([])
    assert comparison_of(routing, before) is None
