"""Observations for the tests of the state stage."""

from collections.abc import Mapping
from typing import Any

from aurora.observe.facts import ObjectKey, PodFacts, WorkloadFacts, WorkloadKey
from aurora.observe.sample import Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.resources import ModelDeployment
from aurora.state.advance import Learning, advance
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState

NOW = 1_800_000_000.0
CYCLE_S = 15.0
MODEL = ModelDeployment.parse(
    {
        "metadata": {"name": "llama", "namespace": "models"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama"},
            "serviceRef": {"name": "llama"},
            "objectives": {"ttftP95": "2s", "tpotP95": "100ms"},
        },
    }
)


def target(ready: int = 2, **over: Any) -> WorkloadFacts:
    fields: dict[str, Any] = {
        "key": WorkloadKey("Deployment", "models", "llama"),
        "api_version": "apps/v1",
        "uid": "uid",
        "resource_version": "1",
        "generation": 1,
        "observed_generation": 1,
        "replicas": ready,
        "ready_replicas": ready,
        "available_replicas": ready,
        "updated_replicas": ready,
        "match_labels": {"app": "llama"},
        "template_hash": "t1",
    }
    return WorkloadFacts(**(fields | over))


def pod(name: str, *, created: float = NOW, **over: Any) -> PodFacts:
    fields: dict[str, Any] = {
        "key": ObjectKey("models", name),
        "uid": name,
        "workload": "llama",
        "created_at": created,
        "scheduled_at": None,
        "ready": False,
        "ready_at": None,
        "restarts": 0,
        "crash_looping": False,
        "unschedulable": "",
        "deleting": False,
        "template_hash": "t1",
    }
    return PodFacts(**(fields | over))


def sample(value: float, at: float = NOW, **over: Any) -> Sample:
    return Sample(**({"value": value, "at": at, "window_s": 60.0, "samples": 500.0} | over))


def seen(
    signals: Mapping[Signal, float | Reading], *, at: float = NOW, ready: int = 2, **over: Any
) -> ModelObservation:
    readings = {s: sample(v, at) if isinstance(v, float) else v for s, v in signals.items()}
    fields: dict[str, Any] = {"target": target(ready), "signals": readings}
    return ModelObservation(MODEL, **(fields | over))


class Clock:
    """Runs cycle after cycle and keeps what is remembered."""

    def __init__(self, memory: ModelMemory | None = None) -> None:
        self.memory = memory or ModelMemory()
        self.at = NOW

    def cycle(
        self,
        signals: Mapping[Signal, float | Reading],
        *,
        learning: Learning | None = None,
        after: float = CYCLE_S,
        **over: Any,
    ) -> SystemState:
        self.at += after
        observation = seen(signals, at=self.at, **over)
        self.memory, state = advance(
            self.memory, observation, self.at, learning=learning or Learning()
        )
        return state
