"""Learned state as a JSON document: the current format, and reading the older one.

{"format": "aurora-routing-state", "version": 2, "strategy": ..., "revision": ..., "state": ...}
"""

import json
from dataclasses import dataclass
from typing import IO, Any, Final

from aurora.routing.contract import Snapshot
from aurora.routing.errors import StateError

__all__ = ["FORMAT", "VERSION", "Stored", "decoded", "encode", "head"]

FORMAT: Final = "aurora-routing-state"
VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Stored:
    """State as it was found; `revision` rises by 1 with each write."""

    strategy: str
    snapshot: Snapshot
    revision: int


def head(strategy: str, revision: int) -> dict[str, Any]:
    """The document without its state."""
    return {"format": FORMAT, "version": VERSION, "strategy": strategy, "revision": revision}


def decoded(text: str, where: str) -> Stored | str:
    """The state in a document of any version, or in words why it is damaged.

    Raises:
        StateError: it is whole, but of a newer version or no such document at all.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        return f"no whole JSON document: {error}"
    if not isinstance(document, dict):
        raise StateError(f"{where} holds no learned state; choose another place")
    if "format" not in document:
        return _first_version(document, where)
    if document["format"] != FORMAT or not isinstance(document.get("version"), int):
        raise StateError(f"{where} holds no learned state; choose another place")
    if document["version"] > VERSION:
        raise StateError(
            f"{where} is of version {document['version']}, newer than {VERSION}; upgrade first"
        )
    snapshot, revision = document.get("state"), document.get("revision")
    if not isinstance(snapshot, dict) or not isinstance(revision, int):
        return "parts are missing"
    return Stored(str(document.get("strategy")), snapshot, revision)


def _first_version(document: dict[str, Any], where: str) -> Stored:
    """Version 1 was a plain Q-table: {"workload|gpu|region": {"provider": value}}.

    It may stand under `q_table`. It held no counts; a value that is there was learned at least
    once, so each counts as one.
    """
    table = document.get("q_table", document)
    try:
        rows = [
            [*_three(key), {arm: [float(value), 1] for arm, value in cells.items()}]
            for key, cells in table.items()
        ]
    except (AttributeError, TypeError, ValueError) as error:
        raise StateError(f"{where} holds no learned state; choose another place") from error
    return Stored("q-learning", {"decisions": 0, "states": rows}, 0)


def _three(key: str) -> list[str]:
    parts = key.split("|")
    if len(parts) != 3:
        raise ValueError(f"{key!r} is no state")
    return parts


def encode(file: IO[str], start: dict[str, Any], snapshot: Snapshot) -> None:
    """Write the document in pieces, lists one item a line.

    One `json.dumps` of a large table would hold the interpreter for its whole length, and every
    decision with it; between pieces other threads run.
    """
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in start.items()]
    file.write("{" + ",\n".join(lines) + ',\n"state": {')
    for position, (key, value) in enumerate(snapshot.items()):
        file.write(("," if position else "") + f"\n{json.dumps(key)}: ")
        if not isinstance(value, list):
            file.write(json.dumps(value, allow_nan=False))
            continue
        file.write("[")
        for place, item in enumerate(value):
            file.write(("," if place else "") + "\n" + json.dumps(item, allow_nan=False))
        file.write("]")
    file.write("}}\n")
