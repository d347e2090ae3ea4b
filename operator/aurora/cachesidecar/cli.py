"""`aurora cache-exporter`: the metrics container beside the cache."""

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from aurora.cachesidecar.exporter import ExporterAddress, serve
from aurora.cachesidecar.settings import CacheSettings, PodLayout
from aurora.errors import UsageError

__all__ = ["app"]

_SOCKET = Path(PodLayout().log_socket)
_PORT = CacheSettings().exporter_port

app = typer.Typer(add_completion=False)


@app.command("cache-exporter")
def cache_exporter(
    socket: Annotated[Path, typer.Option(help="Unix socket on which nginx logs.")] = _SOCKET,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="HTTP port of /metrics; 0 takes a free one.")
    ] = _PORT,
) -> None:
    """Export the cache sidecar's counters to Prometheus."""
    try:
        asyncio.run(_run(socket, port))
    except UsageError as error:
        print(f"aurora: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


async def _run(socket: Path, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(
        ExporterAddress(socket, port),
        clock=time.monotonic,
        stop=stop,
        ready=lambda bound: print(f"aurora: cache metrics on port {bound}", flush=True),
    )
