"""The client, the gate, the Lease and Events against a real API server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aurora.errors import (
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
)
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.control import ControlSwitch
from aurora.kube.counter import RequestCounter
from aurora.kube.events import EventRecorder
from aurora.kube.jsonpatch import ABSENT, Change, guarded, pointer, reverse
from aurora.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    HTTP_ROUTE,
    LEASE,
    MODEL_DEPLOYMENT,
    Ref,
)
from aurora.kube.lease import LeaderLease
from aurora.kube.transport import Retries
from aurora.kube.writer import NotLeaderError, StoppedError, Writer
from tests.support.cluster import (
    config_map,
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

pytestmark = pytest.mark.apiserver


class Held:
    """A Lease that is held for as long as the test says."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds

    def remaining_s(self) -> float:
        return self.seconds


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def counter() -> RequestCounter:
    return RequestCounter()


@pytest.fixture
async def client(
    control_plane: TestControlPlane, counter: RequestCounter
) -> AsyncIterator[KubeClient]:
    async with KubeClient(connection_to(control_plane), observer=counter) as made:
        yield made


@pytest.fixture
async def namespace(client: KubeClient) -> AsyncIterator[str]:
    async with own_namespace(client) as name:
        yield name


@pytest.fixture
def writer(client: KubeClient, namespace: str) -> Writer:
    return Writer(client, fence=Held(), switch=ControlSwitch(client, namespace=namespace))


async def made(client: KubeClient, namespace: str, name: str = "a", **data: str) -> dict[str, Any]:
    return await client.create(CONFIG_MAP, config_map(namespace, name, **(data or {"x": "1"})))


def patch_of(found: dict[str, Any], *changes: Change) -> list[dict[str, Any]]:
    metadata = found["metadata"]
    return guarded(
        uid=metadata["uid"], resource_version=metadata["resourceVersion"], changes=changes
    )


async def test_absence_is_none_on_read_and_an_error_on_write(
    client: KubeClient, namespace: str
) -> None:
    ref = Ref(CONFIG_MAP, namespace, "absent")
    assert await client.get(ref) is None
    with pytest.raises(NotFoundError, match="absent"):
        await client.patch_json(ref, [{"op": "add", "path": "/data", "value": {}}])


async def test_creating_what_exists_is_a_conflict(client: KubeClient, namespace: str) -> None:
    await made(client, namespace)
    with pytest.raises(ConflictError, match="already exists"):
        await made(client, namespace)


async def test_a_patch_is_applied_and_its_reverse_restores_what_was(
    client: KubeClient, namespace: str
) -> None:
    manifest = config_map(namespace, "a", x="1")
    manifest["metadata"]["annotations"] = {"example.org/ab": "old"}
    found = await client.create(CONFIG_MAP, manifest)
    ref = Ref(CONFIG_MAP, namespace, "a")
    changes = [
        Change(pointer("metadata", "annotations", "example.org/ab"), "old", "new"),
        Change("/data/y", ABSENT, "2"),
    ]
    after = await client.patch_json(ref, patch_of(found, *changes))
    assert after["metadata"]["annotations"] == {"example.org/ab": "new"}
    assert after["data"] == {"x": "1", "y": "2"}
    undone = await client.patch_json(ref, patch_of(after, *reverse(changes)))
    assert undone["metadata"]["annotations"] == {"example.org/ab": "old"}
    assert undone["data"] == {"x": "1"}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param({"data": {"x": "9"}}, id="the value was changed"),
        pytest.param({"metadata": {"labels": {"l": "1"}}}, id="anything at all was written"),
    ],
)
async def test_a_patch_of_an_object_that_was_written_since_is_a_conflict(
    client: KubeClient, namespace: str, spoil: dict[str, Any]
) -> None:
    found = await made(client, namespace)
    ref = Ref(CONFIG_MAP, namespace, "a")
    await client.patch_merge(ref, spoil)
    before = await client.get(ref)
    with pytest.raises(ConflictError, match="written since"):
        await client.patch_json(ref, patch_of(found, Change("/data/x", "1", "2")))
    assert await client.get(ref) == before


