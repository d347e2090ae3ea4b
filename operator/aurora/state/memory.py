"""What is remembered of one model between cycles, and how it is kept in a record.

The record is JSON. The numbers of all packed rows are one text in it, rounded to seven digits; the
others are rounded to six.
"""

import json
import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, Self

from pydantic import TypeAdapter, ValidationError

from aurora.errors import StoreError
from aurora.observe.sample import Signal
from aurora.state.baseline import BaselineMemory
from aurora.state.capacity import CapacityModel, refitted
from aurora.state.coldstart import ColdStartMemory
from aurora.state.forecast import Series
from aurora.state.history import History
from aurora.state.routing_memory import RoutingMemory
from aurora.state.sealed import opened, sealed
from aurora.values import quick

__all__ = ["MEMORY_VERSION", "ModelMemory", "compacted"]

MEMORY_VERSION: Final = 2
_BY_ROWS: Final = 1
"""Number by number, and without what is fitted."""


@quick
@dataclass(frozen=True, slots=True)
class ModelMemory:
    """Everything that `advance` carries from one cycle to the next.

    Attributes:
        at: when it was last advanced, seconds since the epoch; None before the first cycle.
        sample_at: when the newest load reading that was learned from was scraped.
        requests: the request load, requests/s.
        work: the same in the capacity model's unit.
        peak_load: highest load of the whole workload, faded since, in the capacity model's unit.
        missed_at: when a latency objective was last missed.
        work_per_request: of the last readings, in the capacity model's unit x s.
        queued_since: when requests began to wait, None while none does.
        routing: of a RoutingPolicy that learns its weights.
    """

    at: float | None = None
    sample_at: float = 0.0
    capacity: CapacityModel = field(default_factory=CapacityModel)
    requests: Series = field(default_factory=Series)
    work: Series = field(default_factory=Series)
    peak_load: float = 0.0
    missed_at: float | None = None
    work_per_request: float | None = None
    queued_since: float | None = None
    baselines: Mapping[Signal, BaselineMemory] = field(default_factory=dict)
    cold_starts: ColdStartMemory = field(default_factory=ColdStartMemory)
    history: History = field(default_factory=History)
    routing: RoutingMemory | None = None
    version: int = MEMORY_VERSION

    def to_json(self) -> dict[str, Any]:
        """Give a JSON-able dict; a few kilobytes, bounded whatever was seen."""
        numbers = array("d")
        record: dict[str, Any] = compacted(
            _adapter().dump_python(self, mode="json", context=numbers)
        )
        record["numbers"] = sealed(numbers)
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises:
            StoreError: of another version, damaged, or with a number that is not finite. The
                caller starts from an empty memory: all of it is learned again.
        """
        version = record.get("version")
        if version not in {_BY_ROWS, MEMORY_VERSION}:
            raise StoreError(
                f"the stored memory has version {version!r}, not {MEMORY_VERSION}:"
                " start from an empty one"
            )
        try:
            json.dumps(record, allow_nan=False)
            numbers = opened(record["numbers"]) if version == MEMORY_VERSION else None
            rest = {name: value for name, value in record.items() if name != "numbers"}
            memory: Self = _adapter().validate_python(rest, context=numbers)
        except (ValidationError, ValueError, TypeError, KeyError) as error:
            detail = str(error).splitlines()[0]
            raise StoreError(f"the stored memory is damaged: {detail}") from error
        if version == MEMORY_VERSION:
            return memory
        return replace(memory, version=MEMORY_VERSION, capacity=refitted(memory.capacity))


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(ModelMemory)


def compacted(value: Any) -> Any:
    """Six digits for quantities, milliseconds for times since the epoch."""
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, dict):
        return {key: compacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) if type(item) is float else compacted(item) for item in value]
    return value


def _short(value: float) -> float:
    if value.is_integer():
        return value  # most are 0, or counts
    if not math.isfinite(value):
        raise StoreError("the memory holds a number that is not finite")
    return round(value, 3) if abs(value) >= 1e6 else float(f"{value:.6g}")
