"""The exporter, alone and behind a real nginx."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from aurora.cachesidecar.exporter import AccessLine, ExporterAddress, parse_line, serve
from aurora.cachesidecar.repeats import RepeatWindow
from aurora.errors import UsageError
from tests.unit.cachesidecar.conftest import Sidecar, Start, until
from tests.unit.cachesidecar.test_nginx_cache import completion

Values = dict[tuple[str, ...], float]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def datagram(**changes: object) -> bytes:
    fields = {
        "status": 200,
        "cache": "OFF",
        "reason": "",
        "seconds": 0.25,
        "ttl": 300,
        "host": "h",
        "uri": "/u",
        "authorization": "",
        "body": "{}",
    }
    return b"<190>Nov 21 08:00:00 aurora: " + json.dumps(fields | changes).encode()


def test_a_line_is_read() -> None:
    assert parse_line(datagram()) == AccessLine(200, "off", "", 0.25, 300, ("h", "/u", "", "{}"))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<190>x: {", id="cut off"),
        pytest.param(b'{"status":200}', id="fields missing"),
        pytest.param(datagram(cache="STALE"), id="a status that is never configured"),
        pytest.param(datagram(reason="x" * 99), id="a reason that is not ours"),
        pytest.param(datagram(status=None), id="no status"),
    ],
)
def test_what_is_not_ours_is_dropped(raw: bytes) -> None:
    assert parse_line(raw) is None


@given(st.binary(max_size=200))
def test_no_datagram_raises(raw: bytes) -> None:
    parse_line(b"{" + raw)


def test_a_repeat_counts_from_when_it_was_stored() -> None:
    clock = Clock()
    window = RepeatWindow(secret=b"k" * 32, clock=clock)
    seen = []
    for now in (0, 9, 10, 19.9, 20):
        clock.now = now
        seen.append(window.seen(("a",), ttl_s=10, store=True))
    assert seen == [False, True, False, True, False]


def test_an_answer_that_cannot_be_stored_makes_no_repeat() -> None:
    window = RepeatWindow(secret=b"k" * 32, clock=Clock())
    assert [window.seen(("a",), ttl_s=10, store=False) for _ in range(2)] == [False, False]


def test_parts_do_not_run_into_each_other() -> None:
    window = RepeatWindow(secret=b"k" * 32, clock=Clock())
    window.seen(("ab", "c"), ttl_s=10, store=True)
    assert not window.seen(("a", "bc"), ttl_s=10, store=True)


@given(st.lists(st.integers(0, 50), max_size=200), st.integers(1, 20))
def test_the_window_is_bounded_and_never_overstates(keys: list[int], capacity: int) -> None:
    bounded = RepeatWindow(secret=b"k" * 32, clock=Clock(), capacity=capacity)
    endless = RepeatWindow(secret=b"k" * 32, clock=Clock(), capacity=10_000)
    for key in keys:
        small = bounded.seen((str(key),), ttl_s=10, store=True)
        assert endless.seen((str(key),), ttl_s=10, store=True) >= small
        assert len(bounded) <= capacity


def test_no_content_is_kept() -> None:
    window = RepeatWindow(secret=b"k" * 32, clock=Clock())
    window.seen(("a secret prompt",), ttl_s=10, store=True)
    assert "secret" not in repr(window._stored)


@asynccontextmanager
async def exporting(socket_path: Path) -> AsyncIterator[str]:
    stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    address = ExporterAddress(socket_path, 0, "127.0.0.1")
    task = asyncio.create_task(
        serve(address, clock=time.monotonic, stop=stop, ready=bound.set_result)
    )
    try:
        yield f"http://127.0.0.1:{await bound}/metrics"
    finally:
        stop.set()
        await task


async def scrape(url: str) -> Values:
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        families = text_string_to_metric_families(await answer.text())
    samples = [sample for family in families for sample in family.samples]
    return {
        (s.name, *(v for k, v in sorted(s.labels.items()) if k != "le")): s.value
        for s in samples
        if not s.name.endswith("_bucket")
    }


async def counted(url: str, requests: int) -> Values:
    """Return the metrics once that many requests were counted: nginx logs after it answers."""
    values: Values = {}

    async def enough() -> bool:
        values.update(await scrape(url))
        names = [name for name in values if name[0] == "aurora_cache_requests_total"]
        return sum(values[name] for name in names) >= requests

    await until(enough)
    return values


async def _traffic(sidecar: Sidecar) -> int:
    """Send 10 requests with the cache off, then 3 with it on."""
    sidecar.switch(on=False)
    for prompt in ("a", "a", "b", "a"):
        await sidecar.post(completion(prompt))
    await sidecar.post(completion("ü" * 4_000 + '"\n'))
    await sidecar.post(completion("ü" * 4_000 + '"\n'))
    await sidecar.post(completion("a"), Cookie="c")
    await sidecar.post(completion("a" * 40_000))
    await sidecar.post(b'{"prompt":"a"}')
    await sidecar.post(completion("a"), Authorization="Bearer bob")
    sidecar.switch(on=True)
    for _ in range(3):
        await sidecar.post(completion("a"))
    return 13


async def test_counts_of_a_real_nginx(start: Start) -> None:
    sidecar = await start(exporter_image="aurora")
    async with exporting(Path(sidecar.settings.layout.log_socket)) as url:
        values = await counted(url, await _traffic(sidecar))
    counts = {name[1:]: v for name, v in values.items() if name[0] == "aurora_cache_requests_total"}
    assert counts == {("hit",): 2, ("miss",): 1, ("bypass",): 0, ("off",): 10}
    assert values["aurora_cache_hits_total",] == 2
    assert values["aurora_cache_misses_total",] == 1
    assert values["aurora_cache_cacheable_total",] == 10
    # Off: a a (b) a and the long one; on: what is "a" was seen before the cache was.
    assert values["aurora_cache_repeats_total",] == 3 + 3
    reasons = {k[1]: v for k, v in values.items() if k[0] == "aurora_cache_bypass_total" and v}
    assert reasons == {"cookie": 1, "size": 1, "sampled": 1}
    assert values["aurora_cache_request_seconds_count", "hit"] == 2
    assert values["aurora_cache_unreadable_lines_total",] == 0


async def test_a_burst_is_counted_to_the_last(start: Start) -> None:
    sidecar = await start(exporter_image="aurora")
    async with exporting(Path(sidecar.settings.layout.log_socket)) as url:

        async def caller(name: str) -> None:
            for n in range(50):
                await sidecar.post(completion(f"{name}{n}"))

        await asyncio.gather(*(caller(name) for name in "abcdefgh"))
        values = await counted(url, 400)
    assert values["aurora_cache_misses_total",] == 400


async def test_requests_are_served_while_the_exporter_is_down(start: Start) -> None:
    sidecar = await start(exporter_image="aurora")
    path = Path(sidecar.settings.layout.log_socket)
    assert (await sidecar.post(completion()))[0] == "MISS"
    async with exporting(path) as url:
        await sidecar.post(completion())
        await counted(url, 1)
    assert (await sidecar.post(completion()))[0] == "HIT"


async def test_a_socket_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    address = ExporterAddress(tmp_path / "missing" / "s", 0, "127.0.0.1")
    with pytest.raises(UsageError, match="cannot open"):
        await serve(address, clock=time.monotonic, stop=asyncio.Event())