async def test_a_patch_of_another_object_of_the_same_name_is_a_conflict(
    client: KubeClient, namespace: str
) -> None:
    found = await made(client, namespace)
    ref = Ref(CONFIG_MAP, namespace, "a")
    await remove(client, ref)
    await made(client, namespace)
    with pytest.raises(ConflictError):
        await client.patch_json(ref, patch_of(found, Change("/data/x", "1", "2")))


async def test_a_value_that_validation_refuses_is_no_conflict_and_says_why(
    client: KubeClient, namespace: str
) -> None:
    await client.create(DEPLOYMENT, deployment(namespace, "d"))
    with pytest.raises(ForbiddenError, match="must be greater than or equal to 0"):
        await client.patch_json(
            Ref(DEPLOYMENT, namespace, "d"),
            [{"op": "replace", "path": "/spec/replicas", "value": -1}],
        )


async def test_replicas_are_read_and_patched_through_scale(
    client: KubeClient, namespace: str
) -> None:
    await client.create(DEPLOYMENT, deployment(namespace, "d", replicas=2))
    ref = Ref(DEPLOYMENT, namespace, "d")

    async def scaled() -> bool:
        scale = await client.get(ref, "scale")
        assert scale is not None
        change = Change("/spec/replicas", scale["spec"]["replicas"], 3)
        try:
            await client.patch_json(ref, patch_of(scale, change), subresource="scale")
        except ConflictError:
            # The Deployment's controller wrote its status in between.
            return False
        return True

    await eventually(scaled)
    found = await client.get(ref)
    assert found is not None
    assert found["spec"]["replicas"] == 3


async def test_apply_does_not_make_a_deleted_object_anew(
    client: KubeClient, namespace: str
) -> None:
    manifest = config_map(namespace, "applied", x="1")
    existing = await client.apply(CONFIG_MAP, manifest, field_manager="aurora", existing=None)
    ref = Ref(CONFIG_MAP, namespace, "applied")
    await remove(client, ref)
    with pytest.raises(ConflictError, match="uid mismatch"):
        await client.apply(CONFIG_MAP, manifest, field_manager="aurora", existing=existing)
    assert await client.get(ref) is None


async def test_apply_takes_no_field_from_another_manager(
    client: KubeClient, namespace: str
) -> None:
    theirs = config_map(namespace, "shared", x="theirs")
    await client.apply(CONFIG_MAP, theirs, field_manager="them", existing=None)
    ref = Ref(CONFIG_MAP, namespace, "shared")
    existing = await client.get(ref)
    with pytest.raises(ConflictError, match=r"them.*data\.x"):
        await client.apply(
            CONFIG_MAP,
            config_map(namespace, "shared", x="ours"),
            field_manager="aurora",
            existing=existing,
        )
    assert await client.get(ref) == existing


async def test_delete_spares_another_object_of_the_same_name(
    client: KubeClient, namespace: str
) -> None:
    found = await made(client, namespace)
    ref = Ref(CONFIG_MAP, namespace, "a")
    await remove(client, ref)
    await made(client, namespace)
    with pytest.raises(ConflictError):
        await client.delete(ref, uid=found["metadata"]["uid"])
    assert await client.get(ref) is not None


async def test_a_list_in_chunks_is_the_whole_list(
    client: KubeClient, namespace: str, counter: RequestCounter
) -> None:
    for index in range(5):
        await made(client, namespace, f"m{index}")
    before = counter.requests["list", "configmaps"]
    listing = await client.list(CONFIG_MAP, namespace=namespace, metadata_only=True, chunk=2)
    names = {item["metadata"]["name"] for item in listing.items}
    assert names >= {f"m{index}" for index in range(5)}
    assert all("data" not in item for item in listing.items)
    assert counter.requests["list", "configmaps"] - before >= 3
    assert int(listing.resource_version) > 0


async def test_discovery_tells_served_kinds_from_others(
    client: KubeClient, counter: RequestCounter
) -> None:
    assert await client.served(DEPLOYMENT)
    assert not await client.served(HTTP_ROUTE)
    reads = counter.reads
    assert await client.served(DEPLOYMENT)
    assert counter.reads == reads
    assert await client.resolve("apps/v1", "ReplicaSet") is not None
    assert await client.resolve("apps/v1", "Nonsense") is None


