"""A proxy in front of a real API server that breaks what a test says and remembers what passed.

Each request is a `Call`. A `Fault` picks calls and says what becomes of them: refused, answered
late, forwarded with the answer lost, reset, or handed to the test before or after the API server
had it. Watch streams can fall silent, lose one event or get an event of the test's making. With
`travel`, reads are answered as they first were: the API server of an earlier time.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp import web

from tests.support.faultproxy_calls import Call, parse_call
from tests.support.faultproxy_tls import (
    kubeconfig_to,
    own_certificate,
    server_of,
    upstream_context,
)

__all__ = ["Answer", "Fault", "FaultProxy", "Handling", "fault_proxy", "status_body"]

_PASSED_ON = ("Accept", "Content-Type")
Forward = Callable[[], Awaitable["Answer"]]
Handling = Callable[[Call, Forward], Awaitable["Answer | None"]]
"""What becomes of a call; None breaks the connection."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What happens to some calls.

    Attributes:
        name: what a Call shows.
        picks: which calls it meets.
        handling: what becomes of them.
        times: how often at most; None is until it is lifted.
        hits: how often it struck.
    """

    name: str
    picks: Callable[[Call], bool]
    handling: Handling
    times: int | None = None
    hits: int = 0

    def takes(self, call: Call) -> bool:
        left = self.times is None or self.hits < self.times
        return left and self.picks(call)


@dataclass(eq=False)
class _Stream:
    call: Call
    request: web.Request
    response: web.StreamResponse

    async def send(self, line: bytes) -> bool:
        """Whether somebody still reads it: who reconnects leaves an old stream behind."""
        transport = self.request.transport
        if transport is None or transport.is_closing():
            return False
        with suppress(ConnectionError):
            await self.response.write(line)
            return True
        return False


class FaultProxy:
    """One way to the API server.

    Attributes:
        calls: every request so far, in the order of arrival.
        silent: watch streams stay open and bring no bytes.
        refusing: every request is reset.
        lose_event: picks the one watch event that is swallowed.
        remembering: first answers are kept for `travel`.
    """

    def __init__(self, upstream: str, context: ssl.SSLContext) -> None:
        self.calls: list[Call] = []
        self.silent = False
        self.refusing = False
        self.remembering = True
        self.lose_event: Callable[[dict[str, Any]], bool] | None = None
        self.kubeconfig = Path()
        self._upstream = upstream
        self._context = context
        self._faults: list[Fault] = []
        self._streams: set[_Stream] = set()
        self._transports: WeakSet[asyncio.Transport] = WeakSet()
        self._first: dict[tuple[str, str], Answer] = {}
        self._travelling = False
        self._session: aiohttp.ClientSession | None = None

    # What a test does.

    def inject(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def lift(self) -> None:
        """End every fault; what is broken stays broken until callers come again."""
        self._faults.clear()
        self.silent = self.refusing = self._travelling = False
        self.lose_event = None

    def cut(self) -> None:
        """Reset every connection."""
        for transport in list(self._transports):
            transport.abort()

    def travel(self) -> None:
        """Answer reads as they were answered first, and let watches bring nothing."""
        self._travelling = self.silent = True

    async def tell(self, resource: str, event: dict[str, Any]) -> int:
        """Put an event into every open watch of a resource; gives how many had it."""
        found = [one for one in self._streams if one.call.resource == resource]
        line = json.dumps(event).encode() + b"\n"
        return sum([await stream.send(line) for stream in found])

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.is_write]

    # What the proxy does.

    async def open(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, skip_auto_headers=["Accept-Encoding"]
        )

    async def close(self) -> None:
        self.refusing = True
        self.cut()
        if self._session is not None:
            await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take one request."""
        assert isinstance(request.transport, asyncio.Transport)
        self._transports.add(request.transport)
        body = await request.read()
        call = parse_call(request.method, request.path, request.query, request.content_type)
        call.body = json.loads(body) if body else None
        self.calls.append(call)
        if self.refusing:
            return self._broken(request)
        answer = await self._answer(request, call, body)
        if answer is None:
            return self._broken(request)
        call.told = answer.status
        if call.verb == "watch" and answer.status == 200:
            return await self._watch(request, call)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _answer(self, request: web.Request, call: Call, body: bytes) -> Answer | None:
        async def forward() -> Answer:
            return await self._forward(request, call, body)

        try:
            for fault in self._faults:
                if fault.takes(call):
                    fault.hits += 1
                    call.fault = fault.name
                    return await fault.handling(call, forward)
            return await forward()
        except (aiohttp.ClientError, OSError):
            return None

    async def _forward(self, request: web.Request, call: Call, body: bytes) -> Answer:
        if call.verb == "watch":
            return Answer(200, b"")  # opened where its bytes are wanted
        key = (request.path_qs, request.headers.get("Accept", ""))
        if self._travelling and key in self._first:
            call.fault = "travel"
            return self._first[key]
        assert self._session is not None
        async with self._session.request(
            request.method,
            self._upstream + request.path_qs,
            data=body or None,
            headers=_passed_on(request),
        ) as found:
            answer = Answer(found.status, await found.read(), _headers(found))
        call.status = answer.status
        if call.is_write:
            with suppress(ValueError):
                call.answer = json.loads(answer.body)
        elif self.remembering and request.method == "GET" and answer.status == 200:
            self._first.setdefault(key, answer)
        return answer

    async def _watch(self, request: web.Request, call: Call) -> web.StreamResponse:
        assert self._session is not None
        try:
            async with self._session.get(
                self._upstream + request.path_qs, headers=_passed_on(request)
            ) as found:
                call.status = found.status
                if found.status != 200:
                    return web.Response(
                        status=found.status, body=await found.read(), headers=_headers(found)
                    )
                response = web.StreamResponse(headers=_headers(found))
                await response.prepare(request)
                stream = _Stream(call, request, response)
                self._streams.add(stream)
                try:
                    await self._pour(found.content, stream)
                finally:
                    self._streams.discard(stream)
                return response
        except (aiohttp.ClientError, OSError):
            return self._broken(request)

    async def _pour(self, content: aiohttp.StreamReader, stream: _Stream) -> None:
        rest = b""
        async for data in content.iter_any():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line and not self.silent and not self._lost(line):
                    await stream.send(line + b"\n")

    def _lost(self, line: bytes) -> bool:
        if self.lose_event is None or not self.lose_event(json.loads(line)):
            return False
        self.lose_event = None
        return True

    def _broken(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)


def _passed_on(request: web.Request) -> dict[str, str]:
    return {name: request.headers[name] for name in _PASSED_ON if name in request.headers}


def _headers(found: aiohttp.ClientResponse) -> dict[str, str]:
    return {"Content-Type": found.headers.get("Content-Type", "application/json")}


def status_body(code: int, reason: str, message: str) -> bytes:
    """A metav1.Status, as the API server refuses."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {}}
    return json.dumps(body | {"code": code, "reason": reason, "message": message}).encode()


@asynccontextmanager
async def fault_proxy(kubeconfig: Path, folder: Path) -> AsyncIterator[FaultProxy]:
    """Serve a proxy in front of the API server of `kubeconfig`; its own kubeconfig leads to it."""
    proxy = FaultProxy(server_of(kubeconfig), upstream_context(kubeconfig))
    certificate = own_certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await proxy.open()
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    proxy.kubeconfig = kubeconfig_to(
        folder / "kubeconfig", url=f"https://127.0.0.1:{port}", certificate=certificate
    )
    try:
        yield proxy
    finally:
        await proxy.close()
        await runner.cleanup()
