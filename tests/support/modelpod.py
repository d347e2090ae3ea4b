"""A small model server for a pod: an engine with slots, a queue, vLLM's metric names and faults.

Standard library only, so that the file runs in a plain Python image from a ConfigMap. Everything
that /metrics tells was counted or timed on real requests. It stops as common servers do: on
SIGTERM it takes no new connection, closes idle ones and ends its answers.

    POST /v1/completions   waits for a slot, then takes `--delay` seconds
    GET  /health           200, or 503 when told so
    GET  /metrics          vLLM's and its HTTP server's names
    POST /test/set         {"delay_s": 0.2, "healthy": true, "failing": false}, any of them
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)
TOKENS = 20
PREFILL_SHARE = 0.2
"""Part of the service time until the first token."""
Answer = tuple[int, bytes, str]


@dataclass
class Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * len(BOUNDS))
    total: int = 0
    seconds: float = 0.0

    def observe(self, value: float) -> None:
        self.total += 1
        self.seconds += value
        for place, bound in enumerate(BOUNDS):
            self.counts[place] += value <= bound

    def lines(self, name: str, labels: str) -> list[str]:
        buckets = [
            f'{name}_bucket{{{labels},le="{bound}"}} {count}'
            for bound, count in zip(BOUNDS, self.counts, strict=True)
        ]
        return [
            *buckets,
            f'{name}_bucket{{{labels},le="+Inf"}} {self.total}',
            f"{name}_sum{{{labels}}} {self.seconds}",
            f"{name}_count{{{labels}}} {self.total}",
        ]


@dataclass
class Engine:
    """As many requests at once as there are slots; the others wait in order."""

    model: str
    delay_s: float
    slots: asyncio.Semaphore
    healthy: bool = True
    failing: bool = False
    running: int = 0
    waiting: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    ttft: Histogram = field(default_factory=Histogram)
    tpot: Histogram = field(default_factory=Histogram)
    e2e: Histogram = field(default_factory=Histogram)

    async def complete(self, body: bytes) -> Answer:
        if self.failing:
            self.answered["5xx"] += 1
            return 500, b'{"error": "told to fail"}', "application/json"
        began = time.monotonic()
        self.waiting += 1
        async with self.slots:
            self.waiting -= 1
            self.running += 1
            begun = time.monotonic()
            await asyncio.sleep(self.delay_s)
            self.running -= 1
        ended = time.monotonic()
        served = ended - begun
        self.ttft.observe(begun - began + served * PREFILL_SHARE)
        self.tpot.observe(served * (1 - PREFILL_SHARE) / TOKENS)
        self.e2e.observe(ended - began)
        self.answered["2xx"] += 1
        answer = {"model": self.model, "bytes": len(body), "pod": os.environ.get("HOSTNAME", "")}
        return 200, json.dumps(answer).encode(), "application/json"

    def metrics(self) -> str:
        labels = f'model_name="{self.model}",engine="0"'
        http = 'handler="/v1/completions",method="POST"'
        lines = [
            f"vllm:num_requests_running{{{labels}}} {self.running}",
            f"vllm:num_requests_waiting{{{labels}}} {self.waiting}",
            f"vllm:kv_cache_usage_perc{{{labels}}} {min(1.0, self.running / 64)}",
            f"vllm:prompt_tokens_total{{{labels}}} {10 * self.e2e.total}",
            f"vllm:generation_tokens_total{{{labels}}} {TOKENS * self.e2e.total}",
            f'vllm:request_success_total{{{labels},finished_reason="stop"}} {self.e2e.total}',
            *(f'http_requests_total{{{http},status="{s}"}} {self.answered[s]}' for s in _STATUSES),
            *self.ttft.lines("vllm:time_to_first_token_seconds", labels),
            *self.tpot.lines("vllm:request_time_per_output_token_seconds", labels),
            *self.e2e.lines("vllm:e2e_request_latency_seconds", labels),
        ]
        return "\n".join(lines) + "\n"

    def set(self, body: bytes) -> Answer:
        wanted = json.loads(body)
        self.delay_s = float(wanted.get("delay_s", self.delay_s))
        self.healthy = bool(wanted.get("healthy", self.healthy))
        self.failing = bool(wanted.get("failing", self.failing))
        return 200, b"{}", "application/json"


_STATUSES = ("2xx", "5xx")


@dataclass
class Server:
    """HTTP/1.1 with keep-alive.

    Attributes:
        per_connection: answers after which a connection is closed, as gateways do, so that
            callers that keep theirs spread over new pods; 0 never closes one.
    """

    engine: Engine
    per_connection: int = 0
    idle: set[asyncio.StreamWriter] = field(default_factory=set)
    stopping: bool = False

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not self.stopping:
                count += 1
                last = count == self.per_connection
                await self._one(reader, writer, last=last)
                if last:
                    break
        self.idle.discard(writer)
        writer.close()

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, last: bool
    ) -> None:
        self.idle.add(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        self.idle.discard(writer)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _version = first.split(" ")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        status, text, kind = await self._answer(method, target, body)
        closing = "Connection: close\r\n" if last or self.stopping else ""
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{closing}"
            f"X-Pod: {os.environ.get('HOSTNAME', '')}\r\n"
            f"Content-Length: {len(text)}\r\n\r\n".encode()
            + text
        )
        await writer.drain()

    async def _answer(self, method: str, target: str, body: bytes) -> Answer:
        if (method, target) == ("POST", "/v1/completions"):
            return await self.engine.complete(body)
        if (method, target) == ("POST", "/test/set"):
            return self.engine.set(body)
        if target == "/metrics":
            return 200, self.engine.metrics().encode(), "text/plain; version=0.0.4"
        if target == "/health":
            return (200 if self.engine.healthy else 503), b"", "text/plain"
        return 404, b"", "text/plain"

    def stop(self) -> None:
        self.stopping = True
        for writer in self.idle:
            writer.close()


async def main(options: argparse.Namespace) -> None:
    engine = Engine(options.model, options.delay, asyncio.Semaphore(options.slots))
    served = Server(engine, options.per_connection)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(served.connection, "0.0.0.0", options.port, backlog=1024)
    await stop.wait()
    server.close()
    served.stop()
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    if pending:
        await asyncio.wait(pending, timeout=10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--model", default="llama")
    parser.add_argument("--delay", type=float, default=0.15)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--per-connection", type=int, default=0)
    asyncio.run(main(parser.parse_args()))
