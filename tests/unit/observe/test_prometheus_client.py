"""The client against a server that misbehaves: what it sends, keeps, refuses and never tells."""

import asyncio
import base64
import gzip
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from aurora.errors import ConfigurationError
from aurora.observe.answers import QueryAnswer, QueryFailure
from aurora.observe.prometheus import PrometheusClient, PrometheusSettings
from aurora.observe.queries import Batch, MetricsSettings, Source, fleet_queries

SECRET = "hunter2-very-secret"
EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    form: dict[str, str]


Reply = Callable[[BaseHTTPRequestHandler], None]


def says(body: object, status: int = 200) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return reply


def says_packed(data: bytes, encoding: str = "gzip") -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", encoding)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return reply


@dataclass
class Server:
    """Answers with the next reply, the last one for ever."""

    replies: list[Reply] = field(default_factory=lambda: [says(EMPTY)])
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    at_once: int = 0
    most_at_once: int = 0


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            with lock:
                told.requests.append(Request(self.path, dict(self.headers), form))
                told.at_once += 1
                told.most_at_once = max(told.most_at_once, told.at_once)
                reply = told.replies[0] if len(told.replies) == 1 else told.replies.pop(0)
            try:
                reply(self)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with lock:
                    told.at_once -= 1

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=lambda: http.serve_forever(0.01), daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{http.server_address[1]}"
    yield told
    http.shutdown()
    http.server_close()
    thread.join()


async def ask(settings: PrometheusSettings, query: str = "up") -> QueryAnswer | QueryFailure:
    client = PrometheusClient(settings)
    try:
        return (await client.fetch({"q": query}))["q"]()
    finally:
        client.close()


async def reason(settings: PrometheusSettings) -> str:
    answer = await ask(settings)
    assert isinstance(answer, QueryFailure), answer
    return answer.reason


async def test_the_exact_query_is_sent_in_the_body(server: Server) -> None:
    one = [("a", "b")]
    queries = fleet_queries(MetricsSettings(), list(Source), per_pod=one, named=one)
    client = PrometheusClient(PrometheusSettings(server.url + "/"))
    answers = await client.fetch(queries)
    client.close()
    expected = Path(__file__).parent / "promql"
    assert sorted(r.form["query"] for r in server.requests) == sorted(queries.values())
    assert {r.path for r in server.requests} == {"/api/v1/query"}
    assert list(answers) == list(queries)
    assert client.queries_sent == len(queries) == len(list(expected.iterdir())) == len(Batch)


async def test_warnings_survive(server: Server) -> None:
    rows = [{"metric": {"a": "b"}, "value": [1.5, "2"]}]
    data = {"resultType": "vector", "result": rows}
    server.replies = [
        says({"status": "success", "data": data, "warnings": ["half"], "infos": ["i"]})
    ]
    assert await ask(PrometheusSettings(server.url)) == QueryAnswer(rows, ("half",), 1.5)


async def test_an_answer_that_is_told_again_and_again_is_of_the_past(server: Server) -> None:
    rows = [{"metric": {"a": "b"}, "value": [5000.0, "2"]}]
    again = {"status": "success", "data": {"resultType": "vector", "result": rows}}
    server.replies = [says(again)]
    now = [0.0]
    settings = PrometheusSettings(server.url, stale_after_s=90.0)
    client = PrometheusClient(settings, monotonic=lambda: now[0])

    async def asked(at: float) -> QueryAnswer | QueryFailure:
        now[0] = at
        return (await client.fetch({"q": "up"}))["q"]()

    found = [await asked(at) for at in (1.0, 16.0, 91.0, 92.0, 5000.0)]
    rows[0]["value"] = [10_000.0, "2"]
    server.replies = [says(again)]
    found.append(await asked(5015.0))
    client.close()
    told = ["old" if isinstance(one, QueryFailure) else "now" for one in found]
    assert told == ["now", "now", "now", "old", "old", "now"]
    assert isinstance(found[3], QueryFailure)
    assert found[3].stale
    assert found[3].reason.startswith("the answer is 91 s old: a proxy or cache on the way repeats")


