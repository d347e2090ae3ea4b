"""Which kinds the API server serves, and how each is reached."""

from collections.abc import Awaitable, Callable
from typing import Any

from aurora.errors import NotFoundError
from aurora.kube.kinds import Kind
from aurora.kube.transport import Request

__all__ = ["Discovery"]

BELIEVED_S = 600.0
"""How long an answer is believed: kinds come and go with installations."""


class Discovery:
    """Asks once for each group and version, and again after 10 minutes."""

    def __init__(
        self,
        send: Callable[[Request], Awaitable[dict[str, Any]]],
        monotonic: Callable[[], float],
    ) -> None:
        self._send = send
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, dict[str, Kind]]] = {}

    async def resolve(self, api_version: str, kind: str) -> Kind | None:
        """Find a kind by its name; None when it is not served."""
        now = self._monotonic()
        at, kinds = self._known.get(api_version, (float("-inf"), {}))
        if now - at >= BELIEVED_S:
            kinds = await self._ask(api_version)
            self._known[api_version] = (now, kinds)
        return kinds.get(kind)

    async def _ask(self, api_version: str) -> dict[str, Kind]:
        group, _, version = api_version.rpartition("/")
        resources = Kind(group, version, "discovery", "APIResourceList")
        try:
            found = await self._send(Request("get", resources, "GET", resources.root))
        except NotFoundError:
            return {}
        return {
            one["kind"]: Kind(group, version, one["name"], one["kind"], one["namespaced"])
            for one in found.get("resources") or []
            if "/" not in one["name"]
        }
