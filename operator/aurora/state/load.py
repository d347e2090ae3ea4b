"""How much work callers ask for, in a unit that is proportional to what it costs the server."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from aurora.observe.sample import Reading, Sample, Signal
from aurora.state.capacity import CapacityModel, LoadUnit
from aurora.state.history import Moment, since
from aurora.state.memory import ModelMemory
from aurora.state.system_state import Load

__all__ = ["GENERATION_COST", "capacity_unit", "in_flight", "load_of", "peak_load"]

LEAST_RATE: Final = 1e-9
"""Requests/s: below it a cost for each request would be no number."""
GENERATION_COST: Final = 4.0
"""Prompt tokens that a generated token costs as much as: (cb + c0 / 64) / cp of the measured
servers is 4.5 to 9.5 (docs/capacity-model.md); for one mix of requests it does not matter."""
PEAK_HALF_LIFE_S: Final = 5400.0
"""How long the highest load is remembered: a burst that came once may come again within hours."""

_TOKENS = (Signal.PROMPT_TOKEN_RATE, Signal.GENERATION_TOKEN_RATE)


def capacity_unit(capacity: CapacityModel, readings: Mapping[Signal, Reading]) -> LoadUnit:
    """Tokens as soon as both rates were seen once; never back, for a gap is no reason to forget."""
    measured = all(isinstance(readings.get(s), Sample) for s in _TOKENS)
    return LoadUnit.TOKENS if measured else capacity.unit


def in_flight(readings: Mapping[Signal, Reading]) -> float | None:
    """Requests inside the servers, None when not both queues were read."""
    waiting, running = readings.get(Signal.WAITING), readings.get(Signal.RUNNING)
    if not isinstance(waiting, Sample) or not isinstance(running, Sample):
        return None
    return waiting.value + running.value


def load_of(
    memory: ModelMemory, readings: Mapping[Signal, Reading], *, ready: int, at: float
) -> Load:
    """Tell the load of the whole workload from one cycle's readings."""
    rate = readings[Signal.REQUEST_RATE]
    waiting = readings.get(Signal.WAITING)
    backlog = waiting.value if isinstance(waiting, Sample) else None
    work, partial = _work(memory, readings, rate)
    if work is None:
        return Load(rate, backlog=backlog, partial=partial)
    window = rate.window_s if isinstance(rate, Sample) else 0.0
    piled_up = _growth(memory.history, in_flight(readings), backlog, at=at, window=window)
    cost = _cost_per_request(memory, rate, work)
    return Load(
        rate,
        work=work,
        per_replica=work / ready if ready > 0 else None,
        demand=work + piled_up * cost,
        backlog=backlog,
        partial=partial,
    )


def _work(
    memory: ModelMemory, readings: Mapping[Signal, Reading], rate: Reading
) -> tuple[float | None, bool]:
    """Work and whether it is partial; estimated from the requests while token rates are missing."""
    partial = isinstance(rate, Sample) and rate.partial
    if memory.capacity.unit is LoadUnit.REQUESTS:
        return (rate.value if isinstance(rate, Sample) else None), partial
    prompt, generated = (readings.get(s) for s in _TOKENS)
    if isinstance(prompt, Sample) and isinstance(generated, Sample):
        work = prompt.value + GENERATION_COST * generated.value
        return work, partial or prompt.partial or generated.partial
    if isinstance(rate, Sample) and memory.work_per_request is not None:
        return rate.value * memory.work_per_request, partial
    return None, partial


def _cost_per_request(memory: ModelMemory, rate: Reading, work: float) -> float:
    if isinstance(rate, Sample) and rate.value > LEAST_RATE:
        return work / rate.value
    return memory.work_per_request or 0.0


def _growth(
    history: Sequence[Moment],
    now: float | None,
    backlog: float | None,
    *,
    at: float,
    window: float,
) -> float:
    """Requests/s by which the queue grew within the window; 0 when nothing waits.

    An engine counts a request when it is finished, so at saturation its request rate is what it
    can do, and the rest of what callers ask for shows only as a growing queue.
    """
    if now is None or not backlog:
        return 0.0
    then: Moment | None = None
    for moment in since(history, at - window - 1.0):
        if moment.in_flight is not None:
            then = moment
    if then is None or then.in_flight is None or at - then.at < 1.0:
        return 0.0
    return max(0.0, (now - then.in_flight) / (at - then.at))


def peak_load(memory: ModelMemory, work: float | None, at: float) -> float:
    """The highest load, which counts for half after `PEAK_HALF_LIFE_S`; never below that of now."""
    passed = max(0.0, at - memory.at) if memory.at is not None else 0.0
    return max(memory.peak_load * math.pow(0.5, passed / PEAK_HALF_LIFE_S), work or 0.0)
