"""The exporter: nginx's access log in over a unix socket, Prometheus counters out over HTTP.

Request bodies cross the socket, inside the pod, to be hashed; none is kept, logged or exported.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from aurora.cachesidecar.repeats import RepeatWindow
from aurora.errors import UsageError

__all__ = ["AccessLine", "CacheMetrics", "ExporterAddress", "parse_line", "serve"]

BUCKETS_S = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    120,
    600,
)
_STATUSES = ("hit", "miss", "bypass", "off")
_REASONS = (
    *("method", "path", "upgrade", "size", "encoding", "no-store", "cookie", "credential"),
    *("conditional", "empty", "stream", "sampled", "body"),
)
_MAX_DATAGRAM_BYTES = 1 << 20
_RECEIVE_BUFFER_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class AccessLine:
    """One request as nginx saw it.

    Attributes:
        status: HTTP status; cache: hit, miss, bypass or off.
        reason: why it may not be cached; empty when it may.
        seconds: from the first byte read of the request to the last byte written of the answer.
        ttl_s: the configured time to live.
        material: the parts of the cache key; meaningful when `reason` is empty.
    """

    status: int
    cache: str
    reason: str
    seconds: float
    ttl_s: float
    material: tuple[str, ...]


def parse_line(datagram: bytes) -> AccessLine | None:
    """Return the request that a syslog datagram tells of, or None when it is not readable."""
    start = datagram.find(b"{")
    if start < 0:
        return None
    try:
        fields = json.loads(datagram[start:].decode("utf-8", "surrogateescape"), strict=False)
        return _line(fields)
    except (ValueError, KeyError, TypeError):
        return None


def _line(fields: dict[str, Any]) -> AccessLine | None:
    cache, reason = str(fields["cache"]).lower(), str(fields["reason"])
    if cache not in _STATUSES or reason not in {"", *_REASONS}:
        return None
    return AccessLine(
        status=int(fields["status"]),
        cache=cache,
        reason=reason,
        seconds=float(fields["seconds"]),
        ttl_s=float(fields["ttl"]),
        material=tuple(str(fields[part]) for part in ("host", "uri", "authorization", "body")),
    )


_OTHER_METHOD = "method"


class CacheMetrics:
    """The counters; label values come from fixed sets, so that no caller can add a series."""

    def __init__(self, *, registry: CollectorRegistry, window: RepeatWindow) -> None:
        self._window = window
        self._requests = Counter(
            "aurora_cache_requests", "Requests by cache status", ["status"], registry=registry
        )
        self._hits = Counter("aurora_cache_hits", "Answered from the cache", registry=registry)
        self._misses = Counter("aurora_cache_misses", "Looked up and not found", registry=registry)
        self._bypass = Counter(
            "aurora_cache_bypass",
            "Requests that may not be cached, by reason, whether the cache is on or off",
            ["reason"],
            registry=registry,
        )
        self._cacheable = Counter(
            "aurora_cache_cacheable",
            "Requests that may be cached, whether the cache is on or off",
            registry=registry,
        )
        self._repeats = Counter(
            "aurora_cache_repeats",
            "Cacheable requests equal to one answered within the TTL on this pod",
            registry=registry,
        )
        self._unreadable = Counter(
            "aurora_cache_unreadable_lines", "Log lines dropped", registry=registry
        )
        self._seconds = Histogram(
            "aurora_cache_request_seconds",
            "Seconds as callers of this pod see them, hits included",
            ["status"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        for status in _STATUSES:
            self._requests.labels(status)
            self._seconds.labels(status)
        for reason in _REASONS:
            self._bypass.labels(reason)

    def record(self, datagram: bytes) -> None:
        """Count one log line."""
        line = parse_line(datagram)
        if line is None:
            self._unreadable.inc()
            return
        self._requests.labels(line.cache).inc()
        if line.reason != _OTHER_METHOD:
            # Probes and scrapes of the model server pass through as well: they are no callers.
            self._seconds.labels(line.cache).observe(line.seconds)
        if line.cache == "hit":
            self._hits.inc()
        elif line.cache == "miss":
            self._misses.inc()
        if line.reason:
            self._bypass.labels(line.reason).inc()
            return
        self._cacheable.inc()
        if self._window.seen(line.material, ttl_s=line.ttl_s, store=line.status == 200):
            self._repeats.inc()


@dataclass(frozen=True, slots=True)
class ExporterAddress:
    """Where the exporter listens.

    Attributes:
        socket_path: where nginx sends its log.
        port: HTTP port of /metrics; 0 takes a free one.
        host: address of /metrics.
    """

    socket_path: Path
    port: int
    host: str = "0.0.0.0"  # noqa: S104 - Prometheus scrapes the pod's address


@contextlib.contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    # A crashed process leaves its socket file, on which bind() would fail.
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        sock.bind(str(path))
        # nginx runs as another user of the same pod.
        path.chmod(0o666)
        sock.setblocking(False)
        yield sock
    finally:
        sock.close()
        path.unlink(missing_ok=True)


def _drain(sock: socket.socket, record: Callable[[bytes], None]) -> None:
    """Read all that waits: the kernel queues few datagrams, and nginx drops what does not fit."""
    with contextlib.suppress(BlockingIOError):
        while True:
            record(sock.recv(_MAX_DATAGRAM_BYTES))


async def serve(
    address: ExporterAddress,
    *,
    clock: Callable[[], float],
    stop: asyncio.Event,
    ready: Callable[[int], None] = lambda _port: None,
) -> None:
    """Count requests until `stop` is set.

    Args:
        address: the two ends.
        clock: monotonic seconds.
        stop: ends the loop.
        ready: called with the HTTP port once both ends are open.

    Raises:
        UsageError: the socket or the port cannot be opened; says which.
    """
    registry = CollectorRegistry()
    window = RepeatWindow(secret=os.urandom(32), clock=clock)
    metrics = CacheMetrics(registry=registry, window=window)
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        try:
            sock = stack.enter_context(_bound(address.socket_path))
            server, thread = start_http_server(address.port, addr=address.host, registry=registry)
        except OSError as error:
            raise UsageError(
                f"cannot open {address.socket_path} or port {address.port}: {error}"
            ) from error
        loop.add_reader(sock, _drain, sock, metrics.record)
        ready(int(server.server_port))
        try:
            await stop.wait()
        finally:
            loop.remove_reader(sock)
            server.shutdown()
            server.server_close()
            thread.join()
