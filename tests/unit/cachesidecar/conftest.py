"""A real nginx on loopback in front of a real HTTP server."""

import asyncio
import io
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from aurora.cachesidecar.nginxconf import nginx_config
from aurora.cachesidecar.settings import CacheSettings, PodLayout
from tests.support.cachebackend import Backend
from tests.support.ports import free_port

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


@dataclass
class Sidecar:
    """One running nginx and what stands behind and in front of it."""

    settings: CacheSettings
    backend: Backend
    upstream_port: int
    client: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.listen_port}"

    def switch(self, *, on: bool) -> None:
        path = Path(self.settings.layout.switch_file)
        if on:
            path.write_text("true\n")
        else:
            path.unlink(missing_ok=True)

    def drain(self) -> None:
        """Do what the preStop hook does."""
        Path(self.settings.layout.draining_file).touch()

    async def reload(self, text: str) -> None:
        """Do what the watcher in the pod does with a new configuration."""
        path = self.settings.layout.config_file
        _write(path, text)
        process = await asyncio.create_subprocess_exec(
            str(NGINX), "-q", "-e", "stderr", "-c", path, "-s", "reload"
        )
        assert await process.wait() == 0

    async def post(
        self, body: bytes, path: str = "/v1/completions", **headers: str
    ) -> tuple[str, dict[str, object]]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post(self.url + path, data=io.BytesIO(body), headers=sent) as answer:
            status = answer.headers["X-Cache-Status"]
            return status, await answer.json(content_type=None)


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


async def until(holds: Callable[[], Awaitable[bool]], *, deadline_s: float = 10) -> None:
    async with asyncio.timeout(deadline_s):
        while not await holds():  # noqa: ASYNC110 - another process has no event to wait for
            await asyncio.sleep(0.01)


async def listening(port: int, *, deadline_s: float = 10) -> None:
    async def connects() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await until(connects, deadline_s=deadline_s)


@asynccontextmanager
async def _nginx(settings: CacheSettings, upstream_port: int) -> AsyncIterator[None]:
    layout = settings.layout
    _write(layout.config_file, nginx_config(settings, upstream_port=upstream_port))
    arguments = ("-e", "stderr", "-c", layout.config_file, "-g", "daemon off;")
    process = await asyncio.create_subprocess_exec(str(NGINX), *arguments)
    try:
        await listening(settings.listen_port)
        yield
    finally:
        process.terminate()
        await process.wait()


def _layout(root: str) -> PodLayout:
    """Make the pod's folders, writable for the workers, which run as another user."""
    Path(root).chmod(0o755)
    folders = [Path(root, name) for name in ("conf", "run", "log")]
    for folder in folders:
        folder.mkdir()
        folder.chmod(0o777)
    conf, run, log = (str(folder) for folder in folders)
    return PodLayout(conf, run, log, listen_host="127.0.0.1")


Start = Callable[..., Awaitable[Sidecar]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a sidecar with the cache on; keyword arguments change its settings."""
    if NGINX is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    async with AsyncExitStack() as stack:

        async def started(**changes: object) -> Sidecar:
            # Not tmp_path: a unix socket's path has room for 108 bytes.
            root = stack.enter_context(tempfile.TemporaryDirectory(prefix="aurora-"))
            layout = _layout(root)
            settings = replace(
                CacheSettings(listen_port=free_port(), workers=1, layout=layout), **changes
            )
            backend, upstream_port = Backend(), free_port()
            server = await asyncio.start_server(
                backend.connection, "127.0.0.1", upstream_port, limit=1 << 20
            )
            stack.callback(server.close)
            stack.callback(backend.stop)
            await stack.enter_async_context(_nginx(settings, upstream_port))
            client = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
            sidecar = Sidecar(settings, backend, upstream_port, client)
            sidecar.switch(on=True)
            return sidecar

        yield started
