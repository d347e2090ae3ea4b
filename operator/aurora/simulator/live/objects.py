"""What the fleet reads in the cluster: Deployments, their pods, Services and cache switches. Pure.

Only objects that ask for it take part: a Deployment by the label `aurora.dev/simulated: "true"`, a
Service by the annotation `aurora.dev/simulated-rate`. A wrong annotation is a problem with a
sentence of its own and leaves the rest of the fleet running.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aurora.cachesidecar.manifests import EXPORTER_CONTAINER, config_map_name
from aurora.errors import UsageError
from aurora.observe.pods import pod as pod_facts
from aurora.observe.podtemplates import is_armed
from aurora.observe.raw import dig, entries, strings, table, text
from aurora.observe.traffic import service as service_facts
from aurora.resources.names import GROUP
from aurora.simulator.parameters import NAMED_SERVERS, ServerParameters

__all__ = ["ClusterFacts", "PodFact", "Traffic", "Workload", "facts_of"]

SIMULATED_LABEL: Final = f"{GROUP}/simulated"
SERVER_ANNOTATION: Final = f"{GROUP}/simulated-server"
MODEL_NAME_ANNOTATION: Final = f"{GROUP}/simulated-model-name"
RATE_ANNOTATION: Final = f"{GROUP}/simulated-rate"
CALLERS_ANNOTATION: Final = f"{GROUP}/simulated-callers"

DEFAULT_SERVER: Final = "llama-3.1-8b-rtxpro6000"
DEFAULT_CALLERS: Final = 32
"""Independent callers that each replay the trace from another moment; 1 is the trace itself."""
MAX_RATE: Final = 500.0
"""Requests/s of one Service that a single process still simulates in real time."""

_TTL = re.compile(r"proxy_cache_valid 200 (\d+)s;")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment whose pods are simulated.

    Attributes:
        server: what each pod is.
        model_name: the label `model_name` of the engine's metrics.
        cache_ttl_s: lifetime of an answer while the cache is switched on, seconds; None while off.
    """

    namespace: str
    name: str
    server: ServerParameters
    model_name: str
    cache_ttl_s: float | None = None


@dataclass(frozen=True, slots=True)
class PodFact:
    """A pod of a simulated Deployment.

    Attributes:
        ready: the cluster sends traffic to it.
        armed: the cache sidecar is in it; `exporting` its exporter as well.
    """

    namespace: str
    name: str
    uid: str
    workload: str
    labels: Mapping[str, str]
    ready: bool
    armed: bool = False
    exporting: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """A Service that callers use.

    Attributes:
        rate: mean arrivals per second; 0 for a Service that nobody calls by its own name.
        callers: independent callers that the rate is made of.
    """

    namespace: str
    name: str
    selector: Mapping[str, str]
    rate: float
    callers: int = DEFAULT_CALLERS

    def selects(self, pod: PodFact) -> bool:
        """Whether the Service sends its traffic to this pod when it is ready."""
        if self.namespace != pod.namespace or not self.selector:
            return False
        return all(pod.labels.get(key) == value for key, value in self.selector.items())


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Everything at one moment; `problems` are sentences about objects that were left out."""

    workloads: Mapping[tuple[str, str], Workload]
    pods: tuple[PodFact, ...]
    services: tuple[Traffic, ...]
    problems: tuple[str, ...] = ()


def facts_of(
    *,
    deployments: Iterable[Mapping[str, Any]],
    pods: Iterable[Mapping[str, Any]],
    services: Iterable[Mapping[str, Any]],
    config_maps: Iterable[Mapping[str, Any]],
) -> ClusterFacts:
    """Read the objects of four LISTs."""
    problems: list[str] = []
    switches = {
        (text(one, "metadata", "namespace"), text(one, "metadata", "name")): _ttl(one)
        for one in config_maps
    }
    found = _each(deployments, lambda one: _workload(one, switches), problems)
    workloads = {(one.namespace, one.name): one for one in found}
    traffic = _each(services, _traffic, problems)
    facts = (_pod(one) for one in pods)
    ours = tuple(one for one in facts if one and (one.namespace, one.workload) in workloads)
    return ClusterFacts(workloads, ours, tuple(traffic), tuple(problems))


def _each(
    objects: Iterable[Mapping[str, Any]],
    read: Callable[[Mapping[str, Any]], _T | None],
    problems: list[str],
) -> list[_T]:
    found = []
    for one in objects:
        try:
            read_one = read(one)
        except UsageError as error:
            problems.append(str(error))
            continue
        if read_one is not None:
            found.append(read_one)
    return found


def _workload(
    obj: Mapping[str, Any], switches: Mapping[tuple[str, str], float | None]
) -> Workload | None:
    if strings(obj, "metadata", "labels").get(SIMULATED_LABEL) != "true":
        return None
    namespace, name = text(obj, "metadata", "namespace"), text(obj, "metadata", "name")
    annotations = strings(obj, "metadata", "annotations")
    server = annotations.get(SERVER_ANNOTATION, DEFAULT_SERVER)
    if server not in NAMED_SERVERS:
        raise UsageError(
            f"Deployment {namespace}/{name}: annotation {SERVER_ANNOTATION} is {server!r}: "
            f"use one of {', '.join(sorted(NAMED_SERVERS))}"
        )
    return Workload(
        namespace,
        name,
        NAMED_SERVERS[server],
        annotations.get(MODEL_NAME_ANNOTATION, name),
        switches.get((namespace, config_map_name(name))),
    )


def _ttl(config_map: Mapping[str, Any]) -> float | None:
    """The lifetime of a cached answer, seconds; None while the cache's switch is absent."""
    data = table(config_map, "data")
    if "on" not in data:
        return None
    found = _TTL.search(str(data.get("nginx.conf", "")))
    return float(found[1]) if found else None


def _pod(obj: Mapping[str, Any]) -> PodFact | None:
    facts = pod_facts(obj)
    if facts is None or facts.deleting or facts.finished or facts.workload_kind != "Deployment":
        return None
    spec = dig(obj, "spec")
    sidecars = {text(one, "name") for one in entries(spec, "initContainers")}
    return PodFact(
        facts.key.namespace,
        facts.key.name,
        facts.uid,
        facts.workload,
        facts.labels,
        facts.ready,
        armed=is_armed(spec),
        exporting=EXPORTER_CONTAINER in sidecars,
    )


def _traffic(obj: Mapping[str, Any]) -> Traffic | None:
    facts = service_facts(obj)
    if facts is None:
        return None
    raw = strings(obj, "metadata", "annotations")
    if RATE_ANNOTATION not in raw:
        return None
    where = f"Service {facts.key.namespace}/{facts.key.name}"
    rate = _number(raw[RATE_ANNOTATION], where, RATE_ANNOTATION, highest=MAX_RATE)
    callers = _number(
        raw.get(CALLERS_ANNOTATION, str(DEFAULT_CALLERS)), where, CALLERS_ANNOTATION, highest=1000
    )
    return Traffic(facts.key.namespace, facts.key.name, facts.selector, rate, max(1, int(callers)))


def _number(value: str, where: str, annotation: str, *, highest: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= highest:
        raise UsageError(
            f"{where}: annotation {annotation} is {value!r}: write a number from 0 to {highest:g}"
        )
    return number
