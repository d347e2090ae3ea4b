"""What a real nginx does with the generated configuration: everything else passes untouched."""

import asyncio
import json
from dataclasses import replace

import pytest

from aurora.cachesidecar.nginxconf import nginx_config, passthrough_config
from tests.unit.cachesidecar.conftest import Start, until
from tests.unit.cachesidecar.test_nginx_cache import completion

STREAM = json.dumps({"prompt": "p", "temperature": 0, "stream": True}).encode()


@pytest.mark.parametrize("on", [True, False], ids=["cache on", "cache off"])
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_the_first_event_arrives_before_the_last_is_sent(
    start: Start, on: bool, path: str, framing: str
) -> None:
    sidecar = await start()
    sidecar.switch(on=on)
    headers = {"X-Test": framing}
    async with sidecar.client.post(sidecar.url + path, data=STREAM, headers=headers) as answer:
        assert answer.headers["X-Cache-Status"] == ("BYPASS" if on else "OFF")
        first = await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 10)
        assert first == b"data: first\n\n"
        sidecar.backend.last_event.set()
        assert await answer.content.read() == b"data: [DONE]\n\n"


@pytest.mark.parametrize("on", [True, False], ids=["cache on", "cache off"])
@pytest.mark.parametrize("prompt", ["small", "x" * 40_000], ids=["small", "large"])
async def test_a_failed_post_is_not_repeated(start: Start, on: bool, prompt: str) -> None:
    sidecar = await start()
    sidecar.switch(on=on)
    # On a kept-alive connection nginx would try once more even with a single server.
    await sidecar.post(completion(prompt + "before"))
    request = sidecar.client.post(
        sidecar.url + "/v1/completions", data=completion(prompt), headers={"X-Test": "drop"}
    )
    async with request as answer:
        assert answer.status == 502
    assert sidecar.backend.total == 2


async def test_the_target_and_headers_arrive_as_they_were_sent(start: Start) -> None:
    sidecar = await start()
    headers = (
        "Host: a.example\r\nX_Odd: 1\r\nX-Forwarded-For: 10.0.0.9\r\nX-Aurora-Class: cache\r\n"
    )
    body = completion()
    target = "/v1//completions%2Fx?a=%20b"
    lines = f"POST {target} HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.settings.listen_port)
    writer.write(lines.encode() + body)
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    got = sidecar.backend.last_headers
    assert sidecar.backend.last_target == target
    assert (got["host"], got["x_odd"]) == ("a.example", "1")
    assert got["x-forwarded-for"] == "10.0.0.9, 127.0.0.1"
    assert "x-aurora-class" not in got


async def test_the_looked_at_request_reaches_the_server_without_traces(start: Start) -> None:
    sidecar = await start()
    await sidecar.post(completion())
    got = sidecar.backend.last_headers
    assert "x-aurora-class" not in got
    assert got["x-forwarded-for"] == "127.0.0.1"


async def test_two_authorization_headers_do_not_share_an_answer(start: Start) -> None:
    sidecar = await start()
    body = completion()
    await sidecar.post(body, Authorization="Bearer alice")
    lines = (
        f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{sidecar.settings.listen_port}\r\n"
        "Authorization: Bearer alice\r\nAuthorization: Bearer bob\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.settings.listen_port)
    writer.write(lines.encode() + body)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert b"X-Cache-Status: HIT" not in head


async def test_an_upgrade_passes(start: Start) -> None:
    sidecar = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.settings.listen_port)
    writer.write(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"ping\n")
    assert await asyncio.wait_for(reader.readline(), 10) == b"ping\n"
    writer.close()


async def test_a_chunked_body_passes(start: Start) -> None:
    sidecar = await start()

    async def parts() -> object:
        yield completion()

    for _ in range(2):
        request = sidecar.client.post(sidecar.url + "/v1/completions", data=parts())
        async with request as answer:
            assert answer.headers["X-Cache-Status"] == "BYPASS"
            assert (await answer.json())["bytes"] == len(completion())


@pytest.mark.parametrize("on", [True, False], ids=["cache on", "cache off"])
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/models"])
async def test_a_draining_pod_sends_callers_elsewhere(start: Start, on: bool, path: str) -> None:
    sidecar = await start()
    sidecar.switch(on=on)
    seen = []
    for _ in range(2):
        async with sidecar.client.post(sidecar.url + path, data=completion()) as answer:
            seen.append((answer.status, answer.headers["Connection"]))
            await answer.read()
        sidecar.drain()
    assert seen == [(200, "keep-alive"), (200, "close")]


async def test_without_its_config_map_a_pod_still_serves(start: Start) -> None:
    sidecar = await start()
    await sidecar.reload(passthrough_config(sidecar.settings, upstream_port=sidecar.upstream_port))

    async def passes() -> bool:
        # A reload closes idle connections: one that is used again at that moment fails.
        return (await sidecar.post(completion(), Connection="close"))[0] == "OFF"

    await until(passes)
    sidecar.backend.last_event.set()
    url = sidecar.url + "/v1/completions"
    async with sidecar.client.post(url, data=STREAM) as answer:
        assert b"data: first" in await answer.read()
    sidecar.drain()
    async with sidecar.client.post(url, data=STREAM) as answer:
        assert answer.headers["Connection"] == "close"


async def test_a_reload_loses_no_request_under_way(start: Start) -> None:
    sidecar = await start()
    async with sidecar.client.post(sidecar.url + "/v1/completions", data=STREAM) as answer:
        await answer.content.readuntil(b"\n\n")
        longer = replace(sidecar.settings, ttl_s=600)
        await sidecar.reload(nginx_config(longer, upstream_port=sidecar.upstream_port))
        asked = [await sidecar.post(completion(), Connection="close") for _ in range(3)]
        assert [status for status, _ in asked] == ["MISS", "HIT", "HIT"]
        sidecar.backend.last_event.set()
        assert await answer.content.read() == b"data: [DONE]\n\n"
