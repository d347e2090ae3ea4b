"""What the operator writes for routers on a real API server, and a real router that takes it."""

import copy
from pathlib import Path
from typing import Any

import pytest

from aurora.errors import ForbiddenError
from aurora.kube.kinds import CONFIG_MAP, ROUTING_POLICY, Ref
from tests.apiserver.test_loop import World
from tests.apiserver.test_loop import world as plain_world
from tests.support.builders import merged
from tests.support.cluster import eventually
from tests.unit.router.test_process import get, post, running

__all__ = ["plain_world"]

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

NAME = "aurora-router-chat"
Json = dict[str, Any]


@pytest.fixture
async def world(plain_world: World) -> World:
    await plain_world.deploy("stable", 1)
    plain_world.serve("stable", 1)
    return plain_world


async def policy(world: World, **spec: Any) -> Json:
    inside = {"name": "stable", "serviceRef": {"name": "stable", "port": 80}}
    outside = {"name": "api", "provider": {"name": "api"}}
    body = {
        "backends": [inside, outside],
        "metrics": {"minSamples": 10},
        "router": {"experiment": {"percent": 50, "rules": [{"use": ["stable"]}]}},
    }
    metadata = {"name": "chat", "namespace": world.namespace}
    manifest = {"apiVersion": ROUTING_POLICY.api_version, "kind": ROUTING_POLICY.kind}
    return await world.client.create(
        ROUTING_POLICY, {**manifest, "metadata": metadata, "spec": merged(body, spec)}
    )


async def config_map(world: World) -> Json | None:
    return await world.client.get(Ref(CONFIG_MAP, world.namespace, NAME))


async def fed(world: World) -> tuple[str, str]:
    status = (await world.get(ROUTING_POLICY, "chat")).get("status", {})
    found = [one for one in status.get("conditions", []) if one["type"] == "RoutersFed"]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


async def test_a_router_takes_over_what_the_operator_writes(world: World, tmp_path: Path) -> None:
    made = await policy(world)
    async with world.operator():
        found = await eventually(lambda: config_map(world), within_s=30)
        (owner,) = found["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("RoutingPolicy", made["metadata"]["uid"])
        await eventually(lambda: _is_fed(world))
    mounted = tmp_path / "policy.json"
    mounted.write_text(found["data"]["policy.json"])
    async with running(tmp_path) as (_, url):
        status, answer = await post(f"{url}/decide", context={})
        assert status == 200
        assert answer["provider_id"] in {"stable", "api"}
        assert answer["metadata"]["side"] in {"learned", "rules"}
        assert "aurora_router_policy_ok 1.0" in await get(f"{url}/metrics")


async def _is_fed(world: World) -> bool:
    return await fed(world) == ("True", "RoutersFed")


async def test_a_change_is_patched_and_nothing_else_is_written(world: World) -> None:
    await policy(world)
    async with world.operator():
        before = await eventually(lambda: config_map(world), within_s=30)
        await eventually(lambda: _has_latency(world), within_s=90)
        change = [{"op": "add", "path": "/spec/router/strategy", "value": "thompson"}]
        await world.client.patch_json(Ref(ROUTING_POLICY, world.namespace, "chat"), change)
        after = await eventually(lambda: _has(world, '"thompson"'), within_s=30)
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        version = after["metadata"]["resourceVersion"]
        await world.cycles(4)
        again = await config_map(world)
        assert again is not None
        assert again["metadata"]["resourceVersion"] == version


async def _has(world: World, text: str) -> Json | None:
    found = await config_map(world)
    return found if found is not None and text in found["data"]["policy.json"] else None


async def _has_latency(world: World) -> bool:
    return await _has(world, "latency_ms") is not None


async def test_a_config_map_of_somebody_else_is_told_of_and_left(world: World) -> None:
    metadata = {"name": NAME, "namespace": world.namespace}
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    await world.client.create(CONFIG_MAP, {**theirs, "data": {"policy.json": "theirs"}})
    before = copy.deepcopy(await config_map(world))
    await policy(world)
    async with world.operator():

        async def refused() -> bool:
            return await fed(world) == ("False", "ConfigMapTaken")

        await eventually(refused, within_s=30)
        await world.cycles(3)
    assert await config_map(world) == before


async def test_rules_that_name_no_backend_are_refused(world: World) -> None:
    experiment = {"percent": 50, "rules": [{"use": ["stable"]}, {"use": ["nobody"]}]}
    with pytest.raises(ForbiddenError, match=r"experiment\.rules.*policy does not list"):
        await policy(world, router={"experiment": experiment})
