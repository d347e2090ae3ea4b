"""What passes the fault proxy, as values: one `Call` for each request, and what it changed."""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "Effect", "effects", "parse_call"]

_PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<resource>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<subresource>.+))?$"
)
_WRITES = {"POST": "create", "PUT": "update", "DELETE": "delete"}
_OWN_GROUP = "aurora.dev"
_TELLING = frozenset({"events", "leases"})


@dataclass
class Call:
    """One request.

    Attributes:
        verb: get, list, watch, create, patch, apply, update or delete.
        status: what the API server answered; 0 when the request never reached it.
        told: what the caller was told; 0 when the connection was broken instead.
        fault: the name of the fault that it met.
        answer: the body of a write's answer.
    """

    verb: str
    resource: str
    namespace: str
    name: str
    subresource: str
    group: str
    path: str
    body: Any = None
    status: int = 0
    told: int = 0
    fault: str = ""
    answer: Any = None
    at: float = field(default_factory=time.monotonic)

    @property
    def is_write(self) -> bool:
        """A write to anything but the leader's Lease; Events are writes."""
        return self.verb not in {"get", "list", "watch"} and self.resource != "leases"

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def target(self) -> str:
        """The object and subresource, for example `deployments/llama/scale`."""
        name = self.name or ((self.body or {}).get("metadata") or {}).get("name", "")
        return "/".join(part for part in (self.resource, name, self.subresource) if part)

    @property
    def is_foreign(self) -> bool:
        """A write to what is not AURORA's own and only tells."""
        return self.is_write and self.group != _OWN_GROUP and self.resource not in _TELLING

    def __str__(self) -> str:
        fault = f" [{self.fault}]" if self.fault else ""
        return f"{self.verb} {self.target} -> {self.status}{fault}"


@dataclass(frozen=True)
class Effect:
    """One leaf of somebody else's object that a write of ours changed."""

    namespace: str
    target: str
    path: str
    value: Any
    call: Call


def parse_call(method: str, path: str, query: Mapping[str, str], content_type: str) -> Call:
    """Name a request as Kubernetes does."""
    found = _PATH.match(path)
    parts = found.groupdict("") if found else {"resource": path}
    name, watched = parts.get("name", ""), query.get("watch") in {"true", "1"}
    if method == "GET":
        verb = "watch" if watched else "get" if name or not found else "list"
    elif method == "PATCH":
        verb = "apply" if "apply-patch" in content_type else "patch"
    else:
        verb = _WRITES.get(method, method.lower())
    return Call(
        verb,
        parts["resource"],
        parts.get("namespace", ""),
        name,
        parts.get("subresource", ""),
        parts.get("group", ""),
        path,
    )


def effects(calls: Iterable[Call]) -> list[Effect]:
    """Every accepted change of a leaf that serves somebody: annotations and finalizers tell only.

    A created or applied object counts as one leaf, its whole body.
    """
    found: list[Effect] = []
    for call in calls:
        if not (call.is_foreign and call.accepted):
            continue
        if call.verb != "patch" or not isinstance(call.body, list):
            found.append(Effect(call.namespace, call.target, "", call.body, call))
            continue
        for operation in call.body:
            path = operation["path"]
            if operation["op"] != "test" and not path.startswith("/metadata"):
                found.append(
                    Effect(call.namespace, call.target, path, operation.get("value"), call)
                )
    return found
