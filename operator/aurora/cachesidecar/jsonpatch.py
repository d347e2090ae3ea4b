"""JSON Patch operations that test what they replace."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Operation", "append", "join", "read", "remove", "test", "write"]

Json = Mapping[str, Any]
Operation = dict[str, Any]


def write(where: str, old: Any, new: Any) -> Iterator[Operation]:
    """Yield a tested write; None stands for an absent field on either side."""
    if old is None:
        yield {"op": "add", "path": where, "value": new}
        return
    yield test(where, old)
    if new is None:
        yield {"op": "remove", "path": where}
    else:
        yield {"op": "replace", "path": where, "value": new}


def append(path: str, live: Sequence[Json] | None, items: Sequence[Json]) -> Iterator[Operation]:
    if not live:
        yield {"op": "add", "path": path, "value": list(items)}
        return
    for item in items:
        yield {"op": "add", "path": f"{path}/-", "value": item}


def remove(path: str, live: Sequence[Json], names: set[str]) -> Iterator[Operation]:
    # From the end, so that an earlier index still holds after a removal.
    for index in reversed(range(len(live))):
        if live[index].get("name") in names:
            yield test(f"{path}/{index}/name", live[index]["name"])
            yield {"op": "remove", "path": f"{path}/{index}"}


def join(parts: Sequence[str | int]) -> str:
    head, *rest = (str(part) for part in parts)
    return "/".join((head, *(part.replace("~", "~0").replace("/", "~1") for part in rest)))


def read(deployment: Json, where: str) -> Any:
    node: Any = deployment
    for part in where.strip("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(key)] if int(key) < len(node) else None
        else:
            node = (node or {}).get(key)
    return node


def test(path: str, value: Any) -> Operation:
    return {"op": "test", "path": path, "value": value}
