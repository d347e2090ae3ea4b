"""How long reading a fleet's answers takes: 10,000 workloads with 20 signals, one process.

The answers are built in memory as Prometheus writes them, so the figure is parsing and reading
alone, without the network and without Prometheus' own time. Times are of the processor, so that a
busy machine does not change them.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from aurora.observe.answers import QueryAnswer, Unread
from aurora.observe.prometheus import parsed_answer
from aurora.observe.queries import PRESETS, MetricsSettings, Source
from aurora.observe.queries.fleet import AT, PODS, samples_tag, signal_tag
from aurora.observe.queries.preset import Batch
from aurora.observe.reader import MetricsReader
from aurora.observe.sample import Missing, Signal
from aurora.observe.view import MetricsView, Wanted

NOW = 1_700_000_000.0
SOURCES = (Source.VLLM, Source.CONTAINERS, Source.GPU, Source.ACCURACY, Source.DRIFT, Source.CACHE)


def row(namespace: str, workload: str, tag: str, value: float) -> dict[str, object]:
    labels = {"namespace": namespace, "signal": tag, "workload": workload}
    return {"metric": labels, "value": [NOW, str(value)]}


def rows_of(namespace: str, workload: str) -> Mapping[Batch, list[dict[str, object]]]:
    found: dict[Batch, list[dict[str, object]]] = {batch: [] for batch in Batch}
    for source in SOURCES:
        preset = PRESETS[source]
        for batch, signals in preset.signals.items():
            found[batch] += [row(namespace, workload, signal_tag(source, s), 0.4) for s in signals]
        found[Batch.SAMPLES] += [
            row(namespace, workload, samples_tag(source, s), 900.0) for s in preset.samples
        ]
        found[Batch.FRESHNESS] += [
            row(namespace, workload, signal_tag(source, AT), NOW - 10),
            row(namespace, workload, signal_tag(source, PODS), 4),
        ]
    return found


def bodies(workloads: int) -> dict[str, bytes]:
    rows: dict[Batch, list[dict[str, object]]] = {batch: [] for batch in Batch}
    for number in range(workloads):
        for batch, more in rows_of(f"team-{number % 100}", f"llama-{number}").items():
            rows[batch] += more
    return {
        str(batch): json.dumps(
            {"status": "success", "data": {"resultType": "vector", "result": found}}
        ).encode()
        for batch, found in rows.items()
        if found
    }


class Memory:
    """A metrics source that answers from memory, through the client's own parser."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self._answers = answers
        self.parsing_s = 0.0

    async def fetch(self, queries: Mapping[str, str]) -> dict[str, Unread]:
        return {name: partial(self._read, self._answers[name]) for name in queries}

    def _read(self, body: bytes) -> QueryAnswer:
        start = time.process_time()
        answer = parsed_answer(body)
        self.parsing_s += time.process_time() - start
        return answer


async def timed(
    reader: MetricsReader, wanted: Mapping[tuple[str, str], Wanted]
) -> tuple[MetricsView, float]:
    start = time.process_time()
    view = await reader.read(NOW, wanted)
    return view, time.process_time() - start


def measure(workloads: int) -> dict[str, float]:
    answers = bodies(workloads)
    source = Memory(answers)
    reader = MetricsReader(source, MetricsSettings())
    want = Wanted("vllm", frozenset(Signal), min_samples=100, ready_pods=4)
    wanted = {(f"team-{n % 100}", f"llama-{n}"): want for n in range(workloads)}
    view, total = asyncio.run(timed(reader, wanted))
    readings = [r for of in view.workloads.values() for r in of.signals.values()]
    return {
        "workloads": workloads,
        "readings": len(readings),
        "missing": sum(isinstance(r, Missing) for r in readings),
        "queries": view.source.queries,
        "answer_megabytes": round(sum(map(len, answers.values())) / 1e6, 1),
        "json_cpu_seconds": round(source.parsing_s, 3),
        "total_cpu_seconds": round(total, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", choices=("json", "file"), default="json")
    chosen = parser.parse_args()
    runs = [measure(chosen.workloads) for _ in range(chosen.repeats)]
    best = min(runs, key=lambda run: run["total_cpu_seconds"])
    if chosen.output == "json":
        print(json.dumps(best))
        return
    target = Path(__file__).parent / "results" / "parse_readings.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(best) + "\n")
    print(target)


if __name__ == "__main__":
    main()
