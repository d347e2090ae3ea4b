"""Bases of the custom resources: camelCase on the wire, snake_case and frozen in Python."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from aurora.errors import UsageError
from aurora.faults import one_line
from aurora.resources.cel import Rule, with_rules
from aurora.resources.columns import Column
from aurora.resources.names import API_VERSION, PAUSED_ANNOTATION
from aurora.resources.quantities import Timestamp


class MalformedObjectError(UsageError):
    """An object does not have the shape of its kind; the text names the field and the fault."""


class Part(BaseModel):
    """One level of a custom resource.

    Attributes:
        cel: rules over the whole level, enforced by the API server.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=False,
    )
    cel: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        return with_rules(handler.resolve_ref_schema(schema), cls.cel)

    def to_kubernetes(self) -> dict[str, Any]:
        """Return plain JSON values with camelCase keys; what is not set is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusPart(Part):
    """One level of a status: an older operator reads what a newer one wrote."""

    model_config = ConfigDict(extra="ignore")


class ObjectMeta(StatusPart):
    """The part of `metadata` that AURORA uses."""

    name: str
    namespace: str = "default"
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[dict[str, Any], ...] = ()

    def to_kubernetes(self) -> dict[str, Any]:
        """Leave out what is empty: an empty uid or resourceVersion would be read as a condition."""
        return {key: value for key, value in super().to_kubernetes().items() if value}


class KubernetesObject(Part):
    """A custom resource; subclasses add `spec` and, where there is one, `status`."""

    model_config = ConfigDict(extra="ignore")
    kind: ClassVar[str]
    plural: ClassVar[str]
    short_names: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[Column, ...]]

    metadata: ObjectMeta

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Read an object as the API server or a manifest gives it.

        Raises:
            MalformedObjectError: another kind, or a field that the kind does not allow.
        """
        found = (raw.get("apiVersion", API_VERSION), raw.get("kind", cls.kind))
        if found != (API_VERSION, cls.kind):
            raise MalformedObjectError(
                f"expected {API_VERSION} {cls.kind}, found {found[0]} {found[1]}"
            )
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise MalformedObjectError(f"{cls._label(raw)}: {one_line(error)}") from None

    @classmethod
    def _label(cls, raw: Mapping[str, Any]) -> str:
        metadata = raw.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
        return f"{cls.kind} {name}".strip()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name

    def to_kubernetes(self) -> dict[str, Any]:
        """Return the object as it is sent to the API server."""
        body = super().to_kubernetes()
        body["metadata"] = self.metadata.to_kubernetes()
        return {"apiVersion": API_VERSION, "kind": self.kind, **body}


class SubjectObject(KubernetesObject):
    """What the kinds of subject have in common."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.metadata.name.size() <= 63",
            "metadata.name must be 63 characters or shorter: it becomes a label of each Decision",
            ".metadata.name",
        ),
    )

    @property
    def is_paused(self) -> bool:
        """Tell whether the object carries the pause annotation; only "false" lifts it."""
        value = self.metadata.annotations.get(PAUSED_ANNOTATION)
        return value is not None and value.strip().lower() != "false"
