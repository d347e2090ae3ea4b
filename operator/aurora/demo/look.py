"""Looks at the cluster and asks the fleet: one scene."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from aurora.cachesidecar.arming import is_armed
from aurora.cachesidecar.manifests import config_map_name
from aurora.demo.errors import DemoError
from aurora.demo.scenario import MODELS, NAMESPACE, Injection
from aurora.demo.seen import (
    Scene,
    SeenModel,
    buckets_of,
    decisions_of,
    metrics_available,
)
from aurora.kube.client import KubeClient
from aurora.kube.kinds import CONFIG_MAP, DECISION, DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE, Kind
from aurora.resources import ConditionType, ModelDeployment, find_condition

__all__ = ["FleetClient", "look", "scene_of"]

_KINDS = (MODEL_DEPLOYMENT, DECISION, DEPLOYMENT, SERVICE, CONFIG_MAP)
_TIMEOUT_S = 5.0
Object = Mapping[str, Any]


class FleetClient:
    """The fleet's HTTP side."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def truth(self) -> Mapping[str, Any]:
        """What callers really saw."""
        found: Mapping[str, Any] = await self._ask("GET", "/truth", None)
        return found

    async def inject(self, model: str, injection: Injection) -> float:
        """Begin a fault and tell when it began, seconds since 1970."""
        body: dict[str, Any] = {
            "model": model,
            "namespace": NAMESPACE,
            "kind": injection.kind,
            "value": injection.value,
            "in_s": injection.in_s,
            "for_s": injection.for_s,
        }
        if injection.distinct is not None:
            body["distinct"] = injection.distinct
        return float((await self._ask("POST", "/faults", body))["start"])

    async def _ask(self, method: str, path: str, body: Any) -> Any:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            async with self._session.request(
                method, f"{self.url}{path}", json=body, timeout=timeout
            ) as answer:
                told = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise DemoError(f"the fleet does not answer on {self.url}{path}: {error}") from error
        if answer.status >= 400:
            raise DemoError(f"the fleet refused {path}: {told.get('error', told)}")
        return told


async def look(client: KubeClient, fleet: FleetClient, begun: Mapping[str, float]) -> Scene:
    """See everything once.

    Raises:
        ClusterError: the API server did not answer.
        DemoError: the fleet did not.
    """
    truth, *lists = await asyncio.gather(
        fleet.truth(), *(client.list(kind, namespace=NAMESPACE) for kind in _KINDS)
    )
    objects = {kind: found.items for kind, found in zip(_KINDS, lists, strict=True)}
    return scene_of(objects, truth, begun)


def scene_of(
    objects: Mapping[Kind, Iterable[Object]], truth: Mapping[str, Any], begun: Mapping[str, float]
) -> Scene:
    """Put the lists and what callers saw together."""
    named = {kind: {one["metadata"]["name"]: one for one in objects[kind]} for kind in objects}
    calls = {one["name"]: one["buckets"] for one in truth["services"]}
    models = {}
    for name in MODELS:
        raw, target = named[MODEL_DEPLOYMENT].get(name), named[DEPLOYMENT].get(name)
        if raw is None or target is None:
            raise DemoError(f"model {name} of the demo is gone: somebody deleted it")
        models[name] = _model(
            ModelDeployment.parse(raw),
            target,
            service=named[SERVICE].get(name, {}),
            switch=named[CONFIG_MAP].get(config_map_name(name)),
            calls=calls.get(name, ()),
        )
    return Scene(truth["now"], models, decisions_of(objects[DECISION]), dict(begun))


def _model(
    model: ModelDeployment,
    target: Object,
    *,
    service: Object,
    switch: Object | None,
    calls: Iterable[Object],
) -> SeenModel:
    name = model.metadata.name
    wanted = model.spec.objectives
    bounds = {"ttftP95": wanted.ttft_p95, "latencyP95": wanted.latency_p95}
    selector = service.get("spec", {}).get("selector", {})
    own = target["spec"]["selector"]["matchLabels"]
    condition = find_condition(model.status.conditions, ConditionType.METRICS_AVAILABLE)
    return SeenModel(
        name=name,
        replicas=target["spec"].get("replicas", 0),
        ready=target.get("status", {}).get("readyReplicas", 0),
        objectives={name: one.total_seconds() for name, one in bounds.items() if one is not None},
        cache=_cache(target, switch),
        route="primary" if selector == own else "fallback",
        metrics=metrics_available(model),
        why=condition.message if condition else "AURORA has not looked at it yet",
        buckets=buckets_of(calls),
    )


def _cache(target: Object, switch: Object | None) -> str:
    if not is_armed(target):
        return "Off"
    return "On" if switch is not None and "on" in (switch.get("data") or {}) else "armed"
