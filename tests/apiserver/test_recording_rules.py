"""Readings through recording rules, from a real Prometheus that evaluates them."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aurora.observe.queries import MetricsSettings, rule_groups
from aurora.observe.queries.recording import RECORDED
from aurora.observe.sample import Gap, Missing, Sample, Signal
from aurora.observe.view import Wanted
from tests.support.enginepages import Vllm, others_page
from tests.support.realprometheus import Exporters, Prometheus
from tests.support.realreadings import read_view

pytestmark = pytest.mark.apiserver

SETTINGS = MetricsSettings(window_s=8, stale_after_s=6, remember_s=60, recorded=True)
POD = "llama-6b4f8c9d75-x2vwz"
SIGNALS = frozenset(Signal) - {Signal.WAITING}
STEADY = frozenset(
    {Signal.SERVER_ERROR_RATIO, Signal.LATENCY_P95, Signal.LATENCY_MEAN, Signal.TTFT_P95}
)
"""They do not move from second to second, as a rate does that is read a second later."""


def loaded(settings: MetricsSettings) -> dict[str, object]:
    """The rule file, evaluated every second."""
    return {"groups": [{**group, "interval": "1s"} for group in rule_groups(settings)]}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    exporters = Exporters()
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), rules=loaded(SETTINGS))
    exporters.pages["vllm"] = Vllm().page
    server.add(exporters.address, "vllm", namespace="up", pod=POD)
    exporters.pages["others"] = others_page(time.monotonic())
    server.add(exporters.address, "others", namespace="others", pod=POD)
    try:
        server.start()
        server.fill_window(SETTINGS.window_s)
        yield server
    finally:
        server.stop()
        exporters.close()


def of_each(engine: str = "vllm") -> dict[tuple[str, str], Wanted]:
    return {("up", "llama"): Wanted(engine, SIGNALS), ("others", "llama"): Wanted("sdk", SIGNALS)}


def test_what_is_recorded_reads_as_what_is_asked(prometheus: Prometheus) -> None:
    recorded = read_view(prometheus.url, SETTINGS, of_each())
    asked = read_view(prometheus.url, replace(SETTINGS, recorded=False), of_each())
    assert recorded.source.failure == ""
    for key, direct in asked.workloads.items():
        found = recorded.workloads[key].signals
        numbers = {name for name, one in direct.signals.items() if isinstance(one, Sample)}
        assert numbers == {name for name, one in found.items() if isinstance(one, Sample)}
        for name in numbers & STEADY:
            one, other = found[name], direct.signals[name]
            assert isinstance(one, Sample)
            assert isinstance(other, Sample)
            assert one.value == pytest.approx(other.value, rel=0.05), (key, name)


def test_every_recorded_query_is_asked_for_by_its_rule(prometheus: Prometheus) -> None:
    """Rules of another name, or a group too many, would be evaluated for nobody."""
    for batch in RECORDED:
        rows = prometheus.query(f"count(aurora:{batch})")
        assert rows is not None, batch
        assert rows >= 1, batch


def test_rules_of_another_window_are_not_taken_for_ours(prometheus: Prometheus) -> None:
    other = replace(SETTINGS, window_s=SETTINGS.window_s + 1)
    found = read_view(prometheus.url, other, of_each()).workloads["up", "llama"].signals
    latency, running = found[Signal.LATENCY_P95], found[Signal.RUNNING]
    assert isinstance(latency, Missing)
    assert latency.gap is Gap.QUERY_FAILED
    assert "aurora recording-rules" in latency.detail
    assert isinstance(running, Sample), "it is cheap and asked as it is"


def test_a_fleet_without_the_engine_is_no_failure(prometheus: Prometheus) -> None:
    wanted = {("nobody", "llama"): Wanted("vllm", SIGNALS)}
    found = read_view(prometheus.url, SETTINGS, wanted)
    assert found.source.failure == ""
    missing = found.workloads["nobody", "llama"].signals[Signal.LATENCY_P95]
    assert isinstance(missing, Missing)
    assert missing.gap is Gap.NO_DATA
