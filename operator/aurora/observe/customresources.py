"""AURORA's own objects as their typed values; one that cannot be read is kept with the reason."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from aurora.observe.facts import ObjectKey
from aurora.observe.projections import LAST_APPLIED
from aurora.observe.raw import table
from aurora.observe.shelf import listed
from aurora.resources import MalformedObjectError
from aurora.resources.base import KubernetesObject

__all__ = ["Reader"]

Resource = TypeVar("Resource", bound=KubernetesObject)


class Reader(Generic[Resource]):
    """Reads objects of one kind.

    The API server has checked them against the schema, but perhaps against an older or newer one.

    Attributes:
        malformed: what could not be read, with the reason, until it can be or is deleted.
    """

    def __init__(self, resource: type[Resource]) -> None:
        self._resource = resource
        self.malformed: dict[ObjectKey, str] = {}

    def __call__(self, obj: Mapping[str, Any]) -> Resource | None:
        key = listed(obj).key
        self.malformed.pop(key, None)
        try:
            return self._resource.parse(_lean(obj))
        except MalformedObjectError as error:
            self.malformed[key] = str(error)
            return None


def _lean(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    annotations = table(obj, "metadata", "annotations")
    if LAST_APPLIED not in annotations:
        return obj
    kept = {name: value for name, value in annotations.items() if name != LAST_APPLIED}
    return {**obj, "metadata": {**table(obj, "metadata"), "annotations": kept}}
