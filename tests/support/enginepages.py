"""What engines and the cluster's exporters show a Prometheus that scrapes them."""

import json
import time
from dataclasses import dataclass, field

from tests.support.realprometheus import Page

RATE = 20.0


@dataclass
class Vllm:
    """Exports what vLLM does: `rate` requests/s of 0.3 s each, a tenth of them failed."""

    rate: float = RATE
    up: bool = True
    kv: str = "0.5"
    seconds: str = "0.3"
    model: str = "m"
    started: float = field(default_factory=time.monotonic)

    def page(self) -> str | None:
        if not self.up:
            return None
        done = (time.monotonic() - self.started) * self.rate
        own = f'model_name={json.dumps(self.model, ensure_ascii=False)},engine="0"'
        sums = "NaN" if self.seconds == "NaN" else done * float(self.seconds)
        post = 'http_requests_total{handler="/v1/completions",method="POST"'
        lines = [
            f"vllm:num_requests_running{{{own}}} 3",
            f"vllm:kv_cache_usage_perc{{{own}}} {self.kv}",
            f'vllm:request_success_total{{{own},finished_reason="stop"}} {done}',
            f'{post},status="2xx"}} {done * 0.9}',
            f'{post},status="5xx"}} {done * 0.1}',
            f'http_requests_total{{handler="/health",method="GET",status="2xx"}} {done * 100}',
        ]
        for name in ("e2e_request_latency", "time_to_first_token", "inter_token_latency"):
            metric = f"vllm:{name}_seconds"
            lines += [
                f'{metric}_bucket{{{own},le="0.25"}} 0',
                f'{metric}_bucket{{{own},le="0.5"}} {done}',
                f'{metric}_bucket{{{own},le="+Inf"}} {done}',
                f"{metric}_sum{{{own}}} {sums}",
                f"{metric}_count{{{own}}} {done}",
            ]
        return "\n".join(lines) + "\n"


def histogram(name: str, labels: str, done: float) -> list[str]:
    own = f"{labels}," if labels else ""
    return [
        f'{name}_bucket{{{own}le="0.25"}} 0',
        f'{name}_bucket{{{own}le="0.5"}} {done}',
        f'{name}_bucket{{{own}le="+Inf"}} {done}',
        f"{name}_sum{{{labels}}} {done * 0.3}",
        f"{name}_count{{{labels}}} {done}",
    ]


def others(done: float) -> list[str]:
    """What TGI, Triton, the generic metrics, the cache and the cluster's exporters say."""
    container = 'container="engine",namespace="others",pod="llama-6b4f8c9d75-x2vwz"'
    gpu = 'exported_namespace="others",exported_pod="llama-6b4f8c9d75-x2vwz"'
    return [
        "tgi_queue_size 4",
        "tgi_batch_current_size 5",
        f"tgi_request_count {done}",
        f'tgi_request_failure{{err="overloaded"}} {done * 0.2}',
        f'tgi_request_failure{{err="validation"}} {done * 0.1}',
        f'tgi_request_failure{{err="dropped"}} {done * 0.3}',
        *histogram("tgi_request_duration", "", done),
        *histogram("tgi_request_mean_time_per_token_duration", "", done),
        f'nv_inference_request_success{{model="m",version="1"}} {done * 0.8}',
        f'nv_inference_request_failure{{model="m",version="1",reason="OTHER"}} {done * 0.2}',
        f'nv_inference_request_duration_us{{model="m",version="1"}} {done * 0.8 * 3e5}',
        'nv_inference_request_summary_us{model="m",version="1",quantile="0.95"} 400000',
        'nv_inference_pending_request_count{model="m",version="1"} 6',
        'nv_gpu_utilization{gpu_uuid="1"} 0.7',
        'aurora_running{model="n"} 7',
        "aurora_waiting 8",
        "aurora_kv_cache_ratio 0.25",
        f'aurora_requests_total{{code="200"}} {done * 0.7}',
        f'aurora_requests_total{{code="429"}} {done * 0.2}',
        f'aurora_requests_total{{code="503"}} {done * 0.1}',
        *histogram("aurora_request_seconds", "", done),
        *histogram("aurora_ttft_seconds", "", done),
        *histogram("aurora_tpot_seconds", "", done),
        "aurora_accuracy_ratio 0.65",
        "aurora_drift_score 0.6",
        f'aurora_cache_requests_total{{status="hit"}} {done * 0.4}',
        f'aurora_cache_requests_total{{status="miss"}} {done * 0.6}',
        f"aurora_cache_cacheable_total {done * 0.5}",
        f"aurora_cache_repeats_total {done * 0.4}",
        *histogram("aurora_cache_request_seconds", 'status="hit"', done),
        f"container_cpu_usage_seconds_total{{{container}}} {done / RATE * 0.5}",
        f"container_memory_working_set_bytes{{{container}}} 900",
        f"container_memory_working_set_bytes{{{container.replace('engine', 'free')}}} 5000",
        f'kube_pod_container_resource_limits{{{container},resource="cpu"}} 2',
        f'kube_pod_container_resource_requests{{{container},resource="cpu"}} 1',
        f'kube_pod_container_resource_requests{{{container},resource="memory"}} 1000',
        f'DCGM_FI_DEV_GPU_UTIL{{{gpu},gpu="0"}} 90',
        f'DCGM_FI_DEV_GPU_UTIL{{{gpu},gpu="1"}} 70',
    ]


def others_page(started: float) -> Page:
    return lambda: "\n".join(others((time.monotonic() - started) * RATE)) + "\n"
