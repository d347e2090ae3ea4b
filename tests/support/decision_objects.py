"""Decision and Approval objects as the API server gives them."""

from datetime import UTC, datetime
from typing import Any

from aurora.resources import Approval, DecisionObject
from tests.support.builders import NAMESPACE, NOW

DAY = 86_400.0


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decision_manifest(
    name: str, *, model: str = "llama", namespace: str = NAMESPACE, **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "aurora.dev/v1alpha1",
        "kind": "Decision",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "modelRef": {"name": model, "uid": f"uid-{model}"},
            "target": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": model,
                "uid": "uid-target",
            },
            "action": "SCALE",
            "direction": "Up",
            "parameters": {"from": {"replicas": "2"}, "to": {"replicas": "3"}},
            "reason": "ForecastAboveCapacity",
            "message": "2 replicas keep the objectives up to 18 requests/s.",
            "confidencePercent": 93,
            "tier": "Auto",
            "risk": "Low",
            "policyHash": "p1",
            "fingerprint": "f1",
        }
        | spec,
    }


def decision_status(
    phase: str, at: float, *, executed: bool = False, verdict: str = ""
) -> dict[str, Any]:
    condition = {
        "type": "Executed",
        "status": "True" if executed else "False",
        "reason": "Executed",
        "message": "",
        "lastTransitionTime": stamp(at),
    }
    made: dict[str, Any] = {"phase": phase, "conditions": [condition]}
    if verdict:
        made["outcome"] = {"verdict": verdict, "effect": "-1.3", "unit": "s"}
        made["outcome"] |= {"measuredAt": stamp(at)}
    return made


def decision_object(
    name: str = "llama-scale-1",
    *,
    age_days: float = 8.0,
    phase: str = "Completed",
    executed: bool = False,
    verdict: str = "",
    now: float = NOW,
    model: str = "llama",
    **spec: Any,
) -> DecisionObject:
    """A Decision made so many days ago, that ended then."""
    made = decision_manifest(name, model=model, **spec)
    at = now - age_days * DAY
    made["metadata"] |= {
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "creationTimestamp": stamp(at),
    }
    status = decision_status(phase, at, executed=executed, verdict=verdict)
    return DecisionObject.parse(made | {"status": status})


def approval_manifest(
    name: str, decision: str, uid: str, *, namespace: str = NAMESPACE
) -> dict[str, Any]:
    return {
        "apiVersion": "aurora.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "decisionRef": {"name": decision, "uid": uid},
            "verdict": "Approve",
            "approver": "somebody",
        },
    }


def approval_object(name: str, uid: str, *, age_days: float = 8.0, now: float = NOW) -> Approval:
    made = approval_manifest(name, "llama-scale-1", uid)
    made["metadata"] |= {
        "uid": f"uid-{name}",
        "resourceVersion": "8",
        "creationTimestamp": stamp(now - age_days * DAY),
    }
    return Approval.parse(made)
