"""Arming and disarming: one JSON Patch of a Deployment that someone else owns, and its undo.

Only leaf fields and our own list entries are touched; each patch tests uid, resourceVersion and
every old value, so that it applies to the object that was looked at or to none.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurora.cachesidecar.jsonpatch import Operation, append, join, read, remove, test, write
from aurora.cachesidecar.manifests import (
    CACHE_CONTAINER,
    EXPORTER_CONTAINER,
    SIDECAR_VOLUMES,
    config_map_name,
    sidecar_containers,
    sidecar_volumes,
)
from aurora.cachesidecar.ports import PortBinding, bind_port, containers_of, pod_spec_of
from aurora.cachesidecar.settings import CacheSettings
from aurora.errors import UsageError

__all__ = [
    "ARMED_ANNOTATION",
    "DIRECT_PORT_NAME",
    "ArmPlan",
    "DisarmPlan",
    "arm",
    "disarm",
    "is_armed",
]

ARMED_ANNOTATION = "aurora.dev/cache-sidecar"
"""On the Deployment: the record from which any later version disarms; written with the change."""

DIRECT_PORT_NAME = "aurora-direct"
"""What the model server's own port is called while the sidecar has its name."""

Json = Mapping[str, Any]
_SPEC = "/spec/template/spec"
_ANNOTATIONS = "/metadata/annotations"
_GRACE = "terminationGracePeriodSeconds"
_DEFAULT_GRACE_S = 30
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_HOOKS = ("postStart", "preStop")
_ABSENT = None


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """What to write to arm a Deployment.

    Attributes:
        operations: the JSON Patch; empty when the Deployment is armed already.
        undo: the reverse patch, valid on the object that `operations` leaves; it tests the uid and
            our values, not the resourceVersion, which only the answer to the write tells.
        config_map: name of the ConfigMap, to be applied before the patch.
        upstream_port: the model server's port number, for the ConfigMap's configuration.
        warnings: what the rollout cannot protect callers from, in sentences.
    """

    operations: tuple[Operation, ...]
    undo: tuple[Operation, ...]
    config_map: str
    upstream_port: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DisarmPlan:
    """What to write to disarm; `kept` names fields that another hand has changed since."""

    operations: tuple[Operation, ...]
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    """One leaf: its path below the named container or the pod spec, old value, new value."""

    container: str | None
    path: tuple[str | int, ...]
    old: Any
    new: Any


def is_armed(deployment: Json) -> bool:
    """Return whether the pod template carries the sidecar."""
    init = pod_spec_of(deployment).get("initContainers") or ()
    return any(container.get("name") == CACHE_CONTAINER for container in init)


def arm(deployment: Json, service: Json, settings: CacheSettings) -> ArmPlan:
    """Return the patch that puts the sidecar between the Service and the model server.

    The preconditions are checked apart, by `check_preconditions`.

    Raises:
        UsageError: the Service's target does not resolve to a container's port.
    """
    metadata = deployment["metadata"]
    if is_armed(deployment):
        record = _record_of(deployment)
        return ArmPlan((), (), config_map_name(metadata["name"]), record["upstreamPort"])
    binding = bind_port(deployment, service, settings.service_port)
    if isinstance(binding, str):
        raise UsageError(f"cannot arm {metadata['namespace']}/{metadata['name']}: {binding}")
    changes = tuple(_changes(deployment, binding, settings))
    added = sidecar_containers(settings, port_name=binding.name, upstream_port=binding.number)
    volumes = sidecar_volumes(settings, deployment_name=metadata["name"])
    record_text = _record_text(binding, changes, volumes)
    operations = (
        *_identity(deployment),
        *(op for change in changes for op in _apply(deployment, change)),
        *append(f"{_SPEC}/initContainers", pod_spec_of(deployment).get("initContainers"), added),
        *append(f"{_SPEC}/volumes", pod_spec_of(deployment).get("volumes"), volumes),
        *_annotate(deployment, record_text),
    )
    undo = _undo(deployment, changes, added, volumes, record_text)
    return ArmPlan(
        operations,
        undo,
        config_map_name(metadata["name"]),
        binding.number,
        _warnings(binding),
    )


def disarm(deployment: Json) -> DisarmPlan:
    """Return the patch that takes the sidecar out and writes the old values back.

    It reads the record on the Deployment, so that it needs no memory of the arming. A field that
    is no longer as we wrote it stays as it is and is named in `kept`.

    Raises:
        UsageError: the sidecar is there but its record is missing or unreadable.
    """
    if not is_armed(deployment):
        return DisarmPlan(())
    record = _record_of(deployment)
    operations, kept = list(_identity(deployment)), []
    for raw in record["changes"]:
        change = _Change(raw["container"], tuple(raw["path"]), raw["old"], raw["new"])
        where = _locate(deployment, change)
        if where is None or read(deployment, where) != change.new:
            kept.append(".".join(str(part) for part in (change.container, *change.path) if part))
            continue
        operations.extend(write(where, change.new, change.old))
    spec = pod_spec_of(deployment)
    ours = {CACHE_CONTAINER, EXPORTER_CONTAINER}
    operations.extend(remove(f"{_SPEC}/initContainers", spec.get("initContainers") or (), ours))
    volumes = set(record["volumes"])
    operations.extend(remove(f"{_SPEC}/volumes", spec.get("volumes") or (), volumes))
    text = deployment["metadata"]["annotations"][ARMED_ANNOTATION]
    operations.extend(write(_annotation_path(), text, _ABSENT))
    return DisarmPlan(tuple(operations), tuple(kept))


