"""The cache sidecar on real pods: a rollout of armed pods and a reload lose no request.

A keep-alive client without retries calls at 20 requests/s. What the operator does with the sidecar
is shown by test_operator.py. Needs a cluster with a kubelet; refuses any context that is not a
throw-away one.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client, config

from aurora.cachesidecar.arming import arm, disarm
from aurora.cachesidecar.manifests import added_requests, config_map
from aurora.cachesidecar.ports import pod_spec_of
from aurora.cachesidecar.preconditions import ArmingFacts, check_preconditions
from aurora.cachesidecar.room import surge_room
from aurora.cachesidecar.settings import CacheSettings
from tests.support.e2ecaller import Caller, calling, is_answered

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

BACKEND = Path(__file__).parents[1] / "support" / "cachebackend.py"
NAME = "model"
SETTINGS = CacheSettings(max_size_bytes=16 * 1024 * 1024, drain_s=10)
RATE_PER_S = 20
RESTARTED = "/spec/template/metadata/annotations"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def deployment_manifest() -> dict[str, Any]:
    container = {
        "name": "server",
        "image": "python:3.11-slim",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "/app/cachebackend.py", "--port", "8000", "--delay", "0.15"],
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
        "livenessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
    }
    return {
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 2,
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": "app", "configMap": {"name": "app"}}],
                },
            },
        },
    }


async def until(holds: Callable[[], Awaitable[bool]], *, deadline_s: float, what: str) -> float:
    """Poll until it holds; return the seconds that took."""
    began = time.monotonic()
    while not await holds():
        if time.monotonic() - began > deadline_s:
            pytest.fail(f"not within {deadline_s} s: {what}")
        await asyncio.sleep(0.2)
    return time.monotonic() - began


@dataclass
class Cluster:
    api: client.ApiClient
    namespace: str

    @property
    def apps(self) -> client.AppsV1Api:
        return client.AppsV1Api(self.api)

    @property
    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.api)

    def plain(self, value: Any) -> Any:
        return self.api.sanitize_for_serialization(value)

    async def deployment(self) -> dict[str, Any]:
        found = await self.apps.read_namespaced_deployment(NAME, self.namespace)
        return {"kind": "Deployment", **self.plain(found)}

    async def service(self) -> dict[str, Any]:
        return dict(self.plain(await self.core.read_namespaced_service(NAME, self.namespace)))

    async def rolled_out(self) -> bool:
        """Whether every pod is of the newest template and every older one is gone."""
        found = await self.deployment()
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        pods = await self.core.list_namespaced_pod(self.namespace)
        return (
            status.get("observedGeneration", 0) >= found["metadata"]["generation"]
            and status.get("updatedReplicas") == status.get("availableReplicas") == wanted
            and len(pods.items) == wanted
        )

    async def patch(self, operations: tuple[dict[str, Any], ...]) -> None:
        await self.apps.patch_namespaced_deployment(NAME, self.namespace, list(operations))

    async def apply_switch(
        self, upstream_port: int, *, on: bool, settings: CacheSettings = SETTINGS
    ) -> None:
        manifest = config_map(await self.deployment(), settings, upstream_port=upstream_port, on=on)
        await self.core.patch_namespaced_config_map(
            manifest["metadata"]["name"],
            self.namespace,
            manifest,
            field_manager="aurora",
            _content_type="application/apply-patch+yaml",
        )

    async def nudge(self) -> None:
        """Make the kubelet look at the ConfigMap now; by itself it does within 72 s."""
        change = {"metadata": {"annotations": {"e2e/nudged": uuid.uuid4().hex}}}
        for pod in (await self.core.list_namespaced_pod(self.namespace)).items:
            await self.core.patch_namespaced_pod(pod.metadata.name, self.namespace, change)

    async def facts(self, deployment: dict[str, Any]) -> ArmingFacts:
        nodes = self.plain(await self.core.list_node())["items"]
        pods = self.plain(await self.core.list_pod_for_all_namespaces())["items"]
        policies = await client.NetworkingV1Api(self.api).list_network_policy_for_all_namespaces()
        version = await client.VersionApi(self.api).get_code()
        room = surge_room(
            pod_spec_of(deployment), extra=added_requests(SETTINGS), nodes=nodes, pods=pods
        )
        number = (int(version.major), int(version.minor.rstrip("+")))
        return ArmingFacts(number, self.plain(policies)["items"], room)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    try:
        _, active = config.list_kube_config_contexts()
    except config.ConfigException as error:
        pytest.skip(f"no kubeconfig: {error}")
    if not active["name"].startswith(("kind-", "aurora-")):
        pytest.fail(f"refusing context {active['name']!r}: use a throw-away kind-* or aurora-* one")
    await config.load_kube_config()
    async with client.ApiClient() as api:
        here = Cluster(api, f"cache-{uuid.uuid4().hex[:6]}")
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        await here.core.create_namespace({"metadata": {"name": here.namespace, "labels": labels}})
        try:
            yield here
        finally:
            await here.core.delete_namespace(here.namespace)


async def reaches(caller: Caller) -> bool:
    """Whether the Service leads to a pod yet."""
    return await is_answered(caller.url.replace("/v1/completions", "/health"))


async def start_model(cluster: Cluster) -> Caller:
    where = cluster.namespace
    data = {BACKEND.name: BACKEND.read_text()}
    app = {"metadata": {"name": "app"}, "data": data}
    await cluster.core.create_namespaced_config_map(where, app)
    await cluster.apps.create_namespaced_deployment(where, deployment_manifest())
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    service = {"metadata": {"name": NAME}, "spec": {"selector": {"app": NAME}, "ports": ports}}
    await cluster.core.create_namespaced_service(where, service)
    await until(cluster.rolled_out, deadline_s=120, what="the model's first rollout")
    address = (await cluster.service())["spec"]["clusterIP"]
    caller = Caller(f"http://{address}/v1/completions", rate=RATE_PER_S, connections=8)
    # kube-proxy programs a new Service a moment after its pods are ready.
    await until(lambda: reaches(caller), deadline_s=60, what="the Service answers")
    return caller


async def test_armed_pods_lose_no_request_in_a_rollout_or_a_reload(
    cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    """The server has no preStop hook of its own: draining is all the sidecar's work."""
    caller = await start_model(cluster)
    before = await cluster.deployment()
    service = await cluster.service()
    assert check_preconditions(before, service, SETTINGS, await cluster.facts(before)) == ()
    plan = arm(before, service, SETTINGS)
    assert len(plan.warnings) == 1
    # No ConfigMap yet: the pods must start all the same, and pass everything on.
    await cluster.patch(plan.operations)
    await until(cluster.rolled_out, deadline_s=180, what="arming")
    # The pods before had no hook to drain by: kube-proxy may be a moment behind their end.
    await until(lambda: reaches(caller), deadline_s=30, what="the armed pods answer")

    async with calling(caller):
        await until(
            lambda: caller.sees("OFF"), deadline_s=30, what="pass-through without a ConfigMap"
        )
        elsewhere = replace(SETTINGS, paths=("/v1/embeddings",))
        await cluster.apply_switch(plan.upstream_port, on=True, settings=elsewhere)
        await cluster.nudge()
        await until(lambda: caller.sees("BYPASS"), deadline_s=180, what="the first reload")
        await cluster.apply_switch(plan.upstream_port, on=True)
        await cluster.nudge()
        reload_s = await until(lambda: caller.sees("HIT"), deadline_s=180, what="the second reload")

        again = ({"op": "add", "path": RESTARTED, "value": {"restarted": "1"}},)
        await cluster.patch(again)
        await until(cluster.rolled_out, deadline_s=180, what="a rollout of armed pods")
        await until(lambda: caller.sees("HIT"), deadline_s=180, what="HITs of the new pods")
        await cluster.patch(disarm(await cluster.deployment()).operations)
        await until(cluster.rolled_out, deadline_s=180, what="disarming")
        await until(lambda: caller.sees("none"), deadline_s=30, what="requests without the sidecar")

    assert (await cluster.deployment())["spec"]["template"]["spec"] == before["spec"]["template"][
        "spec"
    ]
    assert caller.failures == []
    record_property("requests", caller.sent)
    record_property("reload_seconds", reload_s)
    print("requests", caller.sent, dict(caller.statuses), "reload", reload_s)
