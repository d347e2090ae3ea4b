"""Requests against a real HTTP server on loopback that answers as a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import ClusterError, ForbiddenError, UnavailableError
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection, HttpClient
from aurora.kube.counter import RequestCounter
from aurora.kube.kinds import CONFIG_MAP, DEPLOYMENT, LEASE, Kind, Ref
from aurora.kube.transport import Request, Retries, Transport
from aurora.resources.vocabulary import Phase

REF = Ref(CONFIG_MAP, "default", "a")
Answer = Callable[[web.Request], web.StreamResponse]


def busy(seconds: str) -> Answer:
    return lambda _: web.json_response(
        {"message": "busy"}, status=429, headers={"Retry-After": seconds}
    )


def status(code: int) -> Answer:
    return lambda _: web.json_response({"message": "no"}, status=code)


def fine(_: web.Request) -> web.StreamResponse:
    return web.json_response({"metadata": {"name": "a"}})


class Api:
    """Gives one answer after the other, then the last one for good."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [fine]
        self.requests: list[web.Request] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        await request.read()
        return self.answers.pop(0)(request) if len(self.answers) > 1 else self.answers[0](request)


def kubeconfig(path: Path, url: str, token: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def client_url(api: Api) -> str:
    return f"http://{api.requests[0].host}"


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def counter() -> RequestCounter:
    return RequestCounter()


@pytest.fixture
async def file(api: Api, tmp_path: Path) -> AsyncIterator[Path]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    async with TestServer(app) as server:
        yield kubeconfig(tmp_path / "kubeconfig", str(server.make_url("")).rstrip("/"), "first")


@pytest.fixture
async def client(file: Path, counter: RequestCounter) -> AsyncIterator[KubeClient]:
    retries = Retries(attempts=3, base_s=0.001, cap_s=0.05)
    async with KubeClient(
        Connection(file), observer=counter, retries=retries, rng=Random(1)
    ) as made:
        yield made


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        pytest.param([fine], 1, id="answered at once"),
        pytest.param([busy("0"), fine], 2, id="busy, then answered"),
        pytest.param([status(500), status(503), fine], 3, id="two server errors, then answered"),
    ],
)
async def test_a_read_is_repeated_until_it_is_answered(
    api: Api, client: KubeClient, counter: RequestCounter, answers: list[Answer], requests: int
) -> None:
    api.answers = answers
    assert await client.get(REF) == {"metadata": {"name": "a"}}
    assert counter.requests["get", "configmaps"] == requests


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        pytest.param([status(503)], 3, id="the attempts are bounded"),
        pytest.param([busy("60")], 1, id="a long Retry-After is the caller's to wait for"),
    ],
)
async def test_a_read_that_gets_no_answer_is_unavailable(
    api: Api, client: KubeClient, counter: RequestCounter, answers: list[Answer], requests: int
) -> None:
    api.answers = answers
    with pytest.raises(UnavailableError):
        await client.get(REF)
    assert counter.requests["get", "configmaps"] == requests


async def test_retry_after_reaches_the_caller(api: Api, client: KubeClient) -> None:
    api.answers = [busy("60")]
    with pytest.raises(UnavailableError) as caught:
        await client.get(REF)
    assert caught.value.retry_after == 60.0


@pytest.mark.parametrize(
    "answer", [pytest.param(status(503), id="503"), pytest.param(busy("0"), id="429")]
)
async def test_a_write_is_never_repeated(
    api: Api, client: KubeClient, counter: RequestCounter, answer: Answer
) -> None:
    api.answers = [answer]
    with pytest.raises(UnavailableError):
        await client.patch_json(REF, [{"op": "add", "path": "/data", "value": {}}])
    assert counter.writes == 1


