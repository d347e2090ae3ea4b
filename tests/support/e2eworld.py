"""A namespace of a real cluster with real model pods, a Prometheus and the operator beside it."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import yaml
from kubernetes.aio.client import CoreV1Api
from kubernetes.aio.config import new_client_from_config

from aurora.errors import AuroraError, ConflictError
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import (
    CONFIG_MAP,
    CUSTOM_KINDS,
    DECISION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    EVENT,
    MODEL_DEPLOYMENT,
    NODE,
    POD,
    ROUTING_POLICY,
    SERVICE,
    Kind,
    Ref,
)
from tests.support import e2eprocesses
from tests.support.builders import merged
from tests.support.cluster import CRDS, NAMESPACES, install_crds, set_switch
from tests.support.e2ecaller import PROBE_TIMEOUT, is_answered
from tests.support.e2eprocesses import Program

OWN_KINDS = (*CUSTOM_KINDS, ROUTING_POLICY)
ALLOWED = ("kind-", "aurora-")
MODEL_POD = Path(__file__).with_name("modelpod.py")
PORT = 8000
CYCLE_S = 2.0
EXPORTER_IMAGE = "aurora:dev"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
AUTONOMY = {
    "mode": "Auto",
    "verification": {"after": "5s", "for": "30s"},
    "cooldown": {"up": "2s", "down": "15m"},
    "budgets": [{"actions": 50, "per": "1h"}],
}
Json = dict[str, Any]


async def until(
    holds: Callable[[], Awaitable[Any]], what: str, *, within_s: float, every_s: float = 0.25
) -> Any:
    """Poll until the answer is truthy and return it; fails by name at the deadline."""
    end = time.monotonic() + within_s
    while not (found := await holds()):
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(every_s)
    return found


@dataclass
class World:
    """One test's namespace and everything in it."""

    client: KubeClient
    kubeconfig: Path
    context: str
    namespace: str
    folder: Path
    exporter_image: str
    prometheus_url: str = ""
    programs: list[Program] = field(default_factory=list)

    async def get(self, kind: Kind, name: str) -> Json:
        found = await self.client.get(Ref(kind, self.namespace, name))
        assert found is not None, f"{kind} {name} is gone"
        return found

    async def listed(self, kind: Kind) -> list[Json]:
        return (await self.client.list(kind, namespace=self.namespace)).items

    async def create(self, kind: Kind, name: str, **body: Any) -> Json:
        manifest = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name, "namespace": self.namespace},
            **body,
        }
        return await self.client.create(kind, manifest, field_manager="user")

    async def patch(self, kind: Kind, name: str, *operations: Json) -> None:
        await self.client.patch_json(
            Ref(kind, self.namespace, name), list(operations), field_manager="user"
        )

    async def delete(self, kind: Kind, name: str) -> None:
        found = await self.get(kind, name)
        await self.client.delete(Ref(kind, self.namespace, name), uid=found["metadata"]["uid"])

    async def gone(self, kind: Kind, name: str) -> bool:
        return await self.client.get(Ref(kind, self.namespace, name)) is None

    async def serve(self, name: str, *, replicas: int = 1, **flags: float) -> str:
        """Run model pods behind a Service with a named port; returns the URL that callers use."""
        await self.create(DEPLOYMENT, name, spec=deployment_spec(name, replicas, flags))
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        made = await self.create(SERVICE, name, spec={"selector": {"app": name}, "ports": ports})
        await until(lambda: self.rolled_out(name), f"the pods of {name}", within_s=120)
        address = f"http://{made['spec']['clusterIP']}"
        # kube-proxy programs a new Service a moment after its pods are ready.
        await until(
            lambda: is_answered(f"{address}/health"), f"Service {name} answers", within_s=60
        )
        return f"{address}/v1/completions"

    async def manage(self, name: str, **spec: Any) -> Json:
        """Apply a ModelDeployment."""
        body = {
            "targetRef": {"name": name},
            "serviceRef": {"name": name},
            "objectives": {"latencyP95": "1s"},
            "metrics": {"minSamples": 20},
            "autonomy": AUTONOMY,
        }
        return await self.create(MODEL_DEPLOYMENT, name, spec=merged(body, spec))

    async def pods(self, app: str) -> list[Json]:
        """Pods of a Deployment that are not being deleted."""
        return [
            pod
            for pod in await self.listed(POD)
            if pod["metadata"]["labels"].get("app") == app
            and "deletionTimestamp" not in pod["metadata"]
        ]

    async def ready_pods(self, app: str) -> int:
        return sum(is_ready(pod) for pod in await self.pods(app))

    async def rolled_out(self, name: str) -> bool:
        """Whether every pod is of the newest template and every older one is gone."""
        found = await self.get(DEPLOYMENT, name)
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        all_pods = [p for p in await self.listed(POD) if p["metadata"]["labels"].get("app") == name]
        seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        counts = {status.get("updatedReplicas"), status.get("availableReplicas"), len(all_pods)}
        return bool(seen) and counts == {wanted}

    async def ready_endpoints(self, service: str) -> int:
        slices = [
            one
            for one in await self.listed(ENDPOINT_SLICE)
            if one["metadata"]["labels"]["kubernetes.io/service-name"] == service
        ]
        return sum(
            end["conditions"].get("ready", False)
            for one in slices
            for end in one.get("endpoints") or ()
        )

    async def has_no_endpoint(self, service: str) -> bool:
        return await self.ready_endpoints(service) == 0

    async def tell(self, app: str, **wanted: Any) -> None:
        """Make every pod of a Deployment behave otherwise."""
        async with aiohttp.ClientSession(timeout=PROBE_TIMEOUT) as session:
            for pod in await self.pods(app):
                url = f"http://{pod['status']['podIP']}:{PORT}/test/set"
                async with session.post(url, json=wanted) as answer:
                    assert answer.status == 200

    async def nudge(self, app: str) -> None:
        """Make the kubelet look at ConfigMaps now; by itself it does within 72 s."""
        for pod in await self.pods(app):
            ref = Ref(POD, self.namespace, pod["metadata"]["name"])
            nudged = {"metadata": {"annotations": {"e2e/nudged": uuid4().hex}}}
            await self.client.patch_merge(ref, nudged, field_manager="user")

    async def decisions(self, model: str, **wanted: str) -> list[Json]:
        """Decisions about a model, oldest first, with these fields of spec or status."""
        found = [
            one
            for one in await self.listed(DECISION)
            if one["spec"]["modelRef"]["name"] == model
            and all((one["spec"] | one.get("status", {})).get(k) == v for k, v in wanted.items())
        ]
        return sorted(found, key=lambda one: (one["metadata"]["creationTimestamp"], _serial(one)))

    async def events(self, model: str) -> list[Json]:
        return [e for e in await self.listed(EVENT) if e["regarding"].get("name") == model]

    async def report(self) -> None:
        """Print what was decided and logged; pytest shows it for a test that fails."""
        for one in await self.listed(DECISION):
            spec, status = one["spec"], one.get("status", {})
            parameters, outcome = spec["parameters"], status.get("outcome", {})
            print(
                one["metadata"]["creationTimestamp"],
                spec["modelRef"]["name"],
                f"{spec['action']} {parameters['from']} to {parameters['to']}: {spec['reason']},",
                f"{spec['tier']}, {status.get('phase')}, {outcome.get('verdict')}:",
                f"{spec['message']} | {outcome.get('message')}",
            )
        log = self.folder / "operator.log"
        print(log.read_text() if log.exists() else "the operator did not start")

    def start_operator(self, **settings: str) -> Program:
        """Prometheus and the operator; they end with the test."""
        scraper = e2eprocesses.prometheus(
            self.folder, kubeconfig=self.kubeconfig, namespace=self.namespace
        )
        self._start(scraper)
        self.prometheus_url = scraper.ready_url.removesuffix("/-/ready")
        quick = {
            "cycle_seconds": str(CYCLE_S),
            "embeddings": "numeric",
            "metrics_window_seconds": "10",
            "metrics_stale_seconds": "8",
            "cache_exporter_image": self.exporter_image,
        }
        program = e2eprocesses.operator(
            self.folder,
            kubeconfig=self.kubeconfig,
            context=self.context,
            namespace=self.namespace,
            prometheus_url=self.prometheus_url,
            **(quick | settings),
        )
        self._start(program)
        return program

    async def measured(self, promql: str) -> float:
        """The first number of an instant query; NaN without one."""
        url = f"{self.prometheus_url}/api/v1/query"
        async with aiohttp.request("GET", url, params={"query": promql}) as answer:
            rows = (await answer.json())["data"]["result"]
        return float(rows[0]["value"][1]) if rows else float("nan")

    def _start(self, program: Program) -> None:
        self.programs.append(program)
        program.start()

    def stop(self) -> None:
        while self.programs:
            self.programs.pop().stop()

    async def aurora(self, *arguments: str) -> str:
        """Run the command line of this checkout."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aurora.cli", *arguments),
            *("--kubeconfig", str(self.kubeconfig), "--context", self.context),
            env=os.environ | {"AURORA_WATCH_NAMESPACES": json.dumps([self.namespace])},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()


def deployment_spec(name: str, replicas: int, flags: dict[str, float]) -> Json:
    given = [f"--{flag.replace('_', '-')}={value:g}" for flag, value in flags.items()]
    container = {
        "name": "server",
        "image": "python:3.11-slim",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", f"/app/{MODEL_POD.name}", f"--port={PORT}", *given],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": "http"},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
    }
    return {
        "replicas": replicas,
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {
                "containers": [container],
                "volumes": [{"name": "app", "configMap": {"name": "app"}}],
            },
        },
    }


def is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def written_by(obj: Json, prefix: str = "aurora") -> set[str]:
    """Paths of the leaves that managers with this prefix wrote last, without Kubernetes' `f:`."""
    found: set[str] = set()
    for one in obj["metadata"]["managedFields"]:
        if one["manager"].startswith(prefix):
            found |= set(_leaves(one.get("fieldsV1") or {}))
    return found


