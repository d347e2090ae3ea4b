"""The fleet's process: looks at the cluster every second, keeps time, serves one port."""

import asyncio
import contextlib
import datetime as dt
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from aurora.errors import ClusterError, NotFoundError, UsageError
from aurora.kube.client import KubeClient
from aurora.kube.kinds import CONFIG_MAP, DEPLOYMENT, POD, SERVICE, Kind, Ref
from aurora.simulator.live.crash import crash_looping, running
from aurora.simulator.live.objects import ClusterFacts, facts_of
from aurora.simulator.live.server import FleetServer
from aurora.simulator.live.world import World

__all__ = ["FleetOptions", "read_cluster", "run_fleet"]

LOOK_S: Final = 1.0
TICK_S: Final = 0.2
"""Time is kept by the fleet's own clock: a late tick makes up for it, no request is lost."""
_HOST: Final = "127.0.0.1"
_MANAGER: Final = "aurora-simulated-kubelet"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """How the fleet is served.

    Attributes:
        namespace: where it looks; empty is everywhere.
        port: on 127.0.0.1; 0 takes a free one.
        file_sd: Prometheus' folder of target files; None registers nowhere.
    """

    namespace: str = ""
    port: int = 0
    file_sd: Path | None = None


async def read_cluster(client: KubeClient, namespace: str = "") -> ClusterFacts:
    """Read what the fleet depends on.

    Raises:
        ClusterError: the API server refused, or could not be reached.
    """
    kinds = (DEPLOYMENT, POD, SERVICE, CONFIG_MAP)
    lists = await asyncio.gather(*(_items(client, kind, namespace) for kind in kinds))
    deployments, pods, services, config_maps = lists
    return facts_of(deployments=deployments, pods=pods, services=services, config_maps=config_maps)


async def _items(client: KubeClient, kind: Kind, namespace: str) -> list[dict[str, Any]]:
    return (await client.list(kind, namespace=namespace)).items


async def run_fleet(  # noqa: PLR0913 - the edges of the process, by name
    client: KubeClient,
    world: World,
    options: FleetOptions,
    *,
    say: Say,
    stop: asyncio.Event,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> None:
    """Serve until `stop` is set.

    Raises:
        UsageError: the port or the folder cannot be used; says which.
        ClusterError: the cluster could not be read at the start.
    """
    begun = clock()
    server = FleetServer(world, clock=lambda: clock() - begun, epoch=wall())
    watch = _Watch(client, world, options.namespace, say)
    await watch.look()
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    try:
        port = await _listen(runner, options.port)
        with _registered(options.file_sd, port):
            say(f"the fleet serves on http://{_HOST}:{port}: metrics, faults, truth, pods")
            async with asyncio.TaskGroup() as tasks:
                loops = (
                    tasks.create_task(watch.keep()),
                    tasks.create_task(_tick(world, lambda: clock() - begun)),
                )
                await stop.wait()
                for loop in loops:
                    loop.cancel()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> int:
    site = web.TCPSite(runner, _HOST, port, shutdown_timeout=1.0)
    try:
        await site.start()
    except OSError as error:
        raise UsageError(
            f"port {port} of {_HOST} is in use: choose another with --port, or 0 for a free one"
        ) from error
    return int(runner.addresses[0][1])


async def _tick(world: World, clock: Callable[[], float]) -> None:
    while True:
        world.advance(clock())
        await asyncio.sleep(TICK_S)


@contextlib.contextmanager
def _registered(folder: Path | None, port: int) -> Any:
    """Make Prometheus scrape the port for as long as the block runs."""
    if folder is None:
        yield
        return
    path = folder / f"aurora-fleet-{port}.json"
    groups = [{"targets": [f"{_HOST}:{port}"], "labels": {"job": "aurora-fleet"}}]
    unfinished = path.with_suffix(".tmp")
    try:
        unfinished.write_text(json.dumps(groups), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write a target file into {folder}: {error.strerror}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


class _Watch:
    """Keeps the world in step with the cluster, and crashed pods' status with the world."""

    def __init__(self, client: KubeClient, world: World, namespace: str, say: Say) -> None:
        self._client = client
        self._world = world
        self._namespace = namespace
        self._say = say
        self._problems: tuple[str, ...] = ()
        self._down: dict[str, Ref] = {}  # uid -> a pod whose status says that it crashes

    async def look(self) -> None:
        facts = await read_cluster(self._client, self._namespace)
        self._world.observe(facts)
        if facts.problems != self._problems:
            for problem in facts.problems:
                self._say(problem)
            self._problems = facts.problems

    async def keep(self) -> None:
        reachable = True
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._report_crashes()
                await self.look()
                reachable = True
            except ClusterError as error:
                if reachable:
                    self._say(f"the cluster cannot be read, the fleet goes on as it was: {error}")
                reachable = False

    async def _report_crashes(self) -> None:
        crashed = {pod.fact.uid: pod.fact for pod in self._world.pods if pod.crashed}
        for uid in crashed.keys() - self._down.keys():
            self._down[uid] = Ref(POD, crashed[uid].namespace, crashed[uid].name)
            await self._report(self._down[uid], uid, crash_looping)
        for uid in self._down.keys() - crashed.keys():
            await self._report(self._down.pop(uid), uid, running)

    async def _report(self, ref: Ref, uid: str, status: Callable[..., dict[str, Any]]) -> None:
        pod = await self._client.get(ref)
        if pod is None or pod["metadata"]["uid"] != uid:
            return
        at = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        patch = {"metadata": {"uid": uid}, "status": status(pod, at=at)}
        with contextlib.suppress(NotFoundError):
            await self._client.patch_merge(ref, patch, subresource="status", field_manager=_MANAGER)
