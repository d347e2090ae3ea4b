"""What surrounds the operator in bench.cycle, each in a process of its own, over HTTP on loopback.

`api` holds the fleet's objects and answers as an API server does, without TLS, admission or disk.
`prometheus` answers with a recording of full size. Their time is not the operator's, and is not
counted as its own.

    python -m bench.standins api --models 1000
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web
from bench import bigfleet
from bench.recorded import Recording, prometheus

from aurora.errors import ConflictError, NotFoundError
from aurora.kube import kinds
from aurora.kube.kinds import Kind, Ref
from tests.support.fakecluster import FakeCluster

KINDS = {
    (kind.group, kind.plural): kind
    for kind in vars(kinds).values()
    if isinstance(kind, Kind) and kind not in kinds.OPTIONAL_KINDS
}
Handler = Callable[[web.Request], Awaitable[web.Response]]


class ApiServer:
    """Objects in memory; counts what it is asked."""

    def __init__(self, models: int) -> None:
        self.at = time.time()
        self.cluster = FakeCluster(wall=lambda: self.at)
        self.asked: Counter[str] = Counter()
        self.changed: dict[tuple[str, str, str], tuple[Kind, dict[str, Any]]] = {}
        for kind, obj in bigfleet.every_object(models):
            self.cluster.put(kind, obj)
        self.cluster.listeners.append(self._note)

    def _note(self, kind: Kind, _: str, obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        self.changed[str(kind), metadata.get("namespace", ""), metadata["name"]] = (kind, obj)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**24)
        app.router.add_get("/bench/clock/{at}", self._clock)
        app.router.add_get("/bench/changes", self._changes)
        for root in ("/api/{version}", "/apis/{group}/{version}"):
            app.router.add_get(root, self._discovery)
            app.router.add_route("*", root + "/namespaces/{ns}/{plural}", self._collection)
            for tail in ("/{name}", "/{name}/{sub}"):
                app.router.add_route("*", root + "/namespaces/{ns}/{plural}" + tail, self._one)
        return app

    async def _clock(self, request: web.Request) -> web.Response:
        self.at = float(request.match_info["at"])
        return web.json_response({})

    async def _changes(self, _: web.Request) -> web.Response:
        """What was written and asked since the last call, to be told as watches would."""
        found = [
            {"group": kind.group, "plural": kind.plural, "object": obj}
            for kind, obj in self.changed.values()
        ]
        told = {"objects": found, "asked": dict(self.asked)}
        self.changed.clear()
        self.asked.clear()
        return web.json_response(told)

    async def _discovery(self, request: web.Request) -> web.Response:
        group = request.match_info.get("group", "")
        found = [
            {"name": kind.plural, "kind": kind.kind, "namespaced": kind.namespaced}
            for (of, _), kind in KINDS.items()
            if of == group
        ]
        if not found:
            return _status(404, "NotFound", "no such group")
        return web.json_response({"resources": found})

    async def _collection(self, request: web.Request) -> web.Response:
        kind = _kind(request)
        self.asked["create"] += 1
        return await self._answered(self.cluster.create(kind, await request.json()), 201)

    async def _one(self, request: web.Request) -> web.Response:
        info = request.match_info
        ref, sub = Ref(_kind(request), info["ns"], info["name"]), info.get("sub", "")
        if request.method == "GET":
            self.asked["get"] += 1
            found = await self.cluster.get(ref, sub)
            return web.json_response(found) if found else _status(404, "NotFound", str(ref))
        body, how = await request.json(), request.content_type
        lease = " lease" if ref.kind == kinds.LEASE else ""
        self.asked[f"patch{lease}"] += 1
        if how == "application/json-patch+json":
            return await self._answered(self.cluster.patch_json(ref, body, subresource=sub))
        if how == "application/merge-patch+json":
            told = "as=PartialObjectMetadata" in request.headers.get("Accept", "")
            written = self.cluster.patch_merge(ref, body, subresource=sub, metadata_only=told)
            return await self._answered(written)
        return await self._answered(self.cluster.apply(ref.kind, body))

    async def _answered(self, work: Awaitable[Mapping[str, Any]], code: int = 200) -> web.Response:
        try:
            return web.json_response(await work, status=code)
        except ConflictError as error:
            return _status(409, "Conflict", str(error))
        except NotFoundError as error:
            return _status(404, "NotFound", str(error))


def _kind(request: web.Request) -> Kind:
    info = request.match_info
    kind = KINDS[info.get("group", ""), info["plural"]]
    return replace(kind, version=info["version"])


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code)


def recordings(models: int, breaching: int) -> dict[str, list[Recording]]:
    """Two turns of each, so that numbers move between cycles."""
    every = list(bigfleet.named(models))
    chosen = frozenset(random.Random(3).sample(range(models), breaching))
    return {
        name: [Recording.drawn(every, seed=seed, breaching=which) for seed in (1, 2)]
        for name, which in {"steady": frozenset[int](), "breaching": chosen}.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("api", "prometheus"))
    parser.add_argument("--models", type=int, required=True)
    parser.add_argument("--breaching", type=int, default=0)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.what == "api":
        app = ApiServer(arguments.models).app()
    else:
        app = prometheus(recordings(arguments.models, arguments.breaching))
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
