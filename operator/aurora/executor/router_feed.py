"""Keeps the ConfigMaps that feed routers: one of each RoutingPolicy that has `spec.router`.

A policy in a steady state costs one read in five minutes. The ConfigMap belongs to the policy and
goes with it; one that somebody else made is left alone, and a condition says so.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aurora.containment import contained
from aurora.errors import ConflictError, ForbiddenError, NotFoundError
from aurora.executor.conditions import Fact
from aurora.executor.lanes import in_lanes
from aurora.executor.router_feed_document import Json, as_told, router_document, text_of
from aurora.executor.router_rules import wrong_rule
from aurora.kube.client import KubeClient
from aurora.kube.jsonpatch import ABSENT, Change, guarded, pointer
from aurora.kube.kinds import CONFIG_MAP, Ref
from aurora.kube.writer import WriteHeldError, Writer
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import FleetSnapshot
from aurora.planner.routing.given import RoutingInput
from aurora.reasons import ConditionReason as Reason
from aurora.resources import ConditionType, RoutingPolicy
from aurora.resources.names import API_VERSION
from aurora.resources.vocabulary import ConditionStatus
from aurora.telemetry import Telemetry

__all__ = ["FILE", "RouterFeed", "config_map_name"]

FILE: Final = "policy.json"
REREAD_S: Final = 300.0
"""After so long the live ConfigMap is looked at again: somebody may have changed or deleted it."""
RETRY_S: Final = 60.0
"""After so long a ConfigMap that is not ours, or that we have no right to, is looked at again."""
MEASURED_EVERY_S: Final = 60.0
PARALLEL: Final = 8
Learned = Callable[[ObjectKey], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class _Fed:
    """What is known of one policy's ConfigMap.

    Attributes:
        live: the object as last read or written; None where there is none, or it is not ours.
        read_at, measured_at: seconds of the clock that never goes backwards.
        refused: why it is not written.
    """

    live: Json | None
    read_at: float
    measured_at: float = float("-inf")
    refused: Fact | None = None

    def is_due(self, now: float) -> bool:
        """Whether it is time to look at the live object again."""
        return now - self.read_at >= (REREAD_S if self.refused is None else RETRY_S)

    @property
    def document(self) -> Json:
        """What routers have; empty where it cannot be read."""
        try:
            found = json.loads(((self.live or {}).get("data") or {})[FILE])
        except (KeyError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One policy in one cycle."""

    given: RoutingInput
    now: float
    learned: Learned


def config_map_name(policy: str) -> str:
    """Name of the ConfigMap in the policy's namespace."""
    return f"aurora-router-{policy}"