async def test_a_scalar_is_a_row_without_labels(server: Server) -> None:
    data = {"resultType": "scalar", "result": [1.5, "2"]}
    server.replies = [says({"status": "success", "data": data})]
    answer = await ask(PrometheusSettings(server.url))
    assert answer == QueryAnswer([{"metric": {}, "value": [1.5, "2"]}], evaluated_at=1.5)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (says({"status": "error", "error": "parse error at 3"}, 400), "HTTP 400: parse error at 3"),
        (says({"error": "too many samples\nreally"}, 422), "HTTP 422: too many samples really"),
        (says(b"<html>secret page</html>", 500), "HTTP 500"),
        (says({}, 401), "HTTP 401 (check the token or password)"),
        (says({}, 403), "HTTP 403 (check the rights of the token)"),
        (says({}, 503), "HTTP 503"),
        (says(b"<html>login</html>"), "the answer is not JSON: is this the Prometheus API?"),
        (says([1, 2]), "the answer is no instant vector: is this the Prometheus API?"),
        (
            says({"data": {"resultType": "matrix", "result": []}}),
            "the answer is no instant vector: is this the Prometheus API?",
        ),
        (
            says({"data": {"resultType": "vector", "result": "x"}}),
            "the answer holds no list of series",
        ),
        (says({"error": "e" * 5000}, 400), ("HTTP 400: " + "e" * 5000)[:300]),
    ],
    ids=[
        "a query that does not parse",
        "too many samples",
        "a page of a proxy stays out",
        "no token",
        "a token without rights",
        "overloaded",
        "a login page",
        "another JSON",
        "a range",
        "no list",
        "a very long error",
    ],
)
async def test_a_failure_is_one_line(server: Server, reply: Reply, said: str) -> None:
    server.replies = [reply]
    assert await reason(PrometheusSettings(server.url, retries=0)) == said


async def test_nothing_listens() -> None:
    settings = PrometheusSettings("http://127.0.0.1:9", retries=0)
    assert await reason(settings) == "cannot connect: check the address, and that it runs"


async def test_a_host_without_tls_is_told(server: Server) -> None:
    settings = PrometheusSettings(server.url.replace("http:", "https:"), retries=0)
    assert "certificate" in await reason(settings)


async def test_an_overloaded_server_is_asked_once_more(server: Server) -> None:
    server.replies = [says({}, 503), says(EMPTY)]
    assert await ask(PrometheusSettings(server.url, retries=1)) == QueryAnswer([])
    assert len(server.requests) == 2


async def test_an_answer_that_is_too_large_is_not_read(server: Server) -> None:
    server.replies = [says(b"[" + b" " * 3_000_000 + b"]")]
    said = await reason(PrometheusSettings(server.url, max_response_bytes=1_000_000))
    assert said.startswith("the answer is larger than 1000000 bytes")


async def test_a_packed_answer_is_asked_for_and_kept_packed_until_its_turn(server: Server) -> None:
    rows = [{"metric": {"pod": f"p-{n}"}, "value": [1.5, "2"]} for n in range(30_000)]
    body = json.dumps({"data": {"resultType": "vector", "result": rows}}, separators=(",", ":"))
    server.replies = [says_packed(gzip.compress(body.encode()))]
    client = PrometheusClient(PrometheusSettings(server.url))
    tracemalloc.start()
    unread = (await client.fetch({"q": "up"}))["q"]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    answer = unread()
    client.close()
    assert server.requests[0].headers["Accept-Encoding"] == "gzip"
    assert held < len(body) / 2
    assert isinstance(answer, QueryAnswer)
    assert list(answer.rows) == rows
    assert answer.evaluated_at == 1.5


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (says_packed(gzip.compress(b" " * 3_000_000)), "the answer is larger than 1000000 bytes"),
        (says_packed(gzip.compress(b"[]")[:-4]), "the answer ended early"),
        (says_packed(b"[]"), "the answer is said to be packed and cannot be unpacked"),
        (says_packed(b"[]", "br"), "the answer is packed as br, and gzip was asked for"),
    ],
    ids=[
        "it unpacks to too much",
        "its end is missing",
        "it is not packed",
        "it is of another kind",
    ],
)
async def test_a_packed_answer_that_cannot_be_read_is_a_failure(
    server: Server, reply: Reply, said: str
) -> None:
    server.replies = [reply]
    settings = PrometheusSettings(server.url, max_response_bytes=1_000_000, retries=0)
    assert (await reason(settings)).startswith(said)


