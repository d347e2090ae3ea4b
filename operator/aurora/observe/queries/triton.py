"""Metrics of Triton Inference Server.

Its duration is one counter in microseconds, so by default there is a mean and no percentile.
Percentiles come from summaries (`--metrics-config summary_latencies=true`), which cannot be
added over pods: the slowest pod and model stands for the workload.
"""

from aurora.observe.queries.preset import Batch, Preset, Source
from aurora.observe.queries.promql import Frame, Label, block
from aurora.observe.sample import Signal

__all__ = ["TRITON"]

_OK = "nv_inference_request_success"
_FAILED = "nv_inference_request_failure"
_DURATION = "nv_inference_request_duration_us"
_FIRST = "nv_inference_first_response_histogram_ms"
_GONE = Label("reason", "!=", "CANCELED")


def _all_requests(f: Frame) -> str:
    answered = f.grouped(f.rate(_OK))
    return f"{answered}\n+\n" + block("(", f"{f.grouped(f.rate(_FAILED))}\nor\n0 * {answered}")


def _server_errors(f: Frame) -> str:
    none_failed = f"0 * {f.grouped(f.rate(_OK))}"
    failed = block("(", f"{f.grouped(f.rate(_FAILED, _GONE))}\nor\n{none_failed}")
    return f"{failed}\n/\n{block('(', _all_requests(f))}"


def _p95(f: Frame) -> str:
    summary = f.select("nv_inference_request_summary_us", Label("quantile", "=", "0.95"))
    return f"{f.grouped(summary, operator='max')} / 1e6"


TRITON = Preset(
    source=Source.TRITON,
    alive=_OK,
    alive_labels=("model", "version"),
    name_label="model",
    signals={
        Batch.TRAFFIC: {
            Signal.REQUEST_RATE: _all_requests,
            Signal.SERVER_ERROR_RATIO: _server_errors,
        },
        Batch.LATENCY: {
            Signal.LATENCY_P95: _p95,
            Signal.LATENCY_MEAN: lambda f: f.quotient(
                f.rate(_DURATION), f.rate(_OK), scale=" / 1e6"
            ),
            Signal.TTFT_P95: lambda f: f.quantile(_FIRST, scale=" / 1e3"),
        },
        Batch.LOAD: {
            Signal.WAITING: lambda f: f.grouped(f.select("nv_inference_pending_request_count")),
            Signal.GPU_RATIO: lambda f: f.grouped(f.select("nv_gpu_utilization"), operator="avg"),
        },
    },
    samples={
        Signal.REQUEST_RATE: lambda f: f.grouped(f.increase(_OK)),
        Signal.LATENCY_P95: lambda f: f.grouped(f.increase(_OK)),
        Signal.TTFT_P95: lambda f: f.grouped(f.increase(f"{_FIRST}_count")),
    },
    hints={
        Signal.LATENCY_P95: "start Triton with --metrics-config summary_latencies=true",
        Signal.TTFT_P95: "start Triton with --metrics-config histogram_latencies=true",
        Signal.TPOT_P95: "Triton exports no time per output token",
        Signal.TPOT_MEAN: "Triton exports no time per output token",
        Signal.CLIENT_ERROR_RATIO: "Triton does not count what clients got wrong",
        Signal.RUNNING: "Triton exports waiting requests only",
        Signal.KV_CACHE_RATIO: "Triton exports no KV cache usage",
        Signal.PROMPT_TOKEN_RATE: "Triton counts no tokens",
        Signal.GENERATION_TOKEN_RATE: "Triton counts no tokens",
    },
)
