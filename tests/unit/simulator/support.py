"""Builders of minimal objects."""

import random

from aurora.simulator.parameters import ServerParameters, UniformColdStart
from aurora.simulator.pool import Pool
from aurora.simulator.requests import Request
from aurora.simulator.view import MetricsView, Missing, PoolFacts

SERVER = ServerParameters(
    step_s=0.040, decode_s=1e-4, kv_s=1e-8, prefill_s=1e-4, kv_capacity=10_000, max_running=16
)
NOTHING = Missing("not given")
READINGS = (
    "request_rate",
    "completion_rate",
    "error_ratio",
    "ttft_p90",
    "ttft_p95",
    "tpot_p90",
    "tpot_p95",
    "tpot_mean",
    "e2e_p95",
    "e2e_mean",
    "caller_e2e_p95",
    "running",
    "waiting",
    "gateway_waiting",
    "kv_usage",
    "utilisation",
    "prompt_token_rate",
    "generation_token_rate",
    "cache_hit_ratio",
    "age_s",
)


def make_pool(replicas: int = 2, *, cold: float = 100.0, fallback: Pool | None = None) -> Pool:
    start = UniformColdStart(cold, cold)
    return Pool(SERVER, start, random.Random(1), replicas=replicas, fallback=fallback)


def make_request(number: int, at: float, prompt_id: int | None = None) -> Request:
    return Request(number, at, 100, 10, prompt_id)


def send(pool: Pool, count: int, *, at: float, prompt_id: int | None = None) -> None:
    """Send requests 1 ms apart, numbered on from those the gateway has seen."""
    first = int(pool.gateway.counters["requests"])
    for offset in range(count):
        pool.advance(at + offset * 1e-3)
        pool.submit(make_request(first + offset, at + offset * 1e-3, prompt_id))


def make_view(now: float = 1000.0, **readings: float) -> MetricsView:
    values = {name: readings.get(name, NOTHING) for name in READINGS}

    def source(_: float) -> MetricsView:
        return view

    view = MetricsView(
        now=now,
        window_s=60.0,
        ttft_samples=0.0,
        tpot_samples=0.0,
        pods_reporting=0,
        source=source,
        **values,
    )
    return view


def make_facts(now: float = 1000.0, **changes: object) -> PoolFacts:
    base = {
        "now": now,
        "desired": 4,
        "ready": 4,
        "starting": 0,
        "draining": 0,
        "minimum": 1,
        "maximum": 16,
    }
    return PoolFacts(**(base | changes))