def _leaves(fields: Json, at: str = "") -> list[str]:
    names = [name for name in fields if name != "."]
    if not names:
        return [at]
    return [path for n in names for path in _leaves(fields[n], f"{at}/{n.removeprefix('f:')}")]


def _serial(decision: Json) -> int:
    return int(decision["metadata"]["resourceVersion"])


def current_context() -> tuple[Path, str]:
    """The kubeconfig and context to work in; skips without one, refuses one that is not ours."""
    path = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    if not path.is_file():
        pytest.skip(f"{path} does not exist: start a cluster and set KUBECONFIG")
    context = yaml.safe_load(path.read_text()).get("current-context") or ""
    if not context.startswith(ALLOWED):
        pytest.fail(f"refusing context {context!r}: use a throw-away kind-* or aurora-* one")
    return path, context


async def _exporter_image(client: KubeClient) -> str:
    """AURORA's image, where a node has it; without it the cache runs without its exporter."""
    wanted = os.environ.get("AURORA_E2E_IMAGE", EXPORTER_IMAGE)
    nodes = (await client.list(NODE)).items
    names = {name for node in nodes for i in node["status"]["images"] for name in i["names"] or ()}
    return wanted if any(name.endswith(f"/{wanted}") for name in names) else ""


@asynccontextmanager
async def _installed_crds(client: KubeClient) -> AsyncIterator[None]:
    """The CRDs of this checkout; those that were not there before are taken away again."""
    names = [str(kind) for kind in OWN_KINDS]
    fresh = [name for name in names if await client.get(Ref(CRDS, "", name)) is None]
    await until(lambda: _install(client), "the CRDs are applied", within_s=60)
    try:
        yield
    finally:
        in_use = [item for kind in OWN_KINDS for item in (await client.list(kind)).items]
        for name in fresh if not in_use else ():
            found = await client.get(Ref(CRDS, "", name))
            if found is not None:
                await client.delete(Ref(CRDS, "", name), uid=found["metadata"]["uid"])
                await until(partial(_has_left, client, name), f"CRD {name} has left", within_s=60)


