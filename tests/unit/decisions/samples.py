"""A decision and a model as the API server gives them, with everything that can be shown."""

from datetime import UTC, datetime
from typing import Any

from aurora.decisions.model import ModelView
from aurora.kube.switch import Switch
from aurora.resources import DecisionObject, ModelDeployment, RoutingPolicy
from tests.support.objects import merged

NOW = datetime(2026, 1, 1, 12, 10, tzinfo=UTC)
RUNNING = Switch(True, False)
STOPPED = Switch(True, True, "stopped by the ConfigMap aurora-control: maintenance")

DECISION: dict[str, Any] = {
    "metadata": {
        "name": "llama-scale-1",
        "namespace": "models",
        "uid": "33333333-0000-4000-8000-000000000000",
        "creationTimestamp": "2026-01-01T12:00:00Z",
    },
    "spec": {
        "modelRef": {"name": "llama", "uid": "uid-llama"},
        "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama", "uid": "uid-t"},
        "action": "SCALE",
        "direction": "Up",
        "parameters": {"from": {"replicas": "2"}, "to": {"replicas": "3", "undo": "other"}},
        "reason": "LatencyAboveObjective",
        "message": "p95 is 3.1 s, above the objective of 2 s: three replicas carry the load.",
        "confidencePercent": 87,
        "tier": "Monitored",
        "risk": "Low",
        "protective": True,
        "evidence": [
            {
                "signal": "latencyP95",
                "query": "histogram_quantile(0.95, sum by (le) (rate(x_bucket[1m])))",
                "value": "3.1",
                "unit": "s",
                "threshold": "2",
                "samples": 412,
                "window": "1m",
                "at": "2026-01-01T12:00:00Z",
            },
            {"signal": "readyEndpoints", "value": "2", "unit": "", "at": "2026-01-01T12:00:00Z"},
        ],
        "expectedEffect": {
            "signal": "latencyP95",
            "direction": "Down",
            "delta": "-1.4",
            "low": "-1.9",
            "high": "-0.8",
            "unit": "s",
            "by": "2026-01-01T12:07:00Z",
        },
        "rollbackIf": [{"signal": "latencyP95", "operator": ">", "value": "3.7"}],
        "precedents": [
            {"decision": "llama-scale-0", "similarityPercent": 94, "outcome": "Improved"},
            {"decision": "qwen-scale-7", "similarityPercent": 61},
        ],
        "alternatives": [
            {
                "action": "CACHE",
                "reason": "LowerPriority",
                "message": "Only 4 % of requests repeat within the TTL.",
            }
        ],
        "policyHash": "ab12",
        "fingerprint": "f00d",
        "expiresAt": "2026-01-01T13:00:00Z",
    },
    "status": {
        "phase": "Completed",
        "decidedBy": "aurora",
        "conditions": [
            {
                "type": "Approved",
                "status": "True",
                "reason": "WithinGuardrails",
                "lastTransitionTime": "2026-01-01T12:00:01Z",
            },
            {
                "type": "Executed",
                "status": "True",
                "reason": "Executed",
                "message": "The change is in force.",
                "lastTransitionTime": "2026-01-01T12:00:02Z",
            },
        ],
        "changes": [
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "namespace": "models",
                "name": "llama",
                "uid": "uid-hpa",
                "path": "/spec/minReplicas",
                "from": "2",
                "to": "3",
                "appliedAt": "2026-01-01T12:00:02Z",
            }
        ],
        "outcome": {
            "verdict": "Improved",
            "effect": "-1.3",
            "low": "-1.6",
            "high": "-0.9",
            "unit": "s",
            "message": "p95 fell by 1.3 s against what the load would have given without it.",
            "measuredAt": "2026-01-01T12:07:00Z",
        },
    },
}

MODEL: dict[str, Any] = {
    "metadata": {
        "name": "llama",
        "namespace": "models",
        "uid": "uid-llama",
        "generation": 1,
        "creationTimestamp": "2026-01-01T09:00:00Z",
    },
    "spec": {
        "targetRef": {"name": "llama"},
        "serviceRef": {"name": "llama"},
        "autonomy": {"mode": "Auto"},
    },
    "status": {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Reconciled",
                "message": "Everything the object asks for was observed.",
                "lastTransitionTime": "2026-01-01T09:00:15Z",
            }
        ],
        "replicas": {"current": 3, "ready": 3},
        "signals": [
            {"name": "latencyP95", "value": "3.1", "unit": "s"},
            {"name": "accuracyRatio", "reason": "NoData"},
        ],
    },
}

BACKENDS = ("fast", "slow")
POLICY: dict[str, Any] = {
    "metadata": {
        "name": "chat",
        "namespace": "models",
        "uid": "uid-chat",
        "generation": 1,
        "creationTimestamp": "2026-01-01T07:00:00Z",
    },
    "spec": {
        "routeRef": {"name": "chat"},
        "backends": [{"name": name, "serviceRef": {"name": name, "port": 80}} for name in BACKENDS],
        "strategy": "Learned",
        "learning": {"percent": 20},
        "autonomy": {"mode": "Auto"},
    },
    "status": {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Programmed",
                "status": "False",
                "reason": "OnTheWay",
                "message": "As far as was learned, fast earns the most reward.",
                "lastTransitionTime": "2026-01-01T11:00:15Z",
            }
        ],
        "weights": "fast=50 slow=50",
        "wanted": "fast=60 slow=40",
        "measuredAt": "2026-01-01T12:09:00Z",
        "backends": [
            {
                "name": "fast",
                "wantedPercent": 60,
                "weightPercent": 50,
                "ready": 2,
                "latencyP95": "0.81",
                "errorRatio": "0",
                "requestRate": "4.2",
                "costPerHour": "5.00",
                "audit": "Passed",
            },
            {"name": "slow", "weightPercent": 50, "message": "It has no ready endpoint."},
        ],
        "comparison": {
            "verdict": "LearnedBetter",
            "blocks": 42,
            "since": "2026-01-01T08:00:00Z",
            "learned": {
                "weights": "fast=99 slow=1",
                "reward": "8.31",
                "rewardLow": "8.25",
                "rewardHigh": "8.37",
                "errorRatio": "0.001",
                "latencyMean": "0.84",
            },
            "rules": {"weights": "fast=50 slow=50", "reward": "7.41"},
            "difference": "0.9",
            "differenceLow": "0.79",
            "differenceHigh": "1.01",
            "pValue": "0.00002",
        },
    },
}


def policy(**over: Any) -> RoutingPolicy:
    return RoutingPolicy.parse(merged(POLICY, over))


def policy_view(*decisions: DecisionObject, **over: Any) -> ModelView:
    return ModelView(policy(**over), decisions, RUNNING, NOW)


def decision(**over: Any) -> DecisionObject:
    return DecisionObject.parse(merged(DECISION, over))


def waiting(**over: Any) -> DecisionObject:
    """Awaits approval: nothing was written and nothing measured."""
    approved = {
        "type": "Approved",
        "status": "Unknown",
        "reason": "ConfidenceLow",
        "message": "confidence 62 % is below 70 %",
        "lastTransitionTime": "2026-01-01T12:00:01Z",
    }
    status = {"phase": "AwaitingApproval", "conditions": [approved]}
    base = {**DECISION, "status": status}
    return DecisionObject.parse(merged(base, over))


def model(**over: Any) -> ModelDeployment:
    return ModelDeployment.parse(merged(MODEL, over))


def view(*decisions: DecisionObject, switch: Switch = RUNNING, **over: Any) -> ModelView:
    return ModelView(model(**over), decisions, switch, NOW)


def condition(type_: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T12:00:00Z",
    }
