"""The operator's process: kopf watches, the Lease is kept, the control loop runs."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import kopf

from aurora.errors import ClusterError, ForbiddenError
from aurora.handlers.kopfsettings import kopf_settings
from aurora.handlers.loop import INTERVAL_S, ControlLoop
from aurora.handlers.sweep import Sweeper
from aurora.handlers.watch import register
from aurora.kube.client import KubeClient
from aurora.kube.control import ControlSwitch
from aurora.kube.kinds import CONFIG_MAP
from aurora.observe.fleet import Fleet

__all__ = ["Keeper", "OperatorOptions", "run_operator"]

SYNC_RETRY_S = 2.0
REFUSALS = 3
"""Rights may arrive a moment after the pod; what is still refused then is not granted."""
DRAIN_S = 10.0
"""How long a cycle that is under way may take to end when the process is stopped."""

log = logging.getLogger(__name__)


class Keeper(Protocol):
    """Runs beside the loop until cancelled; `aurora.kube.lease.LeaderLease` is one."""

    def keep(self) -> Coroutine[Any, Any, None]: ...


@dataclass(frozen=True, slots=True)
class OperatorOptions:
    """How one operator runs.

    Attributes:
        interval_s: seconds from the start of one cycle to the next.
        namespaces: where it works; empty is the whole cluster.
        liveness: URL that kopf's probe is served on, for example http://0.0.0.0:8081/healthz;
            empty serves none.
    """

    interval_s: float = INTERVAL_S
    namespaces: tuple[str, ...] = ()
    liveness: str = ""


async def run_operator(  # noqa: PLR0913
    client: KubeClient,
    fleet: Fleet,
    run_cycle: Callable[[], Awaitable[None]],
    *,
    options: OperatorOptions | None = None,
    lease: Keeper | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run until `stop` is set or SIGTERM or SIGINT arrives; then end in order.

    The loop ends first, then the Lease is given back, then the watches end. No cycle runs before
    the fleet is synced.

    Raises:
        ForbiddenError: RBAC does not let this process list a kind; the text names it.
        Exception: a watch failed for good: end the process, so that it is started anew.
    """
    options = options or OperatorOptions()
    stop = stop or asyncio.Event()
    loop = ControlLoop(_with_control(client, fleet, run_cycle), interval_s=options.interval_s)
    registry = kopf.OperatorRegistry()
    register(registry, fleet, connection=client.connection, loop=loop)
    sweeper = Sweeper(client, fleet, namespaces=options.namespaces)
    ready, watches_stop = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(_work(loop, sweeper, lease), name="control loop")
    watches = asyncio.create_task(_watches(registry, options, ready, watches_stop), name="watches")
    signals = asyncio.create_task(_take_signals(ready, stop), name="signals")
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({work, watches, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work, signals, stopped):
            task.cancel()
        await asyncio.wait({work, signals, stopped}, timeout=DRAIN_S)
        watches_stop.set()
        await asyncio.wait({watches}, timeout=DRAIN_S)
        watches.cancel()
    for task in (work, watches):
        _raise_fault(task)


def _raise_fault(task: asyncio.Task[None]) -> None:
    """Raise what ended a task; a fault of a group of tasks as itself."""
    error = task.exception() if task.done() and not task.cancelled() else None
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if error is not None:
        raise error


def _with_control(
    client: KubeClient, fleet: Fleet, run_cycle: Callable[[], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    """Read the kill switch before each cycle where it lies outside what is watched."""
    if CONFIG_MAP in fleet.watched:
        return run_cycle
    switch = ControlSwitch(client, namespace=fleet.control_namespace)

    async def cycle() -> None:
        fleet.poll_control(await switch.read())
        await run_cycle()

    return cycle


async def _work(loop: ControlLoop, sweeper: Sweeper, lease: Keeper | None) -> None:
    async with asyncio.TaskGroup() as tasks:
        if lease is not None:
            tasks.create_task(lease.keep(), name="lease")
        await _sync(loop, sweeper)
        tasks.create_task(sweeper.keep(), name="sweeps")
        tasks.create_task(loop.run(), name="cycles")


async def _sync(loop: ControlLoop, sweeper: Sweeper) -> None:
    refusals = 0
    while True:
        try:
            await sweeper.sync()
        except ClusterError as error:
            refusals += isinstance(error, ForbiddenError)
            if refusals >= REFUSALS:
                raise
            log.warning("the fleet cannot be listed yet: %s", error)
            loop.beat()
            await asyncio.sleep(SYNC_RETRY_S)
        else:
            log.info("every kind is listed: cycles begin")
            return


async def _watches(
    registry: kopf.OperatorRegistry,
    options: OperatorOptions,
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    # At INFO, kopf tells of every handled event, and its server of every probe of the kubelet.
    for chatty in ("kopf.objects", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    await kopf.operator(
        registry=registry,
        settings=kopf_settings(),
        standalone=True,
        clusterwide=not options.namespaces,
        namespaces=options.namespaces,
        liveness_endpoint=options.liveness or None,
        ready_flag=ready,
        stop_flag=stop,
    )


async def _take_signals(ready: asyncio.Event, stop: asyncio.Event) -> None:
    """Take SIGTERM and SIGINT over from kopf, which would end the watches first."""
    await ready.wait()
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows' event loop has none of these; kopf does without them there as well.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
