"""The whole loop on a real API server and a real Prometheus."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aurora.config import Settings
from aurora.factory import OperatorParts, operator_parts
from aurora.handlers.operator import OperatorOptions, run_operator
from aurora.kube.client import KubeClient
from aurora.kube.kinds import (
    APPROVAL,
    DECISION,
    DEPLOYMENT,
    EVENT,
    HPA,
    MODEL_DEPLOYMENT,
    SERVICE,
    Kind,
    Ref,
)
from tests.support.cluster import (
    connection_to,
    eventually,
    install_crds,
    own_namespace,
    set_switch,
)
from tests.support.controlplane import TestControlPlane
from tests.support.realprometheus import Exporters
from tests.support.served import QUICK, ServedModels

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]

CYCLE_S = 1.0
INTERVAL_S = 0.5
"""Between two cycles; below what Settings allow, since a test mostly waits for the next one."""


@dataclass
class World(ServedModels):
    """One namespace with a served model, and the operator that looks after it."""

    folder: Path
    parts: OperatorParts | None = None

    def settings(self, **over: Any) -> Settings:
        fields: dict[str, Any] = {
            "kubeconfig": self.plane.kubeconfig,
            "kube_context": self.plane.context,
            "namespace": self.namespace,
            "watch_namespaces": (self.namespace,),
            "cycle_seconds": CYCLE_S,
            "prometheus_url": self.plane.prometheus_url,
            "metrics_window_seconds": 8,
            "metrics_stale_seconds": 5,
            "store_url": f"sqlite:///{self.folder}/aurora.db",
            "index_path": self.folder / "index",
        }
        return Settings(**(fields | over))

    @asynccontextmanager
    async def operator(self, **over: Any) -> AsyncIterator[OperatorParts]:
        """Run the operator as `aurora operator` does, in this process."""
        async with operator_parts(self.settings(**over)) as parts:
            self.parts = parts
            stop = asyncio.Event()
            task = asyncio.create_task(
                run_operator(
                    parts.client,
                    parts.fleet,
                    parts.cycle.run,
                    options=OperatorOptions(interval_s=INTERVAL_S, namespaces=(self.namespace,)),
                    lease=parts.lease,
                    stop=stop,
                )
            )
            try:
                yield parts
            finally:
                stop.set()
                await task

    async def cycles(self, count: int) -> None:
        """Wait until so many more cycles have ended."""
        assert self.parts is not None
        seen = self._cycles()
        await eventually(lambda: self._cycles() >= seen + count, within_s=30 + 5 * count)

    def _cycles(self) -> float:
        assert self.parts is not None
        found = self.parts.telemetry.registry.get_sample_value(
            "aurora_cycle_seconds_count", {"stage": "remember"}
        )
        return found or 0.0

    def metric(self, name: str, **labels: str) -> float:
        assert self.parts is not None
        found = self.parts.telemetry.registry.get_sample_value(name, labels)
        return found or 0.0


@pytest.fixture
async def world(control_plane: TestControlPlane, tmp_path: Path) -> AsyncIterator[World]:
    exporters = Exporters()
    async with KubeClient(connection_to(control_plane)) as client:
        await install_crds(client)
        async with own_namespace(client) as namespace:
            await set_switch(client, namespace, "false")
            made = World(control_plane, client, namespace, exporters, tmp_path)
            yield made
            made.stop_serving()
    exporters.close()


async def test_too_few_replicas_are_scaled_up_and_everything_tells_of_it(world: World) -> None:
    await world.deploy("llama", 2)
    await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})
    async with world.operator():
        found = await eventually(lambda: world.decisions(action="SCALE", phase="Verifying"))
        assert await world.replicas() == 3
        for kind in (MODEL_DEPLOYMENT, DEPLOYMENT):
            last = await eventually(lambda kind=kind: _last_decision(world, kind))
            assert last["to"] == {"replicas": "3"}
        model = await world.get(MODEL_DEPLOYMENT, "llama")
        assert "aurora.dev/restore" in model["metadata"]["finalizers"]
        await eventually(lambda: _told(world, {"BelowMinimum", "Executed"}))
    with sqlite3.connect(world.folder / "aurora.db") as records:
        rows = records.execute("select id, action, reason from decisions").fetchall()
    assert rows == [(found[0]["metadata"]["name"], "SCALE", "BelowMinimum")]


async def test_a_violated_objective_is_met_with_replicas_and_then_nothing_is_written(
    world: World,
) -> None:
    await world.deploy("llama", 2)
    server = world.serve()
    await world.apply_model()
    async with world.operator():
        await eventually(lambda: _is(world, "MetricsAvailable", "True"), within_s=30)
        server.ttft_s, server.e2e_s = 2.0, 4.0
        found = await eventually(lambda: world.decisions(action="SCALE"), within_s=40)
        assert found[0]["spec"]["reason"] in {"ObjectiveViolated", "ForecastAboveCapacity"}
        assert found[0]["spec"]["evidence"][-1]["query"]
        server.ttft_s, server.e2e_s = 0.2, 0.5
        await eventually(lambda: world.decisions(phase="Completed"), within_s=90)
        await world.cycles(3)
        quiet = 0
        while quiet < 5:
            await world.cycles(1)
            quiet = quiet + 1 if world.metric("aurora_cycle_writes") == 0 else 0
        assert world.metric("aurora_cycle_queries") <= 10


async def test_only_the_floor_of_an_autoscaler_is_moved(world: World) -> None:
    await world.deploy("llama", 2)
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "llama", "namespace": world.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama"},
            "minReplicas": 2,
            "maxReplicas": 5,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 80},
                    },
                }
            ],
        },
    }
    await world.client.create(HPA, hpa)
    await world.apply_model(scaling={"minReplicas": 4, "maxReplicas": 6})
    async with world.operator():
        await eventually(lambda: world.decisions(action="SCALE", phase="Verifying"))
        spec = (await world.get(HPA, "llama"))["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (4, 5)
        await eventually(lambda: _replicas(world, 4), within_s=60)
        manager = [
            one["manager"]
            for one in (await world.get(DEPLOYMENT, "llama"))["metadata"]["managedFields"]
            if one.get("subresource") == "scale"
        ]
        assert "aurora" not in manager


async def test_two_autoscalers_are_a_conflict_and_nothing_is_done(world: World) -> None:
    await world.deploy("llama", 2)
    for name in ("one", "two"):
        await world.client.create(
            HPA,
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": name, "namespace": world.namespace},
                "spec": {
                    "scaleTargetRef": {
                        "apiVersion": "apps/v1",
                        "kind": "Deployment",
                        "name": "llama",
                    },
                    "minReplicas": 2,
                    "maxReplicas": 5,
                },
            },
        )
    await world.apply_model(scaling={"minReplicas": 4, "maxReplicas": 6})
    async with world.operator():
        await eventually(lambda: _is(world, "AutoscalerConflict", "True"))
        await world.cycles(3)
        assert await world.decisions() == []
        assert (
            "one and HorizontalPodAutoscaler two"
            in (await world.condition("AutoscalerConflict"))["message"]
        )


@pytest.mark.parametrize(
    ("breakage", "reason"),
    [
        pytest.param("gone", "MetricsStale", id="the exporter stopped"),
        pytest.param("nan", "NotFinite", id="the exporter says NaN"),
        pytest.param("down", "PrometheusError", id="Prometheus is unreachable"),
        pytest.param("empty", "MetricsMissing", id="Prometheus has no series"),
    ],
)
async def test_without_evidence_nothing_is_done_and_the_condition_says_why(
    world: World, breakage: str, reason: str
) -> None:
    await world.deploy("llama", 2)
    server = world.serve(ttft_s=2.0, e2e_s=4.0)
    if breakage == "empty":
        world.exporters.pages.clear()
    await world.apply_model(autonomy=QUICK | {"mode": "Recommend"})
    over = {"prometheus_url": "http://127.0.0.1:9"} if breakage == "down" else {}
    async with world.operator(**over):
        if breakage in {"gone", "nan"}:
            await eventually(lambda: _is(world, "MetricsAvailable", "True"), within_s=30)
            setattr(server, breakage, True)
        await eventually(lambda: _reason(world, "MetricsAvailable", reason), within_s=40)
        assert (await world.condition("Ready"))["status"] == "False"
        known = len(await world.decisions())
        await world.cycles(3)
        assert len(await world.decisions()) == known
        assert await world.replicas() == 2
        if breakage in {"gone", "nan"}:
            setattr(server, breakage, False)
            await eventually(lambda: _is(world, "MetricsAvailable", "True"), within_s=40)


async def test_with_some_pods_silent_nothing_is_taken_away(world: World) -> None:
    await world.deploy("llama", 4)
    world.serve(pods=2, rate=20.0, ttft_s=0.04, e2e_s=0.1)
    await world.apply_model()
    async with world.operator():
        await eventually(lambda: _reason(world, "MetricsAvailable", "PartialResponse"), within_s=40)
        await world.cycles(12)
        assert await world.decisions() == []
        assert await world.replicas() == 4


async def test_a_failing_primary_is_routed_around_and_comes_back_when_it_is_well(
    world: World,
) -> None:
    await world.deploy("llama", 2)
    await world.deploy("spare", 1)
    server = world.serve()
    world.serve("spare", pods=1, rate=50.0)
    world.exporters.pages["probe"] = lambda: None if server.error_share else "ok"
    await world.apply_model(
        scaling={"minReplicas": 2},
        fallback={"serviceRef": {"name": "spare"}, "probe": {"path": "/health", "count": 4}},
    )
    probe_url = f"http://{world.exporters.address}/probe"
    async with world.operator(probe_url=probe_url):
        await eventually(lambda: _is(world, "MetricsAvailable", "True"), within_s=30)
        server.error_share = 0.5
        await eventually(lambda: _selects(world, "spare"), within_s=40)
        away = (await world.decisions(action="ROUTE"))[0]
        assert away["spec"]["reason"] == "ServerErrors"
        server.error_share = 0.0
        await eventually(lambda: _selects(world, "llama"), within_s=100)
        back = (await world.decisions(action="ROUTE"))[1]
        assert back["spec"]["reason"] == "PrimaryRecovered"
        await eventually(lambda: _tells_of(world, back["metadata"]["name"]), within_s=20)


async def test_callers_are_not_sent_to_a_fallback_that_serves_another_name(world: World) -> None:
    await world.deploy("llama", 2)
    await world.deploy("spare", 1)
    server = world.serve(model="llama-8b")
    world.serve("spare", pods=1, model="llama-1b")
    await world.apply_model(fallback={"serviceRef": {"name": "spare"}})
    async with world.operator():
        await eventually(lambda: _is(world, "MetricsAvailable", "True"), within_s=30)
        server.error_share = 0.5
        wanted = {"action": "ROUTE", "phase": "Rejected"}
        found = await eventually(lambda: world.decisions(**wanted), within_s=40)
        await world.cycles(5)
        assert len(await world.decisions(action="ROUTE")) == len(found) == 1
        assert await _selects(world, "llama")
        assert world.metric("aurora_cycle_queries") <= 10
    told = "the fallback serves 'llama-1b' and the primary 'llama-8b'"
    assert told in found[0]["spec"]["message"]
    [condition] = [c for c in found[0]["status"]["conditions"] if c["reason"] == "ModelNameDiffers"]
    assert told in condition["message"]


async def test_a_proposal_waits_for_a_person_and_is_carried_out_on_approval(world: World) -> None:
    await world.deploy("llama", 2)
    await world.apply_model(
        scaling={"minReplicas": 3, "maxReplicas": 6}, autonomy=QUICK | {"mode": "Recommend"}
    )
    async with world.operator():
        found = (await eventually(lambda: world.decisions(phase="AwaitingApproval")))[0]
        await world.cycles(3)
        assert await world.replicas() == 2
        assert len(await world.decisions()) == 1
        assert (await world.condition("ApprovalPending"))["status"] == "True"
        await world.client.create(APPROVAL, _approval(found, "Approve"))
        await eventually(lambda: _replicas(world, 3))
        done = await world.get(DECISION, found["metadata"]["name"])
        assert done["status"]["decidedBy"] == "somebody"


async def test_a_denied_proposal_is_not_carried_out(world: World) -> None:
    await world.deploy("llama", 2)
    await world.apply_model(
        scaling={"minReplicas": 3, "maxReplicas": 6}, autonomy=QUICK | {"mode": "Recommend"}
    )
    async with world.operator():
        found = (await eventually(lambda: world.decisions(phase="AwaitingApproval")))[0]
        await world.client.create(APPROVAL, _approval(found, "Approve"))
        await world.client.create(APPROVAL, _approval(found, "Deny"))
        await eventually(lambda: world.decisions(phase="Denied"))
        assert await world.replicas() == 2


async def test_the_kill_switch_stops_writes_and_lifting_it_lets_them_go(world: World) -> None:
    await set_switch(world.client, world.namespace, "true")
    await world.deploy("llama", 2)
    await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})
    async with world.operator():
        await eventually(lambda: _reason(world, "Paused", "Stopped"))
        await world.cycles(3)
        assert await world.replicas() == 2
        assert await world.decisions() == []
        await set_switch(world.client, world.namespace, "false")
        await eventually(lambda: _replicas(world, 3))


async def test_deleting_the_model_gives_the_target_back_as_it_was_found(world: World) -> None:
    await world.deploy("llama", 2)
    made = await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})
    async with world.operator():
        await eventually(lambda: _replicas(world, 3))
        await world.client.delete(
            Ref(MODEL_DEPLOYMENT, world.namespace, "llama"), uid=made["metadata"]["uid"]
        )
        await eventually(lambda: _replicas(world, 2))
        await eventually(lambda: _gone(world, MODEL_DEPLOYMENT, "llama"))


async def test_a_decision_that_was_announced_before_a_crash_is_finished_once(world: World) -> None:
    await world.deploy("llama", 2)
    await world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 6})
    async with operator_parts(world.settings()) as parts:
        world.parts = parts
        stop = asyncio.Event()

        async def killed(*_: object, **__: object) -> None:
            stop.set()
            raise asyncio.CancelledError

        # The process dies between announcing the change and making it.
        parts.cycle.parts.followup._dispatcher._effects.bring_about = killed  # type: ignore[method-assign,assignment]
        await asyncio.wait_for(
            run_operator(
                parts.client,
                parts.fleet,
                parts.cycle.run,
                options=OperatorOptions(interval_s=INTERVAL_S, namespaces=(world.namespace,)),
                lease=parts.lease,
                stop=stop,
            ),
            timeout=60,
        )
    announced = await world.decisions(phase="Executing")
    assert len(announced) == 1
    assert await world.replicas() == 2
    async with world.operator():
        await eventually(lambda: _replicas(world, 3), within_s=40)
        await world.cycles(2)
        found = await world.decisions()
        assert [one["metadata"]["name"] for one in found] == [announced[0]["metadata"]["name"]]


def _approval(found: dict[str, Any], verdict: str) -> dict[str, Any]:
    metadata = found["metadata"]
    return {
        "apiVersion": "aurora.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {
            "name": f"{metadata['name']}-{verdict.lower()}",
            "namespace": metadata["namespace"],
        },
        "spec": {
            "decisionRef": {"name": metadata["name"], "uid": metadata["uid"]},
            "verdict": verdict,
            "approver": "somebody",
        },
    }


async def _is(world: World, type_: str, status: str) -> bool:
    return bool((await world.condition(type_)).get("status") == status)


async def _reason(world: World, type_: str, reason: str) -> bool:
    return bool((await world.condition(type_)).get("reason") == reason)


async def _replicas(world: World, wanted: int) -> bool:
    return await world.replicas() == wanted


async def _last_decision(world: World, kind: Kind) -> dict[str, Any]:
    found = await world.get(kind, "llama")
    text = found["metadata"].get("annotations", {}).get("aurora.dev/last-decision", "{}")
    return dict(json.loads(text))


async def _told(world: World, reasons: set[str]) -> bool:
    events = (await world.client.list(EVENT, namespace=world.namespace)).items
    return reasons <= {one["reason"] for one in events}


async def _selects(world: World, name: str) -> bool:
    service = await world.get(SERVICE, "llama")
    return bool(service["spec"]["selector"] == {"app": name})


async def _tells_of(world: World, decision: str) -> bool:
    model = await world.get(MODEL_DEPLOYMENT, "llama")
    return bool(model["status"]["lastDecision"]["name"] == decision)


async def _gone(world: World, kind: Kind, name: str) -> bool:
    return await world.client.get(Ref(kind, world.namespace, name)) is None
