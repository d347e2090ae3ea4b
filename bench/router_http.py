"""Latency of `aurora router` over HTTP at a fixed rate, on loopback.

    python bench/router_http.py [--rate 1000] [--seconds 20] [--output json]

Requests are sent at their due times whatever the answers do (open loop), over keep-alive
connections, half of them feedback for the decision before. Latency counts from the due time, so a
stall shows in every request that it delays (coordinated omission: Tene, "How not to measure
latency", 2013). The caller is a second process beside the router on the same two cores. It waits
with select(): epoll, asyncio's own way, rounds every timer up to a whole millisecond, and this
lateness of the caller would count as the router's.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import selectors
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

CONNECTIONS = 16
PROVIDERS = 8
WARM_S = 2.0
RESULT = Path(__file__).resolve().parent / "results" / "router_http.json"


class Connection:
    """One keep-alive connection; requests on it come one after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, body: bytes) -> dict[str, Any]:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())
        found = re.search(rb"Content-Length: (\d+)", answer)
        assert found is not None
        return dict(json.loads(await self._reader.readexactly(int(found[1]))))

    def close(self) -> None:
        self._writer.close()


async def measured(port: int, rate: float, seconds: float) -> dict[str, list[float]]:
    """Latencies in seconds, by path."""
    found: dict[str, list[float]] = {"/decide": [], "/feedback": []}
    free: asyncio.Queue[Connection] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            made = Connection(*await asyncio.open_connection("127.0.0.1", port))
            stack.callback(made.close)
            free.put_nowait(made)
        began = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * (WARM_S + seconds) / 2)):
                due = began + number * 2 / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(_pair(free, due, 1 / rate, found, due - began >= WARM_S))
    return found


async def _pair(
    free: "asyncio.Queue[Connection]",
    due: float,
    gap: float,
    found: dict[str, list[float]],
    counts: bool,
) -> None:
    connection = await free.get()
    try:
        answer = await connection.post("/decide", DECIDE)
        decided = time.perf_counter()
        # Due half way between two decisions, or when the answer that it needs is there.
        second = max(due + gap, decided)
        await asyncio.sleep(max(0.0, second - time.perf_counter()))
        outcome = {"success": True, "actual_cost_usd": 0.01, "actual_latency_ms": 40.0}
        body = {"decision_id": answer["metadata"]["decision_id"], **outcome}
        await connection.post("/feedback", json.dumps(body).encode())
    finally:
        free.put_nowait(connection)
    if counts:
        found["/decide"].append(decided - due)
        found["/feedback"].append(time.perf_counter() - second)


DECIDE = json.dumps(
    {
        "context": {"workload_type": "inference", "gpu_type": "A100", "region": "eu-west"},
        "providers": [
            {"provider_id": f"p{n}", "latency_ms": 40.0 + n, "price_usd_per_hour": 1.0 + n}
            for n in range(PROVIDERS)
        ],
        "constraints": {"max_latency_ms": 500},
    }
).encode()


def started(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A router on a free port."""
    env = os.environ | {
        "PORT": "0",
        "BIND_ADDRESS": "127.0.0.1",
        "MODEL_PATH": str(folder / "q_table.json"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "aurora.cli", "router"], env=env, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        told = json.loads(line)
        if told["event"] == "the router serves":
            return process, int(told["port"])
    raise SystemExit("the router did not start")


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3)
        for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0))
    }


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def precise_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def rss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return round(int(found[1]) / 1024, 1) if found else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
        process, port = started(Path(folder))
        try:
            before = cpu_s(process.pid)
            with asyncio.Runner(loop_factory=precise_loop) as runner:
                found = runner.run(measured(port, asked.rate, asked.seconds))
            used = cpu_s(process.pid) - before
            memory = rss_mb(process.pid)
        finally:
            process.terminate()
            process.communicate(timeout=30)
    result = {
        "rate": asked.rate,
        "seconds": asked.seconds,
        "connections": CONNECTIONS,
        "providers": PROVIDERS,
        "requests": sum(map(len, found.values())),
        "latency": {path: percentiles(values) for path, values in found.items()},
        "router_rss_mb": memory,
        "router_cpu_us_per_request": round(used / asked.rate / (WARM_S + asked.seconds) * 1e6, 1),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2) if asked.output == "json" else f"{result['latency']}")


if __name__ == "__main__":
    main()
