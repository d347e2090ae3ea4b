"""Snapshots of a fleet, with the states and memories of its models after a cycle."""

from dataclasses import dataclass, field
from typing import Any

from aurora.observe.facts import ControlFacts, ObjectKey
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.resources import Approval, DecisionObject
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState
from tests.support.builders import NOW, control, model, observation, signals


def snapshot(
    *decisions: DecisionObject,
    at: float = NOW,
    approvals: tuple[Approval, ...] = (),
    models: dict[ObjectKey, ModelObservation] | None = None,
    facts: ControlFacts | None = None,
) -> FleetSnapshot:
    seen = observation()
    return FleetSnapshot(
        at=at,
        monotonic=at - NOW,
        synced=True,
        models={seen.key: seen} if models is None else models,
        decisions={ObjectKey(*one.key): one for one in decisions},
        approvals={ObjectKey(*one.key): one for one in approvals},
        control=facts or control(),
    )


@dataclass
class SmallFleet:
    """Models that are observed cycle after cycle."""

    names: tuple[str, ...] = ("llama",)
    memories: dict[ObjectKey, ModelMemory] = field(default_factory=dict)
    states: dict[ObjectKey, SystemState] = field(default_factory=dict)
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)

    def cycle(self, at: float, *decisions: DecisionObject) -> FleetSnapshot:
        models = {}
        for name in self.names:
            one = model(name=name)
            if name in self.statuses:
                raw = one.to_kubernetes() | {"status": self.statuses[name]}
                one = type(one).parse(raw)
            seen = observation(model=one, signals=signals())
            models[seen.key] = seen
            known = self.memories.get(seen.key, ModelMemory())
            self.memories[seen.key], self.states[seen.key] = advance(known, seen, at)
        return snapshot(*decisions, at=at, models=models)

    def say(self, name: str, reason: str) -> None:
        """The reason of the model's condition Ready, as its status has it."""
        ready = {"type": "Ready", "status": "False", "reason": reason, "message": ""}
        ready["lastTransitionTime"] = "2026-01-01T12:00:00Z"
        self.statuses[name] = {"conditions": [ready]}
