"""What a real nginx does with the generated configuration: what it caches and for whom."""

import json
from pathlib import Path

import pytest

from tests.unit.cachesidecar.conftest import Start


def completion(prompt: str = "hi", **fields: object) -> bytes:
    return json.dumps({"model": "m", "prompt": prompt, "temperature": 0, **fields}).encode()


async def test_a_repeat_is_answered_from_the_cache(start: Start) -> None:
    sidecar = await start()
    first = await sidecar.post(completion())
    second = await sidecar.post(completion())
    assert (first[0], second[0]) == ("MISS", "HIT")
    assert first[1] == second[1]
    assert sidecar.backend.total == 1


@pytest.mark.parametrize("size", [10, 12_000, 32_600, 1_200_000])
async def test_two_prompts_of_one_size_get_two_answers(start: Start, size: int) -> None:
    sidecar = await start()
    bodies = [completion("x" * size + last) for last in "ab"]
    for _ in range(2):
        for body in bodies:
            _, answer = await sidecar.post(body)
            assert answer["bytes"] == len(body)
    assert len(sidecar.backend.answered) == 2
    assert sidecar.backend.total == (2 if size < 32_768 else 4)


@pytest.mark.parametrize(("length", "expected"), [(32_768, "HIT"), (32_769, "BYPASS")])
async def test_the_bound_on_the_body_is_exact(start: Start, length: int, expected: str) -> None:
    sidecar = await start()
    body = completion("x" * (length - len(completion(""))))
    assert len(body) == length
    await sidecar.post(body)
    assert (await sidecar.post(body))[0] == expected


async def test_a_body_of_escapes_up_to_the_bound_is_read(start: Start) -> None:
    sidecar = await start()
    body = completion('"\\\n' * 4_000, tools=[{"a": [{"b": "]}"}] * 200}])
    await sidecar.post(body)
    assert (await sidecar.post(body))[0] == "HIT"


async def test_another_authorization_gets_another_answer(start: Start) -> None:
    sidecar = await start()
    alice = await sidecar.post(completion(), Authorization="Bearer alice")
    bob = await sidecar.post(completion(), Authorization="Bearer bob")
    nobody = await sidecar.post(completion())
    assert [s for s, _ in (alice, bob, nobody)] == ["MISS"] * 3
    said = [a["authorization"] for _, a in (alice, bob, nobody)]
    assert said == ["Bearer alice", "Bearer bob", ""]
    again = await sidecar.post(completion(), Authorization="Bearer alice")
    assert again == ("HIT", alice[1])


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "other"}, id="another Host"),
        pytest.param({"path": "/v1/completions?a=1"}, id="another query string"),
    ],
)
async def test_the_key_holds_host_and_uri(start: Start, headers: dict[str, str]) -> None:
    sidecar = await start()
    await sidecar.post(completion())
    assert (await sidecar.post(completion(), **headers))[0] == "MISS"


REQUESTS = [
    pytest.param({"Cache_Control": "no-store"}, id="no-store"),
    pytest.param({"Cache_Control": "no-cache"}, id="no-cache"),
    pytest.param({"Pragma": "no-cache"}, id="Pragma no-cache"),
    pytest.param({"Cookie": "session=1"}, id="a Cookie"),
    pytest.param({"X_API_Key": "k"}, id="X-API-Key"),
    pytest.param({"Api_Key": "k"}, id="Api-Key"),
    pytest.param({"Proxy_Authorization": "Basic k"}, id="Proxy-Authorization"),
    pytest.param({"X_Auth_Token": "k"}, id="X-Auth-Token"),
    pytest.param({"X_Auth_Request_User": "u"}, id="X-Auth-Request-User"),
    pytest.param({"X_Forwarded_User": "u"}, id="X-Forwarded-User"),
    pytest.param({"OpenAI_Organization": "o"}, id="OpenAI-Organization"),
    pytest.param({"X_Site_Identity": "me"}, id="a credential header of the installation"),
    pytest.param({"Range": "bytes=0-1"}, id="a Range"),
    pytest.param({"If_None_Match": "*"}, id="a condition"),
    pytest.param({"Content_Encoding": "gzip"}, id="a compressed body"),
    pytest.param({"path": "/v1/chat/completions"}, id="a path that is not listed"),
    pytest.param({"path": "/V1/completions"}, id="a listed path in another case"),
    pytest.param({"path": "/v1/completions/x"}, id="a path below a listed one"),
]


@pytest.mark.parametrize("headers", REQUESTS)
async def test_these_requests_bypass_even_after_an_equal_one(
    start: Start, headers: dict[str, str]
) -> None:
    sidecar = await start(credential_headers=("X-Site-Identity",))
    await sidecar.post(completion())
    for served in (2, 3):
        assert (await sidecar.post(completion(), **headers))[0] == "BYPASS"
        assert sidecar.backend.total == served
    assert (await sidecar.post(completion()))[0] == "HIT"


