"""The router's HTTP API; errors are RFC 9457 problem details."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from aurora.router.experiment_metrics import ExperimentCollector
from aurora.router.service import Router
from aurora.router.telemetry import RouterMetrics
from aurora.routing import InputError, NoEligibleProviderError, RoutingError, UnknownDecisionError

__all__ = ["RouterApi"]

_JSON: Final = {"Content-Type": "application/json"}
MOST_BYTES: Final = 4 * 1024**2
"""Of one request: 10,000 providers fit."""
Shape: TypeAlias = Mapping[str, tuple[str, tuple[type, ...]]]
_NUMBER: Final = ("a number", (int, float))
_OBJECT: Final = ("an object", (dict,))
DECIDE: Final[Shape] = {
    "context": _OBJECT,
    "providers": ("a list", (list,)),
    "constraints": _OBJECT,
    "psi_metrics": ("an object or a number", (dict, int, float)),
}
FEEDBACK: Final[Shape] = {
    "decision_id": ("a text", (str,)),
    "success": ("true or false", (bool,)),
    "actual_cost_usd": _NUMBER,
    "actual_latency_ms": _NUMBER,
    "actual_reputation": _NUMBER,
    "quality": _NUMBER,
    "next_context": _OBJECT,
}
FEEDBACK_NEEDS: Final = ("decision_id", "success", "actual_cost_usd", "actual_latency_ms")
_STATUS: Final[tuple[tuple[type[RoutingError], int, str], ...]] = (
    (NoEligibleProviderError, 422, "no-eligible-provider"),
    (UnknownDecisionError, 404, "unknown-decision"),
    (InputError, 400, "bad-input"),
    (RoutingError, 500, "internal"),
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RouterApi:
    """Routes: POST /decide and /feedback; GET /status, /audit, /metrics, /healthz, /readyz."""

    def __init__(self, router: Router, metrics: RouterMetrics) -> None:
        self._router, self._metrics = router, metrics
        self.ready = True
        metrics.registry.register(ExperimentCollector(router.report))

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[self._problems])
        app.add_routes(
            [
                web.post("/decide", self._decide),
                web.post("/feedback", self._feedback),
                web.get("/status", self._status),
                web.get("/audit", self._audit),
                web.get("/metrics", self._show_metrics),
                web.get("/healthz", self._healthy),
                web.get("/readyz", self._ready),
            ]
        )
        return app

    async def _decide(self, request: web.Request) -> web.Response:
        body = await _body(request, DECIDE)
        began = time.perf_counter()
        provider, metadata = self._router.decide(body)
        self._metrics.decided(provider, metadata["mode"], time.perf_counter() - began)
        return _json({"provider_id": provider, "metadata": metadata})

    async def _feedback(self, request: web.Request) -> web.Response:
        body = await _body(request, FEEDBACK, FEEDBACK_NEEDS)
        reward = self._router.feedback(body)
        self._metrics.learned(success=body["success"])
        return _json({"reward": reward})

    async def _status(self, _: web.Request) -> web.Response:
        return _json(self._router.get_status())

    async def _audit(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", "100")
        if not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= 1000:
            raise InputError(f"limit must be a number from 1 to 1000, not {text!r}")
        return _json({"entries": self._router.engine.get_audit_trail(int(text))})

    async def _show_metrics(self, _: web.Request) -> web.Response:
        status, metrics = self._router.get_status(), self._metrics
        metrics.pending.set(status["executor"]["pending_feedback"])
        metrics.state_ok.set(status["state_warning"] is None)
        metrics.psi_connected.set(bool(status["psi_field_connected"]))
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        if self.ready:
            return web.Response(text="ok\n")
        return _problem(503, "draining", "this router is stopping: ask another one")

    @web.middleware
    async def _problems(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await self._answer(request, handler)
        if not self.ready:
            answer.force_close()
        return answer

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RoutingError as error:
            status, kind = next((s, k) for t, s, k in _STATUS if isinstance(error, t))
            self._metrics.refused.labels(kind).inc()
            refused = getattr(error, "refused", None)
            return _problem(status, kind, str(error), **({"refused": refused} if refused else {}))
        except web.HTTPException as error:
            self._metrics.refused.labels("http").inc()
            return _problem(error.status, error.reason.lower().replace(" ", "-"), error.text or "")


async def _body(request: web.Request, shape: Shape, needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The request's object; what is null counts as not given."""
    try:
        body = _DECODER.decode((await request.read()).decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body must be one JSON object: {error}") from error
    if not isinstance(body, dict):
        raise InputError("the body must be one JSON object")
    unknown = sorted(set(body) - set(shape))
    if unknown:
        raise InputError(f"unknown keys {unknown}; known are {sorted(shape)}")
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        wanted, kinds = shape[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise InputError(f"{name} must be {wanted}, not {json.dumps(value)[:80]}")
    missing = [name for name in needed if name not in given]
    if missing:
        raise InputError(f"missing keys {missing}")
    return given


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


# Made once: `json.loads` and `json.dumps` with arguments make one for each call.
_DECODER: Final = json.JSONDecoder(parse_constant=_no_number)
_ENCODER: Final = json.JSONEncoder(default=str, separators=(",", ":"))


def _json(value: object) -> web.Response:
    return web.Response(body=_ENCODER.encode(value).encode(), headers=_JSON)


def _problem(status: int, kind: str, detail: str, **extra: object) -> web.Response:
    known = {"type": f"urn:aurora:router:{kind}", "title": kind.replace("-", " ")}
    body = {**known, "status": status, "detail": detail, **extra}
    return web.Response(
        status=status,
        body=_ENCODER.encode(body).encode(),
        headers={"Content-Type": "application/problem+json"},
    )
