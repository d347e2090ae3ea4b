"""Old Decisions and Approvals leave a real API server, and nothing else does."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aurora.executor.archive import Archive
from aurora.executor.entries import ledger_of
from aurora.executor.housekeeping import Housekeeper
from aurora.kube.client import KubeClient
from aurora.kube.control import ControlSwitch
from aurora.kube.counter import RequestCounter
from aurora.kube.kinds import APPROVAL, DECISION, Ref
from aurora.kube.writer import Writer
from aurora.observe.facts import ObjectKey
from aurora.observe.fleet import Fleet
from aurora.observe.snapshot import FleetSnapshot
from aurora.store import Store
from tests.support.builders import model, observation
from tests.support.cluster import connection_to, install_crds, own_namespace, set_switch
from tests.support.controlplane import TestControlPlane
from tests.support.decision_objects import (
    DAY,
    approval_manifest,
    decision_manifest,
    decision_status,
)
from tests.support.fleets import snapshot

pytestmark = pytest.mark.apiserver


class Held:
    def remaining_s(self) -> float:
        return 60.0


class House:
    """A housekeeper in one namespace that sees the cluster as it will be in so many days."""

    def __init__(self, client: KubeClient, namespace: str, store: Store) -> None:
        self.client, self.namespace, self.store = client, namespace, store
        self.fleet = Fleet(control_namespace=namespace)
        self.writer = Writer(
            client, fence=Held(), switch=ControlSwitch(client, namespace=namespace)
        )
        self.began = time.monotonic()

    async def decision(self, name: str, phase: str, *, executed: bool = False, **spec: Any) -> str:
        manifest = decision_manifest(name, namespace=self.namespace, **spec)
        made = await self.client.create(DECISION, manifest)
        ref = Ref(DECISION, self.namespace, name)
        status = decision_status(phase, time.time(), executed=executed)
        await self.writer.patch_status(ref, status, found=made)
        return str(made["metadata"]["uid"])

    async def look(self) -> None:
        """What the watches would say."""
        for kind in (DECISION, APPROVAL):
            for found in (await self.client.list(kind, namespace=self.namespace)).items:
                self.fleet.apply_event(kind, "ADDED", found)

    async def run(self, *, days: float, keeper: Housekeeper | None = None) -> FleetSnapshot:
        key = ObjectKey(self.namespace, "llama")
        seen = snapshot(
            *self.fleet.decisions.values(),
            at=time.time() + days * DAY,
            approvals=tuple(self.fleet.approvals.values()),
            models={key: observation(model=model())},
        )
        keeper = keeper or self.keeper()
        await keeper.run(seen, seen.decisions, ledger_of(seen.decisions))
        return seen

    def keeper(self) -> Housekeeper:
        return Housekeeper(
            self.writer,
            Archive(self.store),
            gone=lambda kind, body: self.fleet.apply_event(kind, "DELETED", body),
        )

    async def names(self) -> set[str]:
        found = [
            one["metadata"]["name"]
            for kind in (DECISION, APPROVAL)
            for one in (await self.client.list(kind, namespace=self.namespace)).items
        ]
        return set(found)


@pytest.fixture
def counter() -> RequestCounter:
    return RequestCounter()


@pytest.fixture
async def house(
    control_plane: TestControlPlane, counter: RequestCounter, tmp_path: Path
) -> AsyncIterator[House]:
    store = await Store.open(f"sqlite:///{tmp_path}/aurora.db")
    async with KubeClient(connection_to(control_plane), observer=counter) as client:
        await install_crds(client)
        async with own_namespace(client) as namespace:
            await set_switch(client, namespace, "false")
            yield House(client, namespace, store)
    await store.close()


async def test_only_what_is_old_and_over_leaves_and_then_nothing_is_written(
    house: House, counter: RequestCounter
) -> None:
    answered = await house.decision("answered", "Completed", executed=True, action="CACHE")
    await house.decision("denied", "Denied")
    await house.decision("told", "Completed", action="ALERT")
    await house.decision("stands", "Completed", executed=True)
    await house.decision("proposal", "AwaitingApproval")
    await house.decision("measured", "Verifying", executed=True)
    for name, uid in (("approved", answered), ("orphan", "0000-gone")):
        approval = approval_manifest(name, "answered", uid, namespace=house.namespace)
        await house.client.create(APPROVAL, approval)
    await house.look()
    everything = await house.names()
    await house.run(days=6)
    assert await house.names() == everything

    await house.run(days=8)
    left = {"stands", "proposal", "measured", "approved"}
    assert await house.names() == left
    for name in ("answered", "denied", "told"):
        record = await house.store.decision(name)
        assert record is not None
        assert record.phase in {"Completed", "Denied"}
    written = counter.writes
    await house.run(days=8)
    assert await house.names() == left - {"approved"}, "its Decision is gone by now"
    written += 1
    for _ in range(3):
        await house.run(days=8)
    assert counter.writes == written


async def test_what_was_written_since_it_was_read_stays(house: House) -> None:
    await house.decision("again", "Rejected")
    await house.look()
    ref = Ref(DECISION, house.namespace, "again")
    found = await house.client.get(ref)
    assert found is not None
    repeats = found["status"] | {"repeats": 1}
    await house.writer.patch_status(ref, repeats, found=found)
    await house.run(days=8)
    assert await house.names() == {"again"}
    await house.look()
    await house.run(days=8)
    assert await house.names() == set()
