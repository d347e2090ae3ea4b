"""The fleet on one loopback port: metrics, probes, faults in, truth out."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from aurora.errors import UsageError
from aurora.simulator.live.exposition import CONTENT_TYPE, page
from aurora.simulator.live.faults import Injected, parse_request
from aurora.simulator.live.world import World

__all__ = ["FleetServer"]

_MAX_BODY_BYTES = 64 * 1024


class FleetServer:
    """The HTTP side of a world.

    Args:
        world: what is served; every request first brings it up to now.
        clock: seconds of the fleet's clock.
        epoch: wall time of its second 0, seconds since 1970.
    """

    def __init__(self, world: World, *, clock: Callable[[], float], epoch: float) -> None:
        self._world = world
        self._clock = clock
        self._epoch = epoch

    def app(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.get("/truth", self._truth),
                web.get("/faults", self._list_faults),
                web.post("/faults", self._add_fault),
                web.get("/pods/{namespace}/{pod}", self._probe),
                web.get("/pods/{namespace}/{pod}/{path:.*}", self._probe),
            ]
        )
        return app

    async def _metrics(self, _: web.Request) -> web.Response:
        self._world.advance(self._clock())
        return web.Response(body=page(self._world), headers={"Content-Type": CONTENT_TYPE})

    async def _probe(self, request: web.Request) -> web.Response:
        """Answer as the pod itself would: kwok's pods have no network of their own."""
        self._world.advance(self._clock())
        match = request.match_info
        pod = self._world.pod(match["namespace"], match["pod"])
        if pod is None:
            return web.Response(status=404, text="no such simulated pod\n")
        if not pod.ready:
            return web.Response(status=503, text="not ready\n")
        if self._world.is_failing(pod):
            return web.Response(status=500, text="internal server error\n")
        return web.Response(text="ok\n")

    async def _add_fault(self, request: web.Request) -> web.Response:
        now = self._clock()
        self._world.advance(now)
        try:
            document = json.loads(await request.text())
        except ValueError:
            return _refused("the body is not JSON")
        try:
            injected = parse_request(
                document,
                identifier=len(self._world.faults) + 1,
                now=now,
                known=self._world.targets,
            )
        except UsageError as error:
            return _refused(str(error))
        self._world.inject(injected)
        return web.json_response(self._told(injected), status=HTTPStatus.CREATED)

    async def _list_faults(self, _: web.Request) -> web.Response:
        return web.json_response([self._told(one) for one in self._world.faults])

    async def _truth(self, request: web.Request) -> web.Response:
        now = self._clock()
        self._world.advance(now)
        try:
            since = float(request.query.get("since", "0"))
        except ValueError:
            return _refused("since is seconds since 1970")
        services = [
            {
                "namespace": namespace,
                "name": name,
                "buckets": truth.told(epoch=self._epoch, since=since),
            }
            for (namespace, name), truth in sorted(self._world.truth.items())
        ]
        faults = [self._told(one) for one in self._world.faults]
        return web.json_response({"now": self._epoch + now, "services": services, "faults": faults})

    def _told(self, one: Injected) -> dict[str, Any]:
        return {
            "id": one.identifier,
            "kind": one.kind,
            "namespace": one.namespace,
            "name": one.name,
            "value": one.value,
            "start": self._epoch + one.fault.start,
            "end": self._epoch + one.fault.end,
        }


def _refused(message: str) -> web.Response:
    return web.json_response({"error": message}, status=HTTPStatus.BAD_REQUEST)
