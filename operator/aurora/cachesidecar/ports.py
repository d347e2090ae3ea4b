"""Which container port a Service's named target resolves to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["PortBinding", "bind_port", "containers_of", "pod_spec_of"]

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PortBinding:
    """The port that moves to the sidecar.

    Attributes:
        name: what the Service's targetPort says; number: where the model server listens.
        container_index, port_index: places in the pod template.
        container: that container; service_port: the Service's entry.
    """

    name: str
    number: int
    container_index: int
    port_index: int
    container: Json
    service_port: Json

    @property
    def container_name(self) -> str:
        return str(self.container.get("name", ""))


def pod_spec_of(deployment: Json) -> Json:
    """Return the pod template's spec."""
    spec: Json = deployment.get("spec", {}).get("template", {}).get("spec", {})
    return spec


def containers_of(pod_spec: Json) -> Sequence[Json]:
    """Return the ordinary containers."""
    found: Sequence[Json] = pod_spec.get("containers") or ()
    return found


def bind_port(deployment: Json, service: Json, service_port: str | None) -> PortBinding | str:
    """Return the binding, or "Reason: what to change" when there is none.

    Args:
        deployment: as the API server returned it.
        service: as the API server returned it.
        service_port: name of the Service's port; needed when it has several named targets.
    """
    entries = [
        entry
        for entry in service.get("spec", {}).get("ports") or ()
        if service_port in {None, entry.get("name")} and entry.get("protocol", "TCP") == "TCP"
    ]
    if not entries:
        return f"ServicePortMissing: the Service has no TCP port {service_port or ''}".rstrip()
    named = [entry for entry in entries if isinstance(entry.get("targetPort"), str)]
    if not named:
        return (
            f"TargetPortNotNamed: the Service's targetPort is {entries[0].get('targetPort')}: name "
            "the container's port and use that name, so that the sidecar can take it over"
        )
    if len({entry["targetPort"] for entry in named}) > 1:
        names = ", ".join(sorted(str(entry["targetPort"]) for entry in named))
        return f"ServicePortAmbiguous: the Service has several named targets ({names}): name one"
    return _resolve(pod_spec_of(deployment), named[0])


def _resolve(pod_spec: Json, entry: Json) -> PortBinding | str:
    name = entry["targetPort"]
    for container_index, container in enumerate(containers_of(pod_spec)):
        for port_index, port in enumerate(container.get("ports") or ()):
            if port.get("name") == name:
                number = int(port["containerPort"])
                return PortBinding(name, number, container_index, port_index, container, entry)
    return f"TargetPortUnknown: no container has a port named {name!r}: add the name to its ports"
