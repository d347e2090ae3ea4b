"""One cycle of a policy that learns: what was answered in, weights and comparison out. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from aurora.observe.snapshot import ModelObservation
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.learned import learned_side, rules_side, whole
from aurora.planner.routing.learner import begun, learned, taken_in
from aurora.planner.routing.past import BackendPast
from aurora.planner.routing.sources import SOURCES
from aurora.planner.routing.versus import compared
from aurora.planner.routing.wanted import Shares
from aurora.planner.routing.worth import windows
from aurora.resources.routing_policy_parts import Strategy
from aurora.state.memory import ModelMemory
from aurora.state.routing_memory import RoutingMemory
from aurora.state.system_state import SystemState

__all__ = ["advanced", "with_learned"]


def with_learned(
    state: SystemState, observation: ModelObservation, past: Mapping[str, BackendPast]
) -> tuple[ModelMemory, SystemState]:
    """Memory and state of a subject after the state stage; unchanged where nothing learns."""
    routing, memory = observation.routing, state.memory
    found = None
    if routing is not None:
        found = advanced(memory.routing, RoutingInput(routing, state.at, past))
    if found is memory.routing:
        return memory, state
    memory = replace(memory, routing=found)
    return memory, replace(state, memory=memory)


def advanced(memory: RoutingMemory | None, given: RoutingInput) -> RoutingMemory | None:
    """What is remembered after a cycle; None of a policy that does not learn."""
    if given.spec.strategy is not Strategy.LEARNED:
        return None
    memory, fresh = taken_in(begun(memory, given), given, windows(given))
    memory = learned(memory, given)
    memory = replace(memory, rules=_rules(given, memory.rules))
    own = learned_side(given, memory) if memory.shares else {}
    sides = own, rules_side(given, memory)
    return replace(memory, versus=compared(memory.versus, given, fresh, sides=sides))


def _rules(given: RoutingInput, before: Mapping[str, float]) -> dict[str, float]:
    """What the rules want; while they hold, what they wanted last, or what was there first."""
    found = SOURCES[Strategy(given.spec.learns.rules.value)](given)
    if isinstance(found, Shares) and (wanted := whole(found.shares)):
        return wanted
    if any(before.get(one.name) for one in given.open):
        return dict(before)
    there = whole({one.name: float(given.now[one.name]) for one in given.open})
    return there or whole({one.name: 1.0 for one in given.open})
