"""One pod of the live fleet: the simulated server, its cache sidecar, and what both export."""

import json
from collections import Counter
from typing import Final

from prometheus_client import CollectorRegistry

from aurora.cachesidecar.exporter import CacheMetrics
from aurora.cachesidecar.repeats import RepeatWindow
from aurora.simulator.engine import RequestTooLargeError
from aurora.simulator.live.objects import PodFact, Workload
from aurora.simulator.pod import Pod
from aurora.simulator.requests import Completion, Request

__all__ = ["HIT_S", "LivePod"]

HIT_S: Final = 0.0007
"""A hit of the nginx sidecar, measured on real pods."""
_DEFAULT_TTL_S: Final = 300.0
"""The sidecar's own default, told in its log while the cache is off."""


class LivePod:
    """A pod with a server inside.

    Args:
        fact: what the cluster says of it.
        workload: what it is.
        number: unique within the fleet.
        now: when it was first seen, seconds.
        secret: 32 random bytes for the repeat window of the cache's exporter.

    Attributes:
        http: answered requests by HTTP status class, as the engine's instrumentator counts them.
        crashed: its container is down, whatever the cluster still says.
    """

    def __init__(
        self, fact: PodFact, workload: Workload, *, number: int, now: float, secret: bytes
    ) -> None:
        self.fact = fact
        self.workload = workload
        self.server = Pod(number, workload.server, created=now, ready_at=now)
        self.http: Counter[str] = Counter()
        self.crashed = False
        self._busy_shown = 0.0
        self._shown_at = now
        self.cache_registry: CollectorRegistry | None = None
        self._cache: CacheMetrics | None = None
        if fact.exporting:
            self.cache_registry = CollectorRegistry()
            window = RepeatWindow(secret=secret, clock=self._clock)
            self._cache = CacheMetrics(registry=self.cache_registry, window=window)

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of its Deployment."""
        return self.workload.namespace, self.workload.name

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.fact.ready and not self.crashed

    @property
    def outstanding(self) -> int:
        return self.server.replica.outstanding

    @property
    def last_assigned(self) -> int:
        return self.server.last_assigned

    def _clock(self) -> float:
        return self.server.replica.now

    def advance(self, until: float) -> list[Completion]:
        """Run to `until`, seconds, and give what finished on the way."""
        completions = self.server.advance(until)
        for completion in completions:
            self.http["2xx"] += 1
            if self.fact.armed and self.workload.cache_ttl_s is not None:
                self.server.remember(completion.request, completion.finish)
            latency = completion.finish - completion.request.arrival
            self._log(completion.request, seconds=latency, cache=self._missed, status=200)
        return completions

    def cached(self, request: Request, now: float) -> bool:
        """Answer from the sidecar's cache, when it is on and holds the prompt."""
        ttl = self.workload.cache_ttl_s
        if not self.fact.armed or ttl is None or not self.server.cache_hit(request, now, ttl):
            return False
        self._log(request, seconds=HIT_S, cache="HIT", status=200)
        return True

    def submit(self, request: Request) -> bool:
        """Give a request to the server; False when it can never fit, which is a client error."""
        try:
            self.server.replica.submit(request)
        except RequestTooLargeError:
            self.http["4xx"] += 1
            self._log(request, seconds=HIT_S, cache=self._missed, status=400)
            return False
        return True

    def fail(self, request: Request) -> None:
        """Answer with a server error at once."""
        self.http["5xx"] += 1
        self.server.metrics.counters["errors"] += 1
        self._log(request, seconds=HIT_S, cache=self._missed, status=500)

    def abort(self) -> list[Request]:
        """Lose everything inside; a process that starts anew counts from 0 and has no cache."""
        lost = self.server.replica.abort()
        now = self.server.replica.now
        self.server = Pod(self.server.number, self.workload.server, created=now, ready_at=now)
        self.http.clear()
        self._busy_shown, self._shown_at = 0.0, now
        return lost

    def gpu_share(self, now: float) -> float:
        """Share of the time since the last call that the server was busy, 0 to 1."""
        busy, length = self.server.replica.busy_s, now - self._shown_at
        if length <= 0.0:
            return 0.0
        share = (busy - self._busy_shown) / length
        self._busy_shown, self._shown_at = busy, now
        return min(1.0, max(0.0, share))

    @property
    def _missed(self) -> str:
        return "OFF" if self.workload.cache_ttl_s is None else "MISS"

    def _log(self, request: Request, *, seconds: float, cache: str, status: int) -> None:
        """Write the line that nginx sends to the exporter."""
        if self._cache is None:
            return
        prompt = request.prompt_id
        line = {
            "status": status,
            "cache": cache,
            "reason": "",
            "seconds": seconds,
            "ttl": self.workload.cache_ttl_s or _DEFAULT_TTL_S,
            "host": "",
            "uri": "/v1/completions",
            "authorization": "",
            "body": f"unique {request.identifier}" if prompt is None else f"prompt {prompt}",
        }
        self._cache.record(json.dumps(line).encode())
