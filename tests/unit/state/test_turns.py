"""Each model learns once in an interval; a fleet that begins together does not learn together."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.observe.facts import ObjectKey
from aurora.observe.sample import Signal
from aurora.observe.snapshot import ModelObservation
from aurora.resources import ModelDeployment
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from aurora.state.turns import is_turn, phase_of
from tests.unit.state.given import CYCLE_S, MODEL, NOW, sample, seen

MODELS = 120
WINDOW_S = 120.0
YOUTH, AWAY, OBSERVED = 60, 40, 8
"""Cycles: until baselines are no longer young, without any metrics, and looked at."""


@settings(deadline=None)
@given(
    phase=st.floats(0.0, 1.0, exclude_max=True),
    steps=st.lists(st.floats(0.5, 30.0), min_size=20, max_size=60),
)
def test_there_is_one_turn_in_each_interval_however_long_the_cycles_are(
    phase: float, steps: list[float]
) -> None:
    at = last = NOW
    turns = []
    for step in steps:
        at += step
        if is_turn(phase, last=last, at=at, every_s=60.0):
            turns.append(at)
            last = at
    assert (at - NOW) / 60.0 - 2.0 <= len(turns) <= (at - NOW) / 60.0 + 1.0
    for earlier, later in pairwise(turns):
        assert later - earlier < 60.0 + 30.0 + 1e-3


def test_a_turn_that_could_not_be_taken_stays_until_it_is() -> None:
    assert is_turn(0.5, last=NOW, at=NOW + 3600.0, every_s=60.0)


@pytest.mark.parametrize("back", [0.0, 1.0, 60.0], ids="a clock set back by {} s".format)
def test_no_time_passed_is_no_turn(back: float) -> None:
    assert not is_turn(0.5, last=NOW, at=NOW - back, every_s=60.0)


def test_a_last_turn_that_lies_ahead_is_not_waited_for() -> None:
    assert is_turn(0.5, last=NOW, at=NOW - 61.0, every_s=60.0)


def named(number: int) -> ModelDeployment:
    metadata = MODEL.metadata.model_copy(update={"name": f"llama-{number}"})
    return MODEL.model_copy(update={"metadata": metadata})


def observed(model: ModelDeployment, at: float) -> ModelObservation:
    values = {Signal.REQUEST_RATE: 5.0, Signal.TTFT_P95: 0.2}
    signals = {s: sample(v, at, window_s=WINDOW_S) for s, v in values.items()}
    return replace(seen({}, at=at), model=model, signals=signals)


def learned_at(memory: ModelMemory) -> tuple[float, float, float]:
    baseline = memory.baselines[Signal.TTFT_P95].at
    return memory.capacity.at, baseline, memory.requests.errors_at


def changes(which: int) -> list[list[bool]]:
    """Per cycle and model, whether one of `learned_at` moved on, after an outage for all."""
    models = [named(number) for number in range(MODELS)]
    memories = dict.fromkeys(range(MODELS), ModelMemory())
    found = []
    for cycle in range(YOUTH + OBSERVED):
        at = NOW + CYCLE_S * (cycle + (AWAY if cycle >= YOUTH - 4 else 0))
        before = dict(memories)
        for number, model in enumerate(models):
            memories[number] = advance(memories[number], observed(model, at), at)[0]
        if cycle >= YOUTH:
            found.append(
                [learned_at(memories[n])[which] > learned_at(before[n])[which] for n in memories]
            )
    return found


@pytest.mark.parametrize(
    "which", [0, 1, 2], ids=["capacity", "baselines", "forecast errors"].__getitem__
)
def test_a_quarter_of_a_fleet_learns_in_each_cycle_of_a_minute(which: int) -> None:
    moved = changes(which)
    for cycle in moved:
        assert 0.1 * MODELS < sum(cycle) < 0.4 * MODELS
    for model in zip(*moved, strict=True):
        assert sum(model) == OBSERVED * CYCLE_S / 60.0, "as often as before"


@pytest.mark.parametrize("other", [ObjectKey("models", "b"), ObjectKey("modelsa", "")])
def test_the_phase_is_of_the_name_and_the_same_in_every_process(other: ObjectKey) -> None:
    assert phase_of(ObjectKey("models", "a")) == pytest.approx(0.618821408)
    assert phase_of(ObjectKey("models", "a")) != phase_of(other)
