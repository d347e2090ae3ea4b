"""A RoutingPolicy on real traffic: two Deployments behind an HTTPRoute of a real Gateway."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aurora.kube.kinds import ROUTING_POLICY
from tests.support.builders import merged
from tests.support.e2ecaller import Caller, calling
from tests.support.e2egateway import URL, need_gateway, route_to, weights_of
from tests.support.e2eworld import AUTONOMY, CYCLE_S, World, new_world, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Record = Callable[[str, object], None]
EVEN = {"stable": 50, "canary": 50}
RATE = 20.0
SLACK_S = 1.0
"""From a written HTTPRoute until the proxy has taken it up."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        await need_gateway(made)
        await asyncio.gather(*(made.serve(name, replicas=2, delay=0.05) for name in EVEN))
        yield made


async def policy(world: World, **spec: Any) -> None:
    body = {
        "routeRef": {"name": "chat"},
        "backends": [{"name": name, "serviceRef": {"name": name, "port": 80}} for name in EVEN],
        "metrics": {"minSamples": 20},
        "autonomy": AUTONOMY,
    }
    await world.create(ROUTING_POLICY, "chat", spec=merged(body, spec))


async def programmed(world: World) -> bool:
    status = (await world.get(ROUTING_POLICY, "chat")).get("status", {})
    true = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
    return {"Ready", "Programmed", "MetricsAvailable"} <= true


async def changed_from(world: World, before: dict[str, int]) -> dict[str, int]:
    now = await weights_of(world, "chat")
    return {} if now == before else now


def share(caller: Caller, name: str, *, since: float) -> float:
    """Percent of the answers that came from a backend's pods."""
    found = [one.pod.startswith(f"{name}-") for one in caller.since(since)]
    return 100 * sum(found) / len(found) if found else float("nan")


async def enough(caller: Caller, since: float, count: int) -> bool:
    return len(caller.since(since)) >= count


async def test_weights_leave_a_slow_backend_and_the_traffic_follows(
    world: World, record_property: Record
) -> None:
    host = await route_to(world, "chat", EVEN)
    await policy(world, strategy="LatencyWeighted")
    world.start_operator()
    async with calling(Caller(f"{URL}/v1/completions", rate=RATE, host=host)) as caller:
        await until(lambda: programmed(world), "the policy is looked after", within_s=60)
        await world.tell("canary", delay_s=0.6)
        slow = time.monotonic()
        step = await until(lambda: changed_from(world, EVEN), "a first step", within_s=40)
        moved = time.monotonic()
        assert step == {"stable": 75, "canary": 25}, "maxStepPercent"
        follows = moved + SLACK_S
        assert follows - moved < 2 * CYCLE_S
        await until(lambda: enough(caller, follows, 200), "200 answers", within_s=30)
        seen = share(caller, "canary", since=follows)
        assert 25 - 12 < seen < 25 + 12, seen
        last = await until(lambda: changed_from(world, step), "a second step", within_s=120)
        assert last["canary"] < 20
        first, _ = await world.decisions("chat", action="ROUTE")
        assert first["status"]["outcome"]["verdict"] in {"Improved", "Neutral"}, first["status"]
        follows = time.monotonic() + SLACK_S
        await until(lambda: enough(caller, follows, 200), "200 answers", within_s=30)
        assert share(caller, "canary", since=follows) < last["canary"] + 10
        await world.delete(ROUTING_POLICY, "chat")
        await until(lambda: world.gone(ROUTING_POLICY, "chat"), "it is gone", within_s=30)
        assert await weights_of(world, "chat") == EVEN, "given back as it was found"
    assert caller.failures == [], "no request failed because weights changed"
    record_property("first_step_seconds", moved - slow)
    record_property("share_seen_percent", seen)
    print("first step after", moved - slow, "s; 25 % were", seen)


async def test_a_failing_backend_gets_nothing_within_two_cycles(
    world: World, record_property: Record
) -> None:
    host = await route_to(world, "chat", EVEN)
    await policy(world, strategy="Equal")
    world.start_operator()
    async with calling(Caller(f"{URL}/v1/completions", rate=RATE, host=host)) as caller:
        await until(lambda: programmed(world), "the policy is looked after", within_s=60)
        assert caller.failures == []
        await world.tell("canary", failing=True)
        failing = time.monotonic()
        await until(lambda: changed_from(world, EVEN), "its weight goes", within_s=30, every_s=0.1)
        moved = time.monotonic()
        assert await weights_of(world, "chat") == {"stable": 100, "canary": 0}
        follows = moved + 2 * CYCLE_S
        await until(lambda: enough(caller, follows, 100), "100 answers", within_s=30)
        assert share(caller, "canary", since=follows) == 0.0
    late = [failure for failure in caller.failures if failure[0] > moved + SLACK_S]
    assert late == [], "callers are well as soon as the proxy has the new weights"
    (decision,) = await world.decisions("chat", action="ROUTE")
    assert decision["spec"]["protective"] is True
    record_property("weight_gone_seconds", moved - failing)
    print("its weight was gone after", moved - failing, "s,", len(caller.failures), "had failed")


async def test_a_step_that_makes_callers_wait_longer_is_taken_back(world: World) -> None:
    host = await route_to(world, "chat", EVEN)
    await policy(world, strategy="LatencyWeighted")
    await world.tell("canary", delay_s=0.3)
    world.start_operator()
    async with calling(Caller(f"{URL}/v1/completions", rate=RATE, host=host)) as caller:
        await until(lambda: changed_from(world, EVEN), "a first step", within_s=60)
        await world.tell("stable", delay_s=2.0)
        await until(lambda: rolled_back(world), "the step is undone", within_s=120)
        assert await weights_of(world, "chat") == EVEN
    assert caller.failures == []


async def rolled_back(world: World) -> bool:
    return bool(await world.decisions("chat", action="ROUTE", phase="RolledBack"))
