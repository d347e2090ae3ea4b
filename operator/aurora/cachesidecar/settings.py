"""What one cache sidecar is told: what to cache, how long, and where things lie in its pod."""

import re
from dataclasses import dataclass

from aurora.errors import UsageError

__all__ = ["MAX_CACHED_BODY_BYTES", "CacheSettings", "PodLayout"]

MAX_CACHED_BODY_BYTES = 32 * 1024
"""A larger request body leaves nginx's memory buffer and its key would be empty: it bypasses."""

_MEBIBYTE = 1024 * 1024
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_PORT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class PodLayout:
    """Where the sidecar finds its files; the defaults are those of an armed pod.

    Attributes:
        config_dir: mount of the ConfigMap: `nginx.conf`, and `on` while the cache is on.
        run_dir: in-memory store, sockets and flags; only nginx mounts it.
        log_dir: holds the unix socket on which the exporter reads the access log.
        listen_host: address on which callers are served.
    """

    config_dir: str = "/etc/aurora/cache"
    run_dir: str = "/var/run/aurora-cache"
    log_dir: str = "/var/run/aurora-cache-log"
    listen_host: str = "0.0.0.0"  # noqa: S104 - the Service's traffic arrives on the pod's address

    @property
    def config_file(self) -> str:
        return f"{self.config_dir}/nginx.conf"

    @property
    def switch_file(self) -> str:
        return f"{self.config_dir}/on"

    @property
    def draining_file(self) -> str:
        return f"{self.run_dir}/draining"

    @property
    def reloading_file(self) -> str:
        return f"{self.run_dir}/reloading"

    @property
    def inner_socket(self) -> str:
        return f"{self.run_dir}/inner.sock"

    @property
    def log_socket(self) -> str:
        return f"{self.log_dir}/access.sock"


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """One sidecar's settings, from `spec.cache` and the installation.

    Attributes:
        ttl_s: seconds an answer stays valid, counted from when it was stored.
        max_size_bytes: bound of the store, kept by nginx's cache manager every 10 s at the latest.
        paths: request paths whose POST answers may be cached.
        unsampled_paths: those of them that involve no sampling, so need no temperature.
        sampled: cache completions without `"temperature": 0` as well.
        credential_headers: further headers that carry an identity; their presence bypasses.
        service_port: the Service's port name, when it has more than one named target.
        listen_port: the sidecar's port; exporter_port: where its Prometheus metrics are.
        drain_s: seconds between a pod's deletion and its server's SIGTERM, while endpoints drain.
        exporter_image: AURORA's image; None leaves the exporter, and every cache metric, out.
        workers: nginx worker processes.

    Raises:
        UsageError: a value cannot be written into the configuration; says which and why.
    """

    ttl_s: int = 300
    max_size_bytes: int = 512 * _MEBIBYTE
    paths: tuple[str, ...] = ("/v1/completions", "/v1/embeddings")
    unsampled_paths: tuple[str, ...] = ("/v1/embeddings",)
    sampled: bool = False
    credential_headers: tuple[str, ...] = ()
    service_port: str | None = None
    listen_port: int = 18080
    exporter_port: int = 18081
    drain_s: int = 15
    image: str = "nginxinc/nginx-unprivileged:1.27"
    exporter_image: str | None = None
    workers: int = 2
    layout: PodLayout = PodLayout()

    def __post_init__(self) -> None:
        _require(1 <= self.ttl_s <= 86_400, f"cache ttl {self.ttl_s} s: use 1 s to 24 h")
        _require(
            self.max_size_bytes >= _MEBIBYTE,
            f"cache maxSize {self.max_size_bytes} bytes: use 1Mi or more",
        )
        for path in (*self.paths, *self.unsampled_paths):
            _require(
                _PATH.fullmatch(path) is not None,
                f"cache path {path!r}: start with '/', then letters, digits and . _ ~ / -",
            )
        for header in self.credential_headers:
            _require(
                _HEADER.fullmatch(header) is not None,
                f"credential header {header!r}: use letters, digits and '-'",
            )
        _require(
            self.service_port is None or _PORT_NAME.fullmatch(self.service_port) is not None,
            f"service port {self.service_port!r}: name one of the Service's ports",
        )
        for port in (self.listen_port, self.exporter_port):
            _require(1024 <= port <= 65_535, f"sidecar port {port}: use 1024 to 65535")
        _require(1 <= self.drain_s <= 300, f"drain time {self.drain_s} s: use 1 to 300 s")
        _require(1 <= self.workers <= 16, f"nginx workers {self.workers}: use 1 to 16")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message)
