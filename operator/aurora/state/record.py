"""SystemState as a JSON record and back: what replay decides on again."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from aurora.errors import StoreError
from aurora.state.memory import ModelMemory, compacted
from aurora.state.system_state import SystemState

__all__ = ["state_from_json", "state_to_json"]


def state_to_json(state: SystemState, *, memory: bool = True) -> dict[str, Any]:
    """Give a JSON-able dict.

    Args:
        state: what to keep.
        memory: with what was learned, without which a decision cannot be repeated exactly. It is
            20 times the rest, so the states of every 5 minutes leave it out.
    """
    record: dict[str, Any] = compacted(
        _adapter().dump_python(state, mode="json", exclude={"memory"})
    )
    if memory:
        record["memory"] = state.memory.to_json()
    # Sets have no order; records are compared and hashed.
    return record | {"thin": sorted(record["thin"]), "partial": sorted(record["partial"])}


def state_from_json(record: Mapping[str, Any], *, memory: ModelMemory | None = None) -> SystemState:
    """Read what `state_to_json` gave.

    Args:
        record: of one state.
        memory: for a record that was kept without one; a record's own wins.

    Raises:
        StoreError: damaged, of another version, or without a memory where none is given.
    """
    kept = record.get("memory")
    if isinstance(kept, Mapping):
        memory = ModelMemory.from_json(kept)
    if memory is None:
        raise StoreError("the stored state has no memory: it cannot be replayed")
    try:
        state: SystemState = _adapter().validate_python({**record, "memory": memory})
    except ValidationError as error:
        detail = str(error).splitlines()[0]
        raise StoreError(f"the stored state is damaged: {detail}") from error
    return state


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(SystemState)
