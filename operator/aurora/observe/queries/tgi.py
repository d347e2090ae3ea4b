"""Metrics of Text Generation Inference's router; durations are in seconds.

`tgi_request_count` counts what came in; `tgi_request_failure` has the label `err`: `validation`
is the client's fault, `dropped` is a client that went away, the rest is the server's.
"""

from aurora.observe.queries.preset import Batch, Preset, Source
from aurora.observe.queries.promql import Frame, Label
from aurora.observe.sample import Signal

__all__ = ["TGI"]

_E2E = "tgi_request_duration"
_TPOT = "tgi_request_mean_time_per_token_duration"
_CLIENT = "validation|template|tool_error"
_GONE = "dropped"


def _failed(op: str, errors: str) -> Label:
    return Label("err", op, errors)


def _server_errors(f: Frame) -> str:
    failed = f.rate("tgi_request_failure", _failed("!~", f"{_CLIENT}|{_GONE}"))
    return f.ratio(failed, f.rate("tgi_request_count"))


def _client_errors(f: Frame) -> str:
    failed = f.rate("tgi_request_failure", _failed("=~", _CLIENT))
    return f.ratio(failed, f.rate("tgi_request_count"))


TGI = Preset(
    source=Source.TGI,
    alive="tgi_queue_size",
    alive_labels=(),
    # No name_label: the router has one model, names it nowhere and answers to any name.
    signals={
        Batch.TRAFFIC: {
            Signal.REQUEST_RATE: lambda f: f.grouped(f.rate("tgi_request_count")),
            Signal.SERVER_ERROR_RATIO: _server_errors,
            Signal.CLIENT_ERROR_RATIO: _client_errors,
            Signal.PROMPT_TOKEN_RATE: lambda f: f.grouped(f.rate("tgi_request_input_length_sum")),
            Signal.GENERATION_TOKEN_RATE: lambda f: f.grouped(
                f.rate("tgi_request_generated_tokens_sum")
            ),
        },
        Batch.LATENCY: {
            Signal.LATENCY_P95: lambda f: f.quantile(_E2E),
            Signal.LATENCY_MEAN: lambda f: f.mean(_E2E),
            Signal.TPOT_P95: lambda f: f.quantile(_TPOT),
            Signal.TPOT_MEAN: lambda f: f.mean(_TPOT),
        },
        Batch.LOAD: {
            Signal.RUNNING: lambda f: f.grouped(f.select("tgi_batch_current_size")),
            Signal.WAITING: lambda f: f.grouped(f.select("tgi_queue_size")),
        },
    },
    samples={
        Signal.REQUEST_RATE: lambda f: f.grouped(f.increase("tgi_request_count")),
        Signal.LATENCY_P95: lambda f: f.grouped(f.increase(f"{_E2E}_count")),
        Signal.TPOT_P95: lambda f: f.grouped(f.increase(f"{_TPOT}_count")),
    },
    hints={
        Signal.TTFT_P95: "TGI exports no time to first token: set an own query for ttftP95",
        Signal.KV_CACHE_RATIO: "TGI exports no KV cache usage",
    },
)
