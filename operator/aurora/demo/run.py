"""Plays the demo: sets everything up, looks every second, injects, shows, judges, cleans up."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import aiohttp

from aurora.demo.director import Director, Progress
from aurora.demo.errors import DemoError
from aurora.demo.install import install
from aurora.demo.judge import Summary, judge
from aurora.demo.look import FleetClient, look
from aurora.demo.programs import Programs
from aurora.demo.scenario import NAMESPACE, Episode
from aurora.demo.seen import Scene
from aurora.errors import UnavailableError, UsageError
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.local.controlplane import ControlPlane, Endpoints
from aurora.local.layout import Layout
from aurora.local.ports import Ports
from aurora.local.settings import Settings

__all__ = ["Screen", "Stage", "operator_settings", "plane_settings", "play", "stage"]

LOOK_S: Final = 1.0
FLEET_S: Final = 30.0
SCRAPE_SECONDS: Final = 2
"""One page holds the whole fleet; a short interval leaves many samples in a short window."""

Say = Callable[[str], None]


class Screen(Protocol):
    """Shows scenes; `aurora.demo.screens` has one for terminals and one for logs."""

    def show(self, scene: Scene, played: tuple[Episode, ...], status: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs and how to reach it."""

    endpoints: Endpoints
    fleet_url: str
    programs: Programs
    operator_log: Path


def plane_settings(rng: random.Random) -> Settings:
    """Free ports, so that it runs beside any other control plane; room for every replica."""
    return Settings(ports=Ports.ephemeral(rng), nodes=2, scrape_seconds=SCRAPE_SECONDS)


def operator_settings(endpoints: Endpoints, folder: Path, fleet_url: str) -> dict[str, str]:
    """The operator's settings: everything on loopback, short windows, everything else default."""
    return {
        "KUBECONFIG": str(endpoints.kubeconfig),
        "AURORA_PROMETHEUS_URL": endpoints.prometheus_url,
        # Loading the language model would take a third of the time to the first decision.
        "AURORA_EMBEDDINGS": "numeric",
        "AURORA_STORE_URL": f"sqlite:///{folder / 'aurora.db'}",
        "AURORA_CYCLE_SECONDS": "5",
        "AURORA_METRICS_WINDOW_SECONDS": "30",
        "AURORA_METRICS_STALE_SECONDS": "15",
        "AURORA_PROBE_URL": f"{fleet_url}/pods/{{namespace}}/{{pod}}{{path}}",
        "AURORA_CACHE_EXPORTER_IMAGE": "aurora:demo",
        "AURORA_BIND_ADDRESS": "127.0.0.1",
        "AURORA_METRICS_PORT": "0",
        "AURORA_HEALTH_PORT": "0",
        "AURORA_LOG_FORMAT": "console",
    }


@contextmanager
def stage(plane: ControlPlane, *, say: Say, keep: bool) -> Iterator[Stage]:
    """Set everything up, and take it away again unless it is to be kept.

    Raises:
        LocalError, ClusterError, DemoError: something could not be set up; says what.
        UsageError: a demo runs in that folder already.
    """
    if plane.status().running:
        raise UsageError(
            f"a demo runs in {plane.root} already: "
            f"stop it with `aurora local down --state-dir {plane.root}`"
        )
    programs = Programs(plane.root, Layout(plane.root).log("demo").parent)
    kept = False
    try:
        say("starting etcd, API server, scheduler, controllers, kwok nodes and Prometheus")
        started = plane.up()
        say(f"control plane up in {started.seconds:.1f} s")
        yield _begin(plane, started.endpoints, programs, say)
        kept = keep
    finally:
        if not kept:
            with _undisturbed():
                programs.stop()
                plane.down()
            say(f"everything is stopped and {plane.root} removed")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not break the clean-up off half-way."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def _begin(plane: ControlPlane, endpoints: Endpoints, programs: Programs, say: Say) -> Stage:
    connection = Connection(endpoints.kubeconfig, endpoints.context)
    asyncio.run(install(connection))
    say("custom resources, admission policies and four models are applied")
    where = {"KUBECONFIG": str(endpoints.kubeconfig)}
    programs.start(
        "aurora-fleet",
        [
            *("simulate", "fleet", "--namespace", NAMESPACE),
            *("--context", endpoints.context, "--file-sd", str(endpoints.file_sd)),
        ],
        where,
    )
    url = _fleet_url(endpoints.file_sd, programs)
    programs.start(
        "aurora-operator",
        ["operator", "--context", endpoints.context],
        operator_settings(endpoints, plane.root, url),
    )
    say(f"the fleet serves on {url}, the operator runs")
    return Stage(endpoints, url, programs, programs.log("aurora-operator"))


def _fleet_url(file_sd: Path, programs: Programs) -> str:
    """The fleet's address, as it registers it with Prometheus."""
    deadline = time.monotonic() + FLEET_S
    while time.monotonic() < deadline:
        programs.require_alive()
        for path in file_sd.glob("aurora-fleet-*.json"):
            return f"http://{json.loads(path.read_text(encoding='utf-8'))[0]['targets'][0]}"
        time.sleep(0.1)
    raise DemoError(f"the fleet did not start within {FLEET_S:g} s: see its log")


async def play(stage: Stage, played: tuple[Episode, ...], screen: Screen) -> Summary:
    """Run until everything is judged or the time is up.

    Raises:
        DemoError: a program stopped, or the models did not get warm.
    """
    director, progress = Director(played), Progress()
    begun: dict[str, float] = {}
    connection = Connection(stage.endpoints.kubeconfig, stage.endpoints.context)
    async with KubeClient(connection) as client, _session() as session:
        fleet = FleetClient(session, stage.fleet_url)
        while True:
            stage.programs.require_alive()
            scene = await _look(client, fleet, begun)
            progress = director.advance(progress, scene)
            if director.is_too_late(progress, scene):
                reasons = "; ".join(director.unready(scene)) or "the metrics come and go"
                raise DemoError(f"the models did not get warm: {reasons}")
            for episode in director.due(progress, scene):
                begun[episode.fault] = await _inject(fleet, episode)
            screen.show(scene, played, director.status(progress, scene))
            if director.is_over(progress, scene):
                return judge(played, scene)
            await asyncio.sleep(LOOK_S)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(trust_env=False)


async def _look(client: KubeClient, fleet: FleetClient, begun: Mapping[str, float]) -> Scene:
    """Look; a machine under load may leave an answer out once."""
    try:
        return await look(client, fleet, begun)
    except UnavailableError:
        await asyncio.sleep(LOOK_S)
        return await look(client, fleet, begun)


async def _inject(fleet: FleetClient, episode: Episode) -> float:
    """Begin a fault; its time is when all that belongs to it is in force."""
    return max([await fleet.inject(episode.model, one) for one in episode.injections])
