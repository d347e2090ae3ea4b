"""A pod as facts: which workload it belongs to, and how it is."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from aurora.observe.facts import ObjectKey, PodFacts
from aurora.observe.podtemplates import gpus
from aurora.observe.raw import dig, entries, flag, moment, name, strings, text, whole

__all__ = ["LabelPool", "owner_of", "pod"]

Labels = Mapping[str, str]

_POD_HASH: Final = "pod-template-hash"
_REVISION_HASH: Final = "controller-revision-hash"
_CRASH_LOOP: Final = "CrashLoopBackOff"
_STATUSES: Final = ("containerStatuses", "initContainerStatuses")

POOLED: Final = 50_000
"""Different label sets that are kept; then the pool starts anew, which costs memory only."""


class LabelPool:
    """One mapping for equal labels: the pods of a ReplicaSet share theirs."""

    def __init__(self) -> None:
        self._pool: dict[frozenset[tuple[str, str]], Labels] = {}

    def share(self, labels: Labels) -> Labels:
        if len(self._pool) >= POOLED:
            self._pool.clear()
        return self._pool.setdefault(frozenset(labels.items()), labels)


def owner_of(obj: Any) -> tuple[str, str]:
    """Kind and name of the workload that made a pod; empty for a pod of its own.

    A Deployment names its ReplicaSets by the hash that it also labels their pods with, so no
    watch on ReplicaSets is needed.
    """
    for owner in entries(obj, "metadata", "ownerReferences"):
        if not flag(owner, "controller"):
            continue
        kind, own = name(owner, "kind"), text(owner, "name")
        mark = text(obj, "metadata", "labels", _POD_HASH)
        if kind == "ReplicaSet" and mark and own.endswith(f"-{mark}"):
            return "Deployment", own.removesuffix(f"-{mark}")
        return kind, own
    return "", ""


def pod(obj: Any, *, share: Callable[[Labels], Labels] = lambda labels: labels) -> PodFacts | None:
    """A pod.

    Args:
        obj: the object.
        share: gives one and the same mapping for equal labels, so that the pods of a workload
            do not each keep their own.
    """
    own = name(obj, "metadata", "name")
    if not own:
        return None
    kind, workload = owner_of(obj)
    labels = strings(obj, "metadata", "labels")
    ready_at = _since(obj, "Ready")
    return PodFacts(
        key=ObjectKey(name(obj, "metadata", "namespace"), own),
        uid=text(obj, "metadata", "uid"),
        workload=sys.intern(workload),
        created_at=moment(obj, "metadata", "creationTimestamp") or 0.0,
        scheduled_at=_since(obj, "PodScheduled"),
        ready=_is_true(obj, "Ready"),
        ready_at=ready_at,
        restarts=_restarts(obj),
        crash_looping=_is_crash_looping(obj),
        unschedulable=_unschedulable(obj),
        deleting=bool(text(obj, "metadata", "deletionTimestamp")),
        template_hash=labels.get(_POD_HASH) or labels.get(_REVISION_HASH, ""),
        labels=share(labels),
        workload_kind=kind,
        node=name(obj, "spec", "nodeName"),
        gpus=gpus(dig(obj, "spec")),
        finished=text(obj, "status", "phase") in {"Succeeded", "Failed"},
        ip=text(obj, "status", "podIP"),
    )


def _condition(obj: Any, name: str) -> Mapping[str, Any]:
    for one in entries(obj, "status", "conditions"):
        if text(one, "type") == name:
            return one
    return {}


def _is_true(obj: Any, name: str) -> bool:
    return text(_condition(obj, name), "status") == "True"


def _since(obj: Any, name: str) -> float | None:
    return moment(_condition(obj, name), "lastTransitionTime") if _is_true(obj, name) else None


def _unschedulable(obj: Any) -> str:
    found = _condition(obj, "PodScheduled")
    if text(found, "status") != "False":
        return ""
    return text(found, "message") or text(found, "reason") or "not scheduled"


def _restarts(obj: Any) -> int:
    return sum(
        whole(one, "restartCount") for field in _STATUSES for one in entries(obj, "status", field)
    )


def _is_crash_looping(obj: Any) -> bool:
    return any(
        text(one, "state", "waiting", "reason") == _CRASH_LOOP
        for field in _STATUSES
        for one in entries(obj, "status", field)
    )
