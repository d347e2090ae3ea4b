"""What can become of a call at the fault proxy, and which calls are meant."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.support.faultproxy import Answer, Fault, Forward, Handling, status_body
from tests.support.faultproxy_calls import Call

__all__ = [
    "after",
    "before",
    "delayed",
    "each_write_once",
    "held",
    "lost_answer",
    "nth_write",
    "refused",
    "reset",
]

_REASONS = {
    403: ("Forbidden", "exceeded quota: models, requested: pods=1, used: pods=2, limited: pods=2"),
    409: ("Conflict", "the object has been modified; please apply your changes to the latest"),
    410: ("Expired", "The resourceVersion for the provided list is too old."),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "an internal error occurred"),
    503: ("ServiceUnavailable", "the API server is shutting down"),
}


def refused(status: int, *, retry_after: str = "") -> Handling:
    """The API server never sees it, and the caller gets the refusal that it would give."""
    reason, message = _REASONS[status]
    headers = {"Content-Type": "application/json"}
    if retry_after:
        headers["Retry-After"] = retry_after
    answer = Answer(status, status_body(status, reason, message), headers)

    async def handling(_: Call, __: Forward) -> Answer | None:
        return answer

    return handling


async def reset(_: Call, __: Forward) -> Answer | None:
    """The connection breaks before the API server had the request."""
    return None


async def lost_answer(_: Call, forward: Forward) -> Answer | None:
    """The API server did it, and the caller never hears of it."""
    await forward()
    return None


def delayed(seconds: float) -> Handling:
    async def handling(_: Call, forward: Forward) -> Answer | None:
        await asyncio.sleep(seconds)
        return await forward()

    return handling


def held(until: asyncio.Event) -> Handling:
    """The request is on its way until the test lets it arrive."""

    async def handling(_: Call, forward: Forward) -> Answer | None:
        await until.wait()
        return await forward()

    return handling


def before(hook: Callable[[Call], Awaitable[None]]) -> Handling:
    """The test acts right before the API server gets it."""

    async def handling(call: Call, forward: Forward) -> Answer | None:
        await hook(call)
        return await forward()

    return handling


def after(hook: Callable[[Call], Awaitable[None]]) -> Handling:
    """The test acts when the API server has done it and the caller does not know yet."""

    async def handling(call: Call, forward: Forward) -> Answer | None:
        answer = await forward()
        await hook(call)
        return answer

    return handling


def each_write_once(name: str, handling: Handling) -> Fault:
    """Strike the first attempt of each different write: it has to be done again."""
    struck: set[str] = set()

    def picks(call: Call) -> bool:
        if not call.is_write or _shape(call) in struck:
            return False
        struck.add(_shape(call))
        return True

    return Fault(name, picks, handling)


def _shape(call: Call) -> str:
    """What tells one write from another: the object and the leaves, not the values."""
    if isinstance(call.body, list):
        touched = [one["path"] for one in call.body if one["op"] != "test"]
    else:
        touched = [str((call.body or {}).get("status", {}).get("phase", ""))]
    name = call.name.partition(".")[0] if call.resource == "events" else call.name
    return f"{call.verb} {call.resource} {name} {call.subresource} {touched}"


def nth_write(number: int) -> Callable[[Call], bool]:
    """Pick the write with this number, counted from 0 when the fault is injected."""
    seen = 0

    def picks(call: Call) -> bool:
        nonlocal seen
        if not call.is_write:
            return False
        seen += 1
        return seen == number + 1

    return picks
