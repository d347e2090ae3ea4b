"""A small model server over real HTTP/1.1: what the cache sidecar's tests talk to.

Standard library only, so that the same file runs in a pod of a plain Python image. It stops as
common servers do: on SIGTERM it takes no new connection, closes idle ones and ends its answers.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

Headers = Mapping[str, str]


@dataclass
class Backend:
    """The server's state; tests read the counts and hold the last SSE event back."""

    delay_s: float = 0.0
    answered: Counter[str] = field(default_factory=Counter)
    last_event: asyncio.Event = field(default_factory=asyncio.Event)
    last_headers: dict[str, str] = field(default_factory=dict)
    last_target: str = ""
    answer_headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    idle: set[asyncio.StreamWriter] = field(default_factory=set)
    stopping: bool = False

    @property
    def total(self) -> int:
        return sum(self.answered.values())

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not self.stopping and await self._one(reader, writer):
                pass
        self.idle.discard(writer)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.idle.add(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        self.idle.discard(writer)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _version = first.split(" ")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}
        body = await _read_body(reader, headers)
        self.last_headers, self.last_target = headers, target
        if "upgrade" in headers:
            return await _echo(reader, writer)
        if method == "POST":
            self.answered[hashlib.sha256(body).hexdigest()] += 1
        if headers.get("x-test") == "drop":
            return False
        if b'"stream": true' in body:
            return await self._stream(writer, chunked=headers.get("x-test") != "close")
        await self._answer(writer, headers, body)
        return True

    async def _answer(self, writer: asyncio.StreamWriter, headers: Headers, body: bytes) -> None:
        if body:
            await asyncio.sleep(self.delay_s)
        answer = {
            "body": hashlib.sha256(body).hexdigest(),
            "bytes": len(body),
            "authorization": headers.get("authorization", ""),
            "serial": self.total,
        }
        text = json.dumps(answer).encode()
        sent = {"Content-Type": "application/json"} | self.answer_headers
        more = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        head = f"HTTP/1.1 {self.status} X\r\n{more}"
        writer.write(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, *, chunked: bool) -> bool:
        """Send two events, the last one when a test allows it."""
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        framing = "Transfer-Encoding: chunked" if chunked else "Connection: close"
        frame = _chunk if chunked else bytes
        writer.write(f"{head}{framing}\r\n\r\n".encode() + frame(b"data: first\n\n"))
        await writer.drain()
        await self.last_event.wait()
        writer.write(frame(b"data: [DONE]\n\n") + frame(b""))
        await writer.drain()
        return chunked

    def stop(self) -> None:
        self.stopping = True
        for writer in self.idle:
            writer.close()


async def _read_body(reader: asyncio.StreamReader, headers: Headers) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    body = b""
    while headers.get("transfer-encoding") == "chunked":
        size = int((await reader.readline()).strip(), 16)
        body += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            break
    return body


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    writer.write(head.encode())
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    return False


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def _main(port: int, delay_s: float) -> None:
    backend = Backend(delay_s=delay_s)
    backend.last_event.set()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(backend.connection, "0.0.0.0", port, limit=1 << 20)
    await stop.wait()
    server.close()
    backend.stop()
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    if pending:
        await asyncio.wait(pending, timeout=10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(_main(options.port, options.delay))
