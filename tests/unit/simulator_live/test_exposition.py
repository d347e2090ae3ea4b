"""The metrics page: names and labels as vLLM, its HTTP server, DCGM and the sidecar have them."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aurora.simulator.live.exposition import page
from aurora.simulator.live.faults import parse_request
from tests.unit.simulator_live.support import facts, seen, world

Samples = dict[str, list[tuple[dict[str, str], float]]]


def scraped(*, armed: bool = False, seconds: float = 60.0) -> Samples:
    one = world()
    one.observe(facts(armed=armed))
    one.advance(5.0)
    document = {"model": "a", "kind": "errors", "value": 0.2, "for_s": 20}
    one.inject(parse_request(document, identifier=1, now=5.0, known=one.targets))
    one.advance(seconds)
    found: Samples = {}
    for family in text_string_to_metric_families(page(one).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    success = sum(value for _, value in found["vllm:request_success_total"])
    failed = sum(v for labels, v in found["http_requests_total"] if labels["status"] == "5xx")
    assert failed == seen(one)["errors"] > 0
    assert success == seen(one)["requests"] - seen(one)["errors"]
    return found


ENGINE = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:request_success_total",
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
    "vllm:time_to_first_token_seconds_count",
    "vllm:request_time_per_output_token_seconds_count",
    "vllm:e2e_request_latency_seconds_count",
)


@pytest.fixture(scope="module")
def plain() -> Samples:
    return scraped()


@pytest.mark.parametrize("name", ENGINE)
def test_the_engine_exports(plain: Samples, name: str) -> None:
    labels = [labels for labels, _ in plain[name]]
    assert {(one["namespace"], one["pod"]) for one in labels} == {("demo", "a-0"), ("demo", "a-1")}
    assert {(one["model_name"], one["engine"]) for one in labels} == {("llama", "0")}


def test_histograms_grow_to_their_count_over_vllm_s_buckets(plain: Samples) -> None:
    name = "vllm:time_to_first_token_seconds"
    for pod in ("a-0", "a-1"):
        rows = [(one["le"], value) for one, value in plain[f"{name}_bucket"] if one["pod"] == pod]
        assert [edge for edge, _ in rows][:2] == ["0.001", "0.005"]
        assert rows[-1][0] == "+Inf"
        counts = [value for _, value in rows]
        assert counts == sorted(counts)
        total = next(v for one, v in plain[f"{name}_count"] if one["pod"] == pod)
        assert counts[-1] == total > 0


def test_requests_are_counted_by_status_class_as_the_instrumentator_does(plain: Samples) -> None:
    labels = [one for one, _ in plain["http_requests_total"]]
    assert {one["status"] for one in labels} == {"2xx", "4xx", "5xx"}
    assert {(one["method"], one["handler"]) for one in labels} == {("POST", "/v1/completions")}


def test_a_gpu_names_the_pod_that_uses_it_as_dcgm_does(plain: Samples) -> None:
    rows = plain["DCGM_FI_DEV_GPU_UTIL"]
    assert {one["exported_pod"] for one, _ in rows} == {"a-0", "a-1"}
    assert all("pod" not in one and 0.0 <= value <= 100.0 for one, value in rows)


def test_only_an_armed_pod_has_the_sidecar_s_metrics() -> None:
    assert not any(name.startswith("aurora_cache") for name in scraped())
    rows = scraped(armed=True)["aurora_cache_requests_total"]
    assert {one["pod"] for one, _ in rows} == {"a-0", "a-1"}
    off = sum(value for one, value in rows if one["status"] == "off")
    assert off == sum(value for _, value in rows) > 100
