"""SystemState as a JSON record and back: what replay decides on again."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from aurora.errors import StoreError
from aurora.state.memory import ModelMemory, compacted
from aurora.state.system_state import SystemState

__all__ = ["state_from_json", "state_to_json"]


def state_to_json(state: SystemState) -> dict[str, Any]:
    """Give a JSON-able dict, the memory included, for a decision can only be repeated with it."""
    record: dict[str, Any] = compacted(_adapter().dump_python(state, mode="json"))
    record["memory"] = state.memory.to_json()
    # Sets have no order; records are compared and hashed.
    return record | {"thin": sorted(record["thin"]), "partial": sorted(record["partial"])}


def state_from_json(record: Mapping[str, Any]) -> SystemState:
    """Read what `state_to_json` gave.

    Raises:
        StoreError: damaged, or of another version.
    """
    memory = record.get("memory")
    if not isinstance(memory, Mapping):
        raise StoreError("the stored state has no memory: it cannot be replayed")
    try:
        state: SystemState = _adapter().validate_python(
            {**record, "memory": ModelMemory.from_json(memory)}
        )
    except ValidationError as error:
        detail = str(error).splitlines()[0]
        raise StoreError(f"the stored state is damaged: {detail}") from error
    return state


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(SystemState)
