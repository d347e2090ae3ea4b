"""The chart's roles are what the operator uses: nothing is refused, and nothing is left over.

The operator runs as `aurora operator` with the token of the chart's service account and the
environment of the chart's Deployment; the API server's audit log says what it asked. What happens
only after days or after a fault is done by its own parts with the same token.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.executor.archive import Archive
from aurora.executor.entries import ledger_of
from aurora.executor.housekeeping import Housekeeper
from aurora.handlers.sweep import Sweeper
from aurora.handlers.watch import served_kinds
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.control import ControlSwitch
from aurora.kube.events import EventRecorder
from aurora.kube.kinds import (
    CONFIG_MAP,
    DECISION,
    HPA,
    HTTP_ROUTE,
    MODEL_DEPLOYMENT,
    RESOURCE_QUOTA,
    ROUTING_POLICY,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    Ref,
)
from aurora.kube.writer import Writer
from aurora.observe.cluster import view
from aurora.observe.fleet import Fleet
from aurora.resources.vocabulary import Phase
from aurora.store import Store
from aurora.uninstall import uninstall_all
from tests.support.auditedchart import (
    AUTONOMY,
    SYSTEM,
    TEMPLATE,
    Installation,
    Json,
    installed,
    operating,
)
from tests.support.auditedplane import AuditedPlane, audited_plane
from tests.support.chart import environment, needs_helm
from tests.support.cluster import eventually
from tests.support.decision_objects import DAY, approval_manifest
from tests.support.fleets import snapshot
from tests.support.rbac import Right, granted, recorded

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(400), needs_helm]

USER = f"system:serviceaccount:{SYSTEM}:aurora"
EVERYTHING = (
    *("--set", "routers.enabled=true"),
    *("--set", "actions.cache.enabled=true"),
    *("--set", "webhooks.hosts={127.0.0.1}"),
)
NOWHERE = {"nodeSelector": {"nowhere": "true"}}
"""Pods that are never scheduled: a Service in front of them has no ready endpoint."""


@pytest.fixture(scope="module")
def audited() -> Iterator[AuditedPlane]:
    with audited_plane() as made:
        yield made


async def set_the_stage(here: Installation) -> None:
    """One model for each way to act, and one of each kind that is only looked at."""
    two = {"scaling": {"minReplicas": 2, "maxReplicas": 4}}
    for name in ("plain", "floored", "made", "keda", "asks", "cached", "spare"):
        await here.deploy(name)
    for name in ("gone", "weighed", "lost"):
        await here.deploy(name, NOWHERE)
    await here.make(RESOURCE_QUOTA, "quota", spec={"hard": {"pods": "100"}})
    await here.make(HPA, "floored", spec=_autoscaler("floored"))
    keda = {"scaleTargetRef": {"name": "keda"}, "minReplicaCount": 1, "maxReplicaCount": 4}
    await here.make(SCALED_OBJECT, "keda", spec=keda)
    await here.make(HTTP_ROUTE, "weighed", spec=_route(weighed=100, spare=0))
    await here.make(HTTP_ROUTE, "split", spec=_route(lost=50, spare=50))
    url = {"url": "http://127.0.0.1:9/hook"}
    await here.make(SECRET, "aurora-webhook", stringData=url)
    pods = {"metadata": {"labels": {"app": "ordinal"}}, "spec": TEMPLATE}
    chosen = {"matchLabels": {"app": "ordinal"}}
    ordinal = {"replicas": 1, "serviceName": "ordinal", "selector": chosen, "template": pods}
    await here.make(STATEFUL_SET, "ordinal", spec=ordinal)
    await here.make(SERVICE, "ordinal", spec={"selector": {"app": "ordinal"}, "ports": [_PORT]})
    here.serve("cached")

    await here.manage("plain", **two)
    await here.manage("ordinal", targetRef={"kind": "StatefulSet"}, **two)
    await here.manage("floored", **two)
    await here.manage("made", scaling=two["scaling"] | {"createAutoscaler": True})
    await here.manage("keda", **two)
    hook = {"webhook": {"secretRef": {"name": "aurora-webhook", "key": "url"}}}
    await here.manage("asks", autonomy={"mode": "Recommend"}, notifications=[hook], **two)
    fallback = {"serviceRef": {"name": "spare"}}
    patient = {"noEndpointFor": "2s"}
    await here.manage("gone", fallback=fallback, triggers=patient)
    route = {"httpRouteRef": {"name": "weighed"}}
    await here.manage("weighed", fallback=fallback | route, triggers=patient)
    await here.manage("cached", cache={"mode": "On"})

    places = [{"name": one, "serviceRef": {"name": one, "port": 80}} for one in ("lost", "spare")]
    shared = {"routeRef": {"name": "split"}, "backends": places, "health": patient}
    await here.make(ROUTING_POLICY, "split", spec=shared | {"autonomy": AUTONOMY})
    if here.feeds:
        await here.make(ROUTING_POLICY, "fed", spec={"backends": places, "router": {}})


def _route(**weights: int) -> Json:
    backends = [{"name": name, "port": 80, "weight": w} for name, w in weights.items()]
    return {"rules": [{"backendRefs": backends}]}


_PORT = {"name": "http", "port": 80, "targetPort": "http"}


def _autoscaler(target: str) -> Json:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicas": 1,
        "maxReplicas": 5,
        "metrics": [{"type": "Resource", "resource": cpu}],
    }


async def see_it_act(here: Installation) -> None:
    done = {"Verifying", "Completed", "RollingBack", "RolledBack"}

    async def has_acted(action: str, *models: str) -> bool:
        phases = await here.phases(action)
        return all(phases.get(model) in done for model in models)

    scaled = ("plain", "ordinal", "floored", "made", "keda")
    await eventually(lambda: has_acted("SCALE", *scaled), within_s=120)
    await eventually(lambda: has_acted("ROUTE", "gone", "weighed"), within_s=120)
    await eventually(lambda: _split(here, lost=0, spare=100), within_s=120)
    if here.caches:
        await eventually(lambda: has_acted("CACHE", "cached"), within_s=120)
    else:
        await eventually(lambda: _is(here, "CACHE", "cached", "Rejected"), within_s=120)

    if here.feeds:
        await eventually(lambda: _fed(here, "q-learning"), within_s=120)
        operations = [{"op": "add", "path": "/spec/router/strategy", "value": "ucb"}]
        await here.client.patch_json(Ref(ROUTING_POLICY, here.namespace, "fed"), operations)
        await eventually(lambda: _fed(here, "ucb"), within_s=120)

    async def asked() -> bool:
        told = recorded(here.audited.log, USER)
        return any(one.right and one.right.resource == "secrets" for one in told)

    if "AURORA_WEBHOOK_HOSTS" in environment(here.objects):
        await eventually(asked, within_s=120)
    await deny(here, "asks")


async def _fed(here: Installation, strategy: str) -> bool:
    found = await here.client.get(Ref(CONFIG_MAP, here.namespace, "aurora-router-fed"))
    return found is not None and f'"{strategy}"' in found["data"]["policy.json"]


async def _split(here: Installation, **weights: int) -> bool:
    found = await here.client.get(Ref(HTTP_ROUTE, here.namespace, "split"))
    assert found is not None
    return bool(found["spec"] == _route(**weights))


async def deny(here: Installation, model: str) -> None:
    """A person denies what was proposed for a model."""

    async def proposed() -> Json | None:
        found = (await here.client.list(DECISION, namespace=here.namespace)).items
        return next((one for one in found if one["spec"]["modelRef"]["name"] == model), None)

    found = (await eventually(proposed))["metadata"]
    made = approval_manifest("no", found["name"], found["uid"], namespace=here.namespace)
    made["spec"] |= {"approver": "jane", "verdict": "Deny"}
    grant = ("--clusterrole=aurora-approver", "--user=jane", "-n", here.namespace)
    here.kubectl("create", "rolebinding", "jane", *grant).ok()
    here.kubectl("create", "-f", "-", manifest=made, user="jane").ok()
    await eventually(lambda: _is(here, "SCALE", model, "Denied"))


async def _is(here: Installation, action: str, model: str, phase: str) -> bool:
    return (await here.phases(action)).get(model) == phase


class Held:
    """The Lease, while no operator runs."""

    def remaining_s(self) -> float:
        return 60.0


async def do_what_comes_with_time(here: Installation) -> None:
    """A sweep that no watch helps, an Event that repeats, and the housekeeping of a week later."""
    places = here.settings().watch_namespaces
    async with KubeClient(Connection(here.account)) as client:
        # The watch brought nothing: each object is a gap and read by itself.
        fleet = Fleet(
            control_namespace=SYSTEM,
            watched=await served_kinds(client, clusterwide=not places, namespaces=places),
        )
        await Sweeper(client, fleet, namespaces=places, arrival_s=0.0).sync()
        events = EventRecorder(client, fence=Held(), instance="test")
        for _ in range(2):
            regarding = Ref(MODEL_DEPLOYMENT, here.namespace, "plain")
            await events.record(regarding, uid="", reason="Executed", note="", action="SCALE")
        await _keep_house(client, fleet, here.folder)


async def _keep_house(client: KubeClient, fleet: Fleet, folder: Path) -> None:
    """The Decision that was denied goes after a week, and then the Approval that it leaves."""
    writer = Writer(client, fence=Held(), switch=ControlSwitch(client, namespace=SYSTEM))
    store = await Store.open(f"sqlite:///{folder}/house.db")
    later = time.time() + 8 * DAY
    decisions = list(fleet.decisions.values())
    for left in (decisions, [one for one in decisions if one.status.phase != Phase.DENIED]):
        seen = snapshot(
            *left,
            at=later,
            approvals=tuple(fleet.approvals.values()),
            models=view(fleet, at=later).models,
        )
        keeper = Housekeeper(writer, Archive(store), gone=lambda *_: None)
        await keeper.run(seen, seen.decisions, ledger_of(seen.decisions))
    await store.close()


def unlike(here: Installation) -> tuple[list[str], list[Right], list[Right]]:
    """Requests that were refused, rights that nobody used, and requests that no role covers."""
    asked = recorded(here.audited.log, USER)
    refused = [f"{one.code} {one.uri}" for one in asked if one.code in {401, 403}]
    used = {one.right for one in asked if one.right is not None}
    rights = granted(here.objects, "aurora", SYSTEM)
    idle = sorted(one for one in rights if not any(one.covers(other) for other in used))
    bare = sorted(one for one in used if not any(other.covers(one) for other in rights))
    return refused, idle, bare


@pytest.mark.parametrize(
    ("options", "scoped"),
    [
        pytest.param(EVERYTHING, False, id="every action in the whole cluster"),
        pytest.param((), True, id="the defaults in one namespace"),
    ],
)
async def test_the_roles_are_what_is_used(
    audited: AuditedPlane, tmp_path: Path, options: tuple[str, ...], scoped: bool
) -> None:
    namespace = "team-b" if scoped else "team-a"
    place = ("--set", f"watchNamespaces={{{namespace}}}") if scoped else ()
    async with installed(audited, tmp_path, namespace, *options, *place) as here:
        await set_the_stage(here)
        async with operating(here):
            await see_it_act(here)
        await do_what_comes_with_time(here)
        settings = here.settings()
        assert await uninstall_all(settings, say=print, stop_operator="aurora") == 0
        refused, idle, bare = unlike(here)
        assert refused == []
        assert idle == []
        assert bare == []
        deployments = {
            one.right.verb
            for one in recorded(audited.log, USER)
            if one.right and one.right.resource == "deployments.apps"
        }
        assert ("patch" in deployments) is here.caches
