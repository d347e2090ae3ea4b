"""The API server's refusals as AURORA's own errors; decided in this one place.

404                                 NotFoundError
409, 410, 412, failed patch test    ConflictError: read again, decide again
401, 403, 422, other 4xx            ForbiddenError: repeating it does not help
429, 5xx, no answer                 UnavailableError: the same request may succeed later
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from aurora.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
)

__all__ = ["refusal", "retry_after", "unreachable"]

_LONGEST_MESSAGE = 600
_CREDENTIALS: Final = re.compile(r"//[^/@\s']*@")

# Seen on v1.36: a JSON Patch whose `test` does not hold, or whose path is gone, is answered with
# 422, this text and empty details; a value that validation refuses is 422 too, and says why.
_PATCH_DOES_NOT_APPLY = "the server rejected our request due to an error in our request"


def refusal(
    *, status: int, body: bytes, headers: Mapping[str, str], request: str, now: datetime
) -> ClusterError:
    """The error for an answer that is not 2xx; its text is one line with the server's reason."""
    reason = _reason(body)
    if status == 422 and reason == _PATCH_DOES_NOT_APPLY:
        return ConflictError(
            f"{request}: the patch does not apply: the object was written since it was read"
        )
    text = f"{request}: HTTP {status}{': ' if reason else ''}{reason}"
    if status == 429 or status >= 500:
        return UnavailableError(text, retry_after=retry_after(headers, now=now))
    if status == 404:
        return NotFoundError(text)
    if status in {409, 410, 412}:
        return ConflictError(text)
    return ForbiddenError(text)


def unreachable(request: str, error: BaseException) -> UnavailableError:
    """The error for a request that got no answer."""
    # A proxy that refuses is quoted with its user and password.
    reason = _CREDENTIALS.sub("//", _one_line(str(error))) or type(error).__name__
    return UnavailableError(f"{request}: no answer from the API server: {reason}")


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds to wait by the header Retry-After (a number or a date); None when not said."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        return _until(value, now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _reason(body: bytes) -> str:
    """The message of a metav1.Status, or the body's own text."""
    text = body[:64_000].decode("utf-8", errors="replace")
    try:
        status = json.loads(text)
    except ValueError:
        return _one_line(text)
    message = status.get("message") if isinstance(status, dict) else None
    return _one_line(message if isinstance(message, str) else text)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[: _LONGEST_MESSAGE - 1]}…"
