"""A valid object of each kind, and how a malformed one is made of it."""

from dataclasses import dataclass
from typing import Any

import yaml

OPERATOR = "system:serviceaccount:aurora-system:aurora"
APPROVER = "jane"
REMOVED = "removed"

MODEL = {
    "apiVersion": "aurora.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "llama", "namespace": "default"},
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama"},
        "serviceRef": {"name": "llama"},
    },
}
DECISION = {
    "apiVersion": "aurora.dev/v1alpha1",
    "kind": "Decision",
    "metadata": {"name": "llama-scale-1", "namespace": "default"},
    "spec": {
        "modelRef": {"name": "llama", "uid": "11111111-0000-4000-8000-000000000000"},
        "target": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "llama",
            "uid": "22222222-0000-4000-8000-000000000000",
        },
        "action": "SCALE",
        "direction": "Up",
        "parameters": {"from": {"replicas": "2"}, "to": {"replicas": "3"}},
        "reason": "LatencyAboveObjective",
        "message": "p95 is 3.1 s, above the objective of 2 s, and two replicas are saturated.",
        "confidencePercent": 87,
        "tier": "Monitored",
        "risk": "Low",
        "evidence": [
            {
                "signal": "latencyP95",
                "query": "histogram_quantile(0.95, ...)",
                "value": "3.1",
                "unit": "s",
                "threshold": "2",
                "samples": 412,
                "window": "5m",
                "at": "2026-01-01T12:00:00Z",
            }
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
        "policyHash": "sha256:0",
        "fingerprint": "llama/SCALE/Up",
        "expiresAt": "2026-01-01T13:00:00Z",
    },
}
APPROVAL = {
    "apiVersion": "aurora.dev/v1alpha1",
    "kind": "Approval",
    "metadata": {"name": "llama-scale-1-jane", "namespace": "default"},
    "spec": {
        "decisionRef": {"name": "llama-scale-1", "uid": "33333333-0000-4000-8000-000000000000"},
        "verdict": "Approve",
        "approver": APPROVER,
    },
}
POLICY = {
    "apiVersion": "aurora.dev/v1alpha1",
    "kind": "RoutingPolicy",
    "metadata": {"name": "chat", "namespace": "default"},
    "spec": {
        "routeRef": {"name": "chat"},
        "backends": [
            {"name": "stable", "serviceRef": {"name": "chat-stable", "port": 80}, "weight": 90},
            {"name": "canary", "serviceRef": {"name": "chat-canary", "port": 80}, "weight": 10},
        ],
    },
}
GOOD = {one["kind"]: one for one in (MODEL, POLICY, DECISION, APPROVAL)}
USERS = {
    "ModelDeployment": None,
    "RoutingPolicy": None,
    "Decision": OPERATOR,
    "Approval": APPROVER,
}


@dataclass(frozen=True, slots=True)
class Bad:
    """One malformed object.

    Attributes:
        what: the mistake in a few words.
        change: YAML of what differs from the valid object; `removed` takes a field away.
        says: words that the answer must hold.
        existing: the valid object is there already and is changed into this one.
        user: who applies it; by default somebody who may.
    """

    what: str
    change: str
    says: str
    kind: str = "ModelDeployment"
    existing: bool = False
    user: str | None = None

    @property
    def manifest(self) -> dict[str, Any]:
        return merged(GOOD[self.kind], yaml.safe_load(self.change))

    @property
    def applied_by(self) -> str | None:
        return self.user or USERS[self.kind]


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        if value == REMOVED:
            result.pop(key)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result
