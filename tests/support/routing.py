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
    **spec: Any,
) -> RoutingInput:
    """A policy over these backends, one rule, nothing unresolved."""
    policy = parsed({name: (declared or {}).get(name, {}) for name in found}, **spec)
    own = {one.name: one for one in policy.spec.backends}
    facts = [_facts(own[name], one, place) for place, (name, one) in enumerate(found.items())]
    refs = tuple(
        RouteBackend("", "Service", "models", name, 80, one.weight) for name, one in found.items()
    )
    route = RouteFacts(ObjectKey("models", "chat"), "uid-route", "7", (), (refs,))
    return RoutingInput(RoutingFacts(policy, tuple(facts), route), NOW, past or {})


def _facts(spec: Any, one: Seen, place: int) -> BackendFacts:
    since = None if one.dry_for is None else NOW - one.dry_for
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
            Signal.LATENCY_P95: _reading(one.p95, one),
            Signal.SERVER_ERROR_RATIO: _reading(one.errors, one),
            Signal.RUNNING: _reading(one.running, one),
            Signal.WAITING: _reading(0.0 if one.running is not None else None, one),
            Signal.REQUEST_RATE: _reading(5.0, one),
        },
    )


def _reading(value: float | None, one: Seen) -> Reading:
    if value is None:
        return Missing(Gap.NO_DATA, "nothing was measured")
    return Sample(value, NOW - 5, 60.0, one.samples, one.partial)
