"""Minimal rows for the store's tests."""

from typing import Any

from aurora.store import DecisionRow, OutcomeRow, StateRow

NOW = 1_800_000_000.0
DAY = 86_400.0


def decision(identity: str = "d1", **over: Any) -> DecisionRow:
    fields: dict[str, Any] = {
        "id": identity,
        "namespace": "models",
        "model": "llama",
        "action": "SCALE",
        "reason": "LatencyHigh",
        "message": "p95 is 2.1 s, objective 2 s",
        "confidence": 0.93,
        "tier": "Auto",
        "risk": "Low",
        "created_at": NOW,
        "features": {"load": 1.5},
        "case_text": "scale out under load",
    }
    return DecisionRow(**(fields | over))


def outcome(identity: str = "d1", **over: Any) -> OutcomeRow:
    fields: dict[str, Any] = {"decision": identity, "verdict": "Improved", "measured_at": NOW + 300}
    return OutcomeRow(**(fields | over))


def state(at: float = NOW, **over: Any) -> StateRow:
    fields: dict[str, Any] = {
        "namespace": "models",
        "model": "llama",
        "at": at,
        "reason": "Healthy",
        "policy_hash": "p1",
        "snapshot": {"load": at, "latency": {"value": 0.5, "unit": "s"}},
    }
    return StateRow(**(fields | over))
