"""The table of the chart's values in docs/install.md, from values.schema.json and values.yaml."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from aurora.errors import UsageError

__all__ = ["INSTALL_GUIDE", "guide", "table"]

INSTALL_GUIDE: Final = "docs/install.md"
BEGIN: Final = "<!-- values: begin, written by make generate -->\n"
END: Final = "<!-- values: end -->\n"
_HEAD: Final = "| value | type | default | meaning |\n|---|---|---|---|\n"
_LEAVES: Final = frozenset({"settings", "global"})
"""Objects that are described as a whole."""


def guide(root: Path) -> str:
    """Return docs/install.md with the table as it should be.

    Raises:
        UsageError: the document has no place for the table, or a value has no description.
    """
    text = (root / INSTALL_GUIDE).read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise UsageError(f"{INSTALL_GUIDE}: write the lines {BEGIN.strip()} and {END.strip()} once")
    head, rest = text.split(BEGIN)
    return head + BEGIN + table(root / "helm" / "aurora") + END + rest.split(END)[1]


def table(chart: Path) -> str:
    """Return one row for each value that can be set.

    Raises:
        UsageError: a value has no description.
    """
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    return _HEAD + "".join(f"{row}\n" for row in _rows(schema["properties"], values, ""))


def _rows(properties: dict[str, Any], values: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, field in properties.items():
        path = f"{prefix}{name}"
        given = values.get(name)
        if "properties" in field and path not in _LEAVES:
            yield from _rows(field["properties"], given or {}, f"{path}.")
            continue
        meaning = field.get("description")
        if not meaning:
            raise UsageError(f"values.schema.json: {path} needs a description")
        yield f"| `{path}` | {_type(field)} | {_default(given)} | {meaning} |"


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    names = {"array": "list", "object": "map"}
    kind: str = field["type"]
    return names.get(kind, kind)


def _default(value: Any) -> str:
    if value in ("", None, [], {}):
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"
