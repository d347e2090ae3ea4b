"""Learned weights against rules: what a block is worth to each side, and what it may not see."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aurora.planner.routing.versus import BLOCK_S, LONGEST_S, compared
from aurora.routing.evaluation.always_valid import always_valid
from aurora.state.routing_memory import Tally, Versus
from tests.support.routing import NOW, given, seen

LEARNED: dict[str, Any] = {"strategy": "Learned"}
SIDES = ({"a": 0.9, "b": 0.1}, {"a": 0.5, "b": 0.5})


def answers(reward: float, *, requests: float = 100.0, failed: float = 0.0) -> Tally:
    return Tally(requests, requests * reward, requests * failed, requests * 0.5)


def cycle(
    versus: Versus,
    at: float,
    fresh: dict[str, Tally] | None = None,
    sides: Any = SIDES,
    **spec: Any,
) -> Versus:
    routing = given({"a": seen(50), "b": seen(50)}, at=NOW + at, **(LEARNED | spec))
    return compared(versus, routing, fresh or {}, sides=sides)


def block(versus: Versus, at: float, a: Tally, b: Tally, **more: Any) -> Versus:
    versus = cycle(versus, at, **more)
    return cycle(versus, at + BLOCK_S, {"a": a, "b": b}, **more)


def test_a_block_is_worth_the_shares_times_what_each_backend_earned() -> None:
    versus = block(Versus(), 0.0, answers(8.0), answers(4.0, failed=0.1))
    assert versus.difference.count == 1
    assert versus.learned.reward.mean == pytest.approx(0.9 * 8.0 + 0.1 * 4.0)
    assert versus.rules.reward.mean == pytest.approx(6.0)
    assert versus.difference.mean == pytest.approx(1.6)
    assert versus.learned.failures.mean == pytest.approx(0.01)
    assert versus.rules.seconds.mean == pytest.approx(0.5)
    assert versus.since == NOW


def test_the_traffic_that_a_backend_got_does_not_count_its_reward_does() -> None:
    one = block(Versus(), 0.0, answers(8.0), answers(4.0))
    other = block(Versus(), 0.0, answers(8.0, requests=9900.0), answers(4.0, requests=40.0))
    assert one.difference.mean == pytest.approx(other.difference.mean)


def test_the_shares_of_a_block_are_those_that_stood_when_it_began() -> None:
    """Shares that were chosen by what happened in the block would flatter the learned side."""
    versus = cycle(Versus(), 0.0)
    after = ({"a": 0.0, "b": 1.0}, SIDES[1])
    versus = cycle(versus, BLOCK_S, {"a": answers(8.0), "b": answers(4.0)}, sides=after)
    assert versus.difference.mean == pytest.approx(1.6)
    assert versus.block is not None
    assert versus.block.learned == after[0]


def test_a_block_waits_for_a_backend_with_too_few_requests_and_is_dropped_in_the_end() -> None:
    versus = block(Versus(), 0.0, answers(8.0), answers(4.0, requests=5.0))
    assert versus.difference.count == 0
    assert versus.block is not None
    waited = cycle(versus, BLOCK_S + 60.0, {"b": answers(4.0, requests=30.0)})
    assert waited.difference.count == 1
    dropped = cycle(versus, LONGEST_S)
    assert dropped.difference.count == 0
    assert dropped.block is not None
    assert dropped.block.began == NOW + LONGEST_S


def test_a_backend_that_no_side_uses_is_not_waited_for() -> None:
    sides = ({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 0.0})
    versus = cycle(Versus(), 0.0, sides=sides)
    versus = cycle(versus, BLOCK_S, {"a": answers(8.0)}, sides=sides)
    assert versus.difference.count == 1
    assert versus.difference.mean == 0.0


def test_rounding_is_no_difference() -> None:
    """Both sides earn the same of every backend; sums of shares differ in the last bit."""
    versus = Versus()
    sides = ({"a": 0.7, "b": 0.3}, {"a": 0.1, "b": 0.9})
    for turn in range(40):
        found = {"a": answers(8.1), "b": answers(8.1)} if turn else {}
        versus = cycle(versus, turn * BLOCK_S, found, sides=sides)
    assert versus.learned.reward.mean != versus.rules.reward.mean
    found_out = always_valid(versus.difference)
    assert found_out is not None
    assert found_out.p_value == 1.0


@pytest.mark.parametrize(
    ("spec", "anew"),
    [
        pytest.param({"learning": {"percent": 10}}, False, id="another percentage goes on"),
        pytest.param({"learning": {"rules": "Equal"}}, True, id="other rules begin anew"),
        pytest.param({"learning": {"algorithm": "ucb"}}, True, id="another algorithm too"),
        pytest.param({"exploration": {"minPercent": 5}}, True, id="another floor too"),
        pytest.param({"declared": {"a": {"weight": 7}}}, True, id="another weight too"),
    ],
)
def test_a_comparison_of_something_else_begins_anew(spec: dict[str, Any], anew: bool) -> None:
    versus = block(Versus(), 0.0, answers(8.0), answers(4.0))
    changed = cycle(versus, BLOCK_S + 15.0, **spec)
    assert (changed.difference.count == 0) is anew


def test_a_clock_that_was_set_back_ends_the_block() -> None:
    versus = cycle(Versus(), 0.0)
    back = cycle(versus, -3600.0)
    assert back.block is not None
    assert back.block.began == NOW - 3600.0


def test_no_block_begins_while_a_side_has_no_shares() -> None:
    assert cycle(Versus(), 0.0, sides=({}, SIDES[1])).block is None


def test_the_mean_difference_is_that_of_two_fleets_that_really_ran_apart() -> None:
    """The estimate from one stream split by weight, against each side alone on its own stream."""
    rng = np.random.default_rng(11)
    earns, now = {"a": 8.0, "b": 6.0}, {"a": 0.7, "b": 0.3}

    def mean(shares: dict[str, float], count: int) -> dict[str, Tally]:
        drawn = rng.choice(list(shares), count, p=list(shares.values()))
        found = {}
        for name, reward in earns.items():
            rewards = rng.normal(reward, 2.0, int((drawn == name).sum()))
            found[name] = Tally(float(rewards.size), float(rewards.sum()))
        return found

    versus = Versus()
    for turn in range(200):
        versus = cycle(versus, turn * 2 * BLOCK_S)
        fresh = mean(now, 300)
        versus = replace(cycle(versus, turn * 2 * BLOCK_S + BLOCK_S, fresh), block=None)
    apart = [sum(one.points for one in mean(side, 200_000).values()) / 200_000 for side in SIDES]
    assert versus.difference.count == 200
    error = versus.difference.error or 0.0
    assert abs(versus.difference.mean - (apart[0] - apart[1])) < 4 * error + 0.02
