"""A Gateway that answers on this machine, and an HTTPRoute to model pods behind it."""

import os
from typing import Any

import aiohttp
import pytest

from aurora.kube.kinds import HTTP_ROUTE, Kind, Ref
from tests.support.e2ecaller import PROBE_TIMEOUT, is_answered
from tests.support.e2eworld import World, until

GATEWAY = os.environ.get("AURORA_E2E_GATEWAY", "projectcontour/aurora")
URL = os.environ.get("AURORA_E2E_GATEWAY_URL", "http://127.0.0.1:8080")
GATEWAYS = Kind("gateway.networking.k8s.io", "v1", "gateways", "Gateway")


async def need_gateway(world: World) -> None:
    """Skip where nothing serves HTTPRoutes."""
    if not await world.client.served(HTTP_ROUTE):
        pytest.skip("the cluster has no Gateway API")
    namespace, _, name = GATEWAY.partition("/")
    if await world.client.get(Ref(GATEWAYS, namespace, name)) is None:
        pytest.skip(f"there is no Gateway {GATEWAY}: set AURORA_E2E_GATEWAY and ..._URL")


async def route_to(world: World, name: str, weights: dict[str, int]) -> str:
    """Send a host name's requests to Services by weight; gives that host name when it answers."""
    host = f"{name}.{world.namespace}.example"
    namespace, _, gateway = GATEWAY.partition("/")
    backends = [{"name": one, "port": 80, "weight": weight} for one, weight in weights.items()]
    spec: dict[str, Any] = {
        "parentRefs": [{"name": gateway, "namespace": namespace}],
        "hostnames": [host],
        "rules": [{"backendRefs": backends}],
    }
    await world.create(HTTP_ROUTE, name, spec=spec)
    try:
        await until(
            lambda: is_answered(f"{URL}/health", host=host),
            f"the Gateway answers for {host}",
            within_s=30,
        )
    except AssertionError:
        if not await _listens():
            pytest.skip(f"the Gateway's proxy does not run: nothing listens at {URL}")
        raise
    return host


async def weights_of(world: World, name: str) -> dict[str, int]:
    (rule,) = (await world.get(HTTP_ROUTE, name))["spec"]["rules"]
    return {one["name"]: one["weight"] for one in rule["backendRefs"]}


async def _listens() -> bool:
    try:
        async with aiohttp.request("GET", URL, timeout=PROBE_TIMEOUT):
            return True
    except aiohttp.ClientConnectorError:
        return False
    except (aiohttp.ClientError, TimeoutError):
        return True