async def test_an_answer_whose_connection_breaks_is_a_failure(server: Server) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"[")

    server.replies = [cut]
    said = await reason(PrometheusSettings(server.url, retries=0))
    assert said == "the request failed (ChunkedEncodingError)"


async def test_no_answer_in_time(server: Server) -> None:
    gate = threading.Event()
    server.replies = [lambda handler: gate.wait(10) and None]
    said = await reason(PrometheusSettings(server.url, query_timeout_s=0.2, retries=0))
    gate.set()
    assert said == "no answer within 0.2 s"


async def test_an_answer_that_drips_ends_with_the_deadline(server: Server) -> None:
    gate = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not gate.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    server.replies = [drip]
    began = time.monotonic()
    said = await reason(PrometheusSettings(server.url, deadline_s=0.5, retries=0))
    gate.set()
    assert time.monotonic() - began < 5
    assert "deadline" in said or "no answer within 0.5 s" in said


async def test_the_deadline_holds_for_all_queries_and_the_loop_stays_free(server: Server) -> None:
    gate = threading.Event()
    server.replies = [lambda handler: gate.wait(10) and None]
    client = PrometheusClient(PrometheusSettings(server.url, deadline_s=0.4, concurrency=2))
    asked = asyncio.create_task(client.fetch({f"q{n}": "up" for n in range(8)}))
    turns = 0
    while not asked.done():
        turns += 1
        await asyncio.sleep(0.01)
    answers = await asked
    gate.set()
    client.close()
    assert turns > 10
    assert all(isinstance(unread(), QueryFailure) for unread in answers.values())
    assert server.most_at_once <= 2


@pytest.mark.parametrize(
    ("arguments", "header", "value"),
    [
        ({"token": SECRET}, "Authorization", f"Bearer {SECRET}"),
        (
            {"username": "u", "password": SECRET},
            "Authorization",
            "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode(),
        ),
        ({"headers": {"X-Scope-OrgID": SECRET}}, "X-Scope-OrgID", SECRET),
    ],
    ids=["a token", "a password", "a tenant"],
)
async def test_credentials_are_sent_and_never_told(
    server: Server, arguments: dict[str, object], header: str, value: str
) -> None:
    server.replies = [says(b"you said " + SECRET.encode(), 500)]
    settings = PrometheusSettings(server.url, retries=0, **arguments)  # type: ignore[arg-type]
    said = await reason(settings)
    assert server.requests[0].headers[header] == value
    assert SECRET not in said
    assert SECRET not in repr(settings)


async def test_a_token_file_is_read_anew(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "token"
    settings = PrometheusSettings(server.url, token_file=path)
    assert "cannot read the token file" in await reason(settings)
    for token in ("first", "second"):
        path.write_text(f"{token}\n")
        await ask(settings)
    assert [r.headers["Authorization"] for r in server.requests] == [
        "Bearer first",
        "Bearer second",
    ]


async def test_a_token_with_a_line_break_is_refused_without_telling_it(server: Server) -> None:
    settings = PrometheusSettings(server.url, token=f"{SECRET}\nX-Evil: 1")
    said = await reason(settings)
    assert SECRET not in said
    assert server.requests == []


async def test_a_netrc_file_is_not_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    await ask(PrometheusSettings(server.url))
    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("prometheus:9090", "http://host:port"),
        ("ftp://prometheus", "http://host:port"),
        (f"http://user:{SECRET}@prometheus:9090", "holds credentials"),
    ],
    ids=["no scheme", "no HTTP", "credentials in the URL"],
)
def test_an_address_that_cannot_be_used_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        PrometheusSettings(url)
    assert SECRET not in str(caught.value)