async def test_a_server_that_is_away_is_unavailable_after_bounded_attempts(
    control_plane: TestControlPlane, tmp_path: Any, counter: RequestCounter
) -> None:
    text = control_plane.kubeconfig.read_text()
    server = next(line for line in text.splitlines() if "server:" in line).split("server:")[1]
    server = server.split(",")[0].strip().strip("\"'}")
    away = tmp_path / "kubeconfig"
    away.write_text(text.replace(server, "https://127.0.0.1:9"))
    connection = Connection(away, control_plane.context)
    async with KubeClient(
        connection, observer=counter, retries=Retries(attempts=3, base_s=0.01)
    ) as client:
        with pytest.raises(UnavailableError, match="no answer"):
            await client.get(Ref(CONFIG_MAP, "default", "x"))
        assert counter.requests["get", "configmaps"] == 3
        with pytest.raises(UnavailableError):
            await made(client, "default")
        assert counter.requests["create", "configmaps"] == 1


async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Any) -> None:
    async with KubeClient(Connection(tmp_path / "absent")) as client:
        with pytest.raises(ConfigurationError, match="absent"):
            await client.get(Ref(CONFIG_MAP, "default", "x"))


class TestGate:
    async def test_an_absent_kill_switch_stops_a_write(
        self, client: KubeClient, namespace: str, writer: Writer
    ) -> None:
        with pytest.raises(StoppedError, match="does not exist"):
            await writer.create(CONFIG_MAP, config_map(namespace, "w"))
        assert await client.get(Ref(CONFIG_MAP, namespace, "w")) is None

    @pytest.mark.parametrize(
        ("stop", "message"),
        [
            pytest.param("true", "stopped by", id="set"),
            pytest.param("", "must be", id="empty"),
            pytest.param("no", "must be", id="unclear"),
        ],
    )
    async def test_a_kill_switch_that_does_not_say_false_stops_a_write_and_its_undo(
        self, client: KubeClient, namespace: str, writer: Writer, stop: str, message: str
    ) -> None:
        found = await made(client, namespace)
        await set_switch(client, namespace, stop)
        with pytest.raises(StoppedError, match=message):
            await writer.patch_json(
                Ref(CONFIG_MAP, namespace, "a"), patch_of(found, Change("/data/x", "1", "2"))
            )
        with pytest.raises(StoppedError, match=message):
            await writer.apply(CONFIG_MAP, config_map(namespace, "w"))
        with pytest.raises(StoppedError, match=message):
            await writer.delete(Ref(CONFIG_MAP, namespace, "a"), uid=found["metadata"]["uid"])

    async def test_the_switch_is_read_before_every_write(
        self, client: KubeClient, namespace: str, writer: Writer
    ) -> None:
        await set_switch(client, namespace, "false")
        await writer.create(CONFIG_MAP, config_map(namespace, "one"))
        await set_switch(client, namespace, "true")
        with pytest.raises(StoppedError):
            await writer.create(CONFIG_MAP, config_map(namespace, "two"))
        await set_switch(client, namespace, "false")
        await writer.create(CONFIG_MAP, config_map(namespace, "two"))

    async def test_a_lease_that_ran_out_stops_every_write_before_any_request(
        self, client: KubeClient, namespace: str, counter: RequestCounter
    ) -> None:
        switch = ControlSwitch(client, namespace=namespace)
        writer = Writer(client, fence=Held(0.0), switch=switch)
        before = sum(counter.requests.values())
        with pytest.raises(NotLeaderError):
            await writer.create(CONFIG_MAP, config_map(namespace, "w"))
        assert sum(counter.requests.values()) == before

    async def test_what_differs_in_nothing_is_not_written(
        self, client: KubeClient, namespace: str, writer: Writer, counter: RequestCounter
    ) -> None:
        await set_switch(client, namespace, "false")
        manifest = deployment(namespace, "ours")
        assert await writer.apply(DEPLOYMENT, manifest) is not None
        writes = counter.writes
        assert await writer.apply(DEPLOYMENT, manifest) is None
        found = await client.get(Ref(DEPLOYMENT, namespace, "ours"))
        assert found is not None
        same = patch_of(found, Change("/spec/replicas", 1, 1))
        assert await writer.patch_json(Ref(DEPLOYMENT, namespace, "ours"), same) is None
        assert counter.writes == writes

    async def test_a_field_that_is_wanted_no_longer_is_dropped(
        self, client: KubeClient, namespace: str, writer: Writer
    ) -> None:
        await set_switch(client, namespace, "false")
        await writer.apply(CONFIG_MAP, config_map(namespace, "ours", a="1", b="2"))
        after = await writer.apply(CONFIG_MAP, config_map(namespace, "ours", a="1"))
        assert after is not None
        assert after["data"] == {"a": "1"}

    @pytest.mark.parametrize(
        "way",
        [pytest.param("patch_status", id="patched"), pytest.param("replace_status", id="put")],
    )
    async def test_status_is_told_while_stopped_and_only_when_it_differs(
        self, client: KubeClient, namespace: str, writer: Writer, counter: RequestCounter, way: str
    ) -> None:
        await install_crds(client)
        found = await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "m"))
        ref = Ref(MODEL_DEPLOYMENT, namespace, "m")
        status = {"observedGeneration": 1, "replicas": {"current": 1}}
        write = getattr(writer, way)
        await write(ref, status, found=found)
        after = await client.get(ref)
        assert after is not None
        assert after["status"] == status
        assert after["spec"] == found["spec"]
        assert after["metadata"]["generation"] == found["metadata"]["generation"]
        writes = counter.writes
        assert await write(ref, status, found=after) is None
        assert counter.writes == writes
        with pytest.raises(ConflictError):
            await write(ref, {"observedGeneration": 2}, found=found)
        await write(ref, {"observedGeneration": 2}, found=after)
        shorter = await client.get(ref)
        assert shorter is not None
        assert shorter["status"] == {"observedGeneration": 2}
        with pytest.raises(ValueError, match="status is not ours"):
            await write(Ref(DEPLOYMENT, namespace, "m"), status, found=after)

    async def test_who_owns_the_fields_of_a_status_is_one_entry(
        self, client: KubeClient, namespace: str, writer: Writer
    ) -> None:
        await install_crds(client)
        found = await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "m"))
        condition = {"type": "Ready", "status": "True", "reason": "Reconciled"}
        condition["lastTransitionTime"] = "2026-01-05T08:00:00Z"
        after = await writer.replace_status(
            Ref(MODEL_DEPLOYMENT, namespace, "m"), {"conditions": [condition]}, found=found
        )
        assert after is not None
        owned = [one for one in after["metadata"]["managedFields"] if "subresource" in one]
        assert [one["fieldsV1"] for one in owned] == [{"f:status": {}}]

    async def test_a_status_is_not_put_on_another_object_of_the_same_name(
        self, client: KubeClient, namespace: str, writer: Writer
    ) -> None:
        await install_crds(client)
        found = await client.create(MODEL_DEPLOYMENT, model_deployment(namespace, "m"))
        found["metadata"]["uid"] = "another"
        with pytest.raises(ConflictError):
            await writer.replace_status(
                Ref(MODEL_DEPLOYMENT, namespace, "m"), {"observedGeneration": 1}, found=found
            )


