"""A proxy in front of a real Prometheus that answers wrongly in the ways that answers go wrong."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

import aiohttp
from aiohttp import web

__all__ = ["MetricsProxy", "Wrong", "metrics_proxy"]

Rows = list[dict[str, Any]]
JUNK_SERIES = 3000


class Wrong(StrEnum):
    """How Prometheus is wrong."""

    DOWN = "down"
    UNAVAILABLE = "503"
    SLOW = "slow beyond the timeout"
    EMPTY = "empty"
    NEGATIVE = "negative"
    INFINITE = "infinite"
    PARTIAL = "partial, with warnings"
    WRONG_TYPE = "another type of result"
    TRUNCATED = "truncated JSON"
    DUPLICATE = "duplicate series"
    HUGE = "huge"
    REPEATED = "repeats old answers"


class MetricsProxy:
    """Forwards queries; `wrong` says how answers are spoilt, None that they are not.

    Attributes:
        queries: how many were asked.
        asked: how often each was.
        kept: the last true answer to each, which is what is told again.
    """

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.queries = 0
        self.asked: Counter[str] = Counter()
        self.kept: dict[str, bytes] = {}
        self.wrong: Wrong | None = None
        self._upstream = upstream.rstrip("/")
        self.session: aiohttp.ClientSession | None = None

    @property
    def rounds(self) -> int:
        """Cycles so far: what is asked in every cycle was asked that often."""
        return max(self.asked.values(), default=0)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take one request."""
        self.queries += 1
        form = dict(await request.post())
        asked = str(form.get("query", request.query_string))
        self.asked[asked] += 1
        if self.wrong is Wrong.DOWN:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=502)
        if self.wrong is Wrong.UNAVAILABLE:
            return web.Response(status=503, text="no healthy upstream")
        if self.wrong is Wrong.SLOW:
            await asyncio.sleep(30)
        if self.wrong is Wrong.REPEATED and asked in self.kept:
            return web.Response(body=self.kept[asked], content_type="application/json")
        assert self.session is not None
        async with self.session.request(
            request.method, self._upstream + request.path_qs, data=form or None
        ) as found:
            body, status = await found.read(), found.status
        if status == 200 and request.path.endswith("/query"):
            if self.wrong is None:
                self.kept[asked] = body
            body = self._spoilt(body)
        return web.Response(status=status, body=body, content_type="application/json")

    def _spoilt(self, body: bytes) -> bytes:
        if self.wrong is Wrong.TRUNCATED:
            return body[: len(body) // 2]
        spoil = _SPOILERS.get(self.wrong) if self.wrong else None
        if spoil is None:
            return body
        answer = json.loads(body)
        spoil(answer)
        return json.dumps(answer).encode()


def _each_value(value: str) -> Callable[[dict[str, Any]], None]:
    def spoil(answer: dict[str, Any]) -> None:
        for row in _rows(answer):
            row["value"][1] = value

    return spoil


def _rows(answer: dict[str, Any]) -> Rows:
    data = answer["data"]
    return list(data["result"]) if data["resultType"] == "vector" else []


def _empty(answer: dict[str, Any]) -> None:
    answer["data"] = {"resultType": "vector", "result": []}


def _partial(answer: dict[str, Any]) -> None:
    answer["warnings"] = ["some store did not answer"]


def _matrix(answer: dict[str, Any]) -> None:
    rows = _rows(answer)
    series = [{"metric": row["metric"], "values": [row["value"]]} for row in rows]
    answer["data"] = {"resultType": "matrix", "result": series}


def _twice(answer: dict[str, Any]) -> None:
    rows = _rows(answer)
    again = [row | {"value": [row["value"][0], "1"]} for row in rows]
    answer["data"]["result"] = rows + again


def _huge(answer: dict[str, Any]) -> None:
    rows = _rows(answer)
    if rows:
        extra = [
            {
                "metric": rows[0]["metric"] | {"namespace": "elsewhere", "workload": f"junk-{n}"},
                "value": rows[0]["value"],
            }
            for n in range(JUNK_SERIES)
        ]
        answer["data"]["result"] = extra + rows


_SPOILERS: dict[Wrong, Callable[[dict[str, Any]], None]] = {
    Wrong.EMPTY: _empty,
    Wrong.NEGATIVE: _each_value("-1"),
    Wrong.INFINITE: _each_value("+Inf"),
    Wrong.PARTIAL: _partial,
    Wrong.WRONG_TYPE: _matrix,
    Wrong.DUPLICATE: _twice,
    Wrong.HUGE: _huge,
}


@asynccontextmanager
async def metrics_proxy(upstream: str) -> AsyncIterator[MetricsProxy]:
    """Serve a proxy in front of the Prometheus at `upstream`."""
    proxy = MetricsProxy(upstream)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    async with aiohttp.ClientSession() as session:
        proxy.session = session
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()
