"""Whole situations for tests: what was learned, the state, a planner's and a critic's input."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aurora.critic.ledger import Ledger
from aurora.critic.request import ActionRequest, CriticInput, FleetFacts
from aurora.observe.facts import NodeFacts, ObjectKey
from aurora.observe.sample import Signal
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.planner.decision import Decision, Direction, TargetRef
from aurora.planner.inputs import PlanInput
from aurora.planner.reasons import PlanReason
from aurora.resources import Approval, DecisionObject
from aurora.resources.vocabulary import Action
from aurora.state.advance import advance
from aurora.state.capacity import CapacityModel, Sustainable
from aurora.state.forecast import Series
from aurora.state.history import LATENCIES, Moment
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState
from tests.support.builders import KEY, NAMESPACE, NOW, control, merged, observation

CYCLE_S = 15.0
OBJECTIVE_S = 3.0


def ttft_at(load: float) -> float:
    """TTFT (s) of a replica of `taught` at a load in requests/s."""
    return 0.2 * math.exp(0.4 * load)


def curve(loads: tuple[float, ...] = (1, 2, 3, 4, 5, 6, 7, 8)) -> CapacityModel:
    """A capacity model that was seen at these loads per replica, four times each."""
    model = CapacityModel(template_hash="hash-1")
    at = NOW - 7200.0
    for load in loads * 4:
        at += 60.0
        model = model.learned({Signal.TTFT_P95: (ttft_at(load), 1.0)}, load=load, at=at)
    return model


def carried(*, headroom: float, probability: float = 0.6) -> float:
    """Requests/s that one replica of `taught` is taken to carry."""
    found = curve().sustainable_load_per_replica(
        {Signal.TTFT_P95: OBJECTIVE_S}, headroom=headroom, probability=probability
    )
    assert isinstance(found, Sustainable)
    return found.load


def series(load: float, *, until: float = NOW - CYCLE_S, hours: float = 1.0) -> Series:
    """A load that stayed the same."""
    found, at = Series(), until - hours * 3600.0
    while at <= until:
        found = found.learned(load, at)
        at += CYCLE_S
    return found


def moment(
    at: float, *, load: float = 4.0, ready: int = 2, hits: float | None = None, **latencies: float
) -> Moment:
    values = {Signal[name.upper()]: value for name, value in latencies.items()}
    errors = values.pop(Signal.SERVER_ERROR_RATIO, 0.0)
    return Moment(at, load, ready, 4.0, tuple(values.get(s) for s in LATENCIES), errors, hits)


def history(load: float = 4.0, *, ready: int = 2, until: float = NOW, **over: float) -> Any:
    """The ten minutes before."""
    return tuple(
        moment(until - CYCLE_S * back, load=load, ready=ready, **over) for back in range(39, 0, -1)
    )


def taught(load: float = 4.0, *, ready: int = 2, **over: Any) -> ModelMemory:
    """What is known of a model that served a steady load for an hour."""
    fields: dict[str, Any] = {
        "at": NOW - CYCLE_S,
        "sample_at": NOW - CYCLE_S - 5,
        "capacity": curve(),
        "work": series(load),
        "requests": series(load),
        "history": history(load, ready=ready),
    }
    return ModelMemory(**(fields | over))


def state_of(
    seen: ModelObservation, *, memory: ModelMemory | None = None, at: float = NOW
) -> SystemState:
    """The state after one more cycle."""
    return advance(memory or ModelMemory(), seen, at)[1]


def planned(
    seen: ModelObservation | None = None,
    *,
    memory: ModelMemory | None = None,
    state: SystemState | None = None,
    **over: Any,
) -> PlanInput:
    """What the rules look at."""
    seen = seen or observation()
    found = state or state_of(seen, memory=memory)
    return PlanInput(seen, found, found.at, CYCLE_S, **over)


def request(**over: Any) -> ActionRequest:
    fields: dict[str, Any] = {
        "decision_id": "llama-scale-now",
        "model": KEY,
        "target_uid": "uid-target",
        "action": Action.SCALE,
        "direction": Direction.UP,
        "before": {"replicas": "2"},
        "after": {"replicas": "3"},
        "confidence": 0.95,
        "protective": True,
        "fingerprint": "now",
    }
    return ActionRequest(**(fields | over))


def down(before: int = 4, after: int = 3, **over: Any) -> ActionRequest:
    fields: dict[str, Any] = {
        "direction": Direction.DOWN,
        "before": {"replicas": str(before)},
        "after": {"replicas": str(after)},
        "protective": False,
    }
    return request(**(fields | over))


def fleet(*, in_flight: int = 0, models: int = 1, **over: Any) -> FleetFacts:
    fields: dict[str, Any] = {
        "models": models,
        "in_flight": in_flight,
        "control": control(),
        "nodes": NodeFacts(8, 0),
        "cycle_s": CYCLE_S,
    }
    return FleetFacts(**(fields | over))


def criticised(
    asked: ActionRequest | None = None,
    *,
    seen: ModelObservation | None = None,
    memory: ModelMemory | None = None,
    **over: Any,
) -> CriticInput:
    """What the checks look at."""
    seen = seen or observation()
    fields: dict[str, Any] = {
        "request": asked or request(),
        "observation": seen,
        "state": state_of(seen, memory=memory or taught()),
        "fleet": fleet(),
        "ledger": Ledger(),
        "at": NOW,
        "blast_radius": 3,
    }
    return CriticInput(**(fields | over))


def decision(**over: Any) -> Decision:
    fields: dict[str, Any] = {
        "id": "llama-scale-now",
        "model": KEY,
        "model_uid": "uid-llama",
        "target": TargetRef("apps/v1", "Deployment", NAMESPACE, "llama", "uid-target"),
        "action": Action.SCALE,
        "direction": Direction.UP,
        "reason": PlanReason.OBJECTIVE_VIOLATED,
        "message": "ttftP95 is 4 s against an objective of 3 s.",
        "before": {"replicas": "2"},
        "after": {"replicas": "3"},
        "confidence": 0.95,
        "evidence": (),
        "expected": None,
        "rollback_if": (),
        "precedents": (),
        "alternatives": (),
        "protective": True,
        "decided_at": NOW,
        "expires_at": NOW + 3600.0,
        "policy_hash": "policy",
        "fingerprint": "now",
    }
    return Decision(**(fields | over))


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decision_object(
    name: str = "llama-scale-1",
    *,
    status: Mapping[str, Any] | None = None,
    created_at: float = NOW - 600.0,
    **spec: Any,
) -> DecisionObject:
    """A Decision as the API server gives it."""
    body: dict[str, Any] = {
        "modelRef": {"name": "llama", "uid": "uid-llama"},
        "target": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "llama",
            "uid": "uid-target",
        },
        "action": "SCALE",
        "direction": "Up",
        "parameters": {"from": {"replicas": "2"}, "to": {"replicas": "3"}},
        "reason": "ObjectiveViolated",
        "message": "ttftP95 is 4 s against an objective of 3 s.",
        "confidencePercent": 95,
        "tier": "Auto",
        "risk": "Low",
        "policyHash": "policy",
        "fingerprint": "now",
        "expiresAt": stamp(created_at + 3600.0),
        "protective": True,
    }
    return DecisionObject.parse(
        {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": f"uid-{name}",
                "resourceVersion": "1",
                "creationTimestamp": stamp(created_at),
            },
            "spec": merged(body, spec),
            "status": dict(status or {}),
        }
    )


def condition(type_: str, status: str, at: float, reason: str = "Because") -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": stamp(at),
    }


def approval(
    verdict: str = "Approve", *, name: str = "by-ann", at: float = NOW - 10, by: str = "ann"
) -> Approval:
    return Approval.parse(
        {
            "metadata": {"name": name, "namespace": NAMESPACE, "creationTimestamp": stamp(at)},
            "spec": {
                "decisionRef": {"name": "llama-scale-1", "uid": "uid-llama-scale-1"},
                "verdict": verdict,
                "approver": by,
                "reason": f"{by} says {verdict}",
            },
        }
    )


def snapshot(*observations: ModelObservation, at: float = NOW, **over: Any) -> FleetSnapshot:
    fields: dict[str, Any] = {
        "at": at,
        "monotonic": at - NOW + 1000.0,
        "synced": True,
        "models": {one.key: one for one in observations},
        "decisions": {},
        "approvals": {},
        "control": control(),
    }
    return FleetSnapshot(**(fields | over))


def by_key(*found: DecisionObject) -> dict[ObjectKey, DecisionObject]:
    return {ObjectKey(*one.key): one for one in found}


def known(seen: ModelObservation, **over: Any) -> SystemState:
    """A state with some of its fields set by hand."""
    return replace(state_of(seen, memory=taught()), **over)
