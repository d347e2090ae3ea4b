"""An API server in memory: what AURORA's client asks of a real one, with every write recorded.

Objects have uids and resourceVersions; JSON Patch is applied with its tests, merge patches with
their preconditions, and the status and scale subresources behave as on a real server. Tests of the
real one are in tests/apiserver; this one can be killed between any two writes.
"""

import copy
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aurora.errors import ConflictError, NotFoundError
from aurora.kube.client import Listing
from aurora.kube.kinds import Kind, Ref, ref_of
from aurora.kube.transport import REQUEST_TIMEOUT_S

__all__ = ["FakeCluster", "KilledError", "Write", "patched"]


_GUARDS = ("uid", "resourceVersion")


class KilledError(BaseException):
    """The process ended here; as a real end, it is no Exception that anybody catches."""


class Write(tuple[str, str, str]):
    """Verb, kind/name and what was touched."""

    __slots__ = ()


def patched(document: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> Any:
    """Apply a JSON Patch (RFC 6902): test, add, replace, remove.

    Raises:
        ConflictError: a test does not hold, or a path does not exist.
    """
    result: Any = copy.deepcopy(dict(document))
    for operation in operations:
        _apply(result, operation)
    return result


def _apply(document: Any, operation: Mapping[str, Any]) -> None:
    parts = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
    parent = document
    for part in parts[:-1]:
        parent = parent[int(part)] if isinstance(parent, list) else parent.get(part)
        if parent is None:
            raise ConflictError(f"{operation['path']} does not exist")
    last: Any = int(parts[-1]) if isinstance(parent, list) else parts[-1]
    there = last < len(parent) if isinstance(parent, list) else last in parent
    verb = operation["op"]
    if verb != "add" and not there:
        raise ConflictError(f"{operation['path']} does not exist")
    if verb == "test" and parent[last] != operation["value"]:
        raise ConflictError(f"{operation['path']} is {parent[last]!r}")
    if verb in {"add", "replace"}:
        parent[last] = copy.deepcopy(operation["value"])
    if verb == "remove":
        del parent[last]


def merged(before: Any, patch: Any) -> Any:
    """Apply a JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(before) if isinstance(before, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class FakeCluster:
    """Objects by kind, namespace and name.

    Attributes:
        writes: every write in order, Leases and Events included.
        die_after: number of writes after which the process is killed, None for never.
        deny: called before each write; may raise what the API server would answer.
    """

    def __init__(self, *, wall: Callable[[], float]) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.writes: list[Write] = []
        self.die_after: int | None = None
        self.deny: Callable[[str, Ref], None] = lambda _verb, _ref: None
        self.listeners: list[Callable[[Kind, str, dict[str, Any]], object]] = []
        self.kinds: dict[str, Kind] = {}
        self._wall = wall
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)

    # What a person or a controller does: seen by watches, and no write of AURORA's.

    def put(self, kind: Kind, obj: Mapping[str, Any]) -> dict[str, Any]:
        ref = ref_of(kind, dict(obj))
        before = self.objects.get(_key(ref))
        made = copy.deepcopy(dict(obj))
        metadata = made["metadata"]
        metadata.setdefault("uid", before["metadata"]["uid"] if before else self._uid())
        metadata.setdefault("creationTimestamp", self._now())
        metadata.setdefault("generation", 1)
        return self._store(kind, ref, made)

    def remove(self, ref: Ref) -> None:
        gone = self.objects.pop(_key(ref))
        gone["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell(ref.kind, "DELETED", gone)

    def peek(self, ref: Ref) -> dict[str, Any]:
        return copy.deepcopy(self.objects[_key(ref)])

    def all_of(self, kind: Kind) -> list[dict[str, Any]]:
        return [copy.deepcopy(o) for (k, _, _), o in self.objects.items() if k == str(kind)]

    # What AURORA's client does; the names and arguments are those of KubeClient.

    async def get(
        self, ref: Ref, subresource: str = "", *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> dict[str, Any] | None:
        found = self.objects.get(_key(ref))
        if found is None:
            return None
        return _scale(found) if subresource == "scale" else copy.deepcopy(found)

    async def list(self, kind: Kind, *, namespace: str = "", **_: Any) -> Listing:
        items = [o for o in self.all_of(kind) if namespace in {"", o["metadata"]["namespace"]}]
        return Listing(kind, str(next(self._versions)), items)

    async def create(
        self,
        kind: Kind,
        manifest: dict[str, Any],
        *,
        field_manager: str = "",
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        ref = ref_of(kind, manifest)
        self._before("create", ref)
        if _key(ref) in self.objects:
            raise ConflictError(f"{ref} exists")
        made = copy.deepcopy(manifest)
        made.pop("status", None)
        return self._wrote("create", ref, "", self.put(kind, made))

    async def patch_json(
        self,
        ref: Ref,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str = "",
        field_manager: str = "",
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        self._before("patch", ref)
        found = self._need(ref)
        shown = _scale(found) if subresource == "scale" else found
        after = patched(shown, operations)
        if subresource == "scale":
            after = merged(found, {"spec": {"replicas": after["spec"]["replicas"]}})
        touched = ",".join(o["path"] for o in operations if o["op"] != "test")
        return self._wrote("patch", ref, touched, self._store(ref.kind, ref, after))

    async def patch_merge(
        self,
        ref: Ref,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
        timeout_s: float = REQUEST_TIMEOUT_S,
        metadata_only: bool = False,
        **_: Any,
    ) -> dict[str, Any]:
        self._before("patch", ref)
        guard = patch.get("metadata", {})
        found = self._guarded(ref, guard)
        wanted = {k: v for k, v in patch.items() if not subresource or k == subresource}
        after = merged(found, wanted)
        fields = ",".join(f"/metadata/{name}" for name in guard if name not in _GUARDS)
        touched = f"/{subresource}:{_phase(after)}" if subresource else f"merge{fields}"
        written = self._wrote("patch", ref, touched, self._store(ref.kind, ref, after))
        return {"metadata": written["metadata"]} if metadata_only else written

    async def replace(
        self,
        ref: Ref,
        manifest: Mapping[str, Any],
        *,
        subresource: str,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        self._before("update", ref)
        found = self._guarded(ref, manifest["metadata"])
        after = copy.deepcopy({**found, subresource: manifest[subresource]})
        touched = f"/{subresource}:{_phase(after)}"
        written = self._wrote("update", ref, touched, self._store(ref.kind, ref, after))
        return {"metadata": written["metadata"]}

    async def apply(
        self,
        kind: Kind,
        manifest: dict[str, Any],
        *,
        field_manager: str = "",
        existing: Mapping[str, Any] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        ref = ref_of(kind, manifest)
        self._before("apply", ref)
        after = merged(self.objects.get(_key(ref), {}), manifest)
        return self._wrote("apply", ref, "", self.put(kind, after))

    async def delete(
        self, ref: Ref, *, uid: str, resource_version: str = "", timeout_s: float = 0.0
    ) -> None:
        self._before("delete", ref)
        if self._need(ref)["metadata"]["uid"] != uid:
            raise ConflictError(f"{ref} is another object")
        self.remove(ref)
        self.writes.append(Write(("delete", _name(ref), "")))

    def _guarded(self, ref: Ref, guard: Mapping[str, Any]) -> dict[str, Any]:
        """The object, where it is the one and the version that the metadata names."""
        found = self._need(ref)
        for name in _GUARDS:
            if name in guard and guard[name] != found["metadata"][name]:
                raise ConflictError(f"{ref} changed")
        return found

    def _before(self, verb: str, ref: Ref) -> None:
        self.deny(verb, ref)
        if self.die_after is not None and len(self.writes) >= self.die_after:
            raise KilledError

    def _wrote(self, verb: str, ref: Ref, touched: str, stored: dict[str, Any]) -> dict[str, Any]:
        self.writes.append(Write((verb, _name(ref), touched)))
        return stored

    def _need(self, ref: Ref) -> dict[str, Any]:
        found = self.objects.get(_key(ref))
        if found is None:
            raise NotFoundError(f"{ref} does not exist")
        return copy.deepcopy(found)

    def _store(self, kind: Kind, ref: Ref, obj: dict[str, Any]) -> dict[str, Any]:
        before = self.objects.get(_key(ref))
        if before is not None and before.get("spec") != obj.get("spec"):
            obj["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        json.dumps(obj, allow_nan=False)  # what is no JSON would not have come this far
        self.objects[_key(ref)] = obj
        self._tell(kind, "MODIFIED" if before else "ADDED", obj)
        return copy.deepcopy(obj)

    def _tell(self, kind: Kind, event: str, obj: dict[str, Any]) -> None:
        self.kinds[str(kind)] = kind
        for listener in self.listeners:
            listener(kind, event, copy.deepcopy(obj))

    def _uid(self) -> str:
        return f"00000000-0000-0000-0000-{next(self._uids):012d}"

    def _now(self) -> str:
        return datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(ref: Ref) -> tuple[str, str, str]:
    return str(ref.kind), ref.namespace, ref.name


def _name(ref: Ref) -> str:
    return f"{ref.kind.kind}/{ref.name}"


def _phase(obj: Mapping[str, Any]) -> str:
    return str(obj.get("status", {}).get("phase", ""))


def _scale(found: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {k: found["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "metadata": metadata,
        "spec": {"replicas": found["spec"]["replicas"]},
        "status": {"replicas": found.get("status", {}).get("replicas", 0)},
    }
