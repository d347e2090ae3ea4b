"""A caller at a fixed rate with keep-alive connections, no retries, and a memory of answers."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

TIMEOUT_S = 60.0
PROBE_TIMEOUT = aiohttp.ClientTimeout(total=2)


async def is_answered(url: str, *, host: str = "") -> bool:
    """Whether a GET is answered with 200 now; a Gateway tells routes apart by the host."""
    headers = {"Host": host} if host else None
    try:
        async with aiohttp.request("GET", url, headers=headers, timeout=PROBE_TIMEOUT) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


@dataclass(frozen=True, slots=True)
class Answered:
    """One request that got its answer; times are seconds of the monotonic clock."""

    began: float
    seconds: float
    pod: str
    cache: str


@dataclass
class Caller:
    """Sends without waiting for answers. A failure is anything but a complete 200.

    Attributes:
        prompts: different prompts that are sent in turn.
        connections: at most; one that is free is used again.
        host: sent as the Host header, where a Gateway tells routes apart by it.
    """

    url: str
    rate: float
    prompts: int = 5
    connections: int = 512
    host: str = ""
    sent: int = 0
    answers: list[Answered] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[str]:
        return Counter(one.cache for one in self.answers)

    @property
    def last(self) -> Answered | None:
        return self.answers[-1] if self.answers else None

    async def hears_from(self, app: str) -> bool:
        """Whether the newest answer is of a pod of that workload."""
        return self.last is not None and self.last.pod.startswith(f"{app}-")

    async def sees(self, cache: str) -> bool:
        """Whether the newest answer has that cache status."""
        return self.last is not None and self.last.cache == cache

    async def counts(self, cache: str, least: int) -> bool:
        """Whether so many answers had that cache status."""
        return self.statuses[cache] >= least

    def since(self, moment: float) -> list[Answered]:
        """Answers to the requests that were sent from that moment on."""
        return [one for one in self.answers if one.began >= moment]

    def median_s(self, cache: str) -> float:
        found = sorted(one.seconds for one in self.answers if one.cache == cache)
        return found[len(found) // 2]

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=self.connections, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            due = time.monotonic()
            while True:
                group.create_task(self._one(session, self.sent))
                self.sent += 1
                due = max(due + 1 / self.rate, time.monotonic() - 1.0)
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _one(self, session: aiohttp.ClientSession, number: int) -> None:
        body = json.dumps(
            {"model": "llama", "prompt": f"prompt {number % self.prompts}", "temperature": 0}
        ).encode()
        began = time.monotonic()
        try:
            headers = {"Host": self.host} if self.host else None
            async with session.post(self.url, data=body, headers=headers) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append((began, f"request {number}: {error!r}"))
            return
        if answer.status != 200 or json.loads(text)["bytes"] != len(body):
            self.failures.append((began, f"request {number}: {answer.status} {text[:80]!r}"))
            return
        seconds = time.monotonic() - began
        cache = answer.headers.get("X-Cache-Status", "none")
        self.answers.append(Answered(began, seconds, answer.headers.get("X-Pod", ""), cache))


@asynccontextmanager
async def calling(caller: Caller) -> AsyncIterator[Caller]:
    """Send for as long as the block runs."""
    task = asyncio.create_task(caller.run())
    try:
        yield caller
    finally:
        task.cancel()
        await asyncio.wait([task])
