"""Services, their endpoints and the routes to them, as facts; never raising, like projections."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aurora.observe.facts import (
    ObjectKey,
    RouteBackend,
    RouteFacts,
    ServiceFacts,
    ServicePort,
)
from aurora.observe.projections import annotations_of, key_of
from aurora.observe.raw import dig, entries, flag, name, strings, text, whole

__all__ = ["SliceFacts", "route", "service", "slice_of"]

SERVICE_LABEL: Final = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """One EndpointSlice: a part of a Service's endpoints, of one address family."""

    service: ObjectKey
    family: str
    ready: int
    total: int


def service(obj: Any) -> ServiceFacts | None:
    """A Service. An absent targetPort is the port itself."""
    key = key_of(obj)
    if key is None:
        return None
    return ServiceFacts(
        key=key,
        uid=text(obj, "metadata", "uid"),
        resource_version=text(obj, "metadata", "resourceVersion"),
        selector=strings(obj, "spec", "selector"),
        ports=tuple(_port(port) for port in entries(obj, "spec", "ports")),
        headless=text(obj, "spec", "clusterIP") == "None",
        annotations=annotations_of(obj),
    )


def slice_of(obj: Any) -> SliceFacts | None:
    """An EndpointSlice. An absent `ready` means ready; terminating endpoints are not counted."""
    namespace = name(obj, "metadata", "namespace")
    owner = name(obj, "metadata", "labels", SERVICE_LABEL)
    if not owner:
        return None
    staying = [
        one for one in entries(obj, "endpoints") if not flag(one, "conditions", "terminating")
    ]
    ready = sum(dig(one, "conditions", "ready") is not False for one in staying)
    family = name(obj, "addressType")
    return SliceFacts(ObjectKey(namespace, owner), family, ready, len(staying))


def route(obj: Any) -> RouteFacts | None:
    """An HTTPRoute. Rules and backends keep their places, because weights are patched by index.

    A backend that is no Service of the route's namespace is named `Kind/name` or
    `namespace/name`, so that it never equals one.
    """
    key = key_of(obj)
    if key is None:
        return None
    rules = tuple(
        tuple(_backend(backend, key.namespace) for backend in entries(rule, "backendRefs"))
        for rule in entries(obj, "spec", "rules")
    )
    return RouteFacts(
        key=key,
        uid=text(obj, "metadata", "uid"),
        resource_version=text(obj, "metadata", "resourceVersion"),
        rules=rules,
        backends=tuple(
            tuple(_whole_backend(one, key.namespace) for one in entries(rule, "backendRefs"))
            for rule in entries(obj, "spec", "rules")
        ),
        writer=_writer(obj),
    )


def _port(port: Mapping[str, Any]) -> ServicePort:
    number = whole(port, "port")
    target = port.get("targetPort")
    known = isinstance(target, int | str) and not isinstance(target, bool)
    return ServicePort(text(port, "name"), number, str(target) if known else str(number))


def _backend(backend: Mapping[str, Any], namespace: str) -> tuple[str, int, int]:
    found = text(backend, "name")
    kind = text(backend, "kind") or "Service"
    place = text(backend, "namespace") or namespace
    if kind != "Service":
        found = f"{kind}/{found}"
    elif place != namespace:
        found = f"{place}/{found}"
    return found, whole(backend, "port"), whole(backend, "weight", default=1)


def _whole_backend(backend: Mapping[str, Any], namespace: str) -> RouteBackend:
    port = backend.get("port")
    return RouteBackend(
        group=text(backend, "group"),
        kind=text(backend, "kind") or "Service",
        namespace=text(backend, "namespace") or namespace,
        name=text(backend, "name"),
        port=port if isinstance(port, int) and not isinstance(port, bool) else None,
        weight=whole(backend, "weight", default=1),
    )


def _writer(obj: Any) -> str:
    """Rules are one atomic list, so whoever wrote any of them last owns all of them."""
    found = [
        (text(one, "time"), text(one, "manager"))
        for one in entries(obj, "metadata", "managedFields")
        if isinstance(dig(one, "fieldsV1", "f:spec", "f:rules"), Mapping)
    ]
    return max(found, default=("", ""))[1]
