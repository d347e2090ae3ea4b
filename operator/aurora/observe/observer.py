"""One FleetSnapshot per cycle: the watches' facts and the metrics, put together."""

from collections.abc import Callable, Mapping
from typing import Protocol

from aurora.observe.backend_metrics import with_backend_readings, with_backends_wanted
from aurora.observe.cluster import ClusterView, view
from aurora.observe.facts import ObjectKey, ProbeFacts
from aurora.observe.fleet import Fleet
from aurora.observe.routing import with_policies
from aurora.observe.sample import Signal
from aurora.observe.served import PodIndex, ServedNames, own_workload, with_names
from aurora.observe.snapshot import FleetSnapshot, ModelObservation
from aurora.observe.view import Key, MetricsView, Wanted
from aurora.values import changed

__all__ = ["Observer"]

_ALWAYS = frozenset(Signal) - {Signal.ACCURACY, Signal.DRIFT_SCORE}
_WITH_QUALITY = frozenset(Signal)
_NO_QUERIES: Mapping[Signal, str] = {}


class Metrics(Protocol):
    """`aurora.observe.reader.MetricsReader` is one."""

    async def read(self, at: float, wanted: Mapping[Key, Wanted]) -> MetricsView: ...


class Prober(Protocol):
    """Asks a model's pods whether they answer."""

    async def probe(self, observation: ModelObservation) -> ProbeFacts: ...


class Observer:
    """Looks at everything once.

    Args:
        fleet: filled by the watches.
        metrics: reads the metrics source.
        prober: asks pods of models whose traffic goes to the fallback.
        wall: seconds since the epoch; monotonic: seconds within this process.
    """

    def __init__(
        self,
        fleet: Fleet,
        metrics: Metrics,
        prober: Prober,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._metrics = metrics
        self._prober = prober
        self._wall = wall
        self._monotonic = monotonic
        self._served = ServedNames()

    async def observe(self, in_fallback: frozenset[ObjectKey]) -> FleetSnapshot:
        """Take the snapshot.

        Args:
            in_fallback: models whose traffic goes to the fallback: their signals are what callers
                see there, and their own pods are probed.
        """
        at = self._wall()
        cluster = view(self._fleet, at=at)
        pods = PodIndex(self._fleet.pods.values(), _with_fallback(cluster) | self._routed())
        behind = {key: pods.behind_fallback(one) for key, one in cluster.models.items()}
        served_by = {
            key: (behind[key] if key in in_fallback else None) or own_workload(one)
            for key, one in cluster.models.items()
        }
        wanted = {
            served_by[key]: _wanted(one, fallback=key in in_fallback)
            for key, one in cluster.models.items()
        }
        asked = with_names(wanted, ((one, behind[key]) for key, one in cluster.models.items()))
        subjects = with_policies(self._fleet, cluster.models, pods.behind, at=at)
        metrics = await self._metrics.read(at, with_backends_wanted(asked, subjects))
        models = {key: _merged(one, metrics, served_by[key]) for key, one in cluster.models.items()}
        models = self._served.told(models, behind, metrics)
        for key in in_fallback & models.keys():
            models[key] = changed(models[key], probe=await self._prober.probe(models[key]))
        models = {key: _told(one, models, metrics) for key, one in subjects.items()}
        return self._snapshot(at, cluster, models, metrics)

    def _routed(self) -> frozenset[str]:
        """Namespaces with a policy, whose Services are looked behind."""
        return frozenset(key.namespace for key, _ in self._fleet.policies.items())

    def _snapshot(
        self,
        at: float,
        cluster: ClusterView,
        models: Mapping[ObjectKey, ModelObservation],
        metrics: MetricsView,
    ) -> FleetSnapshot:
        return FleetSnapshot(
            at=at,
            monotonic=self._monotonic(),
            synced=cluster.synced,
            models=models,
            decisions=cluster.decisions,
            approvals=cluster.approvals,
            control=cluster.control,
            nodes=cluster.nodes,
            source=metrics.source,
        )


def _with_fallback(cluster: ClusterView) -> frozenset[str]:
    models = cluster.models.values()
    return frozenset(one.key.namespace for one in models if one.fallback_service is not None)


def _wanted(one: ModelObservation, *, fallback: bool) -> Wanted:
    spec, own = one.model.spec, one.model.spec.metrics.queries
    ready = sum([pod.ready and not pod.deleting for pod in one.pods])
    drifts = spec.objectives.accuracy_percent is not None
    return Wanted(
        engine=spec.engine,
        signals=_WITH_QUALITY if drifts else _ALWAYS,
        queries=_NO_QUERIES
        if own is None
        else {Signal(name): text for name, text in own.by_signal().items()},
        min_samples=spec.metrics.min_samples,
        ready_pods=None if fallback else ready,
        armed=one.target.armed if one.target is not None else None,
        per_pod=fallback,
    )


def _told(
    one: ModelObservation, models: Mapping[ObjectKey, ModelObservation], metrics: MetricsView
) -> ModelObservation:
    """A policy with its metrics, or a model as it was read, with the policies beside it."""
    if one.routing is not None:
        return with_backend_readings(one, metrics)
    read = models[one.key]
    return changed(read, neighbours=one.neighbours) if one.neighbours else read


def _merged(one: ModelObservation, metrics: MetricsView, key: Key) -> ModelObservation:
    found = metrics.workloads[key]
    return changed(one, signals=found.signals, queries=found.queries, pod_readings=found.pods)