class TestLease:
    def holder(self, client: KubeClient, namespace: str, name: str, clock: Clock) -> LeaderLease:
        ref = Ref(LEASE, namespace, "aurora")
        return LeaderLease(client, ref, identity=name, clock=clock)

    async def test_only_one_of_two_holds_it_and_the_other_takes_over_when_it_stands_still(
        self, client: KubeClient, namespace: str
    ) -> None:
        clock = Clock()
        one = self.holder(client, namespace, "one", clock)
        two = self.holder(client, namespace, "two", clock)
        assert await one.try_acquire()
        assert not await two.try_acquire()
        clock.at += 9.0
        assert await one.try_acquire()
        assert not await two.try_acquire()
        clock.at += 14.9
        assert not one.held()
        assert not await two.try_acquire()
        clock.at += 0.2
        assert await two.try_acquire()
        assert two.held()
        # A holder that was frozen comes back: it must not write before it has asked.
        assert not one.held()
        assert not await one.try_acquire()

    async def test_a_frozen_holder_stops_believing_before_a_rival_may_take_over(
        self, client: KubeClient, namespace: str
    ) -> None:
        clock = Clock()
        one = self.holder(client, namespace, "one", clock)
        two = self.holder(client, namespace, "two", clock)
        assert await one.try_acquire()
        assert not await two.try_acquire()
        for _ in range(160):
            clock.at += 0.1
            taken = await two.try_acquire()
            assert not (taken and one.held())
            if taken:
                return
        pytest.fail("the rival never took the Lease over")

    async def test_clocks_that_differ_by_an_hour_do_not_matter(
        self, client: KubeClient, namespace: str
    ) -> None:
        early, late = Clock(), Clock()
        late.at += 3600.0
        one = self.holder(client, namespace, "one", early)
        two = self.holder(client, namespace, "two", late)
        assert await one.try_acquire()
        assert not await two.try_acquire()
        assert one.held()

    async def test_giving_it_back_lets_the_other_have_it_at_once(
        self, client: KubeClient, namespace: str
    ) -> None:
        clock = Clock()
        one = self.holder(client, namespace, "one", clock)
        two = self.holder(client, namespace, "two", clock)
        await one.try_acquire()
        await one.release()
        assert not one.held()
        assert await two.try_acquire()

    async def test_keeping_it_ends_with_giving_it_back(
        self, client: KubeClient, namespace: str
    ) -> None:
        one = LeaderLease(client, Ref(LEASE, namespace, "aurora"), identity="one")
        task = asyncio.create_task(one.keep(retry_s=0.05))
        await eventually(one.held)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        found = await client.get(Ref(LEASE, namespace, "aurora"))
        assert found is not None
        assert not found["spec"].get("holderIdentity")

    async def test_its_writes_are_counted_apart(
        self, client: KubeClient, namespace: str, counter: RequestCounter
    ) -> None:
        clock = Clock()
        writes = counter.writes
        one = self.holder(client, namespace, "one", clock)
        for _ in range(3):
            await one.try_acquire()
        assert counter.lease_writes == 3
        assert counter.writes == writes


