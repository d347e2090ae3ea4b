"""RoutingPolicies and what is seen of them, for tests of the pure decision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aurora.observe.backends import BackendFacts, Identity, RoutingFacts
from aurora.observe.facts import EndpointFacts, ObjectKey, RouteBackend, RouteFacts
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.past import BackendPast
from aurora.resources import RoutingPolicy
from aurora.state.routing_memory import RoutingMemory

__all__ = ["NOW", "Seen", "given", "parsed", "seen"]

NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Seen:
    """One backend in short; None where nothing was measured."""

    weight: int
    ready: int = 2
    dry_for: float | None = None
    p95: float | None = 1.0
    errors: float | None = 0.0
    running: float | None = 4.0
    mean: float | None = 0.8
    rate: float | None = 5.0
    samples: float = 500.0
    partial: bool = False
    pods_since: float = NOW - 7200


def seen(weight: int, **changes: Any) -> Seen:
    return replace(Seen(weight), **changes)


def parsed(backends: Mapping[str, Mapping[str, Any]], **spec: Any) -> RoutingPolicy:
    refs = [
        {"name": name, "serviceRef": {"name": name, "port": 80}} | dict(own)
        for name, own in backends.items()
    ]
    return RoutingPolicy.parse(
        {
            "metadata": {"name": "chat", "namespace": "models", "uid": "uid-chat"},
            "spec": {"routeRef": {"name": "chat"}, "backends": refs, **spec},
        }
    )


def given(
    found: Mapping[str, Seen],
    *,
    declared: Mapping[str, Mapping[str, Any]] | None = None,
    past: Mapping[str, BackendPast] | None = None,
    learned: RoutingMemory | None = None,
    at: float = NOW,
    **spec: Any,
) -> RoutingInput:
    """A policy over these backends, one rule, nothing unresolved."""
    policy = parsed({name: (declared or {}).get(name, {}) for name in found}, **spec)
    own = {one.name: one for one in policy.spec.backends}
    facts = [_facts(own[name], one, place, at) for place, (name, one) in enumerate(found.items())]
    refs = tuple(
        RouteBackend("", "Service", "models", name, 80, one.weight) for name, one in found.items()
    )
    route = RouteFacts(ObjectKey("models", "chat"), "uid-route", "7", (), (refs,))
    return RoutingInput(RoutingFacts(policy, tuple(facts), route), at, past or {}, learned)


def _facts(spec: Any, one: Seen, place: int, at: float) -> BackendFacts:
    since = None if one.dry_for is None else at - one.dry_for
    return BackendFacts(
        spec,
        Identity("", "Service", "models", spec.name, 80),
        place=place,
        weight=one.weight,
        endpoints=EndpointFacts(ObjectKey("models", spec.name), one.ready, 2, since),
        workload=("models", spec.name),
        engine="vllm",
        pods_since=one.pods_since,
        signals={
            Signal.LATENCY_P95: _reading(one.p95, one, at),
            Signal.SERVER_ERROR_RATIO: _reading(one.errors, one, at),
            Signal.RUNNING: _reading(one.running, one, at),
            Signal.WAITING: _reading(0.0 if one.running is not None else None, one, at),
            Signal.REQUEST_RATE: _reading(one.rate, one, at),
            Signal.LATENCY_MEAN: _reading(one.mean, one, at),
        },
    )


def _reading(value: float | None, one: Seen, at: float) -> Reading:
    if value is None:
        return Missing(Gap.NO_DATA, "nothing was measured")
    return Sample(value, at - 5, 60.0, one.samples, one.partial)
