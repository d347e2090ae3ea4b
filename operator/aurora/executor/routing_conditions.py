"""The conditions of a RoutingPolicy, from what was observed and decided. Pure.

Messages hold no number that moves by itself, as in conditions.py.
"""

from collections.abc import Sequence
from typing import Final

from aurora.critic.reservations import REVERTS_TOLERATED
from aurora.executor.conditions import (
    GAPS,
    Fact,
    paused_fact,
    pending_fact,
    ready_fact,
    with_facts,
)
from aurora.observe.backends import RoutingFacts
from aurora.observe.sample import Gap, Missing, Signal
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.planner.routing.audit import violations
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.shift import away, goal
from aurora.planner.routing.wanted import Hold
from aurora.reasons import ConditionReason as Reason
from aurora.resources import Condition, ConditionType, DecisionObject, remove_condition
from aurora.resources.vocabulary import ConditionStatus

__all__ = ["audit_of", "routing_conditions"]

TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE
_BAD: Final = {
    ConditionType.ACCEPTED: FALSE,
    ConditionType.RESOLVED_REFS: FALSE,
    ConditionType.PAUSED: TRUE,
    ConditionType.EXTERNALLY_REVERTED: TRUE,
    ConditionType.METRICS_AVAILABLE: FALSE,
    ConditionType.ROUTERS_FED: FALSE,
}


def routing_conditions(  # noqa: PLR0913  # what a condition is made of
    observation: ModelObservation,
    given: RoutingInput,
    snapshot: FleetSnapshot,
    decisions: Sequence[DecisionObject],
    reverted: int,
    *,
    fed: Fact | None = None,
) -> tuple[Condition, ...]:
    """Every condition that holds now, `Ready` first; see `routing_status_of` for the arguments."""
    routing = given.facts
    facts = [
        _accepted(routing),
        _resolved(routing),
        _programmed(given),
        _audited(routing),
        _metrics(routing),
        paused_fact(observation, snapshot),
        pending_fact(decisions),
        _reverted(routing, reverted),
        *([] if fed is None else [fed]),
    ]
    made = with_facts(routing.policy, (ready_fact(facts, _BAD), *facts), at=snapshot.at)
    if routing.policy.spec.router is None:
        return remove_condition(made, ConditionType.ROUTERS_FED)
    return made


def _accepted(routing: RoutingFacts) -> Fact:
    if routing.rival:
        why = f"{routing.rival} programs the same rule and goes first: delete one of the two."
        return ConditionType.ACCEPTED, FALSE, Reason.RULE_TAKEN, why
    return ConditionType.ACCEPTED, TRUE, Reason.ACCEPTED, Reason.ACCEPTED.sentence


def _resolved(routing: RoutingFacts) -> Fact:
    found = routing.unresolved
    if found is not None:
        return ConditionType.RESOLVED_REFS, FALSE, found.reason, found.message
    return ConditionType.RESOLVED_REFS, TRUE, Reason.REFS_RESOLVED, Reason.REFS_RESOLVED.sentence


def _programmed(given: RoutingInput) -> Fact:
    """Whether the weights in force are those that the policy is after."""
    type_, routing = ConditionType.PROGRAMMED, given.facts
    if routing.unresolved is not None:
        return type_, FALSE, routing.unresolved.reason, routing.unresolved.message
    if routing.rival or routing.policy.spec.route_ref is None:
        reason = Reason.RULE_TAKEN if routing.rival else Reason.NOT_PROGRAMMED
        return type_, FALSE, reason, reason.sentence
    failing = sorted(name for name in given.failures if given.now[name] > 0)
    if failing and away(given) is None:
        why = f"{', '.join(failing)}: no other backend can take the traffic."
        return type_, FALSE, Reason.NO_BACKEND_READY, why
    wanted = goal(given)
    if isinstance(wanted, Hold):
        return type_, TRUE, Reason.PROGRAMMED, wanted.message
    if wanted[0] == given.now:
        return type_, TRUE, Reason.PROGRAMMED, Reason.PROGRAMMED.sentence
    return type_, FALSE, Reason.ON_THE_WAY, wanted[1].message


def audit_of(routing: RoutingFacts) -> dict[str, str]:
    """What each backend violates, empty when it passes."""
    constraints = routing.policy.spec.constraints
    return {one.name: ", ".join(violations(one, constraints)) for one in routing.backends}


def _audited(routing: RoutingFacts) -> Fact:
    found = audit_of(routing)
    broken = [
        f"{one.name}: {found[one.name]}"
        for one in routing.backends
        if found[one.name] and one.weight != 0
    ]
    if broken:
        why = f"{'; '.join(broken)}."
        return ConditionType.AUDIT_PASSED, FALSE, Reason.CONSTRAINTS_VIOLATED, why
    return ConditionType.AUDIT_PASSED, TRUE, Reason.AUDIT_PASSED, Reason.AUDIT_PASSED.sentence


def _metrics(routing: RoutingFacts) -> Fact:
    """The first backend with traffic whose request rate is not known."""
    for one in routing.backends:
        reading = one.reading(Signal.REQUEST_RATE)
        if one.spec.provider is None and one.weight != 0 and isinstance(reading, Missing):
            reason = GAPS[reading.gap]
            detail = f" {reading.detail[:300]}" if reading.gap is Gap.QUERY_FAILED else ""
            why = f"{one.name}: {reason.sentence}{detail}"
            return ConditionType.METRICS_AVAILABLE, FALSE, reason, why
    reason = Reason.METRICS_FOUND
    return ConditionType.METRICS_AVAILABLE, TRUE, reason, reason.sentence


def _reverted(routing: RoutingFacts, reverted: int) -> Fact:
    type_, route = ConditionType.EXTERNALLY_REVERTED, routing.route
    if reverted < REVERTS_TOLERATED or route is None:
        reason = Reason.NO_CONFLICT
        return type_, FALSE, reason, "No other manager takes AURORA's weights back."
    writer = route.writer[:100] or "another manager"
    why = (
        f"{writer} set the weights of HTTPRoute {route.key.name} back twice: let it ignore "
        f"jqPathExpressions: ['.spec.rules[{routing.rule}].backendRefs[].weight'] "
        "(Argo CD: ignoreDifferences)."
    )
    return type_, TRUE, Reason.EXTERNALLY_REVERTED, why
