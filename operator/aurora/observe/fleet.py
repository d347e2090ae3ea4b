"""The fleet in memory: everything the watches say, as facts, without any I/O.

10,000 models with 20,000 pods stay small because objects are projected as they arrive and never
kept. Nothing is decided before `synced`: every kind was listed at least once.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from aurora.kube import kinds
from aurora.kube.kinds import Kind
from aurora.kube.switch import Switch, parse_switch
from aurora.observe import projections, traffic
from aurora.observe.customresources import Reader
from aurora.observe.endpoints import EndpointWatch
from aurora.observe.facts import AutoscalerFacts, ControlFacts, ObjectKey
from aurora.observe.pods import LabelPool, pod
from aurora.observe.raw import table
from aurora.observe.shelf import Listed, Shelf, listed
from aurora.observe.subjects import is_policy, name_of
from aurora.resources import Approval, DecisionObject, ModelDeployment, RoutingPolicy
from aurora.resources.base import StatusPart
from aurora.resources.names import CONTROL_CONFIGMAP

__all__ = ["Fleet"]

Written = TypeVar("Written", bound=ModelDeployment | RoutingPolicy | DecisionObject)


class Fleet:
    """Fed by watch events through `apply_event`, corrected by `sweep`.

    Args:
        control_namespace: the operator's own, where the ConfigMap `aurora-control` is.
        watched: kinds that have to be listed before anything is decided.
        monotonic: clock for how long a Service has had no ready endpoint, in seconds.
    """

    def __init__(
        self,
        *,
        control_namespace: str,
        watched: Iterable[Kind] = kinds.WATCHED_KINDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.control_namespace = control_namespace
        self._control = ObjectKey(control_namespace, CONTROL_CONFIGMAP)
        self._polled: ControlFacts | None = None
        self._watched = frozenset(watched)
        self._listed: set[Kind] = set()
        self._relisted: set[Kind] = set()
        self._read_models = Reader(ModelDeployment)
        self._read_policies = Reader(RoutingPolicy)
        self._read_decisions = Reader(DecisionObject)
        self._read_approvals = Reader(Approval)
        self._readers: dict[Kind, Reader[Any]] = {
            kinds.MODEL_DEPLOYMENT: self._read_models,
            kinds.ROUTING_POLICY: self._read_policies,
            kinds.DECISION: self._read_decisions,
        }
        self._labels = LabelPool()

        self._make_shelves()
        self.endpoints = EndpointWatch(self.slices, monotonic)
        self._shelves = self._by_kind()

    def _make_shelves(self) -> None:
        self.models = Shelf(self._read_models, group=projections.target_of)
        self.policies = Shelf(self._read_policies)
        self.decisions = Shelf(self._read_decisions)
        self.approvals = Shelf(self._read_approvals)
        self._read_models.known = self.models.get
        self._read_policies.known = self.policies.get
        self._read_decisions.known = self.decisions.get
        self.deployments = Shelf(lambda obj: projections.workload(obj, kind="Deployment"))
        self.stateful_sets = Shelf(lambda obj: projections.workload(obj, kind="StatefulSet"))
        self.pods = Shelf(
            lambda obj: pod(obj, share=self._labels.share),
            group=lambda one: (one.key.namespace, one.workload),
        )
        self.services = Shelf(traffic.service)
        self.slices = Shelf(traffic.slice_of, group=lambda one: one.service)
        self.hpas = Shelf(projections.autoscaler_of_hpa, group=lambda one: one.target)
        self.scaled_objects = Shelf(
            projections.autoscaler_of_scaled_object, group=lambda one: one.target
        )
        self.routes = Shelf(traffic.route)
        self.nodes = Shelf(projections.node)
        self.quotas = Shelf(projections.quota, group=lambda quota: quota.key.namespace)
        self.controls = Shelf(self._control_facts)

    def _by_kind(self) -> dict[Kind, Shelf[Any]]:
        return {
            kinds.MODEL_DEPLOYMENT: self.models,
            kinds.ROUTING_POLICY: self.policies,
            kinds.DECISION: self.decisions,
            kinds.APPROVAL: self.approvals,
            kinds.DEPLOYMENT: self.deployments,
            kinds.STATEFUL_SET: self.stateful_sets,
            kinds.POD: self.pods,
            kinds.SERVICE: self.services,
            kinds.ENDPOINT_SLICE: self.slices,
            kinds.HPA: self.hpas,
            kinds.SCALED_OBJECT: self.scaled_objects,
            kinds.HTTP_ROUTE: self.routes,
            kinds.NODE: self.nodes,
            kinds.RESOURCE_QUOTA: self.quotas,
            kinds.CONFIG_MAP: self.controls,
        }

    @property
    def watched(self) -> frozenset[Kind]:
        return self._watched

    @property
    def synced(self) -> bool:
        """Every watched kind was listed once and all of the list had arrived."""
        return self._listed >= self._watched

    @property
    def missing(self) -> list[str]:
        """Kinds that were not listed yet, for a person to read."""
        return sorted(str(kind) for kind in self._watched - self._listed)

    @property
    def malformed(self) -> dict[ObjectKey, str]:
        """ModelDeployments that could not be read, with the reason."""
        found = self._read_models.malformed
        return {key: fault for key, fault in found.items() if key in self.models}

    @property
    def control(self) -> ControlFacts:
        """The kill switch; a ConfigMap that was not seen is absent, which counts as set."""
        return self._polled or self.controls.get(self._control) or self._control_facts(None)

    def poll_control(self, switch: Switch) -> None:
        """Take the switch as it was read, where the ConfigMap is not watched."""
        self._polled = ControlFacts(switch.readable, switch.stopped, switch.detail)

    def subject(self, key: ObjectKey) -> ModelDeployment | RoutingPolicy | None:
        """What the loop looks after under a key, as it was seen last."""
        if is_policy(key):
            return self.policies.get(ObjectKey(key.namespace, name_of(key)))
        return self.models.get(key)

    def autoscaler(self, kind: str, key: ObjectKey) -> AutoscalerFacts | None:
        """A HorizontalPodAutoscaler or ScaledObject as it was seen last."""
        shelves = {kinds.HPA.kind: self.hpas, kinds.SCALED_OBJECT.kind: self.scaled_objects}
        return shelves[kind].get(key) if kind in shelves else None

    def written_decision(self, body: Mapping[str, Any]) -> DecisionObject | None:
        """Take a Decision as the answer to a write gave it; None while a newer one is known."""
        self.apply_event(kinds.DECISION, "MODIFIED", body)
        seen = listed(body)
        found = self.decisions.get(seen.key)
        same = found is not None and found.metadata.resource_version == seen.version
        return found if same else None

    def written_status(
        self, kind: Kind, found: Written, status: StatusPart, answer: Mapping[str, Any]
    ) -> Written:
        """Take a status that was put on an object, of which nothing else has changed.

        Args:
            kind: of the object.
            found: the object that the write was guarded by.
            status: what was written.
            answer: the object's metadata after the write.

        Returns:
            The object as it was after the write, even where a newer one is known.
        """
        seen = listed(answer)
        after: Written = self._readers[kind].with_status(found, status, seen.version)
        self._shelves[kind].renew(seen, after)
        return after

    def written_metadata(self, kind: Kind, found: Written, answer: Mapping[str, Any]) -> None:
        """Take metadata that was written to an object, unless its spec is not known.

        A webhook may have changed the spec along with it: then the write's event tells of both.
        """
        seen, shelf, generation = listed(answer), self._shelves[kind], found.metadata.generation
        known = shelf.get(seen.key)
        same = table(answer, "metadata").get("generation") == generation
        if known is not None and same and known.metadata.generation == generation:
            shelf.renew(seen, self._readers[kind].with_metadata(found, answer))

    def size(self, kind: Kind) -> int:
        return len(self._shelves[kind])

    def apply_event(self, kind: Kind, event: str | None, obj: Mapping[str, Any]) -> bool:
        """Take one watch event; None is an object of a list, as kopf calls it.

        Returns:
            Whether anything was taken: False for what is older than what is known.
        """
        shelf = self._shelves.get(kind)
        if shelf is None or not isinstance(obj, Mapping) or not table(obj, "metadata"):
            return False
        if kind == kinds.CONFIG_MAP and projections.key_of(obj) != self._control:
            return False
        if event is None and kind in self._listed:
            self._relisted.add(kind)
        with self.endpoints.observing(kind, obj):
            return shelf.drop(obj) if event == "DELETED" else shelf.put(obj)

    def listing(self, kind: Kind, items: Iterable[Mapping[str, Any]]) -> list[Listed]:
        """Read a metadata-only LIST once, for `gaps` and `sweep`; other ConfigMaps are left out."""
        found = [listed(item) for item in items]
        if kind != kinds.CONFIG_MAP:
            return found
        return [item for item in found if item.key == self._control]

    def gaps(self, kind: Kind, items: Iterable[Listed]) -> list[Listed]:
        """What the LIST has and the fleet has not, or has in an older version."""
        return self._shelves[kind].gaps(items)

    def sweep(self, kind: Kind, items: Iterable[Listed], *, version: str) -> list[ObjectKey]:
        """Remove ghosts: what the LIST, consistent at `version`, no longer has.

        They come back when an event or a later sweep shows them: a list that was wrong must not
        make AURORA blind for good.

        Returns:
            The names of the objects that were removed.
        """
        shelf = self._shelves[kind]
        ghosts = shelf.ghosts(items, version=version)
        for ghost in ghosts:
            metadata = {"namespace": ghost.key.namespace, "name": ghost.key.name}
            with self.endpoints.observing(kind, {"metadata": metadata}):
                shelf.take_off(ghost.key, uid=ghost.uid)
        return [ghost.key for ghost in ghosts]

    def mark_listed(self, kind: Kind) -> None:
        """Say that a LIST of a kind has been compared and every gap read."""
        self._listed.add(kind)

    def take_relisted(self) -> frozenset[Kind]:
        """Kinds whose watch started anew since the last call: deletions may have been missed."""
        taken, self._relisted = frozenset(self._relisted), set()
        return taken

    def _control_facts(self, obj: Mapping[str, Any] | None) -> ControlFacts:
        switch = parse_switch(obj)
        return ControlFacts(switch.readable, switch.stopped, switch.detail)
