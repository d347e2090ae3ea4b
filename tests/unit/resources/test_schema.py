from collections.abc import Iterator
from typing import Any

import pytest

from aurora.resources import ModelDeployment
from aurora.resources.cel import EXTENSION
from aurora.resources.schema import (
    KINDS,
    custom_resource_definition,
    custom_resource_definitions,
    object_schema,
    structural,
)

# Keywords of a structural schema that these kinds use; any other one would be a mistake.
ALLOWED = {
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    EXTENSION,
}


def below(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from below(field, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from below(schema[name], f"{path}[]")


EVERY = [
    pytest.param(path, schema, id=f"{kind.kind}{path}")
    for kind in KINDS
    for path, schema in below(object_schema(kind))
    if path and not path.startswith((".metadata", ".apiVersion", ".kind"))
]


@pytest.mark.parametrize(("path", "schema"), EVERY)
def test_every_field_is_structural_bounded_and_described(path, schema):
    assert set(schema) <= ALLOWED
    assert schema["type"] in {"object", "array", "string", "integer", "boolean"}, "no floats"
    if schema["type"] == "string":
        assert {"enum", "maxLength", "format"} & set(schema), "unbounded text breaks CEL's budget"
    if schema["type"] == "array":
        assert "maxItems" in schema
    if "additionalProperties" in schema:
        assert "maxProperties" in schema
    if schema["type"] == "integer":
        assert "minimum" in schema
    if not path.endswith("[]"):
        assert schema["description"].endswith(".")


def test_every_rule_has_a_sentence_that_does_not_repeat_the_rule():
    rules = [
        rule
        for kind in KINDS
        for _, schema in below(object_schema(kind))
        for rule in schema.get(EXTENSION, [])
    ]
    assert len(rules) > 40
    for rule in rules:
        assert len(rule["message"]) > 15
        assert "self" not in rule["message"].replace("itself", "")
        assert "\n" not in rule["message"] + rule["rule"], "the API server wants one line"


def test_the_defaults_of_the_schema_are_the_defaults_of_the_value():
    spec = object_schema(ModelDeployment)["properties"]["spec"]
    least = {"targetRef": {"name": "a"}, "serviceRef": {"name": "a"}}
    value = ModelDeployment.parse({"metadata": {"name": "a"}, "spec": least}).to_kubernetes()
    assert filled(spec, least) == value["spec"]


def filled(schema: dict[str, Any], value: Any) -> Any:
    """Fill in defaults as the API server does: a field's own first, then those below it."""
    if isinstance(value, list):
        return [filled(schema["items"], one) for one in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    result = dict(value)
    for name, field in schema["properties"].items():
        if name not in result and "default" in field:
            result[name] = field["default"]
        if name in result:
            result[name] = filled(field, result[name])
    return result


def test_a_status_has_no_defaults_because_it_says_only_what_was_observed():
    for kind in KINDS:
        status = object_schema(kind)["properties"].get("status", {})
        assert [path for path, schema in below(status) if "default" in schema] == []


def test_a_status_is_one_value_to_the_api_server_because_nobody_else_writes_parts_of_it():
    for kind in KINDS:
        schema = object_schema(kind)["properties"]
        assert schema.get("status", {}).get("x-kubernetes-map-type") == (
            "atomic" if "status" in kind.model_fields else None
        )
        assert [path for path, one in below(schema["spec"]) if "x-kubernetes-map-type" in one] == []


def test_the_names_are_those_of_the_design():
    found = {
        one["spec"]["names"]["kind"]: (
            one["metadata"]["name"],
            one["spec"]["names"]["shortNames"],
            one["spec"]["names"]["categories"],
            "subresources" in one["spec"]["versions"][0],
        )
        for one in custom_resource_definitions()
    }
    assert found == {
        "ModelDeployment": ("modeldeployments.aurora.dev", ["mdep"], ["aurora"], True),
        "RoutingPolicy": ("routingpolicies.aurora.dev", ["rpol"], ["aurora"], True),
        "Decision": ("decisions.aurora.dev", ["dec"], ["aurora"], True),
        "Approval": ("approvals.aurora.dev", ["appr"], ["aurora"], False),
    }


def test_there_is_no_scale_subresource_because_it_would_be_a_second_hand_on_replicas():
    version = custom_resource_definition(ModelDeployment)["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}


def test_a_field_of_two_types_is_refused_when_the_schema_is_made():
    with pytest.raises(ValueError, match="one type"):
        structural({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {})
