"""The whole Cycle on a cluster in memory: real parts, a fake clock, every write recorded.

Only three things are not AURORA's own: the API server (`FakeCluster`), the numbers that Prometheus
would give (`Served`), and the answers to probes. A kubelet of ten lines makes pods.
"""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora.cycle import Cycle, Parts
from aurora.deliberation import Guardrails
from aurora.executor.archive import Archive
from aurora.executor.book import DecisionBook
from aurora.executor.cache import CacheActuator, CacheImages
from aurora.executor.dispatch import Dispatcher
from aurora.executor.effects import Effects
from aurora.executor.followup import FollowUp
from aurora.executor.housekeeping import Housekeeper
from aurora.executor.keepsakes import Keepsakes
from aurora.executor.records import Records
from aurora.executor.restore import Restorer
from aurora.executor.reverts import Reverts
from aurora.executor.router_feed import RouterFeed
from aurora.executor.statuses import Statuses
from aurora.kube.control import ControlSwitch
from aurora.kube.events import EventRecorder
from aurora.kube.kinds import (
    APPROVAL,
    CONFIG_MAP,
    DECISION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HPA,
    HTTP_ROUTE,
    MODEL_DEPLOYMENT,
    POD,
    ROUTING_POLICY,
    SERVICE,
    Kind,
    Ref,
)
from aurora.kube.writer import Writer
from aurora.memory.casebook import Casebook
from aurora.memory.embed import NumericEmbedder
from aurora.memory.keeper import MemoryKeeper
from aurora.observe.facts import ProbeFacts
from aurora.observe.fleet import Fleet
from aurora.observe.observer import Observer
from aurora.observe.projections import workload
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation, SourceFacts
from aurora.observe.view import Key, MetricsView, Wanted, WorkloadReadings
from aurora.resources import DecisionObject
from aurora.state.memory import MEMORY_VERSION
from aurora.store import MemoryRow, Store
from aurora.telemetry import Telemetry
from tests.support.builders import NAMESPACE, SPEC, merged
from tests.support.fakecluster import FakeCluster, Write
from tests.support.situations import taught

START = 1_800_000_000.0
CYCLE_S = 15.0
COLD_START_S = 30.0
SYSTEM = "aurora-system"
WATCHED: tuple[Kind, ...] = (
    MODEL_DEPLOYMENT,
    DECISION,
    APPROVAL,
    DEPLOYMENT,
    POD,
    SERVICE,
    ENDPOINT_SLICE,
    HPA,
    CONFIG_MAP,
    HTTP_ROUTE,
    ROUTING_POLICY,
)
SHORT = {
    "mode": "Auto",
    "verification": {"after": "30s", "for": "60s"},
    "cooldown": {"up": "60s", "down": "60s"},
}


