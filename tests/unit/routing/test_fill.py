"""A strategy takes over what it does not know, and gives up nothing that it knows."""

from typing import Any

import pytest

from aurora.routing import InputError, RoutingEngine
from aurora.routing.bandits.thompson import Thompson
from aurora.routing.bandits.ucb import Ucb
from aurora.routing.contract import TeachableStrategy
from aurora.routing.qlearning import QLearning
from aurora.routing.types import WorkloadContext

CHAT, CODE = (WorkloadContext(workload_type=name) for name in ("chat", "code"))
MADE = pytest.mark.parametrize("made", [QLearning, Thompson, Ucb, lambda: Ucb(discount=0.9)])


def taught(made: Any, *lessons: tuple[WorkloadContext, str, float]) -> Any:
    strategy = made()
    for at, (context, arm, reward) in enumerate(lessons):
        strategy.update(context, arm, reward, float(at))
    return strategy


def scores(strategy: Any, context: WorkloadContext, *arms: str) -> list[float]:
    import numpy as np

    return list(strategy.distribution(context, arms, np.random.default_rng(1))[1])


@MADE
def test_an_empty_one_learns_all_of_it(made: Any) -> None:
    other = taught(made, (CHAT, "a", 5.0), (CHAT, "b", -2.0), (CODE, "a", 1.0))
    fresh = made()
    assert isinstance(fresh, TeachableStrategy)
    assert fresh.fill(other.snapshot()) == 3
    for context in (CHAT, CODE):
        assert scores(fresh, context, "a", "b") == scores(other, context, "a", "b")


@MADE
def test_what_is_known_stays_and_a_second_time_changes_nothing(made: Any) -> None:
    other = taught(made, (CHAT, "a", 5.0), (CHAT, "b", -2.0), (CODE, "b", 3.0))
    own = taught(made, (CHAT, "a", -1.0), (CHAT, "a", -1.0))
    assert own.fill(other.snapshot()) == 2
    after = own.snapshot()
    assert own.fill(other.snapshot()) == 0
    assert own.snapshot() == after
    alone = taught(made, (CHAT, "a", -1.0), (CHAT, "a", -1.0))
    if made is QLearning:
        assert scores(own, CHAT, "a") == scores(alone, CHAT, "a")
        assert own.count(("chat", "", ""), "a") == 2


@MADE
def test_what_is_no_state_changes_nothing(made: Any) -> None:
    own = taught(made, (CHAT, "a", -1.0))
    before = own.snapshot()
    with pytest.raises(InputError):
        own.fill({"states": 5, "arms": [], "decisions": 0})
    assert own.snapshot() == before


def test_a_replica_shares_what_it_took_over_exactly_once() -> None:
    other = taught(QLearning, (CHAT, "a", 5.0), (CHAT, "a", 5.0))
    replica = taught(QLearning, (CHAT, "b", 1.0))
    stored = replica.merged({"decisions": 0, "states": []}, replica.take_delta())
    replica.fill(other.snapshot())
    stored = replica.merged(stored, replica.take_delta())
    stored = replica.merged(stored, replica.take_delta())
    again = QLearning()
    again.restore(stored)
    key = ("chat", "", "")
    assert (again.count(key, "a"), again.count(key, "b")) == (2, 1)
    assert again.q_value(key, "a") == pytest.approx(other.q_value(key, "a"))
    assert again.q_value(key, "b") == pytest.approx(replica.q_value(key, "b"))


def test_a_strategy_that_takes_a_state_only_as_a_whole_says_so() -> None:
    engine = RoutingEngine(strategy="linucb")
    with pytest.raises(InputError, match="only before it has one"):
        engine.fill({"strategy": "linucb", "state": {}})
    with pytest.raises(InputError, match="learned by ucb"):
        engine.fill({"strategy": "ucb", "state": {}})
    engine.close()