class TestEvents:
    async def test_repeats_are_counted_in_one_event(
        self, client: KubeClient, namespace: str, counter: RequestCounter
    ) -> None:
        found = await made(client, namespace)
        recorder = EventRecorder(client, fence=Held(), instance="aurora-0")
        about = Ref(CONFIG_MAP, namespace, "a")
        for _ in range(50):
            await recorder.record(
                about,
                uid=found["metadata"]["uid"],
                reason="LatencyAboveObjective",
                note="p95 is 2.1 s, above the objective of 1 s",
                action="SCALE",
                kind="Warning",
            )
        listing = await client.list(EVENT, namespace=namespace)
        ours = [one for one in listing.items if one.get("reason") == "LatencyAboveObjective"]
        assert len(ours) == 1
        assert ours[0]["series"]["count"] == 2
        assert ours[0]["regarding"]["uid"] == found["metadata"]["uid"]
        # Fifty occurrences within a minute: one create and one first count.
        assert counter.requests["create", "events.events.k8s.io"] == 1
        assert counter.requests["patch", "events.events.k8s.io"] == 1

    async def test_hostile_text_is_cut_and_recorded(
        self, client: KubeClient, namespace: str
    ) -> None:
        found = await made(client, namespace)
        recorder = EventRecorder(client, fence=Held(), instance="i" * 500)
        await recorder.record(
            Ref(CONFIG_MAP, namespace, "a"),
            uid=found["metadata"]["uid"],
            reason="R" * 300,
            note='"\x00\x1b[31m}\n' + "ü" * 4000,
            action="A" * 300,
        )
        listing = await client.list(EVENT, namespace=namespace)
        assert any(one["regarding"].get("name") == "a" for one in listing.items)

    async def test_none_is_written_without_the_lease(
        self, client: KubeClient, namespace: str, counter: RequestCounter
    ) -> None:
        recorder = EventRecorder(client, fence=Held(0.0), instance="aurora-0")
        before = counter.writes
        with pytest.raises(NotLeaderError):
            await recorder.record(
                Ref(CONFIG_MAP, namespace, "a"), uid="u", reason="R", note="n", action="A"
            )
        assert counter.writes == before
