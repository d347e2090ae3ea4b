"""What AURORA changed and has not undone, with the command that undoes it by hand. Pure."""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aurora.resources import Change, DecisionObject, KubernetesObject
from aurora.resources.names import ORIGINAL_ANNOTATION
from aurora.resources.vocabulary import Phase

__all__ = ["OpenChange", "in_flight", "open_changes", "original_changes", "undo_command"]

IN_FLIGHT = frozenset({Phase.APPROVED, Phase.EXECUTING, Phase.VERIFYING, Phase.ROLLING_BACK})
_IN_FORCE = frozenset({Phase.EXECUTING, Phase.VERIFYING, Phase.ROLLING_BACK})


@dataclass(frozen=True, slots=True)
class OpenChange:
    """One change that may be in force, and the decision that made it."""

    decision: str
    change: Change


def in_flight(decisions: Iterable[DecisionObject]) -> tuple[DecisionObject, ...]:
    """Decisions that AURORA has not finished with."""
    return tuple(one for one in decisions if one.status.phase in IN_FLIGHT)


def open_changes(decisions: Sequence[DecisionObject]) -> tuple[OpenChange, ...]:
    """Changes of decisions that are being written, verified or undone, the newest first.

    A change that is only announced is listed too: whether it was written is not known here.
    """
    return tuple(
        OpenChange(one.metadata.name, change)
        for one in decisions
        if one.status.phase in _IN_FORCE
        for change in one.status.changes
    )


def original_changes(model: KubernetesObject) -> tuple[str, ...]:
    """The commands that write back what stood there before AURORA's first change.

    The annotation is input like any other: what cannot be read gives no command.
    """
    text = model.metadata.annotations.get(ORIGINAL_ANNOTATION, "")
    try:
        kept = [Change.model_validate(one) for one in json.loads(text)] if text else []
    except (ValueError, TypeError):
        return ()
    # There, `to` is the value that was found; `from` is AURORA's first one, which later decisions
    # may have replaced, so it is no test.
    return tuple(undo_command(one.model_copy(update={"from_": one.to, "to": None})) for one in kept)


def undo_command(change: Change) -> str:
    """The kubectl command that writes the old value back, on one line.

    It tests the uid and AURORA's value first, so that it never overwrites what somebody else set.
    """
    group = change.api_version.rpartition("/")[0]
    resource = change.kind.lower() + (f".{group}" if group else "")
    operations: list[dict[str, object]] = [
        {"op": "test", "path": "/metadata/uid", "value": change.uid}
    ]
    if change.to is not None:
        operations.append({"op": "test", "path": change.path, "value": _value(change.to)})
    operations.append(_back(change))
    patch = json.dumps(operations, separators=(",", ":"))
    words = ["kubectl", "-n", change.namespace, "patch", f"{resource}/{change.name}"]
    return shlex.join([*words, "--type=json", "-p", patch])


def _back(change: Change) -> dict[str, object]:
    if change.from_ is None:
        return {"op": "remove", "path": change.path}
    verb = "replace" if change.to is not None else "add"
    return {"op": verb, "path": change.path, "value": _value(change.from_)}


def _value(text: str) -> object:
    """A value of the status is JSON; what is not stays the text that it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text
