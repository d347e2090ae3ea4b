"""ALERT beyond the cluster: a signed webhook, sent only to hosts that an administrator allowed."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from aurora.errors import ConfigurationError

__all__ = ["SIGNATURE_HEADER", "WebhookSender", "checked_url", "sign"]

SIGNATURE_HEADER = "X-Aurora-Signature"
_RETRY_AFTER_S = (1.0, 4.0, 16.0)
_TIMEOUT_S = 10.0


def sign(body: bytes, secret: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of the body as `sha256=HEX`, as GitHub's webhooks send it."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def checked_url(url: str, allowed_hosts: Sequence[str]) -> str:
    """The URL itself when its host is on the allow-list.

    Raises:
        ConfigurationError: another scheme or host; the URL is not repeated, it may hold a token.
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise ConfigurationError("the webhook's secret does not hold an http(s) URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("the webhook's secret does not hold an http(s) URL")
    if parts.hostname not in allowed_hosts:
        raise ConfigurationError(
            f"host {parts.hostname} is not on the allow-list: add it to AURORA_WEBHOOK_HOSTS"
        )
    return url.strip()


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Posts JSON; retries what may pass by itself (no answer, 429, 5xx), three times.

    Redirects are not followed: they would leave the allow-list.
    """

    session: aiohttp.ClientSession
    allowed_hosts: tuple[str, ...]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def send(self, url: str, payload: Mapping[str, Any], *, secret: bytes | None) -> str:
        """Post once or with retries. Returns why it failed, or an empty text on success."""
        try:
            target = checked_url(url, self.allowed_hosts)
        except ConfigurationError as error:
            return str(error)
        body = json.dumps(payload, sort_keys=True).encode()
        headers = {"Content-Type": "application/json"}
        if secret is not None:
            headers[SIGNATURE_HEADER] = sign(body, secret)
        failure = ""
        for pause in (*_RETRY_AFTER_S, None):
            failure, final = await self._post(target, body, headers)
            if not failure or final or pause is None:
                return failure
            await self.sleep(pause)
        return failure

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[str, bool]:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            async with self.session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                if answer.status < 300:
                    return "", True
                final = answer.status != 429 and answer.status < 500
                return f"the webhook answered {answer.status}", final
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"the webhook did not answer: {type(error).__name__}", False
