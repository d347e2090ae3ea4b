"""AURORA's own objects as their typed values; one that cannot be read is kept with the reason."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

from aurora.observe.facts import ObjectKey
from aurora.observe.projections import LAST_APPLIED
from aurora.observe.raw import table
from aurora.observe.shelf import listed
from aurora.resources import MalformedObjectError
from aurora.resources.base import KubernetesObject, Part

__all__ = ["Reader"]

Resource = TypeVar("Resource", bound=KubernetesObject)
Model = TypeVar("Model", bound=Part)


POOLED: Final = 50_000
"""Different parts that are kept; then the pool starts anew, which costs memory only."""
_OWN: Final = frozenset(
    {
        "target_ref",
        "service_ref",
        "fallback",
        "last_decision",
        "recent_decisions",
        "model_ref",
        "target",
        "evidence",
        "expected_effect",
        "changes",
        "outcome",
    }
)
"""Parts that hold names or what was measured, which no two objects have alike."""


class Reader(Generic[Resource]):
    """Reads objects of one kind. Equal parts of them are one and the same object.

    A fleet's objects differ in names and hardly in anything else: at 10,000 ModelDeployments this
    saves half of their memory.

    The API server has checked them against the schema, but perhaps against an older or newer one.

    Attributes:
        known: an object as it was read last.
        malformed: what could not be read, with the reason, until it can be or is deleted.
    """

    def __init__(self, resource: type[Resource]) -> None:
        self._resource = resource
        self.known: Callable[[ObjectKey], Resource | None] = lambda _: None
        self.malformed: dict[ObjectKey, str] = {}
        self._parts: dict[tuple[type[Part], str], Part] = {}
        self._fields: dict[frozenset[str], set[str]] = {}

    def __call__(self, obj: Mapping[str, Any]) -> Resource | None:
        key = listed(obj).key
        self.malformed.pop(key, None)
        raw, same = _without_copy(obj), self._with_same_spec(key, obj)
        try:
            if same is None:
                return self._shared(self._resource.parse(raw), ("spec", "status"))
            # What is validated already is not validated again.
            return self._shared(self._resource.parse({**raw, "spec": same}), ("status",))
        except MalformedObjectError as error:
            self.malformed[key] = str(error)
            return None

    def with_metadata(self, found: Resource, answer: Mapping[str, Any]) -> Resource:
        """An object as it is after its metadata was written, and nothing else of it."""
        metadata = type(found.metadata).model_validate(_without_copy(answer)["metadata"])
        return self._lean(found.model_copy(update={"metadata": self._lean(metadata)}))

    def with_status(self, found: Resource, status: Part, version: str) -> Resource:
        """An object as it is after its status was written, and nothing else of it."""
        metadata = found.metadata.model_copy(update={"resource_version": version})
        after = found.model_copy(update={"metadata": metadata, "status": status})
        return self._shared(after, ("status",), before=found)

    def _with_same_spec(self, key: ObjectKey, obj: Mapping[str, Any]) -> Part | None:
        """The spec as it was read, where this is another version of the same one.

        The API server counts `metadata.generation` with every change of a spec, and with nothing
        else of a kind that has a status of its own, as all of AURORA's that are written to.
        """
        known = self.known(key)
        if known is None or not known.metadata.uid or not known.metadata.generation:
            return None
        metadata = table(obj, "metadata")
        told = (metadata.get("uid"), metadata.get("generation"))
        if told != (known.metadata.uid, known.metadata.generation):
            return None
        spec = getattr(known, "spec", None)
        return spec if isinstance(spec, Part) else None

    def _shared(
        self, found: Resource, levels: Iterable[str], *, before: Resource | None = None
    ) -> Resource:
        """With one object for equal parts; those that it has of `before` are shared already."""
        changes: dict[str, Any] = {}
        for name in levels:
            whole = getattr(found, name, None)
            if isinstance(whole, Part):
                kept = _parts_of(getattr(before, name, None))
                parts = {
                    field: value if field in _OWN else self._one(value, kept)
                    for field, value in whole
                }
                changes[name] = self._lean(whole.model_copy(update=parts))
        self._lean(found.metadata)
        return self._lean(found.model_copy(update=changes))

    def _lean(self, part: Model) -> Model:
        """One set of names for all parts that have the same fields set; a set takes up to 1 kB."""
        fields = part.model_fields_set
        object.__setattr__(
            part, "__pydantic_fields_set__", self._fields.setdefault(frozenset(fields), fields)
        )
        return part

    def _one(self, value: Any, kept: Collection[int]) -> Any:
        if isinstance(value, tuple):
            return tuple([self._one(item, kept) for item in value])
        if not isinstance(value, Part) or id(value) in kept:
            return value
        if len(self._parts) >= POOLED:
            self._parts.clear()
        return self._parts.setdefault((type(value), value.model_dump_json()), value)


def _parts_of(level: object) -> frozenset[int]:
    """Which parts stand in the lists of a level, by identity."""
    if not isinstance(level, Part):
        return frozenset()
    lists = [value for _, value in level if isinstance(value, tuple)]
    return frozenset([id(one) for items in lists for one in items])


def _without_copy(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    annotations = table(obj, "metadata", "annotations")
    if LAST_APPLIED not in annotations:
        return obj
    kept = {name: value for name, value in annotations.items() if name != LAST_APPLIED}
    return {**obj, "metadata": {**table(obj, "metadata"), "annotations": kept}}
