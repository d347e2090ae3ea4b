"""The fallback by weights of an HTTPRoute, through a real Gateway."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from aurora.kube.kinds import SERVICE
from tests.support.e2ecaller import Caller, calling
from tests.support.e2egateway import URL, need_gateway, route_to, weights_of
from tests.support.e2eworld import CYCLE_S, World, new_world, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Record = Callable[[str, object], None]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        await need_gateway(made)
        yield made


async def test_weights_send_traffic_to_the_fallback_and_back(
    world: World, record_property: Record
) -> None:
    names = ("llama", "spare")
    await asyncio.gather(*(world.serve(name, replicas=2, delay=0.05) for name in names))
    host = await route_to(world, "llama", {"llama": 100, "spare": 0})
    fallback = {
        "serviceRef": {"name": "spare", "port": 80},
        "httpRouteRef": {"name": "llama"},
        "probe": {"count": 4},
    }
    await world.manage("llama", fallback=fallback, triggers={"noEndpointFor": "5s"})
    before = (await world.get(SERVICE, "llama"))["spec"]
    world.start_operator()
    async with calling(Caller(f"{URL}/v1/completions", rate=10, host=host)) as caller:
        await until(lambda: caller.hears_from("llama"), "the primary answers", within_s=30)
        await world.tell("llama", healthy=False)
        await until(lambda: world.has_no_endpoint("llama"), "no endpoint", within_s=20, every_s=0.1)
        lost = time.monotonic()
        await until(lambda: caller.hears_from("spare"), "the fallback answers", within_s=40)
        switched_s = caller.answers[-1].began - lost
        assert switched_s < 5 + 2 * CYCLE_S
        assert await weights_of(world, "llama") == {"llama": 0, "spare": 100}
        await world.tell("llama", healthy=True)
        well = time.monotonic()
        await until(lambda: caller.hears_from("llama"), "the primary is back", within_s=120)
        back_s = caller.answers[-1].began - well
    assert await weights_of(world, "llama") == {"llama": 100, "spare": 0}
    assert all(began < lost + switched_s for began, _ in caller.failures)
    assert (await world.get(SERVICE, "llama"))["spec"] == before
    routes = await world.decisions("llama", action="ROUTE")
    assert [one["spec"]["direction"] for one in routes] == ["Fallback", "Primary"]
    for name, value in (("switched_seconds", switched_s), ("back_seconds", back_s)):
        record_property(name, value)
        print(name, value)
