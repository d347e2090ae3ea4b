"""A clock that stepped forward and is set right again: learning goes on within minutes."""

import math

import pytest

from aurora.observe.sample import Signal
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from tests.unit.state.given import CYCLE_S, NOW, sample, seen

RATE, TTFT, WAITING = Signal.REQUEST_RATE, Signal.TTFT_P95, Signal.WAITING
DAY = 86_400.0


class Clocks:
    """Ours and that of Prometheus, which stamps the samples: each may be ahead of the true time."""

    def __init__(self) -> None:
        self.true = NOW
        self.memory = ModelMemory()

    def cycles(
        self, count: int, *, ours: float = 0.0, theirs: float = 0.0, late: float = 1.0
    ) -> None:
        for _ in range(count):
            self.true += CYCLE_S
            load = 8.0 + 7.0 * math.sin(self.true / 600.0)
            latency = late * 0.5 / (1.0 - load / 20.0)
            values = {RATE: load, TTFT: latency, WAITING: 0.0 if late == 1.0 else 3.0}
            scraped = self.true + theirs
            readings = {signal: sample(value, scraped) for signal, value in values.items()}
            at = self.true + ours
            self.memory, _ = advance(self.memory, seen(readings, at=at), at)

    def stopped_s(self) -> dict[str, float]:
        """For how long each part learns nothing from now on, at most two hours."""
        began, before = self.true, parts(self.memory)
        found: dict[str, float] = {}
        while len(found) < len(before) and self.true - began < 7200.0:
            self.cycles(1)
            for name, part in parts(self.memory).items():
                if part != before[name]:
                    found.setdefault(name, self.true - began)
        return {name: found.get(name, math.inf) for name in before}


def parts(memory: ModelMemory) -> dict[str, object]:
    work = memory.work
    return {
        "load": work.now,
        "errors of the forecast": work.errors,
        "capacity": memory.capacity.curves[TTFT].bins,
        "baseline": memory.baselines[TTFT],
        "recent values of the baseline": memory.baselines[TTFT].recent,
    }


@pytest.mark.parametrize("cycles", [4, 20, 200], ids="{} cycles were learned before".format)
@pytest.mark.parametrize("jump", [300.0, DAY, 366 * DAY], ids="a jump of {} s".format)
@pytest.mark.parametrize(
    ("ours", "theirs", "load_s"),
    [
        pytest.param(1, 0, 15.0, id="our clock"),
        pytest.param(0, 1, 900.0, id="that of Prometheus"),
        pytest.param(1, 1, 900.0, id="both"),
    ],
)
def test_learning_goes_on_after(
    ours: int, theirs: int, load_s: float, jump: float, cycles: int
) -> None:
    clocks = Clocks()
    clocks.cycles(cycles)
    clocks.cycles(6, ours=ours * jump, theirs=theirs * jump)
    stopped = clocks.stopped_s()
    assert stopped["load"] <= load_s
    assert max(stopped.values()) <= load_s + 675.0, "a recent value may be 5 min ahead of 5 min"


def test_a_missed_objective_and_a_queue_of_the_wrong_time_are_of_now() -> None:
    clocks = Clocks()
    clocks.cycles(20)
    clocks.cycles(1, ours=DAY, late=10.0)
    clocks.cycles(1, late=1.001)
    memory = clocks.memory
    assert (memory.missed_at, memory.queued_since) == (clocks.true, clocks.true)
    assert [one.at for one in memory.history] == [NOW + n * CYCLE_S for n in (*range(1, 21), 22)]
