"""The status of a RoutingPolicy, from what was observed and decided. Pure.

Measured numbers move in every cycle; they are told anew only with something else that a reader
would act on, or when one of them changed much, once a minute at most.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from aurora.deliberation import failed_backends
from aurora.executor.conditions import Fact
from aurora.executor.entries import ledger_entries
from aurora.executor.projections import number, weights_text
from aurora.executor.routing_comparison import comparison_of
from aurora.executor.routing_conditions import audit_of, routing_conditions
from aurora.executor.status import summary_of
from aurora.observe.backends import BackendFacts
from aurora.observe.sample import Missing, Sample, Signal
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.points import LEAST_MOVED, moved
from aurora.planner.routing.shift import MEASURED_REASONS, goal
from aurora.planner.routing.wanted import Hold
from aurora.resources import BackendStatus, DecisionObject, RoutingPolicyStatus
from aurora.resources.modeldeployment import RECENT_DECISIONS
from aurora.resources.routing_policy_parts import Strategy
from aurora.state.routing_memory import RoutingMemory

__all__ = ["routing_status_of"]

TOLD_EVERY_S: Final = 60.0
MUCH: Final = Decimal("0.25")
"""A number that changed by this part is told anew."""
_MEASURED: Final = ("latency_p95", "error_ratio", "request_rate")
_EXPLORE: Final = frozenset({Strategy.LATENCY_WEIGHTED, Strategy.LOAD_BALANCED, Strategy.LEARNED})


def routing_status_of(  # noqa: PLR0913 - everything that is told of a policy, by name
    observation: ModelObservation,
    snapshot: FleetSnapshot,
    decisions: Sequence[DecisionObject],
    *,
    reverted: int = 0,
    fed: Fact | None = None,
    learned: RoutingMemory | None = None,
) -> RoutingPolicyStatus | None:
    """The status that a reader should see now; None of what is no policy.

    Args:
        observation: the policy as observed.
        snapshot: the whole fleet, for the kill switch and the time.
        decisions: of this policy, newest first.
        reverted: writes of ours that another manager took back lately.
        fed: what is known of the routers' ConfigMap; None leaves what was told of it.
        learned: what the strategy Learned learned.
    """
    routing = observation.routing
    if routing is None:
        return None
    past = failed_backends(ledger_entries(decisions), snapshot.at)
    given = RoutingInput(routing, snapshot.at, past, learned)
    shown = tuple(summary_of(one) for one in decisions[:RECENT_DECISIONS])
    before = routing.policy.status
    wanted = _wanted(given, before)
    made = RoutingPolicyStatus(
        observed_generation=routing.policy.metadata.generation,
        conditions=routing_conditions(observation, given, snapshot, decisions, reverted, fed=fed),
        weights=weights_text(given.now) if routing.route is not None else None,
        wanted=weights_text(wanted) if routing.route is not None else None,
        backends=tuple(_backend(one, given, wanted) for one in routing.backends),
        comparison=comparison_of(given, before.comparison),
        measured_at=datetime.fromtimestamp(int(snapshot.at), UTC),
        last_decision=shown[0] if shown else None,
        recent_decisions=shown,
    )
    return made if _is_news(made, before) else _as_told(made, before)


def _wanted(given: RoutingInput, before: RoutingPolicyStatus) -> Mapping[str, int]:
    """Where the weights are going; what follows measurements stays as told while it only sways."""
    found = goal(given)
    if isinstance(found, Hold):
        return given.now
    wanted, shares = found
    if shares.reason not in MEASURED_REASONS:
        return wanted
    told = {one.name: one.wanted_percent for one in before.backends}
    near = all(_near(points, told.get(name)) for name, points in wanted.items())
    if near and before.weights == weights_text(given.now):
        return {name: told[name] or 0 for name in wanted}
    return wanted if moved(given.now, wanted) >= LEAST_MOVED else given.now


def _near(points: int, told: int | None) -> bool:
    return told is not None and abs(points - told) < LEAST_MOVED


def _backend(one: BackendFacts, given: RoutingInput, wanted: Mapping[str, int]) -> BackendStatus:
    routed = given.facts.route is not None
    now, least = given.now[one.name], given.spec.exploration.min_percent
    explores = given.spec.strategy in _EXPLORE and now <= least
    cost = one.spec.cost_per_replica_hour
    return BackendStatus(
        name=one.name,
        wanted_percent=wanted[one.name] if routed else None,
        weight_percent=now if routed else None,
        ready=one.endpoints.ready if one.endpoints is not None else None,
        latency_p95=_number(one, Signal.LATENCY_P95),
        error_ratio=_number(one, Signal.SERVER_ERROR_RATIO),
        request_rate=_number(one, Signal.REQUEST_RATE),
        cost_per_hour=cost * one.ready if cost is not None else None,
        explored_percent=(now if explores else 0) if routed else None,
        audit=audit_of(given.facts)[one.name] or "Passed",
        message=one.problem or given.closed.get(one.name, "") or _why_dark(one),
    )


def _number(one: BackendFacts, signal: Signal) -> Decimal | None:
    """With three significant digits: no reader acts on the fourth."""
    reading = one.reading(signal)
    return Decimal(number(float(f"{reading.value:.3g}"))) if isinstance(reading, Sample) else None


def _why_dark(one: BackendFacts) -> str:
    """Without the detail, which holds numbers that move every cycle."""
    reading = one.reading(Signal.LATENCY_P95)
    return f"latencyP95: {reading.gap}" if isinstance(reading, Missing) else ""


def _is_news(made: RoutingPolicyStatus, before: RoutingPolicyStatus) -> bool:
    """Whether the measured numbers are to be told anew."""
    if before.measured_at is None or made.measured_at is None:
        return True
    if _as_told(made, before) != before:
        return True
    age = (made.measured_at - before.measured_at).total_seconds()
    return age >= TOLD_EVERY_S and any(
        _changed(getattr(new, name), getattr(old, name))
        for new, old in zip(made.backends, before.backends, strict=True)
        for name in _MEASURED
    )


def _changed(new: Decimal | None, old: Decimal | None) -> bool:
    if new is None or old is None:
        return new is not old
    return abs(new - old) > MUCH * max(abs(new), abs(old))


def _as_told(made: RoutingPolicyStatus, before: RoutingPolicyStatus) -> RoutingPolicyStatus:
    """With the measured numbers as they were told last."""
    if [one.name for one in made.backends] != [one.name for one in before.backends]:
        return made
    backends = tuple(
        new.model_copy(update={name: getattr(old, name) for name in _MEASURED})
        for new, old in zip(made.backends, before.backends, strict=True)
    )
    return made.model_copy(update={"backends": backends, "measured_at": before.measured_at})
