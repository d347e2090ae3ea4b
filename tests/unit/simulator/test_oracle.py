import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aurora.simulator.oracle import Oracle, cheapest_plan, search_plan
from aurora.simulator.settings import SimulationSettings
from tests.unit.simulator.support import make_facts, make_view


def cost(plan, losses, minimum, price):
    following = [*plan[1:], minimum]
    held = sum(max(a, b) for a, b in zip(plan, following, strict=True))
    return held + price * sum(losses[b, n - minimum] for b, n in enumerate(plan))


@given(hnp.arrays(np.float64, (4, 3), elements=st.integers(0, 9)), st.floats(0.01, 5.0))
@settings(deadline=None)
def test_no_plan_is_cheaper_than_the_dynamic_programmes(losses, price):
    best = cost(cheapest_plan(losses, 2, price), losses, 2, price)
    every = itertools.product((2, 3, 4), repeat=4)
    assert best == pytest.approx(min(cost(plan, losses, 2, price) for plan in every))


def test_replicas_are_held_one_block_before_they_must_be_ready():
    oracle = Oracle(np.array([1, 1, 5, 1]), SimulationSettings())
    held = [
        oracle.step(make_view(), make_facts(now=block * 150.0 + 1.0)).replicas for block in range(4)
    ]
    assert held == [1, 5, 5, 1]


def test_the_search_gives_the_cheapest_plan_that_reaches_the_goal():
    losses = np.array([[10.0, 4.0, 0.0]] * 3)

    def attainment(plan):
        return 1 - sum(losses[b, n - 1] for b, n in enumerate(plan)) / 100

    assert search_plan(losses, 1, attainment, 0.85).tolist() == [2, 2, 2]
    assert search_plan(losses, 1, attainment, 1.0).tolist() == [3, 3, 3]
