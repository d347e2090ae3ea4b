"""The composition root: puts the parts of one process together from its settings."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from aurora.config import Settings
from aurora.critic.rights import Rights
from aurora.cycle import Cycle, Parts
from aurora.deliberation import Guardrails
from aurora.executor.alert import WebhookSender
from aurora.executor.archive import Archive
from aurora.executor.book import DecisionBook
from aurora.executor.cache import CacheActuator, CacheImages
from aurora.executor.dispatch import Dispatcher
from aurora.executor.effects import Effects
from aurora.executor.followup import FollowUp
from aurora.executor.housekeeping import Housekeeper
from aurora.executor.keepsakes import Keepsakes
from aurora.executor.landings import Landings
from aurora.executor.notify import WebhookNotifier
from aurora.executor.records import Records
from aurora.executor.restore import Restorer
from aurora.executor.reverts import Reverts
from aurora.executor.router_feed import RouterFeed
from aurora.executor.statuses import Statuses
from aurora.handlers.watch import served_kinds
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.control import ControlSwitch
from aurora.kube.counter import RequestCounter
from aurora.kube.events import EventRecorder
from aurora.kube.kinds import (
    LEASE,
    Ref,
)
from aurora.kube.lease import LeaderLease
from aurora.kube.writer import Writer
from aurora.memory.casebook import Casebook
from aurora.memory.embed import choose_embedder
from aurora.memory.keeper import MemoryKeeper
from aurora.observe.fleet import Fleet
from aurora.observe.observer import Observer
from aurora.observe.probe import HttpProber
from aurora.observe.prometheus import PrometheusClient, PrometheusSettings
from aurora.observe.queries.settings import MetricsSettings
from aurora.observe.reader import MetricsReader
from aurora.resources.vocabulary import Action
from aurora.store import Store
from aurora.telemetry import Telemetry

__all__ = ["LEASE_NAME", "OperatorParts", "connection_of", "metrics_settings", "operator_parts"]

LEASE_NAME = "aurora-leader"


@dataclass(frozen=True, slots=True)
class OperatorParts:
    """What `aurora operator` runs."""

    client: KubeClient
    fleet: Fleet
    lease: LeaderLease
    cycle: Cycle
    telemetry: Telemetry


def connection_of(settings: Settings) -> Connection:
    """Where the API server is; without a kubeconfig, the pod's own service account."""
    return Connection(settings.kubeconfig, settings.kube_context)


@asynccontextmanager
async def operator_parts(settings: Settings) -> AsyncIterator[OperatorParts]:
    """Open everything that the operator needs, and close it in reverse order.

    Raises:
        ClusterError: the API server cannot be reached.
        StoreError: the record store cannot be opened.
        ConfigurationError: a setting is wrong.
    """
    async with AsyncExitStack() as stack:
        counter = RequestCounter()
        client = await stack.enter_async_context(
            KubeClient(connection_of(settings), observer=counter)
        )
        watched = await served_kinds(
            client,
            clusterwide=not settings.watch_namespaces,
            namespaces=settings.watch_namespaces,
        )
        fleet = Fleet(control_namespace=settings.namespace, watched=watched)
        identity = f"{socket.gethostname()}_{os.getpid()}"
        lease = LeaderLease(client, Ref(LEASE, settings.namespace, LEASE_NAME), identity=identity)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        store = await Store.open(settings.store_url)
        stack.push_async_callback(store.close)
        keeper = await stack.enter_async_context(_keeper(settings, store))
        source = PrometheusClient(_prometheus(settings))
        stack.callback(source.close)
        notifier = _notifier(settings, client, fleet, session)
        stack.push_async_callback(notifier.close)
        cycle = _cycle(
            settings,
            client=client,
            fleet=fleet,
            lease=lease,
            session=session,
            store=store,
            keeper=keeper,
            source=source,
            notifier=notifier,
            counter=counter,
            identity=identity,
        )
        yield OperatorParts(client, fleet, lease, cycle, cycle.parts.telemetry)


