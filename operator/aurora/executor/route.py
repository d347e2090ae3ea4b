"""ROUTE: to the fallback and back, and a policy's weights from step to step."""

from aurora.critic.ledger import LedgerEntry
from aurora.errors import ConfigurationError
from aurora.executor.changes import Change, ObjectRef
from aurora.kube.kinds import HTTP_ROUTE
from aurora.observe.backends import BackendFacts, RoutingFacts
from aurora.observe.facts import ServiceFacts
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import WEIGHT

__all__ = ["route_changes", "shift_changes"]


def route_changes(observation: ModelObservation) -> tuple[Change, ...]:
    """The leaves that send traffic to the fallback.

    The way back is not built here: it is the undo of the decision that went there, so that the
    values found before are the values written back.

    Raises:
        ConfigurationError: the Services or the rule are not what the switch needs.
    """
    fallback = observation.model.spec.fallback
    if fallback is None:
        raise ConfigurationError("spec.fallback is not set")
    if fallback.http_route_ref is not None:
        return _weights(observation)
    return _selector(observation)


def _selector(observation: ModelObservation) -> tuple[Change, ...]:
    primary, fallback = observation.service, observation.fallback_service
    if primary is None or fallback is None:
        raise ConfigurationError("the Service or the fallback's Service does not exist")
    if not fallback.selector:
        raise ConfigurationError(f"Service {fallback.key.name} has no selector to switch to")
    ref = ObjectRef("v1", "Service", *primary.key, primary.uid)
    changes = [
        Change(ref, "/spec/selector", dict(primary.selector), dict(fallback.selector)),
        *_target_ports(ref, observation, primary, fallback),
    ]
    return tuple(change for change in changes if change.before != change.after)


def _target_ports(
    ref: ObjectRef, observation: ModelObservation, primary: ServiceFacts, fallback: ServiceFacts
) -> list[Change]:
    wanted = _fallback_port(observation, fallback)
    if len(primary.ports) != 1:
        raise ConfigurationError(
            f"Service {primary.key.name} has {len(primary.ports)} ports: the switch needs one"
        )
    before = _json_port(primary.ports[0].target_port)
    return [Change(ref, "/spec/ports/0/targetPort", before, _json_port(wanted))]


def _fallback_port(observation: ModelObservation, fallback: ServiceFacts) -> str:
    spec = observation.model.spec.fallback
    number = spec.service_ref.port if spec is not None else None
    found = [port for port in fallback.ports if number in {None, port.port}]
    if len(found) != 1:
        raise ConfigurationError(
            f"Service {fallback.key.name} has {len(found)} matching ports: "
            "set fallback.serviceRef.port to one of them"
        )
    return found[0].target_port


def _json_port(port: str) -> str | int:
    """A targetPort is a number or the name of a container port."""
    return int(port) if port.isdigit() else port


def _weights(observation: ModelObservation) -> tuple[Change, ...]:
    route, fallback = observation.route, observation.model.spec.fallback
    if route is None or fallback is None or fallback.http_route_ref is None:
        raise ConfigurationError("the HTTPRoute of spec.fallback.httpRouteRef does not exist")
    index = fallback.http_route_ref.rule
    if index >= len(route.rules):
        raise ConfigurationError(f"HTTPRoute {route.key.name} has no rule {index}")
    names = {observation.model.spec.service_ref.name, fallback.service_ref.name}
    found = {name for name, _, _ in route.rules[index]}
    if found != names:
        raise ConfigurationError(
            f"rule {index} of HTTPRoute {route.key.name} must list exactly the backends "
            f"{' and '.join(sorted(names))}, it lists {', '.join(sorted(found)) or 'none'}"
        )
    ref = ObjectRef("gateway.networking.k8s.io/v1", "HTTPRoute", *route.key, route.uid)
    base = f"/spec/rules/{index}/backendRefs"
    changes = (
        Change(ref, f"{base}/{place}/weight", weight, 100 * (name == fallback.service_ref.name))
        for place, (name, _, weight) in enumerate(route.rules[index])
    )
    return tuple(change for change in changes if change.before != change.after)


def shift_changes(entry: LedgerEntry, observation: ModelObservation) -> tuple[Change, ...]:
    """The weights of one step of a RoutingPolicy, each with the backend that it belongs to.

    Raises:
        ConfigurationError: policy and rule no longer list the same backends.
    """
    routing = observation.routing
    if routing is None or routing.route is None:
        raise ConfigurationError("the HTTPRoute does not exist any more: create it, decide again")
    if routing.unresolved is not None:
        raise ConfigurationError(routing.unresolved.message)
    changes = (_weight(routing, one, entry) for one in routing.backends)
    return tuple(change for change in changes if change.before != change.after)


def _weight(routing: RoutingFacts, one: BackendFacts, entry: LedgerEntry) -> Change:
    name, route, identity = f"{WEIGHT}{one.name}", routing.route, one.identity
    before, after = entry.before.get(name, ""), entry.after.get(name, "")
    if route is None or identity is None or one.place is None:
        raise ConfigurationError(f"{one.name} is not in the rule any more: decide again")
    if not before.isdecimal() or not after.isdecimal():
        raise ConfigurationError(f"the decision names no weights for {one.name}: decide again")
    ref = ObjectRef(HTTP_ROUTE.api_version, HTTP_ROUTE.kind, *route.key, route.uid)
    port = () if identity.port is None else (("port", identity.port),)
    return Change(
        ref,
        f"/spec/rules/{routing.rule}/backendRefs/{one.place}/weight",
        int(before),
        int(after),
        beside=(
            ("group", identity.group),
            ("kind", identity.kind),
            ("name", identity.name),
            *port,
        ),
    )
