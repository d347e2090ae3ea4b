"""The edge to Prometheus: sends PromQL and hands back the whole answer, warnings included."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pydantic_core
import requests
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util.retry import Retry

from aurora.errors import ConfigurationError, MetricsError
from aurora.observe.answers import QueryAnswer, QueryFailure, Unread
from aurora.observe.packed import ASKED_ENCODING, Packed, too_large
from aurora.observe.parsing import parsed_answer
from aurora.observe.punctual import KEPT_S, ServerClock

__all__ = ["PrometheusClient", "PrometheusSettings", "parsed_answer"]

_CHUNK_BYTES = 256 * 1024
_DETAIL_LENGTH = 300
_RETRY_ON = (429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """Where Prometheus is, who asks, and what a cycle may cost.

    Attributes:
        url: without credentials; they have fields of their own.
        token: bearer token; `token_file` is read anew at every query, as bound tokens rotate.
        headers: sent along, for example X-Scope-OrgID. Values are secrets.
        query_timeout_s: of one query, told to Prometheus as well.
        deadline_s: of all queries of a cycle together; below the cycle's length.
        max_response_bytes: of one answer, unpacked; 10,000 workloads with 20 signals are 40 MB.
        retries: further attempts on a refused connection or 429, 502, 503, 504. Reading twice
            is harmless.
        stale_after_s: an answer that was evaluated so long before it was asked for is of the past:
            something on the way repeats old answers. As for samples, see `MetricsSettings`.
    """

    url: str
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    insecure_skip_verify: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query_timeout_s: float = 8.0
    deadline_s: float = 12.0
    concurrency: int = 4
    max_response_bytes: int = 64 * 1024 * 1024
    retries: int = 1
    stale_after_s: float = 90.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigurationError("the Prometheus URL is http://host:port or https://host:port")
        if "@" in self.url.split("/", 3)[2]:
            raise ConfigurationError(
                "the Prometheus URL holds credentials: use the settings for token or password"
            )


class _Credentials(requests.auth.AuthBase):
    """Signs a request; being set, it keeps requests from looking into a netrc file."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        chosen = self._settings
        token = chosen.token
        if chosen.token_file is not None:
            token = _token(chosen.token_file)
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        elif chosen.username:
            basic = requests.auth.HTTPBasicAuth(chosen.username.encode(), chosen.password.encode())
            return basic(request)
        return request


def _token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        raise MetricsError(f"cannot read the token file {path}: mount it or correct it") from None


class _WholeAnswers(PrometheusConnect):
    """The client library, with a query method that keeps the whole answer, packed as it came.

    Its `custom_query` returns `data.result` alone, so `warnings` are lost, reads answers of any
    size, and puts the query into the URL, where proxies cut it.
    """

    def ask(self, query: str, *, timeout_s: float, limit: int, late: Callable[[], bool]) -> Packed:
        with self._session.post(
            f"{self.url}/api/v1/query",
            data={"query": query, "timeout": f"{round(timeout_s * 1000)}ms"},
            headers=self.headers,
            timeout=(min(timeout_s, 5.0), timeout_s),
            stream=True,
        ) as response:
            body = _read(response, limit=limit, late=late)
            packed = Packed(body, response.headers.get("Content-Encoding", ""))
            if response.status_code != requests.codes.ok:
                raise MetricsError(_refusal(response.status_code, packed.text(limit=limit)))
            return packed


def _read(response: requests.Response, *, limit: int, late: Callable[[], bool]) -> bytes:
    body = bytearray()
    try:
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
            body += chunk
            if len(body) > limit:
                raise too_large(limit)
            if late():
                raise MetricsError("the answer came too slowly: the deadline of the cycle passed")
    except ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout(error) from error
    except HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
    return bytes(body)


def _refusal(status: int, body: bytes | bytearray) -> str:
    """What Prometheus said of the query. Other servers' pages stay out: they may echo headers."""
    try:
        answer = pydantic_core.from_json(body)
        detail = f": {answer['error']}" if isinstance(answer, dict) and "error" in answer else ""
    except ValueError:
        detail = ""
    hint = {401: " (check the token or password)", 403: " (check the rights of the token)"}
    line = " ".join(f"HTTP {status}{hint.get(status, '')}{detail}".split())
    return line[:_DETAIL_LENGTH]


