"""Strategy Learned: a percentage of the traffic as learned, the rest as the rules say."""

from collections.abc import Mapping
from typing import Final

from aurora.observe.backends import BackendFacts
from aurora.observe.sample import Signal
from aurora.planner.decision import Evidence
from aurora.planner.inputs import Doubt
from aurora.planner.reasons import PlanReason
from aurora.planner.routing.audit import violations
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.health import reading_of
from aurora.planner.routing.points import LEAST_MOVED, moved
from aurora.planner.routing.wanted import Hold, Shares, Wanted
from aurora.routing.mixture import final_probabilities
from aurora.routing.state_document import head
from aurora.state.routing_memory import RoutingMemory

__all__ = ["by_learning", "learned_side", "rules_side", "state_document", "whole"]

_NOTHING: Final = "Nothing was learned yet."
_SIGNALS: Final = (Signal.REQUEST_RATE, Signal.SERVER_ERROR_RATIO, Signal.LATENCY_MEAN)


def by_learning(given: RoutingInput) -> Wanted:
    """spec.learning.percent of the traffic as learned, the rest as the rules want it."""
    memory = given.learned
    if memory is None:
        return Hold(_NOTHING)
    rules = rules_side(given, memory)
    learned = learned_side(given, memory) or rules
    if not learned:
        return Hold(_NOTHING)
    part = given.spec.learns.percent / 100
    rest = rules or learned
    mixed = {name: part * share + (1.0 - part) * rest[name] for name, share in learned.items()}
    if _unexplored(given, mixed) and moved(given.now, given.spread(mixed)) < LEAST_MOVED:
        message = "Backends without traffic get a little of it, to learn how they do."
        return Shares(mixed, PlanReason.EXPLORATION, message)
    return Shares(
        mixed,
        PlanReason.WEIGHTS_LEARNED,
        _message(given, memory),
        _evidence(given, memory),
        (Doubt.EFFECT_ESTIMATED,),
        _judged(given, mixed),
    )


def learned_side(given: RoutingInput, memory: RoutingMemory) -> dict[str, float]:
    """The shares that learning wants, summing to 1; empty while nobody has a share.

    The strategy's propensities with the exploration floor over the backends that pass the audit.
    Who taught nothing yet, or is not measured now, keeps what it has: missing numbers move nothing
    towards a backend.
    """
    least = given.spec.exploration.min_percent / 100
    sent = {one.name: float(given.now[one.name]) for one in given.open}
    now = whole(sent) or sent
    known = [one for one in given.open if one.name in memory.shares and _is_measured(given, one)]
    names = [one.name for one in known]
    kept = {name: max(least, share) for name, share in now.items() if name not in names}
    if not known:
        return whole(kept)
    rest = max(1.0 - sum(kept.values()), least * len(known))
    passing = [
        place for place, one in enumerate(known) if not violations(one, given.spec.constraints)
    ]
    shares = whole({name: memory.shares[name] for name in names}) or dict.fromkeys(
        names, 1.0 / len(names)
    )
    floor = min(1.0, least * len(passing) / rest) if rest else 0.0
    mixed = final_probabilities([shares[name] for name in names], floor, passing)
    found = {name: rest * share for name, share in zip(names, mixed, strict=True)}
    return whole({one.name: {**kept, **found}[one.name] for one in given.open})


def rules_side(given: RoutingInput, memory: RoutingMemory) -> dict[str, float]:
    """The shares of the rules over who may get traffic, summing to 1; empty when they give none."""
    return whole({one.name: memory.rules.get(one.name, 0.0) for one in given.open})


def whole(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares that sum to 1; nothing when none is above 0."""
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()} if total > 0 else {}


def state_document(memory: RoutingMemory | None) -> dict[str, object] | None:
    """What was learned as a document that the routing engine's `restore` takes; None of nothing.

    The backends' names are the provider ids. It was learned of the traffic as a whole, so its
    context is the empty one.
    """
    if memory is None or not memory.state:
        return None
    return {**head(memory.algorithm, memory.revision), "state": dict(memory.state)}


def _is_measured(given: RoutingInput, one: BackendFacts) -> bool:
    return all(given.measured(one, signal) is not None for signal in _SIGNALS)


def _unexplored(given: RoutingInput, mixed: Mapping[str, float]) -> bool:
    """Whether somebody has less than the floor leaves it, so that nothing can be learned of it."""
    learning, least = given.spec.learns, given.spec.exploration.min_percent
    floor = max(1, learning.percent * least // 100)
    return least > 0 and any(
        given.now[name] < floor and 100 * share >= floor for name, share in mixed.items() if share
    )


def _message(given: RoutingInput, memory: RoutingMemory) -> str:
    learning = given.spec.learns
    best = max(memory.scores, key=lambda name: (memory.scores[name], name), default="")
    told = f"As far as was learned, {best} earns the most reward." if best else _NOTHING
    rest = 100 - learning.percent
    return (
        f"{told} {rest} % of the traffic follow the rules ({learning.rules.value})."
        if rest
        else told
    )


def _evidence(given: RoutingInput, memory: RoutingMemory) -> tuple[Evidence, ...]:
    """What is believed of each backend, and the latencies that the belief stands on."""
    open_ = {one.name: one for one in given.open}
    believed = tuple(
        Evidence(
            signal=f"reward.{name}",
            value=score,
            unit="points",
            at=memory.arms[name].sample_at,
            query=f"{memory.arms[name].outcomes} outcomes, {memory.algorithm}",
        )
        for name, score in memory.scores.items()
        if name in open_ and name in memory.arms
    )
    read = (reading_of(one, Signal.LATENCY_MEAN) for one in open_.values())
    return (*believed, *(fact for part in read for fact in part))


def _judged(given: RoutingInput, mixed: Mapping[str, float]) -> Signal:
    """The latency where the shift is to lower it; a shift for errors or cost is held to errors."""
    change, total = 0.0, max(1, sum(given.now[name] for name in mixed))
    for name, share in mixed.items():
        mean = given.measured(given.backend(name), Signal.LATENCY_MEAN)
        if mean is not None:
            change += (share - given.now[name] / total) * mean.value
    return Signal.LATENCY_P95 if change < 0.0 else Signal.SERVER_ERROR_RATIO