def _changes(deployment: Json, binding: PortBinding, settings: CacheSettings) -> Iterator[_Change]:
    name = binding.container_name
    port = ("ports", binding.port_index, "name")
    yield _Change(name, port, binding.name, DIRECT_PORT_NAME)
    yield from _numbered_probes(binding)
    if (binding.container.get("lifecycle") or {}).get("preStop"):
        return
    hook = {"preStop": {"sleep": {"seconds": settings.drain_s}}}
    if binding.container.get("lifecycle"):
        yield _Change(name, ("lifecycle", "preStop"), _ABSENT, hook["preStop"])
    else:
        yield _Change(name, ("lifecycle",), _ABSENT, hook)
    # The sleep counts against the grace period: without this, a long answer loses that much of it.
    grace = pod_spec_of(deployment).get(_GRACE)
    longer = (grace if grace is not None else _DEFAULT_GRACE_S) + settings.drain_s
    yield _Change(None, (_GRACE,), grace, longer)


def _numbered_probes(binding: PortBinding) -> Iterator[_Change]:
    lifecycle = binding.container.get("lifecycle") or {}
    handlers: list[tuple[tuple[str, ...], Any]] = [
        ((probe,), binding.container.get(probe)) for probe in _PROBES
    ]
    handlers += [(("lifecycle", hook), lifecycle.get(hook)) for hook in _HOOKS]
    for path, handler in handlers:
        for kind in ("httpGet", "tcpSocket"):
            if ((handler or {}).get(kind) or {}).get("port") == binding.name:
                where = (*path, kind, "port")
                yield _Change(binding.container_name, where, binding.name, binding.number)


def _warnings(binding: PortBinding) -> tuple[str, ...]:
    if (binding.container.get("lifecycle") or {}).get("preStop"):
        return ()
    message = (
        f"running pods of container {binding.container_name} have no preStop hook, so the rollout "
        "that arms may drop requests, as any rollout of this Deployment does now; the armed pods "
        "get one"
    )
    return (message,)


def _record_text(binding: PortBinding, changes: Sequence[_Change], volumes: Sequence[Json]) -> str:
    record = {
        "upstreamPort": binding.number,
        "volumes": [volume["name"] for volume in volumes],
        "changes": [
            {"container": c.container, "path": list(c.path), "old": c.old, "new": c.new}
            for c in changes
        ],
    }
    return json.dumps(record, separators=(",", ":"), sort_keys=True)


def _record_of(deployment: Json) -> dict[str, Any]:
    metadata = deployment["metadata"]
    text = (metadata.get("annotations") or {}).get(ARMED_ANNOTATION, "")
    try:
        record: dict[str, Any] = json.loads(text)
        readable = isinstance(record["upstreamPort"], int) and all(map(_is_ours, record["changes"]))
        readable = readable and all(name in SIDECAR_VOLUMES for name in record["volumes"])
    except (ValueError, TypeError, KeyError):
        readable = False
    if not readable:
        raise UsageError(
            f"{metadata['namespace']}/{metadata['name']} carries the sidecar but no readable "
            f"annotation {ARMED_ANNOTATION}: take container {CACHE_CONTAINER} out by hand"
        )
    return record


def _is_ours(raw: Json) -> bool:
    """Return whether arming makes such a change: an annotation is input and may be forged."""
    first = raw["path"][0]
    if raw["container"] is None:
        return bool(raw["path"] == [_GRACE])
    return first in {"ports", "lifecycle", *_PROBES}


def _undo(
    deployment: Json,
    changes: Sequence[_Change],
    added: Sequence[Json],
    volumes: Sequence[Json],
    record_text: str,
) -> tuple[Operation, ...]:
    spec = pod_spec_of(deployment)
    operations = [test("/metadata/uid", deployment["metadata"]["uid"])]
    for change in changes:
        where = _locate(deployment, change)
        operations.extend(write(where, change.new, change.old) if where else ())
    for path, live, ours in (
        (f"{_SPEC}/initContainers", spec.get("initContainers"), added),
        (f"{_SPEC}/volumes", spec.get("volumes"), volumes),
    ):
        operations.extend(remove(path, (*(live or ()), *ours), {item["name"] for item in ours}))
    operations.extend(write(_annotation_path(), record_text, _ABSENT))
    return tuple(operations)


def _identity(deployment: Json) -> tuple[Operation, ...]:
    metadata = deployment["metadata"]
    return (
        test("/metadata/uid", metadata["uid"]),
        test("/metadata/resourceVersion", metadata["resourceVersion"]),
    )


def _locate(deployment: Json, change: _Change) -> str | None:
    if change.container is None:
        return join((_SPEC, *change.path))
    for index, container in enumerate(containers_of(pod_spec_of(deployment))):
        if container.get("name") == change.container:
            return join((f"{_SPEC}/containers/{index}", *change.path))
    return None


def _apply(deployment: Json, change: _Change) -> Iterator[Operation]:
    where = _locate(deployment, change)
    if where is not None:
        yield from write(where, change.old, change.new)


def _annotate(deployment: Json, text: str) -> Iterator[Operation]:
    if not deployment["metadata"].get("annotations"):
        yield {"op": "add", "path": _ANNOTATIONS, "value": {}}
    yield {"op": "add", "path": _annotation_path(), "value": text}


def _annotation_path() -> str:
    return join((_ANNOTATIONS, ARMED_ANNOTATION))
