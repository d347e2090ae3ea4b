"""The capacity model against the simulated engine, at loads that it has not seen."""

import math
import random
import statistics
from collections import deque

import pytest
from bench.capacity_accuracy import EPOCH, SERVER, states, watch

from aurora.observe.sample import Signal
from aurora.simulator.parameters import NAMED_SERVERS
from aurora.simulator.requests import Request
from aurora.state.capacity import Sustainable
from aurora.state.system_state import SystemState


def arrivals(seed: int, rate: float, seconds: float) -> list[Request]:
    """Chat traffic: Poisson, 250 prompt and 100 output tokens, lognormal."""
    rng, at, found = random.Random(seed), 0.0, []
    while at < seconds:
        at += rng.expovariate(rate)
        prompt = 1 + int(250.0 * rng.lognormvariate(-0.32, 0.8))
        output = 2 + int(100.0 * rng.lognormvariate(-0.32, 0.8))
        found.append(Request(len(found), at, prompt, output))
    return found


@pytest.fixture(scope="module")
def learned() -> SystemState:
    """Learned at 8, 3, 6 and 2 replicas under 16 requests/s."""
    counts, server = (8, 3, 6, 2), NAMED_SERVERS[SERVER]
    cycles = watch(arrivals(1, 16.0, 1200.0), lambda t: counts[int(t // 300) % 4], server, 1200.0)
    return deque(states(cycles), maxlen=1).pop()


@pytest.mark.parametrize("replicas", [4, 5, 7], ids=lambda n: f"{n} replicas")
@pytest.mark.parametrize(
    ("signal", "allowed"),
    [
        (Signal.LATENCY_MEAN, 0.05),
        (Signal.TPOT_MEAN, 0.05),
        (Signal.TTFT_P95, 0.2),
        (Signal.LATENCY_P95, 0.2),
    ],
    ids=str,
)
def test_an_unseen_load_is_predicted(
    learned: SystemState, signal: Signal, allowed: float, replicas: int
) -> None:
    server = NAMED_SERVERS[SERVER]
    cycles = watch(arrivals(2, 16.0, 400.0), lambda _: replicas, server, 400.0)
    errors = []
    for state in states(cycles):
        value, load = state.value(signal), state.load.per_replica
        if state.at < EPOCH + 100.0 or value is None or load is None:
            continue
        found = learned.capacity.predict(signal, load)
        assert found is not None
        errors.append(math.log(found.mean / value))
    assert len(errors) >= 15
    assert abs(statistics.fmean(errors)) < allowed


def test_the_sustainable_load_keeps_the_objective_in_the_engine(learned: SystemState) -> None:
    answer = learned.capacity.sustainable_load_per_replica({Signal.TPOT_MEAN: 0.024})
    assert isinstance(answer, Sustainable)
    server = NAMED_SERVERS[SERVER]
    work = learned.load.per_replica
    assert work is not None
    rate = 16.0 / learned.load.work * answer.load if learned.load.work else 0.0
    kept = [
        value <= 0.024
        for state in states(watch(arrivals(3, rate, 400.0), lambda _: 1, server, 400.0))
        if (value := state.value(Signal.TPOT_MEAN)) is not None
    ]
    assert statistics.fmean(kept) >= 0.8
