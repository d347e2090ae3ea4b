"""Which workloads answer a model's callers, and under which names they serve."""

from collections.abc import Collection, Iterable, Mapping

from aurora.observe.facts import ObjectKey, PodFacts
from aurora.observe.snapshot import ModelObservation
from aurora.observe.view import Key, MetricsView, Wanted
from aurora.values import changed

__all__ = ["PodIndex", "ServedNames", "own_workload", "with_names"]


def own_workload(one: ModelObservation) -> Key:
    """The workload that the model's target is."""
    return (one.key.namespace, one.model.spec.target_ref.name)


class PodIndex:
    """Finds the workload behind a selector without a walk over all pods for each selector.

    Args:
        pods: those of the fleet.
        namespaces: the only ones that will be asked for.
    """

    def __init__(self, pods: Iterable[PodFacts], namespaces: Collection[str]) -> None:
        self._pods: dict[tuple[str, str, str], list[PodFacts]] = {}
        for pod in pods if namespaces else ():
            if pod.key.namespace in namespaces and pod.workload and not pod.finished:
                for name, value in pod.labels.items():
                    self._pods.setdefault((pod.key.namespace, name, value), []).append(pod)

    def behind_fallback(self, one: ModelObservation) -> Key | None:
        """The workload behind the fallback's Service; None without one that has pods."""
        service = one.fallback_service
        return self.behind(one.key.namespace, service.selector) if service is not None else None

    def behind(self, namespace: str, selector: Mapping[str, str]) -> Key | None:
        """The workload whose pods a selector finds; None without one that has pods."""
        candidates = [self._pods.get((namespace, *pair), []) for pair in selector.items()]
        for pod in min(candidates, key=len, default=[]):
            if selector.items() <= pod.labels.items():
                return (namespace, pod.workload)
        return None


def with_names(
    wanted: Mapping[Key, Wanted], models: Iterable[tuple[ModelObservation, Key | None]]
) -> dict[Key, Wanted]:
    """What is wanted, and the names of both sides of each model that has a fallback."""
    asked = dict(wanted)
    for one, fallback in models:
        if one.model.spec.fallback is None:
            continue
        for key in (own_workload(one), fallback):
            if key is not None:
                known = asked.get(key) or Wanted(one.model.spec.engine.value, frozenset())
                asked[key] = changed(known, names=True)
    return asked


class ServedNames:
    """Names that models with a fallback are served under.

    A primary that is down exports nothing, just when its names are needed: the last known ones
    are kept, for as long as the model exists and points at the same target.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[ObjectKey, str, Key], frozenset[str]] = {}

    def told(
        self,
        models: Mapping[ObjectKey, ModelObservation],
        behind: Mapping[ObjectKey, Key | None],
        metrics: MetricsView,
    ) -> dict[ObjectKey, ModelObservation]:
        """The observations with the names on both sides; an empty set where they are unknown.

        Args:
            models: what was observed.
            behind: the workload behind the fallback's Service.
            metrics: what was read, the names that `with_names` asks for among it.
        """
        known: dict[tuple[ObjectKey, str, Key], frozenset[str]] = {}
        found = dict(models)
        for key, one in models.items():
            if one.model.spec.fallback is None:
                continue
            own, spare = own_workload(one), behind.get(key)
            identity = (key, one.model.metadata.uid, own)
            names = _names(metrics, own) or self._known.get(identity, frozenset())
            if names:
                known[identity] = names
            found[key] = changed(
                one, model_names=names, fallback_model_names=_names(metrics, spare)
            )
        self._known = known
        return found


def _names(metrics: MetricsView, key: Key | None) -> frozenset[str]:
    read = metrics.workloads.get(key) if key is not None else None
    return read.model_names if read is not None else frozenset()
