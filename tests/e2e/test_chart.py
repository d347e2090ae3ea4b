"""The image and the chart on real pods: what a platform team installs, upgrades and takes away.

The release is in a namespace that enforces the restricted Pod Security Standard, works in one
other namespace, and has nothing but the rights that the chart gives it. Needs Helm and a node that
has the image; refuses any context that is not a throw-away one.
"""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import CONFIG_MAP, DEPLOYMENT, HPA, MODEL_DEPLOYMENT, SERVICE
from aurora.local.layout import default_cache_dir
from tests.support.chart import CHART, needs_helm
from tests.support.cluster import own_namespace
from tests.support.e2ecaller import Caller, calling
from tests.support.e2echart import READY_WITHIN_S, Release, release
from tests.support.e2eworld import (
    MODEL_POD,
    World,
    current_context,
    has_gone,
    until,
    written_by,
)
from tests.support.kubectl import Kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), needs_helm]

Record = Callable[[str, object], None]
MEMORY_LIMIT_MIB = 300.0
EXPECTED = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
"""What Kubernetes itself keeps in every namespace."""


@dataclass
class Stage:
    """A release and the namespace of models that it works in."""

    release: Release
    world: World

    async def installed(self, *options: str) -> float:
        """Install; seconds until Ready."""
        self.release.install(*options)
        return self.release.wait_ready()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    kubeconfig, context = current_context()
    program = shutil.which("kubectl") or str(default_cache_dir() / "bin" / "kubectl")
    kubectl = Kubectl(program, kubeconfig)
    if kubectl("get", "nodes").refused:
        pytest.skip(f"context {context} does not answer")
    async with KubeClient(Connection(kubeconfig, context)) as client:
        async with own_namespace(client) as models:
            kubectl("label", "ns", models, "pod-security.kubernetes.io/enforce=restricted").ok()
            world = World(client, kubeconfig, context, models, tmp_path, "")
            await world.create(CONFIG_MAP, "app", data={MODEL_POD.name: MODEL_POD.read_text()})
            with release(kubectl, tmp_path, models) as made:
                yield Stage(made, world)
                _let_go(kubectl, models)
        # Definitions and rights went first: now the namespace has nothing to wait for.
        await has_gone(client, models)


def _let_go(kubectl: Kubectl, namespace: str) -> None:
    """Take finalizers off where a test failed before the hook did."""
    found = kubectl("get", "mdep", "-n", namespace, "-o", "name").out.split()
    for name in found:
        patch = '{"metadata":{"finalizers":null}}'
        kubectl("patch", name, "-n", namespace, "--type=merge", "-p", patch)
    if found:
        kubectl("delete", *found, "-n", namespace, "--timeout=30s")


async def test_ready_at_once_small_and_able_to_scale_and_route(
    stage: Stage, record_property: Record
) -> None:
    world = stage.world
    ready_s = await stage.installed()
    await world.manage("llama", scaling={"minReplicas": 1, "maxReplicas": 3})
    await world.manage("alone", scaling={"minReplicas": 2, "maxReplicas": 3})
    fallback = {"serviceRef": {"name": "spare", "port": 80}, "probe": {"count": 4}}
    await world.manage("main", fallback=fallback, triggers={"noEndpointFor": "5s"})
    await world.create(HPA, "llama", spec=_autoscaler("llama", floor=1, ceiling=3))
    url, main_url, *_ = await asyncio.gather(
        world.serve("llama", slots=4, delay=0.2, per_connection=3),
        world.serve("main", replicas=2, delay=0.05, per_connection=1),
        world.serve("spare", delay=0.05, per_connection=1),
        world.serve("alone", delay=0.05),
    )
    await until(lambda: _has_ready(world, "alone", 2), "replicas follow", within_s=90)
    _, away_s = await asyncio.gather(_the_floor_rises(world, url), _away_and_back(world, main_url))

    # Without CACHE the Deployments themselves are never written.
    for name in ("alone", "llama", "main"):
        written = written_by(await world.get(DEPLOYMENT, name))
        assert written <= {"/spec/replicas"}, name
    assert stage.release.restarts() == 0
    assert "orbidden" not in stage.release.log()
    memory = stage.release.memory_mib()
    assert memory < MEMORY_LIMIT_MIB
    assert ready_s < READY_WITHIN_S
    _tell(record_property, ready_seconds=ready_s, memory_mib=memory, away_seconds=away_s)


async def _the_floor_rises(world: World, url: str) -> None:
    """SCALE where an autoscaler is: by its floor."""
    async with calling(Caller(url, rate=8)) as caller:
        await until(lambda: _measured(world, "llama"), "metrics", within_s=60)
        caller.rate = 26
        wanted = {"action": "SCALE", "phase": "Verifying"}
        await until(lambda: world.decisions("llama", **wanted), "SCALE", within_s=90)
    floor = (await world.get(HPA, "llama"))["spec"]["minReplicas"]
    assert floor > 1


async def _away_and_back(world: World, url: str) -> float:
    """ROUTE to the fallback and back; seconds until the fallback answers."""
    before = (await world.get(SERVICE, "main"))["spec"]
    async with calling(Caller(url, rate=10)) as caller:
        await until(lambda: _measured(world, "main"), "metrics", within_s=60)
        await world.tell("main", healthy=False)
        began = time.monotonic()
        await until(lambda: caller.hears_from("spare"), "the fallback answers", within_s=60)
        away_s = time.monotonic() - began
        await world.tell("main", healthy=True)
        await until(lambda: caller.hears_from("main"), "the primary answers", within_s=180)
    assert (await world.get(SERVICE, "main"))["spec"] == before
    return away_s


