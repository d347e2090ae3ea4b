"""Is there room for one more pod: the rollout that arms a sidecar needs a surge pod."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from aurora.cachesidecar.selectors import matches_term

__all__ = ["SurgeRoom", "parse_quantity", "pod_requests", "surge_room"]

Json = Mapping[str, Any]
Requests = dict[str, Decimal]

_SUFFIXES = {
    **{s: Decimal(1024) ** (n + 1) for n, s in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
    **{s: Decimal(1000) ** (n + 1) for n, s in enumerate(("k", "M", "G", "T", "P", "E"))},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}


@dataclass(frozen=True, slots=True)
class SurgeRoom:
    """Whether one more pod fits; the message names the nearest miss when it does not."""

    fits: bool
    message: str


def parse_quantity(text: object) -> Decimal:
    """Return a Kubernetes quantity as a number.

    Raises:
        ValueError: it is not one.
    """
    word = str(text)
    suffix = next((s for s in _SUFFIXES if word.endswith(s)), "")
    try:
        return Decimal(word.removesuffix(suffix)) * _SUFFIXES.get(suffix, Decimal(1))
    except InvalidOperation:
        raise ValueError(f"{word!r} is not a quantity such as 500m or 2Gi") from None


def pod_requests(pod_spec: Json) -> Requests:
    """Return what the scheduler counts for a pod, overhead included.

    An init container runs while the sidecars before it run; all sidecars are counted, which can
    only overstate.
    """
    init = tuple(pod_spec.get("initContainers") or ())
    sidecars = [c for c in init if c.get("restartPolicy") == "Always"]
    base = _total(_of_container(c) for c in sidecars)
    steady = _total((base, *(_of_container(c) for c in pod_spec.get("containers") or ())))
    peaks = [_total((base, _of_container(c))) for c in init if c not in sidecars]
    names = {name for part in (steady, *peaks) for name in part}
    need = {n: max(part.get(n, Decimal(0)) for part in (steady, *peaks)) for n in names}
    overhead = {n: parse_quantity(q) for n, q in (pod_spec.get("overhead") or {}).items()}
    return _total((need, overhead))


def surge_room(
    pod_spec: Json, *, extra: Json, nodes: Sequence[Json], pods: Iterable[Json]
) -> SurgeRoom:
    """Return whether one more pod fits on a node that it may run on.

    Args:
        pod_spec: the pod template's spec as it is now.
        extra: requests that the sidecar adds, by resource name.
        nodes: Node objects.
        pods: Pod objects of all namespaces; finished ones are left out here.

    Affinity between pods and topology spread are not read: the answer may say yes where the
    scheduler says no, and the rollout then waits without harm, since no old pod has gone.
    """
    more = {name: parse_quantity(amount) for name, amount in extra.items()}
    need = _total((pod_requests(pod_spec), more, {"pods": Decimal(1)}))
    used = _used_by_node(pods)
    misses = []
    for node in nodes:
        if not _may_run_on(pod_spec, node):
            continue
        name = node["metadata"]["name"]
        short = _shortage(node, used.get(name, {}), need)
        if not short:
            return SurgeRoom(fits=True, message=f"fits on {name}")
        misses.append(f"{name} lacks {', '.join(short)}")
    return SurgeRoom(fits=False, message=misses[0] if misses else "no node accepts the pod")


def _shortage(node: Json, used: Requests, need: Requests) -> list[str]:
    free = node.get("status", {}).get("allocatable") or {}
    return sorted(
        name
        for name, amount in need.items()
        if amount > parse_quantity(free.get(name, 0)) - used.get(name, Decimal(0))
    )


def _used_by_node(pods: Iterable[Json]) -> dict[str, Requests]:
    used: dict[str, list[Requests]] = {}
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        if node and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
            requests = _total((pod_requests(pod["spec"]), {"pods": Decimal(1)}))
            used.setdefault(node, []).append(requests)
    return {node: _total(parts) for node, parts in used.items()}


def _may_run_on(pod_spec: Json, node: Json) -> bool:
    spec, labels = node.get("spec", {}), node["metadata"].get("labels") or {}
    if spec.get("unschedulable"):
        return False
    if any(labels.get(k) != v for k, v in (pod_spec.get("nodeSelector") or {}).items()):
        return False
    tolerations = pod_spec.get("tolerations") or ()
    taints = [t for t in spec.get("taints") or () if t.get("effect") != "PreferNoSchedule"]
    if not all(any(_tolerates(t, taint) for t in tolerations) for taint in taints):
        return False
    return _affine(pod_spec, labels)


def _tolerates(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") not in {None, "", taint.get("effect")}:
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or toleration.get("value", "") == taint.get("value", "")


def _affine(pod_spec: Json, labels: Json) -> bool:
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(
        all(matches_term(term, labels) for term in option.get("matchExpressions") or ())
        for option in required.get("nodeSelectorTerms") or ()
    )


def _of_container(container: Json) -> Requests:
    resources = container.get("resources") or {}
    amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse_quantity(amount) for name, amount in amounts.items()}


def _total(parts: Iterable[Requests]) -> Requests:
    total: Requests = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total
