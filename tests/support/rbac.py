"""Rights that roles grant, and requests that an API server's audit log holds."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CREATED = 201


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource; namespace `*` is the cluster, and no name is every name."""

    verb: str
    resource: str
    namespace: str
    name: str = ""

    def covers(self, used: "Right") -> bool:
        return (
            (self.verb, self.resource) == (used.verb, used.resource)
            and self.namespace in {"*", used.namespace}
            and self.name in {"", used.name}
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request as the API server recorded it; `right` is None without an object."""

    right: Right | None
    uri: str
    code: int


def granted(objects: Iterable[dict[str, Any]], account: str, home: str) -> set[Right]:
    """Every right that bindings among these objects give to one service account."""
    found = list(objects)
    roles = {_key(one["kind"], one["metadata"]): one for one in found if "rules" in one}
    rights: set[Right] = set()
    for one in found:
        if not one["kind"].endswith("RoleBinding"):
            continue
        subject = {"kind": "ServiceAccount", "name": account, "namespace": home}
        if subject not in one["subjects"]:
            continue
        place = one["metadata"].get("namespace", "*")
        named = {"name": one["roleRef"]["name"], "namespace": place}
        for rule in roles[_key(one["roleRef"]["kind"], named)]["rules"]:
            rights |= _rights(rule, place)
    return rights


def _key(kind: str, metadata: dict[str, Any]) -> tuple[str, str, str]:
    place = "" if kind == "ClusterRole" else metadata["namespace"]
    return kind, place, metadata["name"]


def _rights(rule: dict[str, Any], namespace: str) -> set[Right]:
    return {
        Right(verb, f"{resource}.{group}" if group else resource, namespace, name)
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def recorded(log: Path, user: str) -> list[Request]:
    """What one user asked, oldest first."""
    lines = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    return [
        request for event in lines if event["user"]["username"] == user for request in _read(event)
    ]


def _read(event: dict[str, Any]) -> list[Request]:
    code = event.get("responseStatus", {}).get("code", 0)
    uri, at = event["requestURI"], event.get("objectRef")
    if at is None or not at.get("resource"):
        return [Request(None, uri, code)]
    resource = "/".join(filter(None, (at["resource"], at.get("subresource"))))
    group = at.get("apiGroup", "")
    named = f"{resource}.{group}" if group else resource
    right = Right(event["verb"], named, at.get("namespace", ""), at.get("name", ""))
    made = [Request(right, uri, code)]
    if right.verb == "patch" and code == CREATED:
        # An apply that makes its object is authorised twice, and recorded once.
        made.append(Request(Right("create", named, right.namespace, right.name), uri, code))
    return made
