"""One request to the API server: sent, counted, retried where that is safe, refusals mapped."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from aurora.errors import ClusterError, UnavailableError
from aurora.kube.connection import Connection
from aurora.kube.counter import RequestCounter, RequestObserver
from aurora.kube.kinds import Kind
from aurora.kube.refusals import refusal, unreachable

__all__ = ["JSON", "Request", "Retries", "Transport"]

JSON = "application/json"
REQUEST_TIMEOUT_S = 30.0
"""Default limit of one request: half of the API server's own --request-timeout of 60 s."""


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


class Transport:
    """Sends requests over one pool of connections.

    Reads are repeated on 429, 5xx and broken connections; writes never are, because a write whose
    answer was lost may have been done. A 401 reads the credentials anew and repeats any request
    once: it was refused before anything was done.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        observer: RequestObserver | None = None,
        retries: Retries | None = None,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._observer = observer or RequestCounter()
        self._retries = retries or Retries()
        self._rng = rng or random.Random()  # noqa: S311
        self._sleep = sleep
        self._api: ApiClient | None = None

    async def close(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            await api.close()  # type: ignore[no-untyped-call]

    async def send(self, request: Request) -> Any:
        """Send and return the parsed JSON of a 2xx answer.

        Raises:
            ClusterError: one of its subclasses, see `aurora.kube.refusals`.
        """
        attempt = 1
        while True:
            try:
                return await self._authorized(request)
            except UnavailableError as error:
                if request.method != "GET":
                    raise
                wait = self._retries.wait_s(attempt, error.retry_after, self._rng)
                if wait is None:
                    raise
            await self._sleep(wait)
            attempt += 1

    async def _authorized(self, request: Request) -> Any:
        status, body, headers = await self._exchange(request)
        if status == 401:
            await self.close()
            status, body, headers = await self._exchange(request)
        if 200 <= status < 300:
            return _parse(request, body)
        raise refusal(
            status=status, body=body, headers=headers, request=str(request), now=datetime.now(UTC)
        )

    async def _exchange(self, request: Request) -> tuple[int, bytes, Mapping[str, str]]:
        self._observer.sent(request.verb, request.kind)
        api = self._api = self._api or await self._connection.client()
        headers = {"Accept": request.accept, "Content-Type": request.content_type}
        try:
            method, url, headers, body, _ = await api.param_serialize(
                request.method,
                request.path,
                query_params=list(request.query),
                header_params=headers,
                body=request.body,
                auth_settings=["BearerToken"],
            )
            timeout = aiohttp.ClientTimeout(total=request.timeout_s, sock_connect=10)
            answer = await api.call_api(
                method, url, header_params=headers, body=body, _request_timeout=timeout
            )
            return answer.status, await answer.read(), answer.headers  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(str(request), error) from error


def _parse(request: Request, body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise ClusterError(f"{request}: the answer is not JSON: {error}") from error
