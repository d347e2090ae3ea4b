"""Prometheus' answers for a fleet of any size, as it writes them, and a server that gives them.

The numbers are drawn once with all digits that Prometheus prints, for every signal that a vLLM
fleet with container, GPU, accuracy and drift metrics has: at 10,000 models an answer of 36 MB in
seven parts. What a query asks for is read from the tags in its text.
"""

import gzip
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from aiohttp import web
from bench import bigfleet
from bench.bigfleet import Named

from aurora.observe.queries.fleet import AT, NAME, PODS, samples_tag, signal_tag
from aurora.observe.queries.preset import Source
from aurora.observe.sample import Signal

__all__ = ["OBJECTIVE_TTFT_S", "Recording", "loads", "prometheus"]

EVALUATED_AT = 1_800_000_000.123
SCRAPED_BEFORE_S = 5.4
WINDOW_S = 120.0
OBJECTIVE_TTFT_S = 1.0
STEADY_LOAD = 4.0
BREACHING_LOAD = 12.0
GENERATED, PROMPT = 180.0, 620.0
_TAG = re.compile(r'"signal", "([^"]+)"')

Values = Mapping[str, float]


def loads(load: float, replicas: int) -> dict[Signal, float]:
    """What vLLM says of a load in requests/s; latencies as the measured servers have them."""
    each = load / replicas
    ttft = 0.12 / max(0.04, 1.0 - each / 6.2)
    return {
        Signal.REQUEST_RATE: load,
        Signal.SERVER_ERROR_RATIO: 0.0,
        Signal.CLIENT_ERROR_RATIO: 0.001,
        Signal.PROMPT_TOKEN_RATE: PROMPT * load,
        Signal.GENERATION_TOKEN_RATE: GENERATED * load,
        Signal.LATENCY_P95: 12.0 * ttft,
        Signal.LATENCY_MEAN: 6.0 * ttft,
        Signal.TTFT_P95: ttft,
        Signal.TPOT_P95: min(0.09, 0.03 + 0.01 * each),
        Signal.TPOT_MEAN: 0.02 + 0.005 * each,
        Signal.RUNNING: 4.0 * each,
        Signal.WAITING: 0.0,
        Signal.KV_CACHE_RATIO: min(0.9, 0.1 * each),
        Signal.CPU_RATIO: 0.2,
        Signal.MEMORY_RATIO: 0.6,
        Signal.GPU_RATIO: min(0.8, 0.15 * each),
    }


_BY_VLLM = (
    Signal.REQUEST_RATE, Signal.SERVER_ERROR_RATIO, Signal.CLIENT_ERROR_RATIO,
    Signal.PROMPT_TOKEN_RATE, Signal.GENERATION_TOKEN_RATE, Signal.LATENCY_P95,
    Signal.LATENCY_MEAN, Signal.TTFT_P95, Signal.TPOT_P95, Signal.TPOT_MEAN, Signal.RUNNING,
    Signal.WAITING, Signal.KV_CACHE_RATIO,
)  # fmt: skip
_COUNTED = (
    Signal.REQUEST_RATE, Signal.SERVER_ERROR_RATIO, Signal.LATENCY_P95, Signal.TTFT_P95,
    Signal.TPOT_P95,
)  # fmt: skip


def _values(one: Named, rng: random.Random, *, breaching: bool) -> dict[str, float]:
    """Every tag of one workload with its number."""
    load = BREACHING_LOAD if breaching else STEADY_LOAD
    drawn = {s: v * rng.uniform(0.97, 1.03) for s, v in loads(load, bigfleet.PODS).items()}
    found = {signal_tag(Source.VLLM, s): drawn[s] for s in _BY_VLLM}
    found |= {samples_tag(Source.VLLM, s): drawn[Signal.REQUEST_RATE] * WINDOW_S for s in _COUNTED}
    for signal in (Signal.CPU_RATIO, Signal.MEMORY_RATIO):
        found[signal_tag(Source.CONTAINERS, signal)] = drawn[signal]
    found[signal_tag(Source.GPU, Signal.GPU_RATIO)] = drawn[Signal.GPU_RATIO]
    sources = [Source.VLLM, Source.CONTAINERS, Source.GPU]
    if one.has_accuracy:
        found[signal_tag(Source.ACCURACY, Signal.ACCURACY)] = rng.uniform(0.94, 0.97)
        found[signal_tag(Source.DRIFT, Signal.DRIFT_SCORE)] = rng.uniform(0.02, 0.1)
        sources += [Source.ACCURACY, Source.DRIFT]
    for source in sources:
        found[signal_tag(source, AT)] = EVALUATED_AT - SCRAPED_BEFORE_S
        found[signal_tag(source, PODS)] = float(bigfleet.PODS)
    return found


