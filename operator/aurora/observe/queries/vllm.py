"""vLLM's own metrics (vllm/v1/metrics/loggers.py) and its HTTP server's.

Names that changed are asked for newest first, per workload: buckets of two histograms must never
mix. vLLM counts finished requests, failed ones only in `http_requests_total`, which its FastAPI
instrumentator exports with `status="5xx"`.
"""

from aurora.observe.queries.preset import Batch, Expression, Preset, Source
from aurora.observe.queries.promql import Frame, Label
from aurora.observe.sample import Signal

__all__ = ["VLLM"]

_E2E = "vllm:e2e_request_latency_seconds"
_TTFT = "vllm:time_to_first_token_seconds"
_TPOT = (
    "vllm:request_time_per_output_token_seconds",  # per request, as an objective means it
    "vllm:inter_token_latency_seconds",  # per token
    "vllm:time_per_output_token_seconds",  # per token, before 0.11
)
_KV = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
_HTTP = "http_requests_total"
# Probes and model listings are GETs; they would thin out the share of failed requests.
_POST = Label("method", "=", "POST")


def _first_of(*texts: str) -> str:
    return "\nor\n".join(texts)


def _status(pattern: str) -> Expression:
    def expression(frame: Frame) -> str:
        failed = frame.rate(_HTTP, _POST, Label("status", "=~", pattern))
        return frame.ratio(failed, frame.rate(_HTTP, _POST))

    return expression


def _count(metric: str) -> Expression:
    return lambda frame: frame.grouped(frame.increase(metric))


def _http_count(frame: Frame) -> str:
    return frame.grouped(frame.increase(_HTTP, _POST))


def _tpot_count(frame: Frame) -> str:
    return _first_of(*(frame.grouped(frame.increase(f"{name}_count")) for name in _TPOT))


VLLM = Preset(
    source=Source.VLLM,
    alive="vllm:num_requests_running",
    alive_labels=("model_name", "engine"),
    name_label="model_name",  # the first of --served-model-name
    signals={
        Batch.TRAFFIC: {
            Signal.REQUEST_RATE: lambda f: f.grouped(f.rate("vllm:request_success_total")),
            Signal.SERVER_ERROR_RATIO: _status("5.."),
            Signal.CLIENT_ERROR_RATIO: _status("4.."),
            Signal.PROMPT_TOKEN_RATE: lambda f: f.grouped(f.rate("vllm:prompt_tokens_total")),
            Signal.GENERATION_TOKEN_RATE: lambda f: f.grouped(
                f.rate("vllm:generation_tokens_total")
            ),
        },
        Batch.LATENCY: {
            Signal.LATENCY_P95: lambda f: f.quantile(_E2E),
            Signal.LATENCY_MEAN: lambda f: f.mean(_E2E),
            Signal.TTFT_P95: lambda f: f.quantile(_TTFT),
            Signal.TPOT_P95: lambda f: _first_of(*(f.quantile(name) for name in _TPOT)),
            Signal.TPOT_MEAN: lambda f: _first_of(*(f.mean(name) for name in _TPOT)),
        },
        Batch.LOAD: {
            Signal.RUNNING: lambda f: f.grouped(f.select("vllm:num_requests_running")),
            Signal.WAITING: lambda f: f.grouped(f.select("vllm:num_requests_waiting")),
            Signal.KV_CACHE_RATIO: lambda f: _first_of(
                *(f.grouped(f.select(name), operator="avg") for name in _KV)
            ),
        },
    },
    samples={
        Signal.REQUEST_RATE: _count("vllm:request_success_total"),
        Signal.SERVER_ERROR_RATIO: _http_count,
        Signal.LATENCY_P95: _count(f"{_E2E}_count"),
        Signal.TTFT_P95: _count(f"{_TTFT}_count"),
        Signal.TPOT_P95: _tpot_count,
    },
)
