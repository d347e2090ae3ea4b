"""The generic `aurora_*` metrics, for servers that have no preset, and a model's quality.

Quality (accuracy, data drift) is exported by whatever evaluates the model, beside any engine.
"""

from aurora.observe.queries.preset import Batch, Expression, Preset, Source
from aurora.observe.queries.promql import Frame, Label
from aurora.observe.sample import Signal

__all__ = ["ACCURACY", "DRIFT", "SDK"]

_E2E = "aurora_request_seconds"
_TTFT = "aurora_ttft_seconds"
_TPOT = "aurora_tpot_seconds"
_REQUESTS = "aurora_requests_total"


def _code(pattern: str) -> Expression:
    def expression(f: Frame) -> str:
        return f.ratio(f.rate(_REQUESTS, Label("code", "=~", pattern)), f.rate(_REQUESTS))

    return expression


def _count(metric: str) -> Expression:
    return lambda f: f.grouped(f.increase(metric))


SDK = Preset(
    source=Source.SDK,
    alive="aurora_running",
    alive_labels=("model",),
    name_label="model",
    signals={
        Batch.TRAFFIC: {
            Signal.REQUEST_RATE: lambda f: f.grouped(f.rate(_REQUESTS)),
            Signal.SERVER_ERROR_RATIO: _code("5.."),
            Signal.CLIENT_ERROR_RATIO: _code("4.."),
            Signal.PROMPT_TOKEN_RATE: lambda f: f.grouped(f.rate("aurora_prompt_tokens_total")),
            Signal.GENERATION_TOKEN_RATE: lambda f: f.grouped(
                f.rate("aurora_generation_tokens_total")
            ),
        },
        Batch.LATENCY: {
            Signal.LATENCY_P95: lambda f: f.quantile(_E2E),
            Signal.LATENCY_MEAN: lambda f: f.mean(_E2E),
            Signal.TTFT_P95: lambda f: f.quantile(_TTFT),
            Signal.TPOT_P95: lambda f: f.quantile(_TPOT),
            Signal.TPOT_MEAN: lambda f: f.mean(_TPOT),
        },
        Batch.LOAD: {
            Signal.RUNNING: lambda f: f.grouped(f.select("aurora_running")),
            Signal.WAITING: lambda f: f.grouped(f.select("aurora_waiting")),
            Signal.KV_CACHE_RATIO: lambda f: f.grouped(
                f.select("aurora_kv_cache_ratio"), operator="avg"
            ),
        },
    },
    samples={
        Signal.REQUEST_RATE: _count(_REQUESTS),
        Signal.LATENCY_P95: _count(f"{_E2E}_count"),
        Signal.TTFT_P95: _count(f"{_TTFT}_count"),
        Signal.TPOT_P95: _count(f"{_TPOT}_count"),
    },
)

ACCURACY = Preset(
    source=Source.ACCURACY,
    alive="aurora_accuracy_ratio",
    alive_labels=None,
    signals={
        Batch.LOAD: {
            Signal.ACCURACY: lambda f: f.grouped(f.select("aurora_accuracy_ratio"), operator="avg")
        }
    },
)

DRIFT = Preset(
    source=Source.DRIFT,
    alive="aurora_drift_score",
    alive_labels=None,
    signals={
        Batch.LOAD: {
            Signal.DRIFT_SCORE: lambda f: f.grouped(f.select("aurora_drift_score"), operator="max")
        }
    },
)
