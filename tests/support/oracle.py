"""What must hold after any fault: design section 5, judged from outside.

The evidence is not what AURORA says of itself: `calls` is what the fault proxies saw pass, with
what the API server answered, and `Seen` is what the API server holds now. Each function takes
values and raises AssertionError with the offending write.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.faultproxy_calls import Call, Effect, effects

__all__ = ["Bounds", "Seen", "judge", "quiet"]

Object = Mapping[str, Any]
MOVING = frozenset({"", "Proposed", "Approved", "Executing", "RollingBack"})
"""Phases in which something has still to be done."""
IN_FORCE = frozenset({"Verifying", "Completed"})
EXECUTED = IN_FORCE | {"RollingBack", "RolledBack"}
ARMED_PATH = "/metadata/annotations/aurora.dev~1cache-sidecar"
_LEAVES = {"/spec/replicas", "/spec/minReplicas"}


@dataclass(frozen=True)
class Bounds:
    """What replicas and floors may be written for one workload; `found` stood there at first."""

    low: int
    high: int
    found: int


@dataclass(frozen=True)
class Seen:
    """The cluster as it stands, read past every fault.

    Attributes:
        targets: replicas (or an autoscaler's floor) by workload name.
    """

    models: Sequence[Object]
    decisions: Sequence[Object]
    targets: Mapping[str, int]


def judge(
    calls: Sequence[Call],
    seen: Seen,
    bounds: Mapping[str, Bounds],
    *,
    reverted: Collection[str] = (),
) -> None:
    """Judge everything at once.

    Args:
        calls: of every operator of the test, in the order in which they arrived.
        seen: the cluster at the end.
        bounds: by workload.
        reverted: workloads that somebody else wrote to meanwhile; what stands there is theirs.
    """
    nothing_foreign(calls)
    within_bounds(effects(calls), bounds)
    no_double_actuation(calls)
    undo_hint_first(calls)
    originals_kept(calls, seen, bounds, reverted=reverted)
    no_decision_lost(calls, seen)
    one_in_flight(seen)
    ledger_consistent(seen, reverted=reverted)


def nothing_foreign(calls: Iterable[Call]) -> None:
    """No PUT, nothing forced, and every patch of somebody's object tests identity and version."""
    for call in calls:
        if not call.is_foreign or not call.accepted:
            continue
        assert call.verb != "update", f"a whole object was replaced: {call}"
        if call.verb != "patch":
            continue
        assert isinstance(call.body, list), f"somebody's object was merged into: {call}"
        tested = {one["path"] for one in call.body if one["op"] == "test"}
        assert {"/metadata/uid", "/metadata/resourceVersion"} <= tested, f"unguarded: {call}"


def within_bounds(made: Iterable[Effect], bounds: Mapping[str, Bounds]) -> None:
    """Replicas and floors stay within the model's bounds, or go back to what was found."""
    for one in made:
        limit = bounds.get(one.target.split("/")[1])
        if one.path not in _LEAVES or limit is None:
            continue
        allowed = limit.low <= one.value <= limit.high or one.value == limit.found
        assert allowed, f"{one.target}{one.path} was set to {one.value}, outside {limit}"


def no_double_actuation(calls: Sequence[Call]) -> None:
    """No leaf is written more often than decisions, undos and restores announced it."""
    announced: Counter[tuple[str, str, str, str]] = Counter()
    allowed_undo: Counter[tuple[str, str, str, str]] = Counter()
    for change, namespace in _announcements(calls).values():
        there, back = _leaf(namespace, change, "to"), _leaf(namespace, change, "from")
        announced[there] += 1
        allowed_undo[back] += 1
    written = Counter(leaf for call in calls for leaf in _written(call))
    for leaf, times in written.items():
        most = announced[leaf] + allowed_undo[leaf]
        assert times <= most, f"{leaf} was written {times} times, decided {most} times"


def _written(call: Call) -> list[tuple[str, str, str, str]]:
    """The leaves that a call wrote; arming a cache is one, whatever it puts into the pods."""
    arming = [
        one for one in call.body or [] if isinstance(one, dict) and one.get("path") == ARMED_PATH
    ]
    if arming and call.accepted:
        value = json.dumps("armed") if arming[-1]["op"] != "remove" else "absent"
        return [(call.namespace, call.target, ARMED_PATH, value)]
    return [
        (one.namespace, one.target, one.path, json.dumps(one.value, sort_keys=True))
        for one in effects([call])
        if one.path
    ]


def _announcements(calls: Iterable[Call]) -> dict[tuple[str, str], tuple[Object, str]]:
    """Each change that a Decision's status announced, by decision and leaf."""
    found: dict[tuple[str, str], tuple[Object, str]] = {}
    for call in calls:
        if call.resource != "decisions" or not call.accepted or not isinstance(call.body, dict):
            continue
        for change in (call.body.get("status") or {}).get("changes") or []:
            found[f"{call.namespace}/{call.name}", change["path"]] = (change, call.namespace)
    return found


def _leaf(namespace: str, change: Object, side: str) -> tuple[str, str, str, str]:
    value = json.dumps(json.loads(change[side]), sort_keys=True) if side in change else "absent"
    return namespace, _target(change), change["path"], value


def _target(change: Object) -> str:
    plural = f"{change['kind'].lower()}s"
    return "/".join(filter(None, [plural, change["name"], change.get("subresource", "")]))


def undo_hint_first(calls: Sequence[Call]) -> None:
    """When a leaf is written, a Decision and the ModelDeployment know the old value already."""
    known: set[tuple[str, str, str]] = set()
    kept: set[tuple[str, str, str]] = set()
    for call in calls:
        if not call.accepted or not call.is_write:
            continue
        for change, namespace in _announcements([call]).values():
            known.add((namespace, _target(change), change["path"]))
        for change in _originals(call):
            kept.add((call.namespace, _target(change), change["path"]))
        for one in effects([call]):
            leaf = (one.namespace, one.target, one.path)
            if one.path in _LEAVES | {"/spec/selector"}:
                assert leaf in known, f"no Decision announced it: {call}"
                assert leaf in kept, f"the old value was not kept: {call}"


def _originals(call: Call) -> list[Object]:
    """The old values that a patch of a ModelDeployment keeps; guarded, as it replaces lists."""
    if call.resource != "modeldeployments" or not isinstance(call.body, dict):
        return []
    metadata = call.body.get("metadata", {})
    text = metadata.get("annotations", {}).get("aurora.dev/original")
    if call.verb != "patch" or call.subresource or text is None:
        return []
    assert {"uid", "resourceVersion"} <= metadata.keys(), f"unguarded: {call}"
    found: list[Object] = json.loads(text)
    return found


def originals_kept(
    calls: Sequence[Call],
    seen: Seen,
    bounds: Mapping[str, Bounds],
    *,
    reverted: Collection[str] = (),
) -> None:
    """What differs from what was found can still be given back, by a model that cannot vanish."""
    ours = {one.target.split("/")[1] for one in effects(calls) if one.path in _LEAVES}
    for model in seen.models:
        name = model["spec"]["targetRef"]["name"]
        limit = bounds.get(name)
        if limit is None or name not in ours or name in reverted:
            continue
        if seen.targets.get(name) == limit.found:
            continue
        metadata = model["metadata"]
        text = metadata.get("annotations", {}).get("aurora.dev/original", "[]")
        values = [json.loads(one["to"]) for one in json.loads(text) if one["path"] in _LEAVES]
        assert values == [limit.found], f"{name}: {limit.found} was found, {values} is kept"
        assert "aurora.dev/restore" in metadata.get("finalizers", []), f"{name} may vanish"


def no_decision_lost(calls: Iterable[Call], seen: Seen) -> None:
    """Every Decision that was ever accepted is there, and none is left half done."""
    there = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in seen.decisions}
    for call in calls:
        if call.verb == "create" and call.resource == "decisions" and call.accepted:
            key = (call.namespace, call.body["metadata"]["name"])
            assert key in there, f"the Decision {key} is gone"
    stuck = [(one["metadata"]["name"], phase_of(one)) for one in seen.decisions if _moves(one)]
    assert not stuck, f"left half done: {stuck}"


