"""What a fleet has learned before a bench begins: each model's memory, and cases of the past."""

import pickle
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import bigfleet
from bench.recorded import WINDOW_S, loads
from sqlalchemy import create_engine, insert

from aurora.memory.keeprows import memory_rows
from aurora.observe.facts import ObjectKey, WorkloadFacts
from aurora.observe.sample import Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.planner.cases import CaseFeatures
from aurora.resources import ModelDeployment
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from aurora.store import Store
from aurora.store.tables import decisions, outcomes, transitions

__all__ = ["keep_a_day", "memories", "with_cases"]

CYCLE_S = 15.0
CYCLES = 80
DAY = int(86_400 / CYCLE_S)
VARIANTS = 16


def memories(
    models: dict[ObjectKey, ModelDeployment], targets: dict[ObjectKey, WorkloadFacts], at: float
) -> Iterator[tuple[ObjectKey, ModelMemory]]:
    """What twenty minutes of changing load taught each model, up to one cycle before `at`.

    Every model gets a copy that shares nothing with the others'.
    """
    taught: dict[int, bytes] = {}
    for number, (key, model) in enumerate(models.items()):
        variant, target = number % VARIANTS, targets[key]
        if variant not in taught:
            rng = random.Random(variant)
            asked = [rng.uniform(2.0, 9.0) for _ in range(CYCLES - 12)] + 12 * [4.0]
            seen = [loads(load, bigfleet.PODS) for load in asked]
            taught[variant] = pickle.dumps(_taught(model, target, seen, rng, at))
        yield key, _of(target, pickle.loads(taught[variant]))


async def keep_a_day(
    store: Store,
    models: Sequence[tuple[ModelDeployment, WorkloadFacts]],
    values: Mapping[Signal, float],
    at: float,
) -> None:
    """Keep what a day that always showed these values, give or take 5 %, taught each model.

    Args:
        store: of an operator that does not run yet.
        models: with their targets, which have their replicas.
        values: of one whole model, in the units of `aurora.observe.sample.UNITS`.
        at: the end of the day, seconds since the epoch.
    """
    memory = _taught(*models[0], DAY * [values], random.Random(1), at)
    found = {
        ObjectKey(target.key.namespace, model.metadata.name): _of(target, memory)
        for model, target in models
    }
    await store.save_memory(memory_rows(found))


def _taught(
    model: ModelDeployment,
    target: WorkloadFacts,
    seen: Sequence[Mapping[Signal, float]],
    rng: random.Random,
    at: float,
) -> ModelMemory:
    """What a model knows after these values, one set a cycle, the last of them just now."""
    memory = ModelMemory()
    for back, values in zip(range(len(seen), 0, -1), seen, strict=True):
        now, requests = at - CYCLE_S * back, values[Signal.REQUEST_RATE] * WINDOW_S
        signals: dict[Signal, Reading] = {
            s: Sample(v * rng.uniform(0.95, 1.05), now - 5.0, WINDOW_S, requests)
            for s, v in values.items()
        }
        memory, _ = advance(memory, ModelObservation(model, target, signals=signals), now)
    return memory


def _of(target: WorkloadFacts, memory: ModelMemory) -> ModelMemory:
    """The same for another target: what was learned holds for one pod template."""
    capacity = replace(memory.capacity, template_hash=str(target.template_hash))
    return replace(memory, capacity=capacity)


async def with_cases(file: Path, cases: int, at: float) -> None:
    """Make the record store with so many measured decisions in it."""
    store = await Store.open(f"sqlite:///{file}")
    await store.close()
    rng = random.Random(7)
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        for start in range(0, cases, 500):
            rows = [_case(rng, number, at) for number in range(start, min(cases, start + 500))]
            connection.execute(insert(decisions), [row for row, _ in rows])
            connection.execute(insert(outcomes), [row for _, row in rows])
            ended = [
                {"decision": row["decision"], "phase": "Completed", "at": row["measured_at"]}
                for _, row in rows
            ]
            connection.execute(insert(transitions), [row | {"detail": ""} for row in ended])
    engine.dispose()


_KINDS = (("SCALE", "Up", 0.55), ("SCALE", "Down", 0.3), ("ROUTE", "Fallback", 0.1))


Row = dict[str, Any]


def _case(rng: random.Random, number: int, at: float) -> tuple[Row, Row]:
    drawn = rng.random()
    action, direction = ("CACHE", "On")
    for action_, direction_, share in _KINDS:
        if drawn < share:
            action, direction = action_, direction_
            break
        drawn -= share
    features = CaseFeatures(
        action=action,
        direction=direction,
        step=rng.uniform(-1.0, 1.0),
        load_to_forecast=rng.uniform(0.6, 1.4),
        load_to_capacity=rng.uniform(0.2, 1.6),
        ttft_to_objective=rng.uniform(0.1, 3.0),
        tpot_to_objective=rng.uniform(0.1, 2.0),
        latency_to_baseline=rng.uniform(0.5, 3.0),
        saturation=rng.random(),
        server_errors=rng.random() * 0.05,
        client_errors=rng.random() * 0.02,
        replicas_to_maximum=rng.random(),
        load_trend=rng.uniform(-1.0, 1.0),
        hour=rng.uniform(0.0, 24.0),
        missing=rng.random() * 0.3,
    )
    made = at - 20 * 86_400.0 * rng.random() - 3600.0
    one = bigfleet.Named(number % 1000)
    decision = {
        "id": f"case-{number:06d}", "name": f"case-{number:06d}", "uid": f"uid-{number}",
        "namespace": one.namespace, "model": one.name, "action": action,
        "reason": "ObjectiveViolated", "message": "ttftP95 is above its objective.",
        "confidence": 0.9, "tier": "Auto", "risk": "Low", "created_at": made,
        "policy_hash": "0123456789abcdef", "target": {}, "before": {}, "after": {},
        "evidence": [], "precedents": [], "features": features.to_json(),
        "case_text": "SCALE Up because of objective violated: load at 1.2 of capacity.",
        "state": {},
    }  # fmt: skip
    outcome = {
        "decision": f"case-{number:06d}",
        "verdict": rng.choices(("Improved", "Neutral", "Regressed"), (0.8, 0.14, 0.06))[0],
        "effect": 0.5, "low": 0.3, "high": 0.7, "unit": "s", "message": "",
        "measured_at": made + 600.0,
    }  # fmt: skip
    return decision, outcome
