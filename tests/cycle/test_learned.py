"""A RoutingPolicy that learns, through the whole loop: weights, comparison, restart."""

from pathlib import Path
from typing import Any

from aurora.observe.sample import Gap
from aurora.resources.routing_learning import ComparisonStatus
from aurora.resources.routing_policy import RoutingPolicyStatus
from aurora.state.routing_memory import RoutingMemory
from tests.cycle.test_shift import condition, routed, seen, weights
from tests.cycle.world import Operator, World, operator

LEARNED: dict[str, Any] = {"strategy": "Learned", "metrics": {"minSamples": 10}}
HALF = {"stable": 50, "canary": 50}
BLOCK = 21
"""Cycles of a block of five minutes."""


def memory(run: Operator) -> RoutingMemory:
    (found,) = [
        one.routing for key, one in run.cycle.memories.items() if "routingpolicy/" in key.name
    ]
    assert found is not None
    return found


def status(world: World) -> RoutingPolicyStatus:
    return seen(world).status


def comparison(world: World) -> ComparisonStatus:
    found = status(world).comparison
    assert found is not None
    return found


async def test_the_faster_backend_wins_step_by_step_and_the_weights_then_rest(
    tmp_path: Path,
) -> None:
    world = routed(tmp_path, HALF, **LEARNED)
    world.served["canary"].extra_ttft = 1.0
    async with operator(world) as run:
        await run.until("Verifying", action="ROUTE")
        assert weights(world) == {"stable": 75, "canary": 25}, "maxStepPercent is 25"
        await run.until("Completed", "Completed", action="ROUTE", within=80)
        await run.cycles(40)
        settled = weights(world)
        assert settled["stable"] >= 90
        assert settled["canary"] >= 1, "the exploration floor"
        before = len(world.writes(to="HTTPRoute/"))
        await run.cycles(80)
        assert len(world.writes(to="HTTPRoute/")) == before
        assert weights(world) == settled
        assert condition(world, "Programmed")[:2] == ("True", "Programmed")
    first = world.decisions(action="ROUTE")[0]
    assert first.spec.reason == "WeightsLearned"
    assert first.spec.expected_effect is not None
    assert first.spec.expected_effect.signal == "latencyP95", "callers are to wait no longer"
    assert {one.signal for one in first.spec.evidence} >= {"reward.stable", "reward.canary"}
    assert first.status.outcome is not None


async def test_the_cheaper_of_two_that_are_equally_fast_wins(tmp_path: Path) -> None:
    prices = [
        {"name": name, "serviceRef": {"name": name, "port": 80}, "costPerReplicaHour": cost}
        for name, cost in (("stable", "9.00"), ("canary", "1.00"))
    ]
    learning = {"reward": {"costWeight": "1000"}}
    world = routed(tmp_path, HALF, **LEARNED, backends=prices, learning=learning)
    async with operator(world) as run:
        await run.cycles(120)
    assert weights(world)["canary"] >= 90


async def test_a_part_of_the_traffic_follows_and_the_comparison_finds_who_is_better(
    tmp_path: Path,
) -> None:
    world = routed(tmp_path, HALF, **LEARNED, learning={"percent": 20})
    world.served["canary"].extra_ttft = 1.0
    async with operator(world) as run:
        await run.cycles(60)
        assert weights(world)["stable"] in range(57, 61), "20 % of 99, the rest of 50"
        early = comparison(world)
        assert early.verdict == "TooFew"
        assert early.p_value is None
        told = len(world.writes(to="RoutingPolicy/chat", touching="/status"))
        await run.cycles(30 * BLOCK)
        found = comparison(world)
        writes = len(world.writes(to="RoutingPolicy/chat", touching="/status")) - told
    assert found.verdict == "LearnedBetter"
    assert found.blocks >= 30
    assert found.difference_low is not None
    assert found.difference_low > 0
    assert found.p_value is not None
    assert found.p_value < 0.05
    assert found.learned.reward is not None
    assert found.rules.reward is not None
    assert found.learned.reward > found.rules.reward
    assert found.rules.weights == "stable=50 canary=50"
    assert found.rules.latency_mean is not None
    assert found.learned.latency_mean is not None
    assert found.learned.latency_mean < found.rules.latency_mean
    assert writes <= 15, "a block each five minutes is not told each time"


async def test_rules_that_are_as_good_are_not_found_worse(tmp_path: Path) -> None:
    world = routed(tmp_path, HALF, **LEARNED)
    async with operator(world) as run:
        await run.cycles(32 * BLOCK)
    assert comparison(world).verdict == "NoDifference"
    assert weights(world) == HALF


async def test_a_restart_keeps_what_was_learned_and_compared(tmp_path: Path) -> None:
    world = routed(tmp_path, HALF, **LEARNED)
    world.served["canary"].extra_ttft = 1.0
    async with operator(world) as run:
        await run.cycles(120)
        known = memory(run)
        settled = weights(world)
        await run.cycle.parts.keeper.close()
    written = len(world.writes(to="HTTPRoute/"))
    async with operator(world) as run:
        await run.cycles(1)
        assert memory(run).revision >= known.revision > 10
        assert memory(run).versus.difference.count == known.versus.difference.count > 0
        await run.cycles(20)
        assert memory(run).revision > known.revision, "it goes on learning"
    assert weights(world) == settled
    assert len(world.writes(to="HTTPRoute/")) == written


async def test_a_learned_favourite_that_fails_loses_all_at_once(tmp_path: Path) -> None:
    world = routed(tmp_path, HALF, **LEARNED)
    world.served["canary"].extra_ttft = 1.0
    async with operator(world) as run:
        await run.cycles(60)
        assert weights(world)["stable"] > 75
        world.served["stable"].errors = 0.6
        await run.cycles(1)
        assert weights(world) == {"stable": 0, "canary": 100}


async def test_what_is_not_seen_moves_nothing(tmp_path: Path) -> None:
    world = routed(tmp_path, HALF, **LEARNED)
    world.served["canary"].dark = Gap.QUERY_FAILED
    async with operator(world) as run:
        await run.cycles(60)
        assert memory(run).arms["canary"].outcomes == 0
        assert memory(run).versus.difference.count == 0
    assert weights(world) == HALF
