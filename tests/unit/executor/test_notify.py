"""Webhooks: to allowed hosts alone, signed, retried, and never in the loop's way."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from aurora.errors import ConfigurationError
from aurora.executor import notify
from aurora.executor.alert import SIGNATURE_HEADER, WebhookSender, checked_url
from aurora.executor.notify import WebhookNotifier, payload_of
from aurora.kube.kinds import MODEL_DEPLOYMENT, ROUTING_POLICY, SECRET, Kind
from aurora.observe.fleet import Fleet
from aurora.resources import DecisionObject
from tests.support.builders import NAMESPACE, NOW, SPEC
from tests.support.fakecluster import FakeCluster
from tests.support.situations import decision_object


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("https://n8n.example/hook", "", id="an allowed host"),
        pytest.param("  https://n8n.example/hook\n", "", id="with space around it"),
        pytest.param("https://evil.example/hook", "not on the allow-list", id="another host"),
        pytest.param("https://n8n.example@evil.example/", "not on the allow-list", id="a disguise"),
        pytest.param("https://n8n.example.evil.example/", "not on the allow-list", id="a suffix"),
        pytest.param("file:///etc/passwd", "http", id="a file"),
        pytest.param("gopher://n8n.example/", "http", id="another scheme"),
        pytest.param("", "http", id="nothing"),
        pytest.param("http://[half", "http", id="half an address"),
    ],
)
def test_only_allowed_hosts_are_told(url: str, words: str) -> None:
    if not words:
        assert checked_url(url, ("n8n.example",)) == url.strip()
        return
    with pytest.raises(ConfigurationError, match=words) as found:
        checked_url(f"{url}?token=s3cret", ("n8n.example",))
    assert "s3cret" not in str(found.value), "a URL may hold a token"


@dataclass
class Receiver:
    """A real HTTP server that answers as it is told."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    url: str = ""
    hang: bool = False

    async def handle(self, asked: web.Request) -> web.Response:
        self.got.append((await asked.read(), dict(asked.headers)))
        if self.hang:
            await asyncio.sleep(60)
        status = self.answers.pop(0) if self.answers else 200
        headers = {"Location": "http://evil.example/"} if status == 302 else {}
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def receiving(*answers: int, hang: bool = False) -> AsyncIterator[Receiver]:
    receiver = Receiver(list(answers), hang=hang)
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def send(receiver: Receiver, **over: Any) -> tuple[str, list[float]]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with aiohttp.ClientSession() as session:
        sender = WebhookSender(session, ("127.0.0.1",), sleep)
        why = await sender.send(receiver.url, {"a": 1}, **({"secret": b"key"} | over))
    return why, waits


@pytest.mark.parametrize(
    ("answers", "why", "waits"),
    [
        pytest.param([204], "", [], id="taken at once"),
        pytest.param([503, 429, 200], "", [1.0, 4.0], id="taken at the third time"),
        pytest.param([500] * 4, "the webhook answered 500", [1.0, 4.0, 16.0], id="given up"),
        pytest.param([404], "the webhook answered 404", [], id="what does not pass by itself"),
        pytest.param([302], "the webhook answered 302", [], id="a redirect is not followed"),
    ],
)
async def test_what_may_pass_is_tried_again(
    answers: list[int], why: str, waits: list[float]
) -> None:
    async with receiving(*answers) as receiver:
        assert await send(receiver) == (why, waits)
        assert len(receiver.got) == len(waits) + 1


async def test_the_body_is_signed_with_the_key() -> None:
    async with receiving() as receiver:
        await send(receiver)
        ((body, headers),) = receiver.got
        digest = hmac.new(b"key", body, hashlib.sha256).hexdigest()
        assert headers[SIGNATURE_HEADER] == f"sha256={digest}"
        assert json.loads(body) == {"a": 1}
    async with receiving() as receiver:
        await send(receiver, secret=None)
        assert SIGNATURE_HEADER not in receiver.got[0][1]


SPECS = {
    MODEL_DEPLOYMENT: SPEC,
    ROUTING_POLICY: {
        "backends": [
            {"name": name, "serviceRef": {"name": name, "port": 80}} for name in ("old", "new")
        ]
    },
}


