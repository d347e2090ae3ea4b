"""One model's SystemState as JSON: what replay reads back. What was learned is kept apart."""

from typing import Any

from aurora.observe.sample import Reading, Sample
from aurora.state.system_state import SystemState

__all__ = ["record_of"]


def record_of(state: SystemState) -> dict[str, Any]:
    """Plain JSON values; absent readings keep their reason."""
    replicas, pods = state.replicas, state.pods
    return {
        "at": round(state.at, 3),
        "readings": {signal.value: _reading(one) for signal, one in state.readings.items()},
        "objectives": {signal.value: goal for signal, goal in state.objectives.items()},
        "replicas": {
            "spec": replicas.spec,
            "ready": replicas.ready,
            "updated": replicas.updated,
            "floor": replicas.floor,
            "ceiling": replicas.ceiling,
            "desired": replicas.desired,
        },
        "pods": {
            "total": pods.total,
            "ready": pods.ready,
            "crashLooping": pods.crash_looping,
            "pending": pods.pending,
            "unschedulable": pods.unschedulable,
        },
        "endpoints": None if state.service is None else state.service.ready,
        "fallbackEndpoints": None if state.fallback is None else state.fallback.ready,
        "templateHash": state.template_hash,
        "settled": state.settled,
    }


def _reading(one: Reading) -> dict[str, Any]:
    if not isinstance(one, Sample):
        return {"gap": one.gap.value}
    made: dict[str, Any] = {"value": float(f"{one.value:.6g}"), "at": round(one.at, 3)}
    if one.samples is not None:
        made["samples"] = float(f"{one.samples:.6g}")
    if one.partial:
        made["partial"] = True
    return made
