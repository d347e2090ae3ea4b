"""`aurora router` as a process: it starts, takes policies, drains, and remembers."""

import asyncio
import gc
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aurora.router.cli import serve
from aurora.router.settings import RouterSettings
from tests.support.cluster import eventually

TWO = [{"provider_id": "a"}, {"provider_id": "b"}]
GOOD = {"success": True, "actual_cost_usd": 0.0, "actual_latency_ms": 1.0}


async def start(folder: Path, **over: str) -> Process:
    env = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PORT": "0",
        "BIND_ADDRESS": "127.0.0.1",
        "MODEL_PATH": str(folder / "q_table.json"),
        "POLICY_PATH": str(folder / "policy.json"),
        **over,
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aurora.cli", "router"),
        env=env,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(folder: Path, **over: str) -> AsyncIterator[tuple[Process, str]]:
    process = await start(folder, **over)
    try:
        yield process, f"http://127.0.0.1:{await port_of(process)}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def port_of(process: Process) -> int:
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while line := await process.stderr.readline():
            told = json.loads(line)
            if told["event"] == "the router serves":
                return int(told["port"])
    raise AssertionError("the router ended before it served")


async def post(url: str, **body: Any) -> tuple[int, dict[str, Any]]:
    async with aiohttp.request("POST", url, json=body) as answer:
        return answer.status, await answer.json(content_type=None)


async def get(url: str) -> str:
    async with aiohttp.request("GET", url) as answer:
        return await answer.text()


async def test_what_was_learned_outlives_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as (process, url):
        for _ in range(3):
            _, found = await post(f"{url}/decide", context={}, providers=TWO)
            decision = found["metadata"]["decision_id"]
            assert (await post(f"{url}/feedback", decision_id=decision, **GOOD))[0] == 200
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    async with running(tmp_path) as (_, url):
        told = json.loads(await get(f"{url}/status"))
        assert told["strategist"]["q_states"] == 1
        assert told["state_warning"] is None


async def test_a_pushed_policy_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, url):
        assert (await post(f"{url}/decide", context={}))[0] == 422
        policy = tmp_path / "policy.json"
        policy.write_text(json.dumps({"providers": [{"provider_id": "only"}]}))

        async def decided() -> bool:
            status, found = await post(f"{url}/decide", context={})
            return status == 200 and found["provider_id"] == "only"

        await eventually(decided)
        assert "aurora_router_policy_ok 1.0" in await get(f"{url}/metrics")
        policy.write_text('{"providers": [{"provider_')

        async def refused() -> bool:
            return "aurora_router_policy_ok 0.0" in await get(f"{url}/metrics")

        await eventually(refused)
        assert await decided(), "the last good policy stays in force"


async def test_a_request_that_is_being_answered_when_told_to_stop_gets_its_answer(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as (process, url):
        body = json.dumps({"context": {}, "providers": TWO}).encode()
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /decide HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[:10])
        await writer.drain()

        async def taken() -> bool:
            return "aurora_router" in await get(f"{url}/metrics")

        await eventually(taken)
        process.terminate()

        async def draining() -> bool:
            return "draining" in await get(f"{url}/readyz")

        await eventually(draining)
        writer.write(body[10:])
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in answer
        writer.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_state_that_cannot_be_written_stops_no_decision(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with running(tmp_path, MODEL_PATH=str(folder / "q.json")) as (process, url):
        folder.rename(tmp_path / "gone")
        folder.write_text("a file where the folder was")
        for _ in range(30):
            assert (await post(f"{url}/decide", context={}, providers=TWO))[0] == 200

        async def told() -> bool:
            return "aurora_router_state_ok 0.0" in await get(f"{url}/metrics")

        await eventually(told)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        pytest.param({"PORT": "loud"}, "PORT: Input should be a valid integer", id="no port"),
        pytest.param({"BIND_ADDRESS": "203.0.113.1"}, "cannot be used", id="not our address"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_exit_code_2(
    tmp_path: Path, setting: dict[str, str], says: str
) -> None:
    process = await start(tmp_path, **setting)
    _, told = await asyncio.wait_for(process.communicate(), 60)
    last = told.decode().splitlines()[-1]
    assert process.returncode == 2
    assert last.startswith("aurora: ")
    assert says in last


async def test_it_starts_with_the_collector_spared() -> None:
    before = gc.get_threshold()
    stop = asyncio.Event()
    stop.set()
    here = RouterSettings(port=0, bind_address="127.0.0.1", model_path=Path())
    try:
        await serve(here, stop=stop)
        assert gc.get_threshold() == (10_000, 10, 1000)
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