def _cycle(  # noqa: PLR0913 - the process's resources, all by name
    settings: Settings,
    *,
    client: KubeClient,
    fleet: Fleet,
    lease: LeaderLease,
    session: aiohttp.ClientSession,
    store: Store,
    keeper: MemoryKeeper,
    source: PrometheusClient,
    notifier: WebhookNotifier,
    counter: RequestCounter,
    identity: str,
) -> Cycle:
    landings = Landings()
    telemetry, reverts = Telemetry(), Reverts(landings)
    guardrails = _guardrails(settings)
    writer = Writer(client, fence=lease, switch=ControlSwitch(client, namespace=settings.namespace))
    images = CacheImages(settings.cache_image, settings.cache_exporter_image or None)
    cache = CacheActuator(client, writer, images, namespaces=settings.watch_namespaces)
    effects = Effects(client, writer, cache, landings, known=fleet.autoscaler)
    routers = RouterFeed(client, writer, telemetry)
    events = EventRecorder(client, fence=lease, instance=identity)
    book = DecisionBook(client, writer, seen=fleet.written_decision, renewed=fleet.written_status)
    keepsakes = Keepsakes(
        client,
        writer,
        events,
        notifier,
        seen=lambda kind, body: fleet.apply_event(kind, "MODIFIED", body),
        renewed=fleet.written_metadata,
        known=fleet.subject,
        patches_deployments=lambda place: guardrails.rights.cover(Action.CACHE, place),
    )
    followup = FollowUp(
        dispatcher=Dispatcher(book, effects, keepsakes, Records(store)),
        keepsakes=keepsakes,
        book=book,
        restorer=Restorer(client, writer, effects),
        keeper=keeper,
        reverts=reverts,
        guardrails=guardrails,
        telemetry=telemetry,
    )
    reader = MetricsReader(
        source, metrics_settings(settings), allow_custom=settings.allow_custom_queries
    )
    return Cycle(
        Parts(
            observer=Observer(
                fleet,
                reader,
                HttpProber(session, settings.probe_url),
                wall=time.time,
                monotonic=time.monotonic,
            ),
            followup=followup,
            housekeeper=Housekeeper(
                writer,
                Archive(store),
                gone=lambda kind, body: fleet.apply_event(kind, "DELETED", body),
                namespaces=settings.watch_namespaces,
            ),
            routers=routers,
            statuses=Statuses(writer, fleet, reverts, telemetry, routers=routers),
            keeper=keeper,
            reverts=reverts,
            telemetry=telemetry,
            guardrails=guardrails,
            leads=lease.held,
            writes=lambda: counter.writes,
        )
    )


def _notifier(
    settings: Settings, client: KubeClient, fleet: Fleet, session: aiohttp.ClientSession
) -> WebhookNotifier:
    sender = WebhookSender(session, settings.webhook_hosts)
    return WebhookNotifier(client, fleet, sender, secret=settings.webhook_secret)


@asynccontextmanager
async def _keeper(settings: Settings, store: Store) -> AsyncIterator[MemoryKeeper]:
    """What was learned is read back at the start and kept at the end."""
    embedder = await asyncio.to_thread(choose_embedder, settings.embeddings)  # 13 s with text
    casebook = await Casebook.open(
        store,
        _index_folder(settings, store),
        embedder,
        clock=time.time,
        level=embedder.instant,
    )
    keeper = MemoryKeeper(store, casebook, retention_days=settings.retention_days)
    await keeper.load()
    catching_up = asyncio.create_task(keeper.catch_up(), name="cases")
    try:
        yield keeper
    finally:
        catching_up.cancel()
        await asyncio.wait({catching_up})
        await keeper.close()


def _index_folder(settings: Settings, store: Store) -> Path | None:
    """Beside a SQLite file when none is named; a shared store has no folder of this process."""
    if settings.index_path is not None:
        return settings.index_path
    if store.where.startswith("postgresql://"):
        return None
    return Path(store.where).parent / "aurora-index"


def _guardrails(settings: Settings) -> Guardrails:
    return Guardrails(
        settings.blast_radius_percent,
        settings.blast_radius_minimum,
        settings.cycle_seconds,
        _rights(settings),
    )


def _rights(settings: Settings) -> Rights:
    if settings.actions is None:
        return Rights()
    return Rights({Action(name): frozenset(where) for name, where in settings.actions.items()})


def metrics_settings(settings: Settings) -> MetricsSettings:
    """How metrics are asked for: window, staleness, and whether recording rules answer."""
    stale = round(settings.metrics_stale_seconds)
    return MetricsSettings(
        window_s=round(settings.metrics_window_seconds),
        stale_after_s=stale,
        remember_s=max(600, stale),
        recorded=settings.recording_rules,
    )


def _prometheus(settings: Settings) -> PrometheusSettings:
    token, password = settings.prometheus_token, settings.prometheus_password
    headers = {
        name: value.get_secret_value() for name, value in settings.prometheus_headers.items()
    }
    return PrometheusSettings(
        url=settings.prometheus_url,
        token=token.get_secret_value() if token is not None else "",
        token_file=settings.prometheus_token_file,
        username=settings.prometheus_username,
        password=password.get_secret_value() if password is not None else "",
        ca_file=settings.prometheus_ca_file,
        headers=headers,
        deadline_s=max(2.0, min(12.0, settings.cycle_seconds * 0.8)),
        stale_after_s=settings.metrics_stale_seconds,
    )
