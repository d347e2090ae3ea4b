"""References to other objects; all of them are in the object's own namespace."""

from typing import Annotated

from pydantic import Field

from aurora.resources.base import Part
from aurora.resources.cel import Rule
from aurora.resources.quantities import ObjectName, ServiceName

ApiVersion = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule(
        "self.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$')",
        "write group and version, for example apps/v1",
    ),
]
Kind = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule(
        "self.matches('^[A-Z][A-Za-z0-9]*$')",
        "write the kind in CamelCase and singular, for example Deployment",
    ),
]


class TargetRef(Part):
    """The workload that serves the model."""

    api_version: ApiVersion = "apps/v1"
    """Group and version of the workload."""
    kind: Kind = "Deployment"
    """Kind of the workload: any kind with a /scale subresource; CACHE needs a Deployment."""
    name: ObjectName
    """Name of the workload, in this namespace."""


class ServiceRef(Part):
    """A Service in this namespace."""

    name: ServiceName
    """Name of the Service."""


class ServicePortRef(Part):
    """A Service in this namespace and one of its ports."""

    name: ServiceName
    """Name of the Service."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the Service; without it the Service must have exactly one."""


class HTTPRouteRef(Part):
    """One rule of an HTTPRoute whose backend weights AURORA may set."""

    name: ObjectName
    """Name of the HTTPRoute."""
    rule: int = Field(default=0, ge=0, le=15)
    """Index of the rule in the HTTPRoute, counted from 0."""


class SecretKeyRef(Part):
    """One key of a Secret in this namespace; the value is never copied anywhere."""

    name: ObjectName
    """Name of the Secret."""
    key: str = Field(min_length=1, max_length=253)
    """Key in the Secret's data."""