def phase_of(decision: Object) -> str:
    return str(decision.get("status", {}).get("phase", ""))


def _moves(decision: Object) -> bool:
    return phase_of(decision) in MOVING


def one_in_flight(seen: Seen) -> None:
    """At most one action is under way for a target; one that protects may pre-empt another."""
    flying = Counter(
        one["spec"]["target"]["uid"]
        for one in seen.decisions
        if phase_of(one) in MOVING | {"Verifying"}
        and one["spec"]["action"] != "ALERT"
        and not one["spec"].get("protective")
    )
    double = {uid: count for uid, count in flying.items() if count > 1}
    assert not double, f"several actions under way: {double}"


def ledger_consistent(seen: Seen, *, reverted: Collection[str] = ()) -> None:
    """What the ledger says is in force stands there, with the undo recorded."""
    newest: dict[str, Object] = {}
    for one in sorted(seen.decisions, key=_made):
        if phase_of(one) in EXECUTED and one["spec"]["action"] != "ALERT":
            # An empty list says that it stood there already: nothing was written, nothing to undo.
            assert "changes" in one["status"], f"no undo hint: {one['metadata']['name']}"
        if one["spec"]["action"] == "SCALE" and phase_of(one) in IN_FORCE | {"RolledBack"}:
            newest[one["spec"]["target"]["name"]] = one
    for name, one in newest.items():
        side = "to" if phase_of(one) in IN_FORCE else "from"
        wanted = int(one["spec"]["parameters"][side]["replicas"])
        if name in seen.targets and name not in reverted:
            assert seen.targets[name] == wanted, f"{name}: {seen.targets[name]}, ledger {wanted}"


def _made(one: Object) -> tuple[str, str]:
    return one["metadata"]["creationTimestamp"], one["metadata"]["name"]


def quiet(calls: Sequence[Call]) -> None:
    """Nothing is written in a steady state."""
    writes = [str(call) for call in calls if call.is_write]
    assert not writes, f"written in a steady state: {writes}"