@dataclass
class Clock:
    at: float = START

    def wall(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - START + 1000.0


@dataclass
class Served:
    """What one workload's engine exports; `None` where it exports nothing."""

    load: float = 4.0
    errors: float = 0.0
    client_errors: float = 0.0
    dark: Gap | None = None
    extra_ttft: float = 0.0

    def readings(self, at: float, ready: int) -> dict[Signal, Reading]:
        if self.dark is not None or ready == 0:
            return {}
        each = self.load / ready
        ttft = 0.2 * math.exp(min(10.0, 0.4 * each)) + self.extra_ttft
        values = {
            Signal.REQUEST_RATE: self.load,
            Signal.SERVER_ERROR_RATIO: self.errors,
            Signal.CLIENT_ERROR_RATIO: self.client_errors,
            Signal.LATENCY_P95: ttft + 1.0,
            Signal.LATENCY_MEAN: ttft + 0.5,
            Signal.TTFT_P95: ttft,
            Signal.TPOT_P95: 0.03,
            Signal.RUNNING: each,
            Signal.WAITING: 0.0,
        }
        return {s: Sample(v, at - 5.0, 60.0, 500.0) for s, v in values.items()}


@dataclass
class Recorder:
    """People outside of the cluster: a webhook."""

    told: list[str] = field(default_factory=list)

    async def notify(self, found: DecisionObject) -> None:
        self.told.append(found.metadata.name)


class Fence:
    def remaining_s(self) -> float:
        return 30.0


@dataclass
class World:
    """A cluster that outlives the operators that look after it."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    served: dict[str, Served] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    probes_fail: bool = False
    people: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.cluster = FakeCluster(wall=self.clock.wall)
        self.stop("false")

    # What people and controllers do.

    def stop(self, value: str) -> None:
        name = {"name": "aurora-control", "namespace": SYSTEM}
        self.cluster.put(CONFIG_MAP, {"metadata": name, "data": {"stop": value}})

    def deploy(self, name: str = "llama", replicas: int = 2) -> None:
        self.served.setdefault(name, Served())
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {
                "containers": [{"name": "e", "ports": [{"name": "http", "containerPort": 8000}]}]
            },
        }
        self.cluster.put(
            DEPLOYMENT,
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": name}},
                    "template": template,
                },
            },
        )
        ports = [{"name": "http", "port": 80, "targetPort": 8000}]
        self.cluster.put(
            SERVICE,
            {
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"selector": {"app": name}, "ports": ports},
            },
        )
        self.kubelet(at_once=True)

    def apply_model(self, name: str = "llama", **spec: Any) -> None:
        body = merged(
            SPEC | {"targetRef": {"name": name}, "serviceRef": {"name": name}}, {"autonomy": SHORT}
        )
        self.cluster.put(
            MODEL_DEPLOYMENT,
            {
                "apiVersion": "aurora.dev/v1alpha1",
                "kind": "ModelDeployment",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": merged(body, spec),
            },
        )

    def approve(self, found: DecisionObject, verdict: str = "Approve") -> None:
        ref = {"name": found.metadata.name, "uid": found.metadata.uid}
        self.cluster.put(
            APPROVAL,
            {
                "apiVersion": "aurora.dev/v1alpha1",
                "kind": "Approval",
                "metadata": {"name": f"{found.metadata.name}-ann", "namespace": NAMESPACE},
                "spec": {"decisionRef": ref, "verdict": verdict, "approver": "ann"},
            },
        )

    def set_replicas(self, count: int, name: str = "llama") -> None:
        obj = self.cluster.peek(Ref(DEPLOYMENT, NAMESPACE, name))
        obj["spec"]["replicas"] = count
        self.cluster.put(DEPLOYMENT, obj)

    def kubelet(self, *, at_once: bool = False) -> None:
        """Pods follow replicas; they are ready after a cold start, unless they are broken.

        An autoscaler lifts its target to its floor, as the real one does at once.
        """
        for hpa in self.cluster.all_of(HPA):
            name, floor = hpa["spec"]["scaleTargetRef"]["name"], hpa["spec"]["minReplicas"]
            if self.replicas(name) < floor:
                self.set_replicas(floor, name)
        for obj in self.cluster.all_of(DEPLOYMENT):
            self._pods_of(obj, at_once=at_once)
        for obj in self.cluster.all_of(SERVICE):
            self._slice_of(obj)

    def _pods_of(self, obj: dict[str, Any], *, at_once: bool) -> None:
        name, wanted = obj["metadata"]["name"], obj["spec"]["replicas"]
        for place, pod in enumerate(self._pods(name)):
            if place >= wanted:
                self.cluster.remove(Ref(POD, NAMESPACE, pod["metadata"]["name"]))
        for place in range(wanted):
            ref = Ref(POD, NAMESPACE, f"{name}-0-{place}")
            known = next((p for p in self._pods(name) if p["metadata"]["name"] == ref.name), None)
            pod = known or self._pod(ref.name, name, aged=at_once)
            made = self._with_health(pod, name)
            if known is None or made["status"] != known["status"]:
                self.cluster.put(POD, made)
        ready = sum(_is_ready(pod) for pod in self._pods(name))
        status = {
            "replicas": wanted,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": wanted,
            "observedGeneration": obj["metadata"]["generation"],
        }
        if obj.get("status") != status:
            self.cluster.put(DEPLOYMENT, obj | {"status": status})

    def _pods(self, name: str) -> list[dict[str, Any]]:
        found = [p for p in self.cluster.all_of(POD) if p["metadata"]["labels"]["app"] == name]
        return sorted(found, key=lambda pod: pod["metadata"]["name"])

    def _pod(self, pod: str, name: str, *, aged: bool) -> dict[str, Any]:
        created = self.clock.at - (3600.0 if aged else 0.0)
        owner = {"kind": "ReplicaSet", "name": f"{name}-0", "controller": True}
        return {
            "metadata": {
                "name": pod,
                "namespace": NAMESPACE,
                "labels": {"app": name, "pod-template-hash": "0"},
                "ownerReferences": [owner],
                "creationTimestamp": _stamp(created),
            },
            "spec": {"nodeName": "node-1", "containers": [{"name": "e"}]},
            "status": {},
        }

    def _with_health(self, pod: dict[str, Any], name: str) -> dict[str, Any]:
        born = datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()
        ready = self.clock.at - born >= COLD_START_S and name not in self.broken
        before = _condition(pod, "Ready")
        same = before.get("status") == str(ready)
        since = before.get("lastTransitionTime") if same else _stamp(self.clock.at)
        if born < START:
            since = since if same else _stamp(self.clock.at if before else born + COLD_START_S)
        crash = [{"name": "e", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
        status = {
            "phase": "Running",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": _stamp(born)},
                {"type": "Ready", "status": str(ready), "lastTransitionTime": since},
            ],
            "containerStatuses": crash if name in self.broken else [],
        }
        return pod | {"status": status}

    def _slice_of(self, service: dict[str, Any]) -> None:
        name, selector = service["metadata"]["name"], service["spec"]["selector"]
        backing = [
            pod
            for pod in self.cluster.all_of(POD)
            if selector.items() <= pod["metadata"]["labels"].items()
        ]
        endpoints = [{"conditions": {"ready": _is_ready(pod)}} for pod in backing]
        known = [s for s in self.cluster.all_of(ENDPOINT_SLICE) if s["metadata"]["name"] == name]
        if known and known[0]["endpoints"] == endpoints:
            return
        labels = {"kubernetes.io/service-name": name}
        self.cluster.put(
            ENDPOINT_SLICE,
            {
                "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
                "addressType": "IPv4",
                "endpoints": endpoints,
            },
        )

    # What AURORA asks of the outside.

    async def read(self, at: float, wanted: Mapping[Key, Wanted]) -> MetricsView:
        workloads = {key: self._readings(key[1], want, at) for key, want in wanted.items()}
        return MetricsView(at, workloads, SourceFacts(queries=7))

    def _readings(self, name: str, want: Wanted, at: float) -> WorkloadReadings:
        served = self.served.get(name, Served())
        ready = sum(_is_ready(pod) for pod in self._pods(name))
        found = served.readings(at, ready)
        gap = Missing(served.dark or Gap.NO_DATA)
        asked: dict[Signal, Reading] = {s: found.get(s, gap) for s in want.signals}
        queries = {signal: f"query of {signal}" for signal in asked}
        return WorkloadReadings(asked, queries, model_names=frozenset({"llama"}))

    async def probe(self, observation: ModelObservation) -> ProbeFacts:
        ready = sum(pod.ready for pod in observation.pods)
        return ProbeFacts(0 if self.probes_fail or not ready else 99)

    # What is looked at.

    def decisions(self, **wanted: str) -> list[DecisionObject]:
        found = [DecisionObject.parse(one) for one in self.cluster.all_of(DECISION)]
        return [
            one
            for one in sorted(found, key=lambda one: one.metadata.name)
            if all(str(getattr(one.spec, name, None)) == value for name, value in wanted.items())
        ]

    def phases(self, **wanted: str) -> list[str]:
        return [str(one.status.phase) for one in self.decisions(**wanted)]

    def replicas(self, name: str = "llama") -> int:
        return int(self.cluster.peek(Ref(DEPLOYMENT, NAMESPACE, name))["spec"]["replicas"])

    def selector(self, name: str = "llama") -> dict[str, str]:
        return dict(self.cluster.peek(Ref(SERVICE, NAMESPACE, name))["spec"]["selector"])

    def writes(self, *, to: str = "", touching: str = "") -> list[Write]:
        return [
            one
            for one in self.cluster.writes
            if one[1].startswith(to) and touching in one[2] and not one[1].startswith("Event/")
        ]


async def teach(world: World, name: str = "llama", *, load: float, ready: int) -> None:
    """Let the records hold what an hour at this load would have taught."""
    target = workload(world.cluster.peek(Ref(DEPLOYMENT, NAMESPACE, name)), kind="Deployment")
    assert target is not None
    learned = taught(load, ready=ready)
    curves = replace(learned.capacity, template_hash=target.template_hash)
    body = replace(learned, capacity=curves).to_json()
    store = await Store.open(f"sqlite:///{world.folder}/aurora.db")
    await store.save_memory(
        [
            MemoryRow(
                namespace=NAMESPACE,
                model=name,
                version=MEMORY_VERSION,
                body=body,
                updated_at=START,
            )
        ]
    )
    await store.close()


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(pod: dict[str, Any], type_: str) -> dict[str, Any]:
    found = pod.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == type_), {})


def _is_ready(pod: dict[str, Any]) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


@dataclass
class Operator:
    """One process that looks after a world."""

    world: World
    cycle: Cycle
    fleet: Fleet
    telemetry: Telemetry

    async def cycles(self, count: int = 1) -> None:
        for _ in range(count):
            self.world.clock.at += CYCLE_S
            self.world.kubelet()
            await self.cycle.run()

    async def until(self, *phases: str, within: int = 40, **wanted: str) -> None:
        """Run cycles until the decisions stand in these phases."""
        for _ in range(within):
            if tuple(self.world.phases(**wanted)) == phases:
                return
            await self.cycles()
        raise AssertionError(f"{self.world.phases(**wanted)} and not {phases}")


@asynccontextmanager
async def operator(world: World, **guardrails: Any) -> AsyncIterator[Operator]:
    """Start an operator, as after a restart: it knows what the cluster and the records say."""
    cluster: Any = world.cluster
    fleet = Fleet(control_namespace=SYSTEM, watched=WATCHED, monotonic=world.clock.monotonic)
    for kind in WATCHED:
        for obj in cluster.all_of(kind):
            fleet.apply_event(kind, None, obj)
        fleet.mark_listed(kind)
    cluster.listeners[:] = [fleet.apply_event]
    store = await Store.open(f"sqlite:///{world.folder}/aurora.db")
    try:
        cycle, telemetry = await _cycle(world, cluster, fleet, store, Guardrails(**guardrails))
        yield Operator(world, cycle, fleet, telemetry)
    finally:
        cluster.listeners.clear()
        await store.close()


async def _cycle(
    world: World, cluster: Any, fleet: Fleet, store: Store, guardrails: Guardrails
) -> tuple[Cycle, Telemetry]:
    telemetry, reverts, fence = Telemetry(), Reverts(), Fence()
    writer = Writer(cluster, fence=fence, switch=ControlSwitch(cluster, namespace=SYSTEM))
    cache = CacheActuator(cluster, writer, CacheImages("nginx", None))
    effects = Effects(cluster, writer, cache, known=fleet.autoscaler)
    casebook = await Casebook.open(store, None, NumericEmbedder(), clock=world.clock.wall)
    keeper = MemoryKeeper(store, casebook, retention_days=30.0)
    await keeper.load()
    book = DecisionBook(cluster, writer, seen=fleet.written_decision, renewed=fleet.written_status)
    events = EventRecorder(
        cluster,
        fence=fence,
        instance="test",
        now=lambda: datetime.fromtimestamp(world.clock.at, UTC),
    )
    keepsakes = Keepsakes(
        cluster,
        writer,
        events,
        world.people,
        seen=lambda kind, body: fleet.apply_event(kind, "MODIFIED", body),
        renewed=fleet.written_metadata,
        known=fleet.subject,
    )
    followup = FollowUp(
        dispatcher=Dispatcher(book, effects, keepsakes, Records(store)),
        keepsakes=keepsakes,
        book=book,
        restorer=Restorer(cluster, writer, effects),
        keeper=keeper,
        reverts=reverts,
        guardrails=guardrails,
        telemetry=telemetry,
    )
    routers = RouterFeed(cluster, writer, telemetry)
    observer = Observer(fleet, world, world, wall=world.clock.wall, monotonic=world.clock.monotonic)
    parts = Parts(
        observer=observer,
        followup=followup,
        housekeeper=Housekeeper(
            writer,
            Archive(store),
            gone=lambda kind, body: fleet.apply_event(kind, "DELETED", body),
        ),
        routers=routers,
        statuses=Statuses(writer, fleet, reverts, telemetry, routers=routers),
        keeper=keeper,
        reverts=reverts,
        telemetry=telemetry,
        guardrails=guardrails,
        leads=lambda: True,
        writes=lambda: len(cluster.writes),
    )
    return Cycle(parts), telemetry
