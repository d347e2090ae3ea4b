"""Simulated worlds: regret is counted right, and every strategy beats chance in each."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from aurora.routing.balancing.weighted import Weighted
from aurora.routing.cli import app
from aurora.routing.environments import WORLDS, Abrupt, Drifting, Stationary, play, regret_of_chance
from aurora.routing.strategies import Registry
from aurora.routing.types import WorkloadContext

CHAT = WorkloadContext(workload_type="chat", complexity=0.5)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_the_same_for_the_same_seed(name: str) -> None:
    one, two, other = WORLDS[name](seed=3), WORLDS[name](seed=3), WORLDS[name](seed=4)
    assert np.array_equal(one.means(CHAT, 5000), two.means(CHAT, 5000))
    assert not np.array_equal(one.means(CHAT, 5000), other.means(CHAT, 5000))


def test_only_the_stationary_world_stays() -> None:
    assert np.array_equal(Stationary().means(CHAT, 0), Stationary().means(CHAT, 9000))
    assert not np.array_equal(Drifting().means(CHAT, 0), Drifting().means(CHAT, 1000))
    abrupt = Abrupt(every=100)
    assert np.array_equal(abrupt.means(CHAT, 0), abrupt.means(CHAT, 99))
    assert any(
        not np.array_equal(abrupt.means(CHAT, 99), abrupt.means(CHAT, later))
        for later in range(100, 1000, 100)
    )


def test_the_regret_of_an_even_spread_is_that_of_chance() -> None:
    world = Stationary(seed=1)
    even = play(Weighted(), world, steps=4000, seed=1).total
    assert even == pytest.approx(regret_of_chance(world, steps=4000, seed=1).total, rel=0.05)


def test_regret_never_falls() -> None:
    run = play(Registry().create("ucb"), Drifting(), steps=300)
    assert np.all(np.diff(run.regret) >= 0.0)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", ["ucb", "thompson", "linucb", "lints", "dqn"])
def test_learning_beats_chance(name: str, world: str) -> None:
    steps = 2500
    moving = {"replay": 500} if name == "dqn" else {"discount": 0.998}
    options = moving if world == "drifting" else {}
    regret = play(Registry().create(name, options), WORLDS[world](seed=1), steps=steps, seed=1)
    assert regret.total < 0.5 * regret_of_chance(WORLDS[world](seed=1), steps=steps, seed=1).total


@pytest.mark.parametrize("name", ["ucb", "thompson", "linucb", "lints"])
def test_late_feedback_costs_little(name: str) -> None:
    world, steps = Stationary(seed=2), 2500
    late = play(Registry().create(name), world, steps=steps, seed=1, delay=100).total
    assert late < 0.4 * regret_of_chance(world, steps=steps, seed=1).total


@pytest.mark.parametrize("name", ["thompson", "linucb"])
def test_noticing_changes_pays_in_an_abrupt_world(name: str) -> None:
    totals = {
        detect: sum(
            play(
                Registry().create(name, {"change_detection": detect}),
                Abrupt(seed=seed, every=1500),
                steps=4500,
                seed=seed,
            ).total
            for seed in (1, 2)
        )
        for detect in (True, False)
    }
    assert totals[True] < 0.8 * totals[False]


def test_regret_curves_in_json() -> None:
    arguments = ["regret", "--strategies", "thompson", "--steps", "200", "--seeds", "2"]
    done = CliRunner().invoke(app, [*arguments, "--output", "json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)["curves"]
    assert {(row["world"], row["strategy"]) for row in rows} == {
        (world, name) for world in WORLDS for name in ("random", "thompson")
    }
    assert all(row["curve"] == sorted(row["curve"]) for row in rows)
    assert "abrupt" in CliRunner().invoke(app, arguments).output


def test_an_unknown_strategy_is_exit_code_2() -> None:
    done = CliRunner().invoke(app, ["regret", "--strategies", "x"])
    assert done.exit_code == 2
    assert "choose among" in done.output