def _reason(error: Exception, timeout_s: float) -> str:
    """One line for a person. The text of `error` may hold proxies' passwords, so it is not used."""
    if isinstance(error, MetricsError):
        return str(error)
    if isinstance(error, requests.exceptions.SSLError):
        return "the certificate was not accepted: set the CA file that signed it"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not answer: check HTTPS_PROXY and NO_PROXY"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "cannot connect: check the address, and that it runs"
    return f"the request failed ({type(error).__name__})"


class PrometheusClient:
    """Asks Prometheus. Blocking I/O runs in its own few threads, so nothing else waits for it."""

    def __init__(
        self,
        settings: PrometheusSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._threads = ThreadPoolExecutor(settings.concurrency, "prometheus")
        session = requests.Session()
        session.auth = _Credentials(settings)
        session.verify = str(settings.ca_file) if settings.ca_file else True
        if settings.insecure_skip_verify:
            session.verify = False
        self._client = _WholeAnswers(
            url=settings.url.rstrip("/"),
            headers={"Accept-Encoding": ASKED_ENCODING, **settings.headers},
            session=session,
            retry=_retries(settings.retries),
        )
        self._server_clock = ServerClock(max(KEPT_S, 2 * settings.stale_after_s))
        self.queries_sent = 0

    async def fetch(self, queries: Mapping[str, str]) -> dict[str, Unread]:
        """Answer every query by its name, within the deadline; never raises for one of them."""
        sent = self._monotonic()
        expires = sent + self._settings.deadline_s
        found = await asyncio.gather(*(self._one(text, expires) for text in queries.values()))
        received = self._monotonic()
        unread = [partial(self._opened, one, sent=sent, received=received) for one in found]
        return dict(zip(queries, unread, strict=True))

    def _opened(
        self, found: Packed | QueryFailure, *, sent: float, received: float
    ) -> QueryAnswer | QueryFailure:
        if isinstance(found, QueryFailure):
            return found
        try:
            answer = parsed_answer(found.text(limit=self._settings.max_response_bytes))
        except MetricsError as error:
            return QueryFailure(str(error))
        return self._of_now(answer, sent=sent, received=received)

    def _of_now(
        self, answer: QueryAnswer, *, sent: float, received: float
    ) -> QueryAnswer | QueryFailure:
        """The answer, unless it is one of the past that is told again."""
        if answer.evaluated_at is None:
            return answer
        late = self._server_clock.late_s(answer.evaluated_at, sent=sent)
        self._server_clock.saw(answer.evaluated_at, received=received)
        if late <= self._settings.stale_after_s:
            return answer
        return QueryFailure(
            f"the answer is {late:.0f} s old: a proxy or cache on the way repeats old answers, "
            "or the clock of Prometheus was set back",
            stale=True,
        )

    async def _one(self, query: str, expires: float) -> Packed | QueryFailure:
        self.queries_sent += 1
        asked = asyncio.get_running_loop().run_in_executor(
            self._threads, self._blocking, query, expires
        )
        left = expires - self._monotonic()
        try:
            return await asyncio.wait_for(asked, max(0.0, left))
        except TimeoutError:
            return QueryFailure(f"no answer within {self._settings.deadline_s:g} s")

    def _blocking(self, query: str, expires: float) -> Packed | QueryFailure:
        left = expires - self._monotonic()
        if left <= 0:
            return QueryFailure("the deadline of the cycle passed before this query was sent")
        timeout = min(self._settings.query_timeout_s, left)
        limit = self._settings.max_response_bytes
        try:
            return self._client.ask(
                query, timeout_s=timeout, limit=limit, late=lambda: self._monotonic() > expires
            )
        except (MetricsError, OSError, ValueError) as error:  # requests' errors are OSErrors
            return QueryFailure(_reason(error, timeout))

    def close(self) -> None:
        self._client.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _retries(attempts: int) -> Retry:
    return Retry(
        total=attempts,
        read=False,  # a slow query is not asked again, and its timeout keeps its name
        backoff_factor=0.2,
        status_forcelist=_RETRY_ON,
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
