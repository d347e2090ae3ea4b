"""The fleet's metrics page: every pod's engine, cache exporter and GPU, under their real names.

The labels `namespace` and `pod` are what a PodMonitor adds; the scrape must honour them. DCGM's
exporter names the pod that uses the GPU `exported_namespace` and `exported_pod`, as its chart does.
"""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aurora.simulator.live.livepod import LivePod
from aurora.simulator.live.world import World

__all__ = ["CONTENT_TYPE", "FleetCollector", "page"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ENGINE: Final = ("namespace", "pod", "model_name", "engine")
_HTTP: Final = ("namespace", "pod", "handler", "method", "status")
_STATUSES: Final = ("2xx", "4xx", "5xx")

_GAUGES: Final[tuple[tuple[str, str, Callable[[LivePod], float]], ...]] = (
    (
        "vllm:num_requests_running",
        "Number of requests in model execution batches.",
        lambda pod: pod.server.replica.running,
    ),
    (
        "vllm:num_requests_waiting",
        "Number of requests waiting to be processed.",
        lambda pod: pod.server.replica.waiting,
    ),
    (
        "vllm:kv_cache_usage_perc",
        "KV-cache usage. 1 means 100 percent usage.",
        lambda pod: pod.server.replica.kv_usage,
    ),
)
_COUNTERS: Final = (
    ("vllm:prompt_tokens", "Number of prefill tokens processed.", "prompt_tokens"),
    ("vllm:generation_tokens", "Number of generation tokens processed.", "generation_tokens"),
    ("vllm:num_preemptions", "Cumulative number of preemption from the engine.", "preemptions"),
)
_HISTOGRAMS: Final = (
    ("vllm:time_to_first_token_seconds", "Histogram of time to first token.", "ttft"),
    (
        "vllm:request_time_per_output_token_seconds",
        "Histogram of time_per_output_token per request.",
        "tpot",
    ),
    ("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency.", "e2e"),
)


class FleetCollector(Collector):
    """Gives the metrics of all exported pods, each family once."""

    def __init__(self, world: World) -> None:
        self._world = world

    def collect(self) -> Iterator[Metric]:
        pods = list(self._world.exported)
        for pod in pods:
            pod.server.expose()
        yield from _engines(pods)
        yield _http(pods)
        yield _gpus(pods, self._world.now)
        yield from _caches(pods)


def page(world: World) -> bytes:
    """The text that a scrape gets."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(world))
    return generate_latest(registry)


def _labels(pod: LivePod) -> list[str]:
    return [pod.fact.namespace, pod.fact.name, pod.workload.model_name, "0"]


def _engines(pods: list[LivePod]) -> Iterator[Metric]:
    for name, text, read in _GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=_ENGINE)
        for pod in pods:
            gauge.add_metric(_labels(pod), read(pod))
        yield gauge
    for name, text, key in _COUNTERS:
        counter = CounterMetricFamily(name, text, labels=_ENGINE)
        for pod in pods:
            counter.add_metric(_labels(pod), pod.server.metrics.counters[key])
        yield counter
    success = CounterMetricFamily(
        "vllm:request_success",
        "Count of successfully processed requests.",
        labels=(*_ENGINE, "finished_reason"),
    )
    for pod in pods:
        success.add_metric([*_labels(pod), "stop"], pod.server.metrics.counters["success"])
    yield success
    yield from _histograms(pods)


def _histograms(pods: list[LivePod]) -> Iterator[Metric]:
    for name, text, key in _HISTOGRAMS:
        family = HistogramMetricFamily(name, text, labels=_ENGINE)
        for pod in pods:
            histogram = pod.server.metrics.histograms[key]
            bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
            counts = histogram.cumulative().tolist()
            buckets = list(zip(bounds, counts, strict=True))
            family.add_metric(_labels(pod), buckets, sum_value=histogram.total_s)
        yield family


def _http(pods: list[LivePod]) -> Metric:
    family = CounterMetricFamily(
        "http_requests",
        "Total number of requests by method, status and handler.",
        labels=_HTTP,
    )
    for pod in pods:
        for status in _STATUSES:
            labels = [pod.fact.namespace, pod.fact.name, "/v1/completions", "POST", status]
            family.add_metric(labels, pod.http[status])
    return family


def _gpus(pods: list[LivePod], now: float) -> Metric:
    family = GaugeMetricFamily(
        "DCGM_FI_DEV_GPU_UTIL",
        "GPU utilization (in %).",
        labels=("gpu", "exported_namespace", "exported_pod"),
    )
    for pod in pods:
        share = round(100.0 * pod.gpu_share(now))
        family.add_metric(["0", pod.fact.namespace, pod.fact.name], share)
    return family


def _caches(pods: list[LivePod]) -> Iterator[Metric]:
    """The exporters' own families, each sample with the labels of its pod."""
    families: dict[str, Metric] = {}
    for pod in pods:
        if pod.cache_registry is None:
            continue
        owner = {"namespace": pod.fact.namespace, "pod": pod.fact.name}
        for metric in pod.cache_registry.collect():
            family = families.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type)
            )
            for sample in metric.samples:
                if not sample.name.endswith("_created"):
                    family.add_sample(sample.name, {**owner, **sample.labels}, sample.value)
    yield from families.values()
