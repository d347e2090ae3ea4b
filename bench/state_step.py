"""Time of the state stage for one model and cycle, in steady operation.

python -m bench.state_step [--models 1000] [--cycles 60] [--collector operator] [--output json]
"""

import argparse
import gc
import json
import random
import statistics
import time

from bench.capacity_accuracy import CYCLE_S, EPOCH, MODEL, WINDOW_S, workload

from aurora.collector import OF_A_FLEET, spare_the_collector
from aurora.observe.sample import Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory


def observation(rng: random.Random, at: float) -> ModelObservation:
    """A model under a load that wanders, with every signal that vLLM gives."""
    load = 2.0 + 6.0 * rng.random()
    latency = 0.5 / (1.0 - load / 10.0) * rng.lognormvariate(0.0, 0.2)
    values = {
        Signal.REQUEST_RATE: load,
        Signal.PROMPT_TOKEN_RATE: 2000.0 * load,
        Signal.GENERATION_TOKEN_RATE: 30.0 * load,
        Signal.LATENCY_P95: 4.0 * latency,
        Signal.LATENCY_MEAN: 2.0 * latency,
        Signal.TTFT_P95: latency,
        Signal.TPOT_P95: 0.1 * latency,
        Signal.TPOT_MEAN: 0.05 * latency,
        Signal.SERVER_ERROR_RATIO: 0.0,
        Signal.WAITING: 1.0,
        Signal.RUNNING: 4.0,
        Signal.KV_CACHE_RATIO: 0.5,
        Signal.GPU_RATIO: 0.7,
    }
    signals: dict[Signal, Reading] = {
        s: Sample(v, at, WINDOW_S, 60.0 * load) for s, v in values.items()
    }
    return ModelObservation(MODEL, workload(2), signals=signals)


class Pauses:
    """The longest time that the cyclic garbage collector took, CPU seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0
        gc.callbacks.append(self._seen)

    def _seen(self, phase: str, _: object) -> None:
        now = time.thread_time()
        if phase == "start":
            self._began = now
        else:
            self.longest = max(self.longest, now - self._began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--cycles", type=int, default=60)
    parser.add_argument("--collector", choices=("default", "operator"), default="default")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    if arguments.collector == "operator":
        spare_the_collector(OF_A_FLEET)
    pauses = Pauses()
    rng = random.Random(1)
    memories = [ModelMemory() for _ in range(arguments.models)]
    times, longest = [], []
    for cycle in range(arguments.cycles):
        at = EPOCH + cycle * CYCLE_S
        seen = [observation(rng, at) for _ in memories]
        pauses.longest = 0.0
        begin = time.process_time()
        memories = [advance(m, o, at)[0] for m, o in zip(memories, seen, strict=True)]
        times.append((time.process_time() - begin) / len(memories))
        longest.append(pauses.longest)
    steady = times[len(times) // 2 :]
    size = len(json.dumps(memories[0].to_json(), separators=(",", ":")))
    result = {
        "models": arguments.models,
        "microseconds_per_model": round(1e6 * statistics.median(steady), 1),
        "fastest_cycle_microseconds_per_model": round(1e6 * min(steady), 1),
        "slowest_cycle_microseconds_per_model": round(1e6 * max(steady), 1),
        "collector": arguments.collector,
        "longest_collector_pause_milliseconds": round(1e3 * max(longest[len(times) // 2 :]), 1),
        "median_collector_pause_milliseconds": round(
            1e3 * statistics.median(longest[len(times) // 2 :]), 1
        ),
        "memory_json_bytes": size,
    }
    if arguments.output == "json":
        print(json.dumps(result, indent=2))
        return
    print("\n".join(f"{name:40} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
