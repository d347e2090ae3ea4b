"""What a cycle's queries cost a real Prometheus that scrapes a fleet of any size.

An exporter on loopback shows what the pods of a vLLM fleet show: two pods a model with vLLM's three
histograms (64 buckets), its counters and gauges, HTTP requests, container and GPU metrics, about
100 series a pod. Prometheus scrapes it every 15 s; then the operator's own client asks the
operator's own queries. Told are the time and size of each, and Prometheus' own CPU and memory. With
`--recorded` Prometheus evaluates the recording rules of `aurora recording-rules` meanwhile, and the
operator reads those.

    python -m bench.prometheus [--models 1000] [--scrapes 8] [--recorded] [--output json]
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from bench import bigfleet
from bench.capacity_accuracy import E2E_BUCKETS, TPOT_BUCKETS, TTFT_BUCKETS
from bench.processes import cpu_s, rss_mb

from aurora.observe.prometheus import PrometheusClient, PrometheusSettings
from aurora.observe.queries import (
    MetricsSettings,
    Source,
    fleet_queries,
    recorded_queries,
    rule_groups,
)
from aurora.observe.reader import MetricsReader
from aurora.observe.sample import Sample, Signal
from aurora.observe.view import Wanted
from tests.support.realprometheus import Exporters, Prometheus, wait_until

SCRAPE_S = 15
PODS_PER_PAGE = 500
SOURCES = (Source.VLLM, Source.CACHE, Source.CONTAINERS, Source.GPU)
POD, SPACE = "@pod@", "@namespace@"
HISTOGRAMS = {
    "vllm:e2e_request_latency_seconds": E2E_BUCKETS,
    "vllm:time_to_first_token_seconds": TTFT_BUCKETS,
    "vllm:request_time_per_output_token_seconds": TPOT_BUCKETS,
}


class Fleet:
    """The pods' pages; every pod shows the same numbers, which rise from scrape to scrape."""

    def __init__(self, models: int) -> None:
        found = [(one.namespace, pod) for one in bigfleet.named(models) for pod in one.pods]
        self.pages = [found[n : n + PODS_PER_PAGE] for n in range(0, len(found), PODS_PER_PAGE)]
        self.series = len(found) * sum(1 for _ in lines(1.0))
        self._began = time.monotonic()

    def page(self, number: int) -> str:
        block = "\n".join(lines(time.monotonic() - self._began + 3600.0)) + "\n"
        return "".join(
            block.replace(POD, pod).replace(SPACE, space) for space, pod in self.pages[number]
        )


def lines(age_s: float) -> Iterator[str]:
    """What one pod that serves 2 requests/s shows after so many seconds."""
    own = f'namespace="{SPACE}",pod="{POD}"'
    model = f'{own},model_name="llama-3-8b",engine="0"'
    served = 2.0 * age_s
    for name, bounds in HISTOGRAMS.items():
        for place, bound in enumerate((*bounds, "+Inf"), 1):
            share = min(1.0, place / (0.6 * len(bounds)))
            yield f'{name}_bucket{{{model},le="{bound}"}} {served * share:.3f}'
        yield f"{name}_sum{{{model}}} {served * 0.4:.3f}"
        yield f"{name}_count{{{model}}} {served:.3f}"
    for reason in ("stop", "length", "abort"):
        yield f'vllm:request_success_total{{{model},finished_reason="{reason}"}} {served / 3:.3f}'
    yield f"vllm:prompt_tokens_total{{{model}}} {600.0 * served:.3f}"
    yield f"vllm:generation_tokens_total{{{model}}} {180.0 * served:.3f}"
    for name, value in (("running", 4), ("waiting", 0)):
        yield f"vllm:num_requests_{name}{{{model}}} {value}"
    yield f"vllm:kv_cache_usage_perc{{{model}}} 0.4"
    for status in ("2xx", "4xx", "5xx"):
        handler = f'{own},handler="/v1/completions",method="POST",status="{status}"'
        yield f"http_requests_total{{{handler}}} {served if status == '2xx' else 0.0:.3f}"
    container = f'{own},container="vllm"'
    yield f"container_cpu_usage_seconds_total{{{container}}} {1.5 * age_s:.3f}"
    yield f"container_memory_working_set_bytes{{{container}}} 3e10"
    for resource, value in (("cpu", 4), ("memory", 3.4e10)):
        unit = "core" if resource == "cpu" else "byte"
        labels = f'{container},resource="{resource}",unit="{unit}"'
        yield f"kube_pod_container_resource_requests{{{labels}}} {value}"
        yield f"kube_pod_container_resource_limits{{{labels}}} {value}"
    yield f'DCGM_FI_DEV_GPU_UTIL{{{own},gpu="0"}} 55'