BODIES = [
    pytest.param(b'{"prompt":"p","temperature":0}', "HIT", id="temperature 0"),
    pytest.param(b'{"temperature" : 0.0 , "prompt":"p"}', "HIT", id="0.0 with spaces"),
    pytest.param(b'\n{"temperature":0}\n', "HIT", id="nothing but the temperature"),
    pytest.param(b'{"stream":false,"temperature":0}', "HIT", id="stream false"),
    pytest.param(
        b'{"tools":[{"temperature":{"type":"number"}}],"temperature":0}',
        "HIT",
        id="a tool with a parameter of that name",
    ),
    pytest.param(b'{"prompt":"p"}', "BYPASS", id="no temperature"),
    pytest.param(b'{"temperature":0.7}', "BYPASS", id="0.7"),
    pytest.param(b'{"temperature":0.01}', "BYPASS", id="0.01"),
    pytest.param(b'{"temperature":00}', "BYPASS", id="not a JSON number"),
    pytest.param(b'{"temperature":0e9}', "BYPASS", id="an exponent"),
    pytest.param(b'{"temperature":"0"}', "BYPASS", id="0 as text"),
    pytest.param(b'{"temperature":0,"temperature":1}', "BYPASS", id="a duplicate after"),
    pytest.param(b'{"temperature":1,"temperature":0}', "BYPASS", id="a duplicate before"),
    pytest.param(rb'{"temperature":0,"\u0074emperature":1}', "BYPASS", id="an escaped duplicate"),
    pytest.param(rb'{"prompt":"say \"temperature\": 0, ok"}', "BYPASS", id="said in the prompt"),
    pytest.param(
        rb'{"prompt":"\"temperature","x":"\": 0"}', "BYPASS", id="pieced together from strings"
    ),
    pytest.param(b'{"extra":{"temperature":0}}', "BYPASS", id="only in a nested object"),
    pytest.param(b'[{"temperature":0}]', "BYPASS", id="an array"),
    pytest.param(b'{"temperature":0} {"temperature":1}', "BYPASS", id="a second object"),
    pytest.param(b'{"temperature":0', "BYPASS", id="cut off"),
    pytest.param(b'{"stream":true,"temperature":0}', "BYPASS", id="stream before"),
    pytest.param(b'{"temperature":0,"stream" : true}', "BYPASS", id="stream after"),
    pytest.param(b'{"temperature":0,"stream":1}', "BYPASS", id="stream as a number"),
    pytest.param(b'{"temperature":0,"stream":"yes"}', "BYPASS", id="stream as text"),
    pytest.param(rb'{"temperature":0,"\u0073tream":true}', "BYPASS", id="stream escaped"),
    pytest.param(b"temperature=0", "BYPASS", id="a form"),
]


@pytest.mark.parametrize(("body", "expected"), BODIES)
async def test_only_unsampled_completions_are_cached(
    start: Start, body: bytes, expected: str
) -> None:
    sidecar = await start()
    sidecar.backend.last_event.set()
    await sidecar.post(body)
    assert (await sidecar.post(body))[0] == expected


PLAIN = [
    pytest.param(b'{"input":"text"}', "HIT", id="no temperature"),
    pytest.param(b'{"input":["a",{"b":1}]}', "HIT", id="nested input"),
    pytest.param(b'{"input":"text","stream":true}', "BYPASS", id="a stream"),
    pytest.param(b"{}", "BYPASS", id="an empty object"),
    pytest.param(b"", "BYPASS", id="no body"),
]


@pytest.mark.parametrize(("body", "expected"), PLAIN)
async def test_embeddings_need_no_temperature(start: Start, body: bytes, expected: str) -> None:
    sidecar = await start()
    await sidecar.post(body, "/v1/embeddings")
    assert (await sidecar.post(body, "/v1/embeddings"))[0] == expected


async def test_sampled_completions_are_cached_when_asked_for(start: Start) -> None:
    sidecar = await start(sampled=True)
    body = b'{"prompt":"p","temperature":0.7}'
    assert [(await sidecar.post(body))[0] for _ in range(2)] == ["MISS", "HIT"]


ANSWERS = [
    pytest.param(500, {}, id="an error"),
    pytest.param(200, {"Cache-Control": "no-store"}, id="no-store"),
    pytest.param(200, {"Cache-Control": "max-age=1"}, id="an age of its own"),
    pytest.param(200, {"Set-Cookie": "a=b"}, id="a cookie for one caller"),
    pytest.param(200, {"Vary": "*"}, id="Vary everything"),
    pytest.param(200, {"Content-Encoding": "br"}, id="compressed without Vary"),
    pytest.param(200, {"Content-Type": "text/event-stream"}, id="an event stream"),
]


@pytest.mark.parametrize(("status", "headers"), ANSWERS)
async def test_these_answers_are_not_stored(
    start: Start, status: int, headers: dict[str, str]
) -> None:
    sidecar = await start()
    sidecar.backend.status, sidecar.backend.answer_headers = status, headers
    for served in (1, 2):
        request = sidecar.client.post(sidecar.url + "/v1/completions", data=completion())
        async with request as answer:
            assert (answer.status, answer.headers["X-Cache-Status"]) == (status, "MISS")
        assert sidecar.backend.total == served


async def test_an_answer_expires(start: Start) -> None:
    sidecar = await start(ttl_s=1)
    first = await sidecar.post(completion())
    statuses = {first[0]}
    while sidecar.backend.total == 1:
        statuses.add((await sidecar.post(completion()))[0])
    assert statuses == {"MISS", "HIT"}


async def test_the_switch_needs_no_restart(start: Start) -> None:
    sidecar = await start()
    seen = []
    for on in (False, False, True, True, False, True):
        sidecar.switch(on=on)
        seen.append((await sidecar.post(completion()))[0])
    assert seen == ["OFF", "OFF", "MISS", "HIT", "OFF", "HIT"]


async def test_the_store_is_private(start: Start) -> None:
    sidecar = await start()
    await sidecar.post(completion())
    store = Path(sidecar.settings.layout.run_dir) / "store"
    assert store.stat().st_mode & 0o777 == 0o700