class RouterFeed:
    """Writes what routers need, and remembers what to tell of it.

    Args:
        client: reads.
        writer: writes; the Lease and the kill switch are looked at there.
        telemetry: counts what goes wrong with one policy.
    """

    def __init__(self, client: KubeClient, writer: Writer, telemetry: Telemetry) -> None:
        self._client, self._writer, self._telemetry = client, writer, telemetry
        self._known: dict[ObjectKey, _Fed] = {}

    async def write(self, snapshot: FleetSnapshot, learned: Learned) -> None:
        """Bring every ConfigMap that differs up to date.

        Args:
            snapshot: the fleet as observed.
            learned: the learned state of a policy, in the routing engine's format.
        """
        inputs = {
            key: RoutingInput(one.routing, snapshot.at)
            for key, one in snapshot.models.items()
            if one.routing is not None and one.routing.policy.spec.router is not None
        }
        for gone in self._known.keys() - inputs.keys():
            del self._known[gone]
        if not snapshot.control.writes_allowed:
            return
        await in_lanes(
            inputs,
            lambda key: self._guarded(key, _Asked(inputs[key], snapshot.monotonic, learned)),
            lane=lambda key: key,
            at_once=PARALLEL,
        )

    def fact(self, key: ObjectKey) -> Fact | None:
        """The condition of a policy's feed; None while nothing new is known."""
        fed = self._known.get(key)
        if fed is None:
            return None
        if fed.refused is not None:
            return fed.refused
        if fed.live is None:
            return _fact(ConditionStatus.FALSE, Reason.NOT_FED, Reason.NOT_FED.sentence)
        name = fed.live["metadata"]["name"]
        return _fact(
            ConditionStatus.TRUE, Reason.ROUTERS_FED, f"Mount {FILE} of the ConfigMap {name}."
        )

    async def _guarded(self, key: ObjectKey, asked: _Asked) -> None:
        policy = asked.given.facts.policy
        if policy.is_paused or policy.metadata.deletion_timestamp is not None:
            return
        with contained(self._telemetry, "routers", key):
            try:
                await self._one(key, asked)
            except ForbiddenError as error:
                why = f"{error} (if a right is missing: set routers.enabled in the chart)"
                refused = _fact(ConditionStatus.FALSE, Reason.PERMISSION_DENIED, why)
                self._known[key] = _Fed(None, asked.now, refused=refused)
            except (ConflictError, NotFoundError):
                self._known.pop(key, None)  # it changed since it was read: the next cycle reads
            except WriteHeldError:
                return

    async def _one(self, key: ObjectKey, asked: _Asked) -> None:
        given, now, fed = asked.given, asked.now, self._known.get(key)
        if why := wrong_rule(given.spec.router):
            why = f"{why}. {Reason.INVALID_SPEC.sentence}"
            refused = _fact(ConditionStatus.FALSE, Reason.INVALID_SPEC, why)
            self._known[key] = _Fed(None, float("-inf"), refused=refused)
            return
        if fed is None or fed.is_due(now) or not _fits(fed, given.facts.policy):
            fed = self._known[key] = await self._read(given.facts.policy, fed, now)
        if fed.refused is not None:
            return
        told, made = fed.document, router_document(given, asked.learned(key))
        measured = now - fed.measured_at >= MEASURED_EVERY_S
        made = as_told(made, told, measured=measured)
        if fed.live is not None and made == told:
            return
        live = await self._put(given.facts.policy, fed.live, text_of(made))
        self._known[key] = replace(
            fed,
            live=live,
            measured_at=now if measured else fed.measured_at,
        )

    async def _read(self, policy: RoutingPolicy, before: _Fed | None, now: float) -> _Fed:
        found = await self._client.get(_ref(policy))
        if found is not None and not _owned(found, policy):
            why = f"{Reason.CONFIG_MAP_TAKEN.sentence} It is {found['metadata']['name']}."
            return _Fed(
                None, now, refused=_fact(ConditionStatus.FALSE, Reason.CONFIG_MAP_TAKEN, why)
            )
        if before is None or before.refused is not None:
            return _Fed(found, now)
        return replace(before, live=found, read_at=now)

    async def _put(self, policy: RoutingPolicy, live: Json | None, text: str) -> Json:
        if live is None:
            # Not an apply: that would take over an object that was made meanwhile.
            return await self._writer.create(CONFIG_MAP, _manifest(policy, text))
        data = live.get("data") or {}
        changes = [Change(pointer("data", FILE), data.get(FILE, ABSENT), text)]
        if "data" not in live:
            changes = [Change("/data", ABSENT, {FILE: text})]
        metadata = live["metadata"]
        patch = guarded(
            uid=metadata["uid"], resource_version=metadata["resourceVersion"], changes=changes
        )
        return await self._writer.patch_json(_ref(policy), patch) or live


def _ref(policy: RoutingPolicy) -> Ref:
    return Ref(CONFIG_MAP, policy.metadata.namespace, config_map_name(policy.metadata.name))


def _fits(fed: _Fed, policy: RoutingPolicy) -> bool:
    """Whether it is this policy's; that of a deleted one of the same name is collected soon."""
    return fed.live is None or _owned(fed.live, policy)


def _owned(found: Json, policy: RoutingPolicy) -> bool:
    owners = found["metadata"].get("ownerReferences") or []
    return any(one.get("uid") == policy.metadata.uid for one in owners)


def _fact(status: ConditionStatus, reason: Reason, message: str) -> Fact:
    return ConditionType.ROUTERS_FED, status, reason, message


def _manifest(policy: RoutingPolicy, text: str) -> Json:
    owner = {
        "apiVersion": API_VERSION,
        "kind": policy.kind,
        "name": policy.metadata.name,
        "uid": policy.metadata.uid,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {
            "name": config_map_name(policy.metadata.name),
            "namespace": policy.metadata.namespace,
            "labels": {"app.kubernetes.io/managed-by": "aurora"},
            "ownerReferences": [owner],
        },
        "data": {FILE: text},
    }