class Time:
    """Passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def sending(kind: Kind, method: str = "PATCH", timeout_s: float = 30.0) -> Request:
    return Request("patch", kind, method, f"/{kind.plural}", body=[], timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("asked", "later", "request_", "waited"),
    [
        pytest.param("3", 0.0, sending(CONFIG_MAP), 3.0, id="a write waits"),
        pytest.param("3", 2.0, sending(CONFIG_MAP), 1.0, id="for what is left of it"),
        pytest.param("3", 3.0, sending(CONFIG_MAP), 0.0, id="not any more when it is over"),
        pytest.param("6", 0.0, sending(CONFIG_MAP), None, id="too long: it is not sent"),
        pytest.param("3", 0.0, sending(CONFIG_MAP, timeout_s=5.0), None, id="too late to be sent"),
        pytest.param("9999", 59.0, sending(CONFIG_MAP), 1.0, id="hours are cut to a minute"),
        pytest.param("3", 0.0, sending(LEASE), 0.0, id="the Lease is renewed at once"),
        pytest.param("3", 0.0, sending(CONFIG_MAP, "GET"), 0.0, id="a read has its own patience"),
    ],
)
async def test_what_follows_a_refused_write_waits_as_the_server_asked(
    api: Api, file: Path, asked: str, later: float, request_: Request, waited: float | None
) -> None:
    time = Time()
    api.answers = [busy(asked), fine]
    transport = Transport(
        Connection(file),
        retries=Retries(base_s=0.0, cap_s=5.0),
        sleep=time.sleep,
        monotonic=lambda: time.now,
    )
    with pytest.raises(UnavailableError):
        await transport.send(sending(DEPLOYMENT))
    time.now += later
    if waited is None:
        with pytest.raises(UnavailableError, match=f"not sent: .* asked to wait {asked} s more"):
            await transport.send(request_)
    else:
        await transport.send(request_)
    await transport.close()
    assert time.waits == ([waited] if waited else [])
    assert len(api.requests) == (1 if waited is None else 2)


async def test_an_expired_token_is_read_anew_once(api: Api, client: KubeClient, file: Path) -> None:
    await client.get(REF)
    kubeconfig(file, client_url(api), "second")
    api.answers = [
        lambda request: (
            fine(request)
            if request.headers["Authorization"] == "Bearer second"
            else status(401)(request)
        )
    ]
    await client.get(REF)
    assert [one.headers["Authorization"] for one in api.requests] == [
        "Bearer first",
        "Bearer first",
        "Bearer second",
    ]
    api.answers = [status(401)]
    with pytest.raises(ForbiddenError):
        await client.get(REF)


@dataclass(frozen=True, slots=True)
class Counted(Connection):
    made: list[HttpClient] = field(default_factory=list)

    async def client(self) -> HttpClient:
        found = await super(Counted, self).client()
        self.made.append(found)
        return found


async def test_a_token_that_changes_fails_no_request_beside_it(tmp_path: Path) -> None:
    """Eight writes were sent before it changed and are answered after eight others went again."""
    tokens: list[str] = []
    renewed = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        tokens.append(request.headers["Authorization"])
        if len(tokens) == 8:
            kubeconfig(file, url, "second")
        if tokens[-1] == "Bearer second":
            renewed.set()
        elif len(tokens) > 8:
            return status(401)(request)
        await renewed.wait()
        return fine(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with asyncio.timeout(30), TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        file = kubeconfig(tmp_path / "kubeconfig", url, "first")
        connection = Counted(file)
        async with KubeClient(connection) as client:
            writes = (client.patch_json(REF, []) for _ in range(16))
            assert all(await asyncio.gather(*writes))
            assert sorted(tokens) == ["Bearer first"] * 16 + ["Bearer second"] * 8
            assert [one.session.closed for one in connection.made] == [True, False]
        assert all(one.session.closed for one in connection.made)


async def test_the_server_sees_who_asks(api: Api, client: KubeClient) -> None:
    await client.get(REF)
    assert api.requests[0].headers["User-Agent"] == "aurora"


@pytest.mark.parametrize("body", ["", "<html>", "[]", "3"])
async def test_an_answer_that_is_no_object_is_an_error_of_the_cluster(
    api: Api, client: KubeClient, body: str
) -> None:
    api.answers = [lambda _: web.Response(text=body)]
    with pytest.raises(ClusterError, match="the answer is not"):
        await client.get(REF)


async def test_a_list_whose_snapshot_expired_is_read_again_in_one(
    api: Api, client: KubeClient
) -> None:
    def page(*names: str, token: str = "") -> Answer:
        items = [{"metadata": {"name": name}} for name in names]
        metadata = {"resourceVersion": "5", "continue": token}
        return lambda _: web.json_response({"metadata": metadata, "items": items})

    api.answers = [page("a", token="next"), status(410), page("a", "b")]
    listing = await client.list(CONFIG_MAP, chunk=1)
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert "limit" not in api.requests[-1].query


async def test_names_are_quoted_into_the_path(api: Api, client: KubeClient) -> None:
    await client.get(Ref(CONFIG_MAP, "default", "../../secrets?x=1#"))
    path = "/api/v1/namespaces/default/configmaps/..%2F..%2Fsecrets%3Fx=1%23"
    assert api.requests[0].raw_path.replace("%3D", "=") == path


@given(st.text() | st.text("aZ9_.~-%/ ?#&+:é", max_size=4))
def test_a_part_of_a_path_is_quoted_as_the_library_does(name: str) -> None:
    plain = quote(name, safe="")
    assert CONFIG_MAP.path("a", name) == CONFIG_MAP.path("a") + (f"/{plain}" if name else "")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"a": [1, -2.5, None, True, ()], "b": {}}, id="values"),
        pytest.param({"ü": "語\0"}, id="other letters"),
        pytest.param({"a": "\ud83d"}, id="half of a surrogate pair, from a label or an error"),
        pytest.param({"phase": Phase.VERIFYING}, id="a word of the vocabulary"),
    ],
)
def test_a_body_is_sent_as_json(body: dict[str, Any]) -> None:
    request = Request("create", CONFIG_MAP, "POST", "/", body=body)
    assert json.loads(request.data or b"") == json.loads(json.dumps(body))


def test_waits_are_jittered_and_bounded() -> None:
    retries, rng = Retries(attempts=10, base_s=0.2, cap_s=1.0), Random(3)
    waits: list[Any] = [retries.wait_s(attempt, None, rng) for attempt in range(1, 10)]
    assert all(0 <= wait <= 1.0 for wait in waits)
    assert len(set(waits)) == len(waits)
    assert retries.wait_s(10, None, rng) is None
    asked = retries.wait_s(1, 0.5, rng)
    assert asked is not None
    assert asked >= 0.5