async def test_the_cache_works_where_it_is_allowed_and_uninstalling_leaves_nothing(
    stage: Stage, record_property: Record
) -> None:
    world, made = stage.world, stage.release
    await stage.installed("--set", "actions.cache.enabled=true")
    await world.manage("llama", cache={"mode": "On", "ttl": "5m", "maxSize": "16Mi"})
    url = await world.serve("llama", replicas=2, delay=0.15)
    before = (await world.get(DEPLOYMENT, "llama"))["spec"]
    began = time.monotonic()
    async with calling(Caller(url, rate=20)) as caller:
        await until(lambda: caller.counts("OFF", 1), "armed", within_s=180)
        armed_s = time.monotonic() - began
        await until(lambda: caller.counts("HIT", 50), "hits", within_s=300)
        hits_s = time.monotonic() - began
        assert made.restarts() == 0
        assert "orbidden" not in made.log()
    (pod, *_) = await world.pods("llama")
    sidecars = [one["name"] for one in pod["spec"]["initContainers"]]
    made.uninstall()
    await until(lambda: world.rolled_out("llama"), "disarmed", within_s=120)
    assert caller.failures == []
    assert (await world.get(DEPLOYMENT, "llama"))["spec"] == before
    model = await world.get(MODEL_DEPLOYMENT, "llama")
    assert "finalizers" not in model["metadata"]
    assert "aurora.dev/original" not in model["metadata"].get("annotations", {})
    _expect_nothing_left(made)
    _tell(record_property, armed_seconds=armed_s, hits_seconds=hits_s, sidecars=sidecars)


async def test_an_upgrade_brings_new_definitions_and_keeps_what_is_there(
    stage: Stage, tmp_path: Path, record_property: Record
) -> None:
    world, made, kubectl = stage.world, stage.release, stage.release.kubectl
    await stage.installed()
    await world.manage("llama", scaling={"minReplicas": 2, "maxReplicas": 3})
    await world.serve("llama", delay=0.05)
    await until(lambda: _has_ready(world, "llama", 2), "replicas follow", within_s=90)
    stop = '{"data":{"stop":"true","reason":"maintenance"}}'
    control = ("cm/aurora-control", "-n", made.namespace)
    kubectl("patch", *control, "--type=merge", "-p", stop).ok()

    note = {"metadata": {"name": "noted", "namespace": world.namespace}}
    note |= {"apiVersion": "aurora.dev/v1alpha1", "kind": "ModelDeployment"}
    note["spec"] = {"targetRef": {"name": "x"}, "serviceRef": {"name": "x"}, "note": "new"}
    assert "unknown field" in kubectl("create", "-f", "-", manifest=note).err
    changed = _changed_chart(tmp_path)
    made.upgrade(changed, "--set", "settings.CYCLE_SECONDS=3")
    upgraded_s = made.wait_ready()
    kubectl("create", "-f", "-", manifest=note).ok()
    kubectl("delete", "mdep/noted", "-n", world.namespace).ok()
    assert kubectl.json("get", *control)["data"]["stop"] == "true"
    assert made.restarts() == 0
    assert (await world.get(DEPLOYMENT, "llama"))["spec"]["replicas"] == 2

    made.upgrade(CHART)
    kubectl("patch", *control, "--type=merge", "-p", '{"data":{"stop":"false"}}').ok()
    made.uninstall()
    assert (await world.get(DEPLOYMENT, "llama"))["spec"]["replicas"] == 1
    _expect_nothing_left(made)
    _tell(record_property, upgraded_seconds=upgraded_s)


def _changed_chart(folder: Path) -> Path:
    """A later version of the chart, whose ModelDeployment has one field more."""
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    path = chart / "templates" / "crds" / "aurora.dev_modeldeployments.yaml"
    head, foot = "{{- if .Values.crds.enabled }}\n", "{{- end }}\n"
    body = path.read_text().split(head)[1].removesuffix(foot)
    definition = yaml.safe_load(body)
    (version,) = definition["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["note"] = {"type": "string"}
    path.write_text(head + yaml.safe_dump(definition) + foot)
    return chart


def _expect_nothing_left(made: Release) -> None:
    """Nothing of the release in its namespace, in the models' or in the cluster; the CRDs stay."""
    kubectl = made.kubectl
    kinds = kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").ok().split()
    every = ",".join(kind for kind in kinds if not kind.startswith(("events", "pods.metrics")))
    left = set(kubectl("get", every, "-n", made.namespace, "-o", "name").ok().split())
    # The hook's pod goes with its Job, a moment later.
    gone = [name for name in left if name.startswith("pod/")]
    if gone:
        where = ("-n", made.namespace, "--timeout=60s")
        kubectl("wait", "--for=delete", *gone, *where).ok()
    assert left - set(gone) == EXPECTED
    ours = ("-l", "app.kubernetes.io/name=aurora", "-o", "name")
    rights = "roles,rolebindings,configmaps"
    assert kubectl("get", rights, "-n", made.models, *ours).ok() == ""
    wide = "clusterroles,clusterrolebindings"
    named = kubectl("get", wide, *ours).ok().split()
    assert [one for one in named if made.namespace in one] == []


def _tell(record_property: Record, **figures: Any) -> None:
    for name, value in figures.items():
        record_property(name, value)
        print(name, json.dumps(value))


def _autoscaler(target: str, *, floor: int, ceiling: int) -> dict[str, Any]:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicas": floor,
        "maxReplicas": ceiling,
        "metrics": [{"type": "Resource", "resource": cpu}],
    }


async def _has_ready(world: World, app: str, count: int) -> bool:
    return await world.ready_pods(app) >= count


async def _measured(world: World, model: str) -> bool:
    conditions = (await world.get(MODEL_DEPLOYMENT, model)).get("status", {}).get("conditions", ())
    return any(one["type"] == "MetricsAvailable" and one["status"] == "True" for one in conditions)
