"""Whether a RoutingPolicy and the rule that it programs list the same backends. Pure."""

from dataclasses import replace

from aurora.observe.backends import BackendFacts, Identity, Unresolved
from aurora.observe.facts import RouteBackend, RouteFacts
from aurora.reasons import ConditionReason as Reason
from aurora.resources import RoutingPolicy

__all__ = ["listed_refs", "placed", "unresolved"]


def listed_refs(route: RouteFacts | None, rule: int) -> tuple[RouteBackend, ...] | None:
    """The backendRefs of a rule; None where there is no such rule."""
    if route is None or rule >= len(route.backends):
        return None
    return route.backends[rule]


def placed(one: BackendFacts, listed: tuple[RouteBackend, ...] | None) -> BackendFacts:
    """With its place in the rule; an entry that stands there twice has none."""
    if one.identity is None or listed is None:
        return one
    places = [place for place, ref in enumerate(listed) if _identity(ref) == one.identity]
    if len(places) != 1:
        return one
    return replace(one, place=places[0], weight=listed[places[0]].weight)


def _identity(ref: RouteBackend) -> Identity:
    return Identity(ref.group, ref.kind, ref.namespace, ref.name, ref.port)


def unresolved(
    policy: RoutingPolicy,
    backends: tuple[BackendFacts, ...],
    route: RouteFacts | None,
    listed: tuple[RouteBackend, ...] | None,
) -> Unresolved | None:
    """Why the rule cannot be programmed; None when policy and rule agree."""
    broken = next((one for one in backends if one.problem), None)
    if broken is not None:
        why = f"Backend {broken.name}: {broken.problem}."
        return Unresolved(Reason.BACKEND_NOT_FOUND, why)
    ref = policy.spec.route_ref
    if ref is None:
        return None
    if route is None:
        return Unresolved(
            Reason.ROUTE_NOT_FOUND,
            f"HTTPRoute {ref.name} does not exist: create it or correct spec.routeRef.",
        )
    if listed is None:
        return Unresolved(Reason.ROUTE_NOT_FOUND, f"HTTPRoute {ref.name} has no rule {ref.rule}.")
    return _mismatch(ref.name, ref.rule, backends, listed)


def _mismatch(
    route: str, rule: int, backends: tuple[BackendFacts, ...], listed: tuple[RouteBackend, ...]
) -> Unresolved | None:
    """Weights are parts of a whole: whoever sets some of them sets all of them."""
    here = f"Rule {rule} of HTTPRoute {route}"
    unlisted = next((one for one in backends if one.place is None), None)
    if unlisted is not None:
        why = f"{here} does not list {unlisted.identity} exactly once: add it as a backendRef."
        return Unresolved(Reason.BACKENDS_DIFFER, why)
    known = {one.identity for one in backends}
    foreign = next((ref for ref in listed if _identity(ref) not in known), None)
    if foreign is not None:
        why = f"{here} also lists {_identity(foreign)}: add it to spec.backends, or remove it."
        return Unresolved(Reason.BACKENDS_DIFFER, why)
    return None