def cluster_with(
    url: str, *, key: str = "url", kind: Kind = MODEL_DEPLOYMENT
) -> tuple[FakeCluster, Fleet]:
    cluster = FakeCluster(wall=lambda: NOW)
    fleet = Fleet(control_namespace="aurora-system", watched=(kind,))
    cluster.listeners.append(fleet.apply_event)
    webhook = {
        "secretRef": {"name": "n8n", "key": "url"},
        "signatureSecretRef": {"name": "n8n", "key": "sign"},
    }
    cluster.put(
        kind,
        {
            "metadata": {"name": "llama", "namespace": NAMESPACE},
            "spec": SPECS[kind] | {"notifications": [{"webhook": webhook}]},
        },
    )
    data = {key: base64.b64encode(url.encode()).decode(), "sign": "c2lnbg=="}
    cluster.put(SECRET, {"metadata": {"name": "n8n", "namespace": NAMESPACE}, "data": data})
    return cluster, fleet


@asynccontextmanager
async def notifying(cluster: FakeCluster, fleet: Fleet) -> AsyncIterator[WebhookNotifier]:
    client: Any = cluster
    async with aiohttp.ClientSession() as session:
        sender = WebhookSender(session, ("127.0.0.1",))
        made = WebhookNotifier(client, fleet, sender, secret=SecretStr("fallback"))
        try:
            yield made
        finally:
            await made.close()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(MODEL_DEPLOYMENT, id="of a ModelDeployment"),
        pytest.param(ROUTING_POLICY, id="of a RoutingPolicy"),
    ],
)
async def test_a_receiver_is_told_what_a_person_needs_and_no_secret(kind: Kind) -> None:
    found = decision_object(modelRef={"kind": kind.kind})
    async with receiving() as receiver:
        cluster, fleet = cluster_with(receiver.url, kind=kind)
        async with notifying(cluster, fleet) as notifier:
            await notifier.notify(found)
            await notifier.idle()
        ((body, headers),) = receiver.got
        assert json.loads(body) == payload_of(found)
        assert json.loads(body)["kind"] == kind.kind
        digest = hmac.new(b"sign", body, hashlib.sha256).hexdigest()
        assert headers[SIGNATURE_HEADER] == f"sha256={digest}"
        assert b"n8n" not in body


async def test_a_receiver_that_hangs_holds_up_nobody() -> None:
    async with receiving(hang=True) as receiver:
        cluster, fleet = cluster_with(receiver.url)
        async with notifying(cluster, fleet) as notifier:
            async with asyncio.timeout(1.0):
                for _ in range(10):
                    await notifier.notify(decision_object())
        # Closing gives up what is under way instead of waiting for it.


async def test_no_more_messages_wait_than_a_process_can_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notify, "MOST_PENDING", 3)
    async with receiving(hang=True) as receiver:
        cluster, fleet = cluster_with(receiver.url)
        async with notifying(cluster, fleet) as notifier:
            for _ in range(10):
                await notifier.notify(decision_object())
            assert len(notifier._under_way) == 3


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(decision_object(modelRef={"name": "gone"}), id="the model is gone"),
        pytest.param(decision_object(), id="the secret has no such key"),
    ],
)
async def test_what_cannot_be_sent_is_no_fault(found: DecisionObject) -> None:
    cluster, fleet = cluster_with("http://127.0.0.1:9/", key="another")
    async with notifying(cluster, fleet) as notifier:
        await notifier.notify(found)
        await notifier.idle()


async def test_without_an_allowed_host_no_secret_is_even_read() -> None:
    """Rights to read Secrets come with the allow-list."""
    async with receiving() as receiver:
        _, fleet = cluster_with(receiver.url)
        reads: list[object] = []
        client: Any = SimpleNamespace(get=reads.append)
        async with aiohttp.ClientSession() as session:
            notifier = WebhookNotifier(client, fleet, WebhookSender(session, ()), secret=None)
            await notifier.notify(decision_object())
            await notifier.idle()
        assert receiver.got == []
        assert reads == []
