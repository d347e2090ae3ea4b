"""Validation rules that the API server enforces, declared where the fields are declared.

A `Rule` is one entry of `x-kubernetes-validations`. It stands either in the `Annotated` metadata
of a field's type or in the `cel` tuple of a model. The message is what a person reads when
`kubectl apply` refuses the object, so it says what to do.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

EXTENSION = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule: `self` is the value that carries it, true means valid."""

    rule: str
    message: str
    field_path: str | None = None
    """Path below the carrying object that the error points at, for example `.maxReplicas`."""

    def as_schema(self) -> dict[str, str]:
        entry = {"rule": self.rule, "message": self.message}
        if self.field_path is not None:
            entry["fieldPath"] = self.field_path
        return entry

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return with_rules(handler(core_schema), (self,))


@dataclass(frozen=True, slots=True, eq=False)  # by identity: values may be unhashable lists
class Schema:
    """Extra keywords for a field's schema, for example `x-kubernetes-list-type`."""

    keywords: tuple[tuple[str, Any], ...]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core_schema), **dict(self.keywords)}


def with_rules(schema: JsonSchemaValue, rules: tuple[Rule, ...]) -> JsonSchemaValue:
    """Return the schema with the rules appended; the order of declaration is kept."""
    if not rules:
        return schema
    present = schema.get(EXTENSION, [])
    return {**schema, EXTENSION: [*present, *(rule.as_schema() for rule in rules)]}