async def _has_left(client: KubeClient, name: str) -> bool:
    """A definition on its way out still takes a patch, and takes it along when it goes."""
    return await client.get(Ref(CRDS, "", name)) is None


async def _install(client: KubeClient) -> bool:
    """Tell whether it went through: the API server itself writes their status meanwhile."""
    try:
        await install_crds(client)
    except ConflictError:
        return False
    return True


@asynccontextmanager
async def new_world(folder: Path) -> AsyncIterator[World]:
    """A namespace that enforces the restricted Pod Security Standard, taken away afterwards."""
    kubeconfig, context = current_context()
    async with KubeClient(Connection(kubeconfig, context)) as client:
        try:
            image = await _exporter_image(client)
        except AuroraError as error:
            pytest.skip(f"context {context} does not answer: {error}")
        async with _installed_crds(client):
            name = f"e2e-{uuid4().hex[:8]}"
            labels = {"pod-security.kubernetes.io/enforce": "restricted"}
            made = await client.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
            world = World(client, kubeconfig, context, name, folder, image)
            try:
                await set_switch(client, name, "false")
                await world.create(CONFIG_MAP, "app", data={MODEL_POD.name: MODEL_POD.read_text()})
                yield world
            finally:
                world.stop()
                await _let_go(world)
                await world.report()
                await client.delete(Ref(NAMESPACES, "", name), uid=made["metadata"]["uid"])
                await has_gone(client, name)


async def _let_go(world: World) -> None:
    """Take finalizers off where a test failed before the operator did."""
    for kind in (MODEL_DEPLOYMENT, ROUTING_POLICY):
        for one in await world.listed(kind):
            if one["metadata"].get("finalizers"):
                operation = {"op": "remove", "path": "/metadata/finalizers"}
                await world.patch(kind, one["metadata"]["name"], operation)


async def has_gone(client: KubeClient, namespace: str) -> None:
    """End the pods of a namespace that was deleted, and wait until nothing holds it any more.

    Kubernetes looks 5 s after the deletion, and where a pod still ends then, again half a grace
    period and 5 s later: 27 s for pods that take 7 s.
    """
    connection = client.connection
    api = await new_client_from_config(str(connection.kubeconfig), connection.context)
    async with api:
        pods = CoreV1Api(api)
        await pods.delete_collection_namespaced_pod(namespace, grace_period_seconds=1)
    await until(lambda: _is_gone(client, namespace), f"{namespace} is gone", within_s=120)


async def _is_gone(client: KubeClient, namespace: str) -> bool:
    return await client.get(Ref(NAMESPACES, "", namespace)) is None
