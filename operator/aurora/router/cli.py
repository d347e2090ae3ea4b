"""`aurora router`: serve decisions over HTTP until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
from typing import Final

import structlog
import typer
from aiohttp import web

from aurora.errors import AuroraError, ConfigurationError
from aurora.logs import configure
from aurora.router.policy import read_policy
from aurora.router.server import RouterApi
from aurora.router.service import Router
from aurora.router.settings import RouterSettings, router_settings
from aurora.router.telemetry import RouterMetrics
from aurora.routing import RoutingError

__all__ = ["app", "serve"]

log = structlog.get_logger(__name__)

POLICY_EVERY_S: Final = 2.0
"""How often the policy file is looked at: the kubelet takes longer to bring a change."""
DRAIN_S: Final = 5.0
"""Connections may stay open this long after SIGTERM."""
DRAIN_POLL_S: Final = 0.05

app = typer.Typer(add_completion=False)


@app.command("router")
def router() -> None:
    """Serve routing decisions over HTTP. Settings are PORT, MODEL_PATH, POLICY_PATH, ..."""
    settings = router_settings()
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
    _adopt(found, settings, metrics)
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
        log.info("the router serves", port=port, model_path=str(settings.model_path))
        await _watch_policy(found, settings, metrics, stop)
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


async def _watch_policy(
    router: Router, settings: RouterSettings, metrics: RouterMetrics, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        try:
            async with asyncio.timeout(POLICY_EVERY_S):
                await stop.wait()
        except TimeoutError:
            _adopt(router, settings, metrics)


def _adopt(router: Router, settings: RouterSettings, metrics: RouterMetrics) -> None:
    """Take over the policy file; one that cannot be used leaves the last good one in force."""
    if not settings.has_policy:
        return
    try:
        adopted = router.adopt(read_policy(settings.policy_path))
    except (AuroraError, RoutingError) as error:
        metrics.policy_ok.set(0)
        log.warning("the policy was not adopted; the one before stays", why=str(error))
        return
    metrics.policy_ok.set(1)
    if adopted:
        log.info("policy adopted", strategy=router.policy.strategy)


def _close(router: Router) -> None:
    try:
        router.close()
    except RoutingError as error:
        log.error("what was learned last could not be saved", why=str(error))  # noqa: TRY400
