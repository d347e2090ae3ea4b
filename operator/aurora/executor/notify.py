"""Sends alerts and requests for approval to the webhooks that a subject of the loop names."""

import asyncio
import base64
import binascii
from typing import Any, Final

import structlog
from pydantic import SecretStr

from aurora.errors import ClusterError
from aurora.executor.alert import WebhookSender
from aurora.kube.client import KubeClient
from aurora.kube.kinds import SECRET, Ref
from aurora.observe.facts import ObjectKey
from aurora.observe.fleet import Fleet
from aurora.resources import DecisionObject
from aurora.resources.references import SecretKeyRef
from aurora.resources.serving import Notification
from aurora.resources.vocabulary import SubjectKind

__all__ = ["WebhookNotifier", "payload_of"]

log = structlog.get_logger(__name__)


def payload_of(found: DecisionObject) -> dict[str, Any]:
    """What a receiver gets: the decision in plain words and numbers, no secret of the cluster."""
    spec, status = found.spec, found.status
    return {
        "decision": found.metadata.name,
        "namespace": found.metadata.namespace,
        "kind": spec.model_ref.kind.value,
        "model": spec.model_ref.name,
        "action": spec.action.value,
        "reason": spec.reason,
        "message": spec.message,
        "confidencePercent": spec.confidence_percent,
        "phase": status.phase.value if status.phase is not None else "",
        "from": dict(spec.parameters.from_),
        "to": dict(spec.parameters.to),
        "evidence": [one.to_kubernetes() for one in spec.evidence],
    }


_NO_HOSTS: Final = "no host is allowed: list it in webhooks.hosts of the chart"
MOST_PENDING: Final = 256
"""Messages under way; beyond them receivers are down, and Events tell the same."""


class WebhookNotifier:
    """Reads URL and key at the moment of sending, so that a rotated secret is honoured.

    Sends beside the control cycle: a receiver that hangs must hold up no other model's decision.
    """

    def __init__(
        self,
        client: KubeClient,
        fleet: Fleet,
        sender: WebhookSender,
        *,
        secret: SecretStr | None,
    ) -> None:
        self._client = client
        self._fleet = fleet
        self._sender = sender
        self._secret = secret.get_secret_value().encode() if secret is not None else None
        self._under_way: set[asyncio.Task[None]] = set()

    async def notify(self, found: DecisionObject) -> None:
        """Begin to send to every receiver that the ModelDeployment or RoutingPolicy names."""
        receivers = self._receivers(found)
        if not receivers:
            return
        if not self._sender.allowed_hosts:
            # Nor is its Secret read: without hosts the rights do not cover it.
            log.warning("a webhook was not told", decision=found.metadata.name, why=_NO_HOSTS)
            return
        if len(self._under_way) >= MOST_PENDING:
            log.warning("a webhook was not told", decision=found.metadata.name, why="too many wait")
            return
        task = asyncio.create_task(self._tell(found, receivers), name=f"tell {found.metadata.name}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        """Give up what is still under way: the process ends."""
        for task in self._under_way:
            task.cancel()
        await self.idle()

    def _receivers(self, found: DecisionObject) -> tuple[Notification, ...]:
        ref = found.spec.model_ref
        key = ObjectKey(found.metadata.namespace, ref.name)
        is_policy = ref.kind is SubjectKind.ROUTING_POLICY
        subject = (self._fleet.policies if is_policy else self._fleet.models).get(key)
        return () if subject is None else subject.spec.notifications

    async def _tell(self, found: DecisionObject, receivers: tuple[Notification, ...]) -> None:
        """What fails is logged; an alert stands in Events all the same."""
        namespace = found.metadata.namespace
        for one in receivers:
            url = await self._value(namespace, one.webhook.secret_ref)
            key = one.webhook.signature_secret_ref
            secret = self._secret if key is None else await self._value(namespace, key)
            if url is None:
                continue
            why = await self._sender.send(
                url.decode(errors="replace"), payload_of(found), secret=secret
            )
            if why:
                log.warning("a webhook was not told", decision=found.metadata.name, why=why)

    async def _value(self, namespace: str, ref: SecretKeyRef) -> bytes | None:
        try:
            secret = await self._client.get(Ref(SECRET, namespace, ref.name))
            data = (secret or {}).get("data") or {}
            return base64.b64decode(data[ref.key], validate=True)
        except (ClusterError, KeyError, binascii.Error, TypeError) as error:
            kind = type(error).__name__
            log.warning("a webhook's secret cannot be read", secret=ref.name, why=kind)
            return None