@dataclass(frozen=True, slots=True)
class Recording:
    """Rows of every tag, as text ready to be joined."""

    rows: Mapping[str, bytes]

    @classmethod
    def drawn(cls, models: Iterable[Named], *, seed: int, breaching: frozenset[int]) -> "Recording":
        rng = random.Random(seed)
        parts: dict[str, list[str]] = {}
        for one in models:
            for tag, value in _values(one, rng, breaching=one.number in breaching).items():
                parts.setdefault(tag, []).append(_row(one, tag, value))
            if one.has_fallback:
                tag = signal_tag(Source.VLLM, NAME)
                for side in (one, Named(one.number - 1)):
                    parts.setdefault(tag, []).append(_row(side, tag, 1.0, model_name="llama-3-8b"))
        return cls({tag: ",".join(rows).encode() for tag, rows in parts.items()})

    def answer(self, query: str) -> bytes:
        """The body of the answer to a query of the operator."""
        found = [self.rows[tag] for tag in dict.fromkeys(_TAG.findall(query)) if tag in self.rows]
        head = b'{"status":"success","data":{"resultType":"vector","result":['
        return head + b",".join(found) + b"]}}"


def _row(one: Named, tag: str, value: float, **more: str) -> str:
    labels = {**more, "namespace": one.namespace, "signal": tag, "workload": one.name}
    text = ",".join(f'"{name}":"{label}"' for name, label in labels.items())
    return f'{{"metric":{{{text}}},"value":[{EVALUATED_AT},"{value!r}"]}}'


class _Answers:
    """Packed bodies by recording and query: packing is Prometheus' work, done before the cycle."""

    def __init__(self, recordings: Mapping[str, list[Recording]]) -> None:
        self._recordings = recordings
        self._packed: dict[tuple[str, int, str], bytes] = {}
        self.name, self.turn = "steady", 0
        self.queries = self.packed_bytes = 0

    def packed(self, query: str) -> bytes:
        turns = self._recordings[self.name]
        key = (self.name, self.turn % len(turns), query)
        if key not in self._packed:
            body = turns[key[1]].answer(query)
            self._packed[key] = gzip.compress(body, compresslevel=1)
        return self._packed[key]

    def known(self) -> Iterator[str]:
        yield from dict.fromkeys(query for _, _, query in self._packed)

    def prepare(self) -> None:
        """Pack what the next cycle will ask for."""
        for query in list(self.known()):
            self.packed(query)


def prometheus(recordings: Mapping[str, list[Recording]]) -> web.Application:
    """The HTTP API as far as the operator uses it, and /bench/NAME/TURN to choose a recording."""
    answers = _Answers(recordings)

    async def query(request: web.Request) -> web.Response:
        form = await request.post()
        packed = answers.packed(str(form["query"]))
        answers.queries += 1
        answers.packed_bytes += len(packed)
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=packed, headers=headers)

    async def choose(request: web.Request) -> web.Response:
        answers.name, answers.turn = request.match_info["name"], int(request.match_info["turn"])
        answers.prepare()
        told = {"queries": answers.queries, "packed_bytes": answers.packed_bytes}
        answers.queries = answers.packed_bytes = 0
        return web.json_response(told)

    app = web.Application()
    app.router.add_post("/api/v1/query", query)
    app.router.add_get("/bench/{name}/{turn}", choose)
    return app
