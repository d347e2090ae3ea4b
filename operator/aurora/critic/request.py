"""What the critic is asked: the action in bare parameters, never its wording or precedents."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aurora.critic.ledger import Ledger
from aurora.critic.rights import Rights
from aurora.observe.facts import ControlFacts, NodeFacts, ObjectKey
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.planner.decision import Decision, Direction
from aurora.resources.vocabulary import Action
from aurora.state.system_state import SystemState

__all__ = ["ActionRequest", "CriticInput", "FleetFacts", "fleet_facts", "request_of"]


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """One action as the guardrails see it."""

    decision_id: str
    model: ObjectKey
    target_uid: str
    action: Action
    direction: Direction
    before: Mapping[str, str]
    after: Mapping[str, str]
    confidence: float
    protective: bool
    fingerprint: str

    @property
    def takes_away(self) -> bool:
        """Whether the action removes capacity or protection."""
        return self.direction in _TAKES_AWAY


_TAKES_AWAY = frozenset({Direction.DOWN, Direction.PRIMARY})


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What the guardrails need of the whole fleet."""

    models: int
    in_flight: int
    control: ControlFacts
    nodes: NodeFacts | None
    cycle_s: float
    rights: Rights = field(default_factory=Rights)


@dataclass(frozen=True, slots=True)
class CriticInput:
    """Everything a check may look at; nothing else reaches it.

    Attributes:
        at: seconds since the epoch.
        blast_radius: models of the fleet that may be in flight at once.
        reverted: our writes on this target that another manager took back within the last hour.
        adopted_floor: the autoscaler's floor before AURORA first changed it, if it did.
    """

    request: ActionRequest
    observation: ModelObservation
    state: SystemState
    fleet: FleetFacts
    ledger: Ledger
    at: float
    blast_radius: int
    reverted: int = 0
    adopted_floor: int | None = None


def request_of(decision: Decision) -> ActionRequest:
    """Strip a decision of everything that could talk the critic into it."""
    return ActionRequest(
        decision_id=decision.id,
        model=decision.model,
        target_uid=decision.target.uid,
        action=decision.action,
        direction=decision.direction,
        before=decision.before,
        after=decision.after,
        confidence=decision.confidence,
        protective=decision.protective,
        fingerprint=decision.fingerprint,
    )


def fleet_facts(
    snapshot: FleetSnapshot, ledger: Ledger, *, cycle_s: float, rights: Rights | None = None
) -> FleetFacts:
    """Count the fleet once per cycle."""
    return FleetFacts(
        models=len(snapshot.models),
        in_flight=sum(1 for entry in ledger if entry.in_flight),
        control=snapshot.control,
        nodes=snapshot.nodes,
        cycle_s=cycle_s,
        rights=rights or Rights(),
    )
