"""The watches, the sweeps and the operator's process against a real API server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from aurora.handlers.operator import OperatorOptions, run_operator
from aurora.handlers.sweep import Sweeper
from aurora.handlers.watch import served_kinds
from aurora.kube.client import KubeClient
from aurora.kube.counter import RequestCounter
from aurora.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    LEASE,
    MODEL_DEPLOYMENT,
    SERVICE,
    Kind,
    Ref,
)
from aurora.kube.lease import LeaderLease
from aurora.observe.cluster import observations, unwatched_targets, view
from aurora.observe.facts import ObjectKey, WorkloadKey
from aurora.observe.fleet import Fleet
from aurora.observe.snapshot import ModelObservation
from aurora.observe.targets import read_targets
from tests.support.cluster import (
    CRDS,
    connection_to,
    deployment,
    eventually,
    install_crds,
    model_deployment,
    own_namespace,
    remove,
    set_switch,
)
from tests.support.controlplane import TestControlPlane
from tests.support.ports import free_port

pytestmark = pytest.mark.apiserver

REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet")


class Running:
    """An operator under test: its fleet, and how many cycles it ran."""

    def __init__(self, fleet: Fleet, stop: asyncio.Event) -> None:
        self.fleet = fleet
        self.stop = stop
        self.cycles: list[float] = []
        self.hang = False

    async def cycle(self) -> None:
        assert self.fleet.synced
        self.cycles.append(time.monotonic())
        if self.hang:
            await asyncio.Event().wait()


@pytest.fixture
async def client(control_plane: TestControlPlane) -> AsyncIterator[KubeClient]:
    async with KubeClient(connection_to(control_plane)) as made:
        await install_crds(made)
        yield made


@pytest.fixture
async def namespace(client: KubeClient) -> AsyncIterator[str]:
    async with own_namespace(client) as name:
        yield name


@asynccontextmanager
async def operator(
    client: KubeClient, namespace: str, *, interval_s: float = 60.0, liveness: str = ""
) -> AsyncIterator[Running]:
    fleet = Fleet(control_namespace=namespace, watched=await served_kinds(client))
    running = Running(fleet, asyncio.Event())
    task = asyncio.create_task(
        run_operator(
            client,
            fleet,
            running.cycle,
            options=OperatorOptions(interval_s=interval_s, liveness=liveness),
            lease=LeaderLease(client, Ref(LEASE, namespace, "aurora"), identity="under-test"),
            stop=running.stop,
        )
    )
    try:
        await eventually(lambda: running.cycles or task.done())
        yield running
    finally:
        running.stop.set()
        async with asyncio.timeout(30):
            await task


async def test_objects_from_before_and_after_the_start_are_in_the_fleet(
    client: KubeClient, namespace: str
) -> None:
    await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "before"))
    await client.create(DEPLOYMENT, deployment(namespace, "before", replicas=3))
    async with operator(client, namespace) as running:
        fleet = running.fleet
        key = ObjectKey(namespace, "before")
        found = observations(fleet, at=time.time())[key]
        assert found.target is not None
        assert found.target.replicas == 3

        await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "after"))
        await eventually(lambda: fleet.models.get(ObjectKey(namespace, "after")))
        await client.patch_json(
            Ref(DEPLOYMENT, namespace, "before"),
            [{"op": "replace", "path": "/spec/replicas", "value": 4}],
        )
        await eventually(lambda: fleet.deployments.get(key).replicas == 4)  # type: ignore[union-attr]
        await remove(client, Ref(MODEL_DEPLOYMENT, namespace, "before"))
        await eventually(lambda: fleet.models.get(key) is None)


async def test_a_change_by_a_person_wakes_the_loop_and_our_status_does_not(
    client: KubeClient, namespace: str
) -> None:
    async with operator(client, namespace) as running:
        count = len(running.cycles)
        await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "m"))
        await eventually(lambda: len(running.cycles) > count)
        count = len(running.cycles)
        ref = Ref(MODEL_DEPLOYMENT, namespace, "m")
        status = {"status": {"observedGeneration": 1}}
        after = await client.patch_merge(ref, status, subresource="status")
        version = after["metadata"]["resourceVersion"]
        model = ObjectKey(namespace, "m")
        await eventually(
            lambda: running.fleet.models.get(model).metadata.resource_version == version  # type: ignore[union-attr]
        )
        assert len(running.cycles) == count
        await set_switch(client, namespace, "true")
        await eventually(lambda: len(running.cycles) > count)
        assert running.fleet.control.stopped
        assert running.fleet.control.readable
        await set_switch(client, namespace, "false")
        await eventually(lambda: running.fleet.control.writes_allowed)
        await remove(client, Ref(CONFIG_MAP, namespace, "aurora-control"))
        await eventually(lambda: not running.fleet.control.readable)


async def test_the_watches_write_nothing(client: KubeClient, namespace: str) -> None:
    """Neither finalizer nor annotation: the objects stay byte for byte as they were."""
    await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "m"))
    await client.create(DEPLOYMENT, deployment(namespace, "m"))
    ref = Ref(MODEL_DEPLOYMENT, namespace, "m")
    before = await client.get(ref)
    async with operator(client, namespace, interval_s=0.2) as running:
        await eventually(lambda: len(running.cycles) >= 5)
    assert await client.get(ref) == before


async def test_the_lease_is_given_back_when_the_process_ends(
    client: KubeClient, namespace: str
) -> None:
    async with operator(client, namespace):
        pass
    found = await client.get(Ref(LEASE, namespace, "aurora"))
    assert found is not None
    assert not found["spec"].get("holderIdentity")


async def test_the_liveness_probe_answers_with_the_age_of_the_last_cycle(
    client: KubeClient, namespace: str
) -> None:
    url = f"http://127.0.0.1:{free_port()}/healthz"
    async with (
        operator(client, namespace, interval_s=0.2, liveness=url),
        aiohttp.ClientSession() as session,
    ):

        async def answers() -> bool:
            try:
                async with session.get(url) as answer:
                    body = await answer.json()
            except aiohttp.ClientError:
                return False
            assert answer.status == 200
            return bool(body["secondsSinceLastCycle"] < 30)

        await eventually(answers)


async def test_one_namespace_alone_is_worked_in_and_the_switch_is_read_elsewhere(
    client: KubeClient, namespace: str
) -> None:
    await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "inside"))
    async with own_namespace(client) as home:
        await client.create(MODEL_DEPLOYMENT, model_deployment(home, "outside"))
        await set_switch(client, home, "false")
        watched = await served_kinds(client, clusterwide=False)
        fleet = Fleet(control_namespace=home, watched=watched)
        running = Running(fleet, asyncio.Event())
        options = OperatorOptions(interval_s=0.1, namespaces=(namespace,))
        task = asyncio.create_task(
            run_operator(client, fleet, running.cycle, options=options, stop=running.stop)
        )
        await eventually(lambda: running.cycles or task.done())
        assert {key.name for key, _ in fleet.models.items()} == {"inside"}
        assert fleet.control.writes_allowed
        await set_switch(client, home, "true")
        await eventually(lambda: fleet.control.stopped)
        await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "later"))
        await eventually(lambda: fleet.models.get(ObjectKey(namespace, "later")))
        running.stop.set()
        await task


async def test_a_missed_deletion_and_a_missed_change_are_mended_by_a_sweep(
    client: KubeClient, namespace: str
) -> None:
    """What a watch that lost events leaves behind: a ghost, an old object, a missing one."""
    fleet = Fleet(control_namespace=namespace, watched=(MODEL_DEPLOYMENT,))
    sweeper = Sweeper(client, fleet, namespaces=(namespace,), arrival_s=0.1)
    for name in ("ghost", "old", "kept"):
        made = await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, name))
        fleet.apply_event(MODEL_DEPLOYMENT, None, made)
    assert not fleet.synced
    await sweeper.sync()
    assert fleet.synced
    kept = fleet.models.get(ObjectKey(namespace, "kept"))

    await remove(client, Ref(MODEL_DEPLOYMENT, namespace, "ghost"))
    await client.patch_merge(
        Ref(MODEL_DEPLOYMENT, namespace, "old"), {"spec": {"scaling": {"maxReplicas": 5}}}
    )
    await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "missing"))
    await sweeper.sweep([MODEL_DEPLOYMENT])

    names = {key.name for key, _ in fleet.models.items()}
    assert names == {"old", "kept", "missing"}
    old = fleet.models.get(ObjectKey(namespace, "old"))
    assert old is not None
    assert old.spec.scaling is not None
    assert old.spec.scaling.max_replicas == 5
    assert fleet.models.get(ObjectKey(namespace, "kept")) is kept


async def test_many_gaps_are_read_with_one_list(
    control_plane: TestControlPlane, client: KubeClient, namespace: str
) -> None:
    names = [f"m{index:03d}" for index in range(210)]
    await asyncio.gather(
        *(client.create(MODEL_DEPLOYMENT, model_deployment(namespace, name)) for name in names)
    )
    counter = RequestCounter()
    async with KubeClient(connection_to(control_plane), observer=counter) as counted:
        fleet = Fleet(control_namespace=namespace, watched=(MODEL_DEPLOYMENT,))
        await Sweeper(counted, fleet, namespaces=(namespace,), arrival_s=0.1).sync()
    assert fleet.size(MODEL_DEPLOYMENT) == 210
    assert sum(counter.requests.values()) == 2


async def test_a_relist_of_an_old_server_takes_nothing_back(
    client: KubeClient, namespace: str
) -> None:
    """Time travel: a lagging API server lists a deleted object and an old version of another."""
    fleet = Fleet(control_namespace=namespace, watched=(MODEL_DEPLOYMENT,))
    gone = await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "gone"))
    old = await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "m"))
    new = await client.patch_merge(
        Ref(MODEL_DEPLOYMENT, namespace, "m"), {"spec": {"scaling": {"maxReplicas": 5}}}
    )
    for obj in (gone, old, new):
        fleet.apply_event(MODEL_DEPLOYMENT, "MODIFIED", obj)
    fleet.apply_event(MODEL_DEPLOYMENT, "DELETED", gone)
    for obj in (gone, old):
        assert not fleet.apply_event(MODEL_DEPLOYMENT, None, obj)
    assert fleet.models.get(ObjectKey(namespace, "gone")) is None
    model = fleet.models.get(ObjectKey(namespace, "m"))
    assert model is not None
    assert model.spec.scaling is not None


async def test_pods_endpoints_and_autoscalers_are_found_by_their_workload(
    client: KubeClient, namespace: str
) -> None:
    key = ObjectKey(namespace, "m")
    await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "m"))
    await client.create(DEPLOYMENT, deployment(namespace, "m", replicas=2))
    await client.create(SERVICE, _service(namespace, "m"))
    await client.create(HPA, _autoscaler(namespace, "m"))
    async with operator(client, namespace) as running:

        def seen() -> ModelObservation:
            return observations(running.fleet, at=time.time())[key]

        await eventually(lambda: sum(pod.ready for pod in seen().pods) == 2, within_s=60)
        await eventually(lambda: seen().endpoints and seen().endpoints.ready == 2)
        found = seen()
        assert [(one.floor, one.ceiling) for one in found.autoscalers] == [(1, 6)]
        assert {pod.workload for pod in found.pods} == {"m"}
        assert all(pod.scheduled_at and pod.ready_at and pod.node for pod in found.pods)
        assert found.service is not None
        assert found.endpoints is not None
        assert found.endpoints.not_ready_since is None

        await client.patch_json(
            Ref(DEPLOYMENT, namespace, "m"),
            [{"op": "replace", "path": "/spec/replicas", "value": 0}],
        )
        await eventually(lambda: seen().endpoints.not_ready_since)  # type: ignore[union-attr]
        await eventually(lambda: not seen().pods, within_s=60)


async def test_a_target_of_another_kind_is_read_by_its_scale(
    client: KubeClient, namespace: str
) -> None:
    labels = {"app": "rs"}
    manifest = deployment(namespace, "rs", replicas=0)
    manifest |= {"kind": "ReplicaSet"}
    manifest["spec"]["selector"] = {"matchLabels": labels}
    await client.create(REPLICA_SETS, manifest)
    model = model_deployment(namespace, "m")
    model["spec"]["targetRef"] = {"kind": "ReplicaSet", "name": "rs"}
    made = await client.create(MODEL_DEPLOYMENT, model)
    fleet = Fleet(control_namespace=namespace, watched=())
    fleet.apply_event(MODEL_DEPLOYMENT, None, made)
    targets = await read_targets(client, unwatched_targets(fleet))
    key = WorkloadKey("ReplicaSet", namespace, "rs")
    assert targets[key].replicas == 0
    assert targets[key].match_labels == labels
    seen = view(fleet, at=time.time(), others=targets).models[ObjectKey(namespace, "m")]
    assert seen.target is not None
    assert seen.target.key == key


async def test_without_the_crds_one_line_says_what_to_do(
    control_plane: TestControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurora.errors import ConfigurationError
    from aurora.kube import kinds

    absent = Kind("aurora.dev", "v0", "modeldeployments", "ModelDeployment")
    monkeypatch.setattr(kinds, "CUSTOM_KINDS", (absent,))
    async with KubeClient(connection_to(control_plane)) as client:
        with pytest.raises(ConfigurationError, match="apply the folder crds/"):
            await served_kinds(client)


async def test_an_optional_kind_is_watched_once_it_is_served(client: KubeClient) -> None:
    assert "scaledobjects.keda.sh" not in {str(kind) for kind in await served_kinds(client)}
    manifest = _scaled_object_crd()
    made = await client.create(CRDS, manifest)
    try:

        async def served() -> bool:
            async with KubeClient(client.connection) as fresh:
                return "scaledobjects.keda.sh" in {str(kind) for kind in await served_kinds(fresh)}

        await eventually(served)
    finally:
        await client.delete(
            Ref(CRDS, "", manifest["metadata"]["name"]), uid=made["metadata"]["uid"]
        )


def _service(namespace: str, name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
    }


def _autoscaler(namespace: str, name: str) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 6},
    }


def _scaled_object_crd() -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"plural": "scaledobjects", "singular": "scaledobject", "kind": "ScaledObject"}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh",
            "names": {**names, "listKind": "ScaledObjectList"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
