"""Disk that a day of states takes for 1,000 models, and the time that writing them takes.

Each SystemState is stored every 5 minutes for one day, in a SQLite file. A state is the real
one of `aurora.state`, under a load that follows the day; it is measured without what the model's
memory holds (kept once per model elsewhere), and with it.

python -m bench.store_size [--models 50] [--output json]
"""

import argparse
import asyncio
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.state_step import observation

from aurora.observe.sample import Sample, Signal
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from aurora.state.record import state_to_json
from aurora.state.system_state import SystemState
from aurora.store import DecisionRow, StateRow, Store, TransitionRow

EPOCH = 1_800_000_000.0
EVERY_S = 300.0
STEPS = 288
DECISIONS = 500
SCALED = frozenset({Signal.REQUEST_RATE, Signal.PROMPT_TOKEN_RATE, Signal.GENERATION_TOKEN_RATE})


def rows(models: int, *, with_memory: bool) -> Iterator[list[StateRow]]:
    """One batch for each step of the day."""
    rng = random.Random(1)
    memories = [ModelMemory() for _ in range(models)]
    for step in range(STEPS):
        batch = []
        for number in range(models):
            at = EPOCH + step * EVERY_S + 0.015 * number
            memories[number], state = _advanced(memories[number], rng, at, number)
            batch.append(_row(state, f"model-{number}", with_memory=with_memory))
        yield batch


def _advanced(
    memory: ModelMemory, rng: random.Random, at: float, number: int
) -> tuple[ModelMemory, SystemState]:
    day = 0.6 + 0.4 * math.sin(2.0 * math.pi * (at / 86_400.0 + number / 24.0))
    seen = observation(rng, at)
    readings = {
        signal: _noisy(reading, rng, day if signal in SCALED else 1.0)
        for signal, reading in seen.signals.items()
        if isinstance(reading, Sample)
    }
    return advance(memory, replace(seen, signals=readings), at)


def _noisy(reading: Sample, rng: random.Random, scale: float) -> Sample:
    """Signals that agree less than in the bench that they come from."""
    samples = (reading.samples or 0.0) * scale * rng.uniform(0.95, 1.05)
    value = reading.value * scale * rng.uniform(0.9, 1.1)
    return replace(reading, value=value, samples=samples, at=reading.at - 15.0 * rng.random())


def _row(state: SystemState, name: str, *, with_memory: bool) -> StateRow:
    snapshot = state_to_json(state, memory=with_memory)
    return StateRow(
        namespace="models",
        model=name,
        at=state.at,
        reason="Healthy",
        policy_hash="0123456789ab",
        snapshot=snapshot,
    )


async def measure(models: int, *, with_memory: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "aurora.db"
        store = await Store.open(f"sqlite:///{file}")
        raw, spent = 0, 0.0
        for batch in rows(models, with_memory=with_memory):
            raw += len(json.dumps(batch[0].snapshot, separators=(",", ":")))
            began = time.perf_counter()
            await store.record_states(batch)
            spent += time.perf_counter() - began
        found = [row async for row in store.states("models", "model-0", since=0, until=1e12)]
        assert len(found) == STEPS
        await store.close()
        size = await asyncio.to_thread(lambda: file.stat().st_size)
    count = models * STEPS
    return {
        "snapshot_json_bytes": round(raw / STEPS),
        "stored_bytes_per_state": round(size / count),
        "megabytes_per_day_per_1000_models": round(size / count * STEPS * 1000 / 1e6, 1),
        "microseconds_per_state": round(1e6 * spent / count, 1),
    }


async def decisions() -> dict[str, float]:
    """A decision and its transition, each in a transaction of its own."""
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(f"sqlite:///{folder}/aurora.db")
        state = next(rows(1, with_memory=False))[0].snapshot
        took = []
        for number in range(DECISIONS):
            began = time.perf_counter()
            await store.record_decision(_decision(number, state))
            await store.record_transition(TransitionRow(f"d{number}", "Executing", EPOCH))
            took.append(time.perf_counter() - began)
        await store.close()
    return {
        "milliseconds_median": round(1e3 * statistics.median(took), 2),
        "milliseconds_p99": round(1e3 * statistics.quantiles(took, n=100)[98], 2),
    }


def _decision(number: int, state: Any) -> DecisionRow:
    return DecisionRow(
        id=f"d{number}",
        namespace="models",
        model="llama",
        action="SCALE",
        reason="ForecastAboveCapacity",
        message="2 replicas keep the objectives up to 18 requests/s; 24 are forecast in 4 min",
        confidence=0.93,
        tier="Auto",
        risk="Low",
        created_at=EPOCH + number,
        state=state,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "models": arguments.models,
        "states_per_model_and_day": STEPS,
        "state": asyncio.run(measure(arguments.models, with_memory=False)),
        "state_with_memory": asyncio.run(measure(max(1, arguments.models // 10), with_memory=True)),
        "decision_and_transition": asyncio.run(decisions()),
    }
    place = Path(__file__).parent / "results" / "store_size.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.output == "json":
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        for key, figure in value.items() if isinstance(value, dict) else [("", value)]:
            print(f"{f'{name} {key}'.strip():60} {figure}")


if __name__ == "__main__":
    main()
