"""Minimal values for tests: each builder gives a healthy object, and takes what should differ."""

from collections.abc import Mapping
from typing import Any

from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.observe.facts import (
    AutoscalerFacts,
    ControlFacts,
    EndpointFacts,
    ObjectKey,
    PodFacts,
    ServiceFacts,
    ServicePort,
    WorkloadFacts,
    WorkloadKey,
)
from aurora.observe.sample import Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.resources import ModelDeployment
from aurora.resources.vocabulary import Action, Phase

NOW = 1_800_000_000.0
NAMESPACE = "models"
KEY = ObjectKey(NAMESPACE, "llama")
WORKLOAD = WorkloadKey("Deployment", NAMESPACE, "llama")

SPEC: dict[str, Any] = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama"},
    "serviceRef": {"name": "llama"},
    "objectives": {"ttftP95": "3s", "tpotP95": "100ms"},
    "scaling": {"minReplicas": 1, "maxReplicas": 8},
    "autonomy": {"mode": "Auto"},
}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested mapping over another."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def model(
    *, annotations: Mapping[str, str] | None = None, name: str = "llama", **spec: Any
) -> ModelDeployment:
    return ModelDeployment.parse(
        {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": f"uid-{name}",
                "generation": 1,
                "annotations": dict(annotations or {}),
            },
            "spec": merged(SPEC, spec),
        }
    )


def target(replicas: int = 2, **over: Any) -> WorkloadFacts:
    fields: dict[str, Any] = {
        "key": WORKLOAD,
        "api_version": "apps/v1",
        "uid": "uid-target",
        "resource_version": "100",
        "generation": 1,
        "observed_generation": 1,
        "replicas": replicas,
        "ready_replicas": replicas,
        "available_replicas": replicas,
        "updated_replicas": replicas,
        "match_labels": {"app": "llama"},
        "template_hash": "hash-1",
    }
    return WorkloadFacts(**(fields | over))


def pod(index: int = 0, **over: Any) -> PodFacts:
    fields: dict[str, Any] = {
        "key": ObjectKey(NAMESPACE, f"llama-7c9d8f6b5d-{index:05d}"),
        "uid": f"uid-pod-{index}",
        "workload": "llama",
        "created_at": NOW - 3600.0,
        "scheduled_at": NOW - 3599.0,
        "ready": True,
        "ready_at": NOW - 3480.0,
        "restarts": 0,
        "crash_looping": False,
        "unschedulable": "",
        "deleting": False,
        "template_hash": "hash-1",
    }
    return PodFacts(**(fields | over))


def autoscaler(floor: int = 1, ceiling: int = 8, **over: Any) -> AutoscalerFacts:
    fields: dict[str, Any] = {
        "kind": "HorizontalPodAutoscaler",
        "key": KEY,
        "api_version": "autoscaling/v2",
        "uid": "uid-hpa",
        "resource_version": "200",
        "target": WORKLOAD,
        "floor": floor,
        "ceiling": ceiling,
    }
    return AutoscalerFacts(**(fields | over))


def service(name: str = "llama", **over: Any) -> ServiceFacts:
    fields: dict[str, Any] = {
        "key": ObjectKey(NAMESPACE, name),
        "uid": f"uid-service-{name}",
        "resource_version": "300",
        "selector": {"app": name},
        "ports": (ServicePort("http", 80, "http"),),
        "headless": False,
    }
    return ServiceFacts(**(fields | over))


def endpoints(ready: int = 2, *, name: str = "llama", since: float | None = None) -> EndpointFacts:
    return EndpointFacts(ObjectKey(NAMESPACE, name), ready, max(ready, 2), since)


def sample(value: float, **over: Any) -> Sample:
    return Sample(**({"value": value, "at": NOW - 5, "window_s": 60.0, "samples": 500} | over))


def signals(**over: Reading | float) -> dict[Signal, Reading]:
    """A quiet healthy model; keyword names are the Signal members in lower case."""
    healthy: dict[str, Reading | float] = {
        "request_rate": 4.0,
        "server_error_ratio": 0.0,
        "client_error_ratio": 0.0,
        "latency_p95": 0.6,
        "latency_mean": 0.4,
        "ttft_p95": 0.3,
        "tpot_p95": 0.03,
        "tpot_mean": 0.025,
        "running": 4.0,
        "waiting": 0.0,
        "kv_cache_ratio": 0.2,
    }
    return {
        Signal[name.upper()]: value if not isinstance(value, int | float) else sample(value)
        for name, value in (healthy | over).items()
    }


def observation(**over: Any) -> ModelObservation:
    fields: dict[str, Any] = {
        "model": model(),
        "target": target(),
        "pods": (pod(0), pod(1)),
        "service": service(),
        "endpoints": endpoints(),
        "signals": signals(),
    }
    return ModelObservation(**(fields | over))


def entry(**over: Any) -> LedgerEntry:
    fields: dict[str, Any] = {
        "id": "llama-scale-1",
        "model": KEY,
        "target": "uid-target",
        "action": Action.SCALE,
        "direction": Direction.UP,
        "reason": "ForecastAboveCapacity",
        "phase": Phase.COMPLETED,
        "fingerprint": "f1",
        "protective": False,
        "decided_at": NOW - 600,
        "executed_at": NOW - 600,
    }
    return LedgerEntry(**(fields | over))


def ledger(*entries: LedgerEntry) -> Ledger:
    return Ledger.of(entries)


def control(*, stopped: bool = False, readable: bool = True) -> ControlFacts:
    return ControlFacts(readable=readable, stopped=stopped)
