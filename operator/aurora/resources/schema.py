"""From pydantic's JSON schema to the structural schema of a CustomResourceDefinition.

The API server wants no references, no `anyOf` with null and no `additionalProperties: false`.
An optional field is one that may be left out. A part whose fields all have defaults gets them as
its own default, written out, because the API server checks a default against the part's rules
before it fills in the defaults below it.
"""

from typing import Any

from aurora.resources.approval import Approval
from aurora.resources.base import KubernetesObject
from aurora.resources.cel import EXTENSION
from aurora.resources.decision import Decision
from aurora.resources.modeldeployment import ModelDeployment
from aurora.resources.names import CATEGORY, GROUP, VERSION
from aurora.resources.routing_policy import RoutingPolicy

KINDS: tuple[type[KubernetesObject], ...] = (ModelDeployment, RoutingPolicy, Decision, Approval)

_DROPPED = ("$ref", "anyOf", "title", "additionalProperties", "propertyNames", "$defs")


def structural(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with references resolved and only the keywords that a CRD allows."""
    source = _resolve(schema, definitions)
    result = {key: value for key, value in source.items() if key not in _DROPPED}
    if "default" in result:
        result["default"] = _without_null(result["default"])
    if "properties" in source:
        result["properties"] = _properties(source, definitions)
    if "items" in source:
        result["items"] = structural(source["items"], definitions)
    values = source.get("additionalProperties")
    if isinstance(values, dict):
        result["additionalProperties"] = structural(values, definitions)
    return result


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_null(one) for one in value]
    return value


def _resolve(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference or the one alternative that is not null; keywords beside it win."""
    if "anyOf" in schema:
        kept = [one for one in schema["anyOf"] if one.get("type") != "null"]
        if len(kept) != 1:
            raise ValueError(f"a field must have one type, found {kept}")
        beside = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return _resolve(_beside(kept[0], beside), definitions)
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _resolve(_beside(definitions[name], beside), definitions)
    return schema


def _beside(schema: dict[str, Any], beside: dict[str, Any]) -> dict[str, Any]:
    rules = [*schema.get(EXTENSION, []), *beside.get(EXTENSION, [])]
    return {**schema, **beside, **({EXTENSION: rules} if rules else {})}


def _properties(source: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    required = source.get("required", [])
    result = {}
    for name, raw in source["properties"].items():
        field = structural(raw, definitions)
        if name not in required and "anyOf" not in raw and field.get("type") == "object":
            field.setdefault("default", _defaults_below(field))
        result[name] = field
    return result


def _defaults_below(schema: dict[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties", {}).items()
    return {name: field["default"] for name, field in fields if "default" in field}


def without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without defaults: a status says only what was observed."""
    result = {key: value for key, value in schema.items() if key != "default"}
    for name in ("items", "additionalProperties"):
        if name in result:
            result[name] = without_defaults(result[name])
    if "properties" in result:
        fields = result["properties"].items()
        result["properties"] = {name: without_defaults(field) for name, field in fields}
    return result


def _status(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a status; AURORA alone writes it, and always the whole of it.

    As one value, it is one entry in managedFields. Field by field, the entries were a third of a
    ModelDeployment, which the API server reads and writes again at every write of the object.
    """
    return without_defaults(schema) | {"x-kubernetes-map-type": "atomic"}


def object_schema(kind: type[KubernetesObject]) -> dict[str, Any]:
    """Return `openAPIV3Schema` of one kind."""
    raw = kind.model_json_schema(mode="serialization", by_alias=True)
    definitions = raw.pop("$defs", {})
    schema = structural(raw, definitions)
    properties = {
        "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
        "kind": {"type": "string", "description": kind.kind},
        # Only the name may be described here; a rule's fieldPath must point at a described field.
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        "spec": schema["properties"]["spec"],
    }
    if "status" in schema["properties"]:
        properties["status"] = _status(schema["properties"]["status"])
    return {**schema, "properties": properties, "required": ["spec"]}


def custom_resource_definition(kind: type[KubernetesObject]) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind."""
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": object_schema(kind)},
        "additionalPrinterColumns": [column.as_schema() for column in kind.columns],
    }
    if "status" in kind.model_fields:
        version["subresources"] = {"status": {}}
    names = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.kind.lower(),
        "shortNames": list(kind.short_names),
        "categories": [CATEGORY],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def custom_resource_definitions() -> list[dict[str, Any]]:
    """Return all CustomResourceDefinitions, as `aurora local` and the chart install them."""
    return [custom_resource_definition(kind) for kind in KINDS]