class SlowPrometheus(Prometheus):
    """Scrapes as often as a cluster's does, and keeps the exporter's labels."""

    def start(self) -> None:
        super().start()
        path = self.folder / "prometheus.yml"
        config = yaml.safe_load(path.read_text())
        config["global"] = {"scrape_interval": f"{SCRAPE_S}s", "scrape_timeout": f"{SCRAPE_S}s"}
        config["scrape_configs"][0]["honor_labels"] = True
        path.write_text(yaml.safe_dump(config))
        assert self.process is not None
        self.process.send_signal(1)  # SIGHUP: read the configuration again


async def asked(url: str, models: int, pid: int, settings: MetricsSettings) -> dict[str, Any]:
    client = PrometheusClient(PrometheusSettings(url, query_timeout_s=120.0, deadline_s=600.0))
    spaces = sorted({one.namespace for one in bigfleet.named(models)})
    queries = fleet_queries(settings, sorted(SOURCES), namespaces=spaces)
    queries |= recorded_queries(settings, queries, spaces)
    each: dict[str, Any] = {}
    for name, text in queries.items():
        cpu, began = cpu_s(pid), time.perf_counter()
        answer = (await client.fetch({name: text}))[name]()
        each[name] = {
            "wall_s": round(time.perf_counter() - began, 2),
            "prometheus_cpu_s": round(cpu_s(pid) - cpu, 2),
            "failure": getattr(answer, "reason", ""),
        }
    signals = frozenset(Signal) - {Signal.ACCURACY, Signal.DRIFT_SCORE}
    want = Wanted("vllm", signals, min_samples=1, ready_pods=bigfleet.PODS, armed=False)
    wanted = {(one.namespace, one.name): want for one in bigfleet.named(models)}
    cpu, began, own = cpu_s(pid), time.perf_counter(), time.process_time()
    view = await MetricsReader(client, settings).read(time.time(), wanted)
    total = {
        "queries": view.source.queries,
        "failure": view.source.failure,
        "wall_s": round(time.perf_counter() - began, 2),
        "operator_cpu_s": round(time.process_time() - own, 2),
        "prometheus_cpu_s": round(cpu_s(pid) - cpu, 2),
        "prometheus_rss_mb": round(rss_mb(pid)),
    }
    read = [one for of in view.workloads.values() for one in of.signals.values()]
    total["numbers"] = sum(isinstance(one, Sample) for one in read)
    total["readings"] = len(read)
    client.close()
    return {"each": each, "together": total}


def groups_of_rules(server: Prometheus) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/api/v1/rules", timeout=30) as answer:
        groups: list[dict[str, Any]] = json.load(answer)["data"]["groups"]
    return groups


def evaluated(server: Prometheus) -> bool:
    """Whether each rule was evaluated once."""
    return not any(one["lastEvaluation"].startswith("0001") for one in groups_of_rules(server))


def measure(models: int, scrapes: int, *, recorded: bool) -> dict[str, Any]:
    settings = MetricsSettings(window_s=120, stale_after_s=90, remember_s=600, recorded=recorded)
    fleet, exporters = Fleet(models), Exporters()
    with tempfile.TemporaryDirectory() as folder:
        rules: dict[str, object] | None = {"groups": rule_groups(settings)} if recorded else None
        server = SlowPrometheus(Path(folder), rules=rules)
        for number in range(len(fleet.pages)):
            exporters.pages[f"page-{number}"] = lambda number=number: fleet.page(number)  # type: ignore[misc]
            server.add(exporters.address, f"page-{number}")
        server.start()
        assert server.process is not None
        pid = server.process.pid
        try:
            whole = f"count(count_over_time(vllm:num_requests_running[1h]) >= {scrapes})"
            goal = bigfleet.PODS * models
            wait_until(lambda: (server.query(whole) or 0) >= goal, 1800.0, "enough was scraped")
            if recorded:
                wait_until(lambda: evaluated(server), 300.0, "the rules were evaluated")
            found = asyncio.run(asked(server.url, models, pid, settings))
            took = {one["name"]: round(one["evaluationTime"], 2) for one in groups_of_rules(server)}
        finally:
            server.stop()
            exporters.close()
    found |= {"rules_s": took, "load_average": os.getloadavg()[0]}
    return {"models": models, "series": fleet.series, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--scrapes", type=int, default=8, help="that the window has to hold")
    parser.add_argument("--recorded", action="store_true", help="through recording rules")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    result = measure(arguments.models, arguments.scrapes, recorded=arguments.recorded)
    if arguments.output == "json":
        print(json.dumps(result))
        return
    for name, one in result["each"].items():
        print(f"{name:12} {one}")
    print(result["together"], f"{result['series']} series", result["rules_s"])


if __name__ == "__main__":
    main()
