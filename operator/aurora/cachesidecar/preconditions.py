"""What must hold before a sidecar is armed: an ordered chain of checks, each with its advice.

Every check returns None, or a refusal whose message says what to change. All of them run, so that
one answer lists everything there is to do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurora.cachesidecar.manifests import CACHE_CONTAINER, EXPORTER_CONTAINER
from aurora.cachesidecar.policies import egress_by_number, ingress_by_number
from aurora.cachesidecar.ports import PortBinding, bind_port, containers_of, pod_spec_of
from aurora.cachesidecar.room import SurgeRoom
from aurora.cachesidecar.settings import CacheSettings

__all__ = ["ArmingFacts", "Refusal", "check_preconditions"]

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One unmet precondition: a CamelCase reason and a sentence that says what to change."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ArmingFacts:
    """What the cluster says beside the two objects.

    Attributes:
        server_version: (major, minor) of the API server; None when it is not known.
        network_policies: of all namespaces; None when they could not be listed.
        surge: room for one more pod; None when nodes are provisioned on demand.
    """

    server_version: tuple[int, int] | None = None
    network_policies: Sequence[Json] | None = None
    surge: SurgeRoom | None = None


@dataclass(frozen=True, slots=True)
class _Input:
    deployment: Json
    service: Json
    settings: CacheSettings
    facts: ArmingFacts
    binding: PortBinding | str

    @property
    def spec(self) -> Json:
        spec: Json = self.deployment.get("spec", {})
        return spec

    @property
    def labels(self) -> Json:
        labels: Json = self.spec.get("template", {}).get("metadata", {}).get("labels") or {}
        return labels

    @property
    def namespace(self) -> str:
        return str(self.deployment.get("metadata", {}).get("namespace", "default"))


_Check = Callable[[_Input], Refusal | None]


def check_preconditions(
    deployment: Json, service: Json, settings: CacheSettings, facts: ArmingFacts
) -> tuple[Refusal, ...]:
    """Return every unmet precondition, in the order in which a person would fix them.

    Args:
        deployment: the Deployment as the API server returned it.
        service: the Service that callers use.
        settings: the sidecar's settings.
        facts: what else the cluster says.
    """
    kind = deployment.get("kind", "Deployment")
    if kind != "Deployment":
        return (Refusal("NotADeployment", f"CACHE works on a Deployment only, not on a {kind}"),)
    binding = bind_port(deployment, service, settings.service_port)
    given = _Input(deployment, service, settings, facts, binding)
    found = (check(given) for check in _CHAIN)
    return tuple(refusal for refusal in found if refusal is not None)


def _kubernetes_too_old(given: _Input) -> Refusal | None:
    version = given.facts.server_version
    if version is None or version >= (1, 32):
        return None
    return Refusal(
        "KubernetesTooOld",
        f"Kubernetes {version[0]}.{version[1]} does not resolve a Service's named targetPort to a "
        "native sidecar, so the Service would lose its endpoints: upgrade to 1.32 or newer",
    )


def _strategy(given: _Input) -> Refusal | None:
    strategy = given.spec.get("strategy") or {}
    kind = strategy.get("type", "RollingUpdate")
    if kind != "RollingUpdate":
        return Refusal(
            "StrategyNotRollingUpdate",
            f"spec.strategy.type is {kind}, which stops all pods first: set RollingUpdate",
        )
    unavailable = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
    if str(unavailable) in {"0", "0%"}:
        return None
    return Refusal(
        "MaxUnavailableNotZero",
        f"spec.strategy.rollingUpdate.maxUnavailable is {unavailable}: set it to 0 (and maxSurge "
        "to 1 or more), so that no serving pod goes before its successor is ready",
    )


def _rollout_in_progress(given: _Input) -> Refusal | None:
    if given.spec.get("paused"):
        return Refusal("DeploymentPaused", "the Deployment is paused: resume it first")
    status = given.deployment.get("status") or {}
    generation = given.deployment.get("metadata", {}).get("generation", 0)
    wanted = given.spec.get("replicas", 1)
    settled = (
        status.get("observedGeneration", 0) >= generation
        and status.get("updatedReplicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
    )
    if settled:
        return None
    return Refusal(
        "RolloutInProgress",
        f"only {status.get('availableReplicas', 0)} of {wanted} pods are updated and available: "
        "wait for the rollout to finish",
    )


def _service(given: _Input) -> Refusal | None:
    spec = given.service.get("spec", {})
    if spec.get("type") == "ExternalName" or not spec.get("selector"):
        return Refusal("ServiceSelectsNoPods", "the Service has no selector: give it the pods'")
    if spec.get("clusterIP") == "None":
        return Refusal(
            "ServiceHeadless",
            "the Service is headless, so callers dial pods by number past the sidecar: point "
            "serviceRef at one with a cluster IP",
        )
    if any(given.labels.get(k) != v for k, v in spec["selector"].items()):
        return Refusal(
            "ServiceSelectsOtherPods",
            "the Service's selector does not match the Deployment's pod labels: fix serviceRef",
        )
    if "IPv6" in spec.get("ipFamilies", ()):
        return Refusal(
            "ServiceIsIPv6", "the sidecar listens on IPv4 only: use an IPv4 single-stack Service"
        )
    return None


def _port(given: _Input) -> Refusal | None:
    if isinstance(given.binding, str):
        reason, _, message = given.binding.partition(": ")
        return Refusal(reason, message)
    return None


def _readiness(given: _Input) -> Refusal | None:
    if isinstance(given.binding, str) or given.binding.container.get("readinessProbe"):
        return None
    return Refusal(
        "ReadinessProbeMissing",
        f"container {given.binding.container_name} has no readinessProbe, so a pod would get "
        "requests before the model is loaded: add one",
    )


def _protocol(given: _Input) -> Refusal | None:
    if isinstance(given.binding, str):
        return None
    binding = given.binding
    protocol = str(binding.service_port.get("appProtocol", "http")).lower()
    probes = (binding.container.get(f"{kind}Probe") or {} for kind in ("readiness", "liveness"))
    secure = any((probe.get("httpGet") or {}).get("scheme") == "HTTPS" for probe in probes)
    spoken = "https" if secure else protocol
    if spoken in {"http", "kubernetes.io/ws"}:
        return None
    return Refusal(
        "ProtocolNotHTTP1",
        f"the server speaks {spoken}, the sidecar plain HTTP/1.1: terminate it before the pod",
    )


def _host_network(given: _Input) -> Refusal | None:
    spec = pod_spec_of(given.deployment)
    exposed = [p for c in containers_of(spec) for p in c.get("ports") or () if p.get("hostPort")]
    if not spec.get("hostNetwork") and not exposed:
        return None
    return Refusal(
        "HostPortInUse",
        "the pods use hostNetwork or a hostPort, where callers reach the server past the sidecar "
        "and two pods cannot share a node during the rollout: remove it",
    )


def _names_taken(given: _Input) -> Refusal | None:
    spec = pod_spec_of(given.deployment)
    names = {c.get("name") for c in (*containers_of(spec), *(spec.get("initContainers") or ()))}
    taken = sorted(names.intersection((CACHE_CONTAINER, EXPORTER_CONTAINER)))
    if not taken:
        return None
    return Refusal("SidecarNameTaken", f"a container is already named {taken[0]}: rename it")


def _ports_taken(given: _Input) -> Refusal | None:
    spec = pod_spec_of(given.deployment)
    wanted = {given.settings.listen_port, given.settings.exporter_port}
    for container in containers_of(spec):
        for port in container.get("ports") or ():
            if port.get("containerPort") in wanted:
                return Refusal(
                    "SidecarPortTaken",
                    f"container {container.get('name')} uses port {port['containerPort']}: set "
                    "another listen or exporter port for the sidecar",
                )
    return None


def _network_policy(given: _Input) -> Refusal | None:
    policies = given.facts.network_policies
    if policies is None or isinstance(given.binding, str):
        return None
    number, where, labels = given.binding.number, given.namespace, given.labels
    name = ingress_by_number(policies, namespace=where, labels=labels, number=number)
    direction = "ingress" if name else "egress"
    name = name or egress_by_number(policies, namespace=where, labels=labels, number=number)
    if not name:
        return None
    return Refusal(
        "NetworkPolicyByNumber",
        f"NetworkPolicy {name} allows {direction} by port number {number}, and callers will "
        f"arrive on {given.settings.listen_port}: allow the port by its name "
        f"{given.binding.name!r} or add the new number",
    )


def _surge(given: _Input) -> Refusal | None:
    room = given.facts.surge
    if room is None or room.fits:
        return None
    return Refusal(
        "NoRoomForSurgePod",
        f"no node has room for one more pod during the rollout ({room.message}): free resources, "
        "add a node, or set scaling.nodeProvisioning to Auto",
    )


_CHAIN: tuple[_Check, ...] = (
    _kubernetes_too_old,
    _strategy,
    _service,
    _port,
    _readiness,
    _protocol,
    _host_network,
    _names_taken,
    _ports_taken,
    _network_policy,
    _surge,
    # Last: it passes by itself, while the others need a person.
    _rollout_in_progress,
)
