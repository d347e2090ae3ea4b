"""`aurora router`: serve decisions over HTTP until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
import sys
from typing import Final

import structlog
import typer
from aiohttp import web

from aurora.collector import spare_the_collector
from aurora.errors import ConfigurationError
from aurora.logs import configure
from aurora.router.server import RouterApi
from aurora.router.service import Router
from aurora.router.settings import RouterSettings, router_settings
from aurora.router.telemetry import RouterMetrics
from aurora.router.watch import PolicyWatch
from aurora.routing import RoutingError

__all__ = ["app", "serve"]

log = structlog.get_logger(__name__)

SWITCH_S: Final = 0.000_5
"""A request waits no longer for the thread that saves; Python's own 5 ms are two p99s."""
DRAIN_S: Final = 5.0
"""Connections may stay open this long after SIGTERM."""
DRAIN_POLL_S: Final = 0.05

app = typer.Typer(add_completion=False)


@app.command("router")
def router() -> None:
    """Serve routing decisions over HTTP. Settings are PORT, MODEL_PATH, POLICY_PATH, ..."""
    settings = router_settings()
    sys.setswitchinterval(SWITCH_S)
    configure("json", logging.getLevelNamesMapping()[settings.log_level.upper()])
    asyncio.run(_until_told(settings))


async def _until_told(settings: RouterSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop=stop)


async def serve(settings: RouterSettings, *, stop: asyncio.Event) -> None:
    """Serve until told to stop; what is being answered then gets its answer.

    Raises:
        ConfigurationError: a setting or the stored state cannot be used.
    """
    metrics = RouterMetrics()
    try:
        found = Router(settings)
    except RoutingError as error:
        raise ConfigurationError(str(error)) from error
    watch = PolicyWatch(settings.policy_path, found, metrics) if settings.has_policy else None
    if watch is not None:
        watch.look()
    api = RouterApi(found, metrics)
    runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=DRAIN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.bind_address, settings.port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(f"port {settings.port} cannot be used: {error}") from error
        port = runner.addresses[0][1]
        spare_the_collector()
        log.info("the router serves", port=port, model_path=str(settings.model_path))
        await (stop.wait() if watch is None else watch.until(stop))
        api.ready = False
        await _drain(runner)
    finally:
        await runner.cleanup()
        await asyncio.to_thread(_close, found)


async def _drain(runner: web.AppRunner) -> None:
    """Serve on until the last caller has gone; every answer now closes its connection.

    Callers learn of the end one after another: one that comes meanwhile is still served.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            # aiohttp has no event for it.
            while runner.server is not None and runner.server.connections:  # noqa: ASYNC110
                await asyncio.sleep(DRAIN_POLL_S)


def _close(router: Router) -> None:
    try:
        router.close()
    except RoutingError as error:
        log.error("what was learned last could not be saved", why=str(error))  # noqa: TRY400
