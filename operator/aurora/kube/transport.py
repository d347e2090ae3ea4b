"""One request to the API server: sent, counted, retried where that is safe, refusals mapped."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pydantic_core
from yarl import URL

from aurora.errors import ClusterError, UnavailableError
from aurora.kube.asked import AskedToWait
from aurora.kube.connection import Connection, HttpClient
from aurora.kube.counter import RequestCounter, RequestObserver
from aurora.kube.kinds import LEASE, Kind
from aurora.kube.refusals import refusal, unreachable
from aurora.values import quick

__all__ = ["JSON", "Request", "Retries", "Transport"]

JSON = "application/json"
REQUEST_TIMEOUT_S = 30.0
"""Default limit of one request: half of the API server's own --request-timeout of 60 s."""


@lru_cache(64)
def _encoded(*query: tuple[str, str]) -> str:
    """All writes have the same few."""
    return urlencode(query)


@quick
@dataclass(frozen=True, slots=True)
class Request:
    """One request; `verb` and `kind` are what is counted and what a message names."""

    verb: str
    kind: Kind
    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    content_type: str = JSON
    accept: str = JSON
    timeout_s: float = REQUEST_TIMEOUT_S

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def target(self) -> str:
        """Path and query, quoted."""
        return f"{self.path}?{_encoded(*self.query)}" if self.query else self.path

    @property
    def data(self) -> bytes | None:
        """The body as it is sent."""
        if self.body is None:
            return None
        try:
            return pydantic_core.to_json(self.body, inf_nan_mode="constants")
        except pydantic_core.PydanticSerializationError:  # half of a surrogate pair
            return json.dumps(self.body, separators=(",", ":")).encode()

    @property
    def may_wait(self) -> bool:
        """A write that waits when writes are asked to.

        The Lease does not: the API server keeps a queue of its own for it, and to lose it would
        cost more than one small write.
        """
        return self.method != "GET" and self.kind != LEASE


@dataclass(frozen=True, slots=True)
class Retries:
    """How reads are repeated: full jitter over a doubling wait, as in client-go.

    Attributes:
        attempts: requests at most, the first included.
        base_s: upper bound of the first wait.
        cap_s: upper bound of any wait; a longer Retry-After ends the attempts.
    """

    attempts: int = 4
    base_s: float = 0.2
    cap_s: float = 5.0

    def wait_s(self, attempt: int, asked: float | None, rng: random.Random) -> float | None:
        """Seconds before the next attempt, or None when there is to be none."""
        if attempt >= self.attempts or (asked is not None and asked > self.cap_s):
            return None
        jittered = rng.uniform(0, min(self.cap_s, self.base_s * 2 ** (attempt - 1)))
        return jittered if asked is None else asked + jittered


@dataclass(slots=True, eq=False)
class _Shared:
    """The client of requests in parallel: once it is replaced, the last of them closes it."""

    http: HttpClient
    users: int = 0


class Transport:
    """Sends requests over one pool of connections.

    Reads are repeated on 429, 5xx and broken connections; writes never are, because a write whose
    answer was lost may have been done. Where the server said Retry-After, no write is sent earlier:
    it waits for up to `cap_s`, and is refused unsent where that is too short or would take half of
    its time. A 401 reads the credentials anew, for all that see it at once, and repeats any request
    once: it was refused before anything was done.
    """

    def __init__(  # noqa: PLR0913
        self,
        connection: Connection,
        *,
        observer: RequestObserver | None = None,
        retries: Retries | None = None,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._observer = observer or RequestCounter()
        self._retries = retries or Retries()
        self._rng = rng or random.Random()  # noqa: S311
        self._sleep = sleep
        self._monotonic = monotonic
        self._asked = AskedToWait(monotonic)
        self._shared: _Shared | None = None
        self._replacing = asyncio.Lock()

    async def close(self) -> None:
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared.http.close()

    async def send(self, request: Request) -> Any:
        """Send and return the parsed JSON of a 2xx answer.

        Raises:
            ClusterError: one of its subclasses, see `aurora.kube.refusals`.
        """
        if request.may_wait:
            request = await self._in_turn(request)
        attempt = 1
        while True:
            try:
                return await self._authorized(request)
            except UnavailableError as error:
                self._asked.note(error.retry_after)
                if request.method != "GET":
                    raise
                wait = self._retries.wait_s(attempt, error.retry_after, self._rng)
                if wait is None:
                    raise
            await self._sleep(wait)
            attempt += 1

    async def _in_turn(self, request: Request) -> Request:
        """Wait as the server asked; what is left of the request's time is in the answer."""
        began = self._monotonic()
        left = self._asked.left_s()
        if left <= 0:
            return request
        if left > min(self._retries.cap_s, request.timeout_s / 2):
            raise UnavailableError(
                f"{request}: not sent: the API server asked to wait {left:.0f} s more",
                retry_after=left,
            )
        await self._sleep(left + self._rng.uniform(0, self._retries.base_s))
        taken = self._monotonic() - began
        return replace(request, timeout_s=max(0.1, request.timeout_s - taken))

    async def _authorized(self, request: Request) -> Any:
        async with self._client() as shared:
            status, body, headers = await self._exchange(request, shared.http)
            if status == 401:
                async with self._client(refused=shared) as renewed:
                    status, body, headers = await self._exchange(request, renewed.http)
        if 200 <= status < 300:
            return _parse(request, body)
        raise refusal(
            status=status, body=body, headers=headers, request=str(request), now=datetime.now(UTC)
        )

    @asynccontextmanager
    async def _client(self, refused: _Shared | None = None) -> AsyncIterator[_Shared]:
        """The client of now; the first that was refused replaces it."""
        async with self._replacing:
            if self._shared is None or self._shared is refused:
                self._shared = _Shared(await self._connection.client())
            shared = self._shared
            shared.users += 1
        try:
            yield shared
        finally:
            shared.users -= 1
            if shared is not self._shared and not shared.users:
                await shared.http.close()

    async def _exchange(
        self, request: Request, http: HttpClient
    ) -> tuple[int, bytes, Mapping[str, str]]:
        self._observer.sent(request.verb, request.kind)
        headers = {"Accept": request.accept, "Content-Type": request.content_type}
        headers |= http.api.default_headers
        try:
            await http.api.update_params_for_auth(
                headers, [], ["BearerToken"], request.path, request.method, request.body
            )
            async with http.session.request(
                request.method,
                URL(f"{http.api.configuration.host}{request.target}", encoded=True),
                headers=headers,
                data=request.data,
                timeout=aiohttp.ClientTimeout(total=request.timeout_s, sock_connect=10),
                **http.route,
            ) as answer:
                return answer.status, await answer.read(), answer.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(str(request), error) from error


def _parse(request: Request, body: bytes) -> Any:
    try:
        return pydantic_core.from_json(body)
    except ValueError as error:
        raise ClusterError(f"{request}: the answer is not JSON: {error}") from error
