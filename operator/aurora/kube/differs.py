"""Whether an apply would change anything: no write is sent when nothing differs."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["apply_changes"]

_OURS = ("apiVersion", "kind", "metadata")


def apply_changes(
    manifest: Mapping[str, Any], live: Mapping[str, Any], *, field_manager: str
) -> bool:
    """Tell whether a server-side apply of `manifest` would change `live`.

    It would when a wanted value differs, or when the manager owns a field that is wanted no
    longer, which the apply would drop. Values that the server writes in another form than they
    were sent (`1000m` as `1`) count as different: send them as the server writes them.
    """
    wanted = {key: value for key, value in manifest.items() if key not in _OURS}
    metadata = manifest.get("metadata") or {}
    for part in ("labels", "annotations", "ownerReferences"):
        if part in metadata:
            wanted.setdefault("metadata", {})[part] = metadata[part]
    if not _contained(wanted, live):
        return True
    return any(not _present(wanted, path) for path in _owned(live, field_manager))


def _contained(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _contained(value, found[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_contained(one, other) for one, other in zip(wanted, found, strict=True))
        )
    return type(wanted) is type(found) and bool(wanted == found)


def _owned(live: Mapping[str, Any], field_manager: str) -> Iterator[tuple[str, ...]]:
    """Paths of the map fields that the manager applied; list items are compared as values."""
    for entry in (live.get("metadata") or {}).get("managedFields") or []:
        if entry.get("manager") == field_manager and entry.get("operation") == "Apply":
            yield from _paths(entry.get("fieldsV1") or {}, ())


def _paths(fields: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, below in fields.items():
        if not name.startswith("f:"):
            continue
        path = (*above, name.removeprefix("f:"))
        yield path
        yield from _paths(below, path)


def _present(wanted: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    found: Any = wanted
    for part in path:
        if isinstance(found, list):
            return True
        if not isinstance(found, Mapping) or part not in found:
            return False
        found = found[part]
    return True
