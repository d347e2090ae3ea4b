"""What is read from a real Prometheus: all that can go wrong with it, and recovery from it."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from aurora.observe.prometheus import PrometheusClient, PrometheusSettings
from aurora.observe.queries import MetricsSettings
from aurora.observe.reader import MetricsReader
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.view import MetricsView, Wanted
from tests.support.enginepages import RATE, Vllm, others_page
from tests.support.realprometheus import Exporters, Prometheus, wait_until
from tests.support.realreadings import read_view

pytestmark = pytest.mark.apiserver

SETTINGS = MetricsSettings(window_s=8, stale_after_s=4, remember_s=60)
SOON_S = 20.0
LOOSE = 0.3  # a busy machine loses scrapes; still far from one pod more or less
SIGNALS = frozenset(
    {
        Signal.REQUEST_RATE,
        Signal.SERVER_ERROR_RATIO,
        Signal.LATENCY_P95,
        Signal.LATENCY_MEAN,
        Signal.TTFT_P95,
        Signal.TPOT_P95,
        Signal.RUNNING,
        Signal.KV_CACHE_RATIO,
    }
)
LONG = "a-deployment-with-a-name-so-long-that-its-pods-names-are-cut-off"


@dataclass
class Rig:
    prometheus: Prometheus
    engines: Mapping[str, Vllm]

    def view(self, wanted: Mapping[tuple[str, str], Wanted], **settings: bool) -> MetricsView:
        return read_view(self.prometheus.url, SETTINGS, wanted, **settings)

    def read(self, namespace: str, name: str, **want: object) -> Mapping[Signal, Reading]:
        wanted = Wanted("vllm", SIGNALS, **want)  # type: ignore[arg-type]
        return self.view({(namespace, name): wanted}).workloads[namespace, name].signals


EXPECTED: list[tuple[str, Signal, float]] = [
    ("tgi", Signal.REQUEST_RATE, RATE),
    ("tgi", Signal.SERVER_ERROR_RATIO, 0.2),
    ("tgi", Signal.CLIENT_ERROR_RATIO, 0.1),
    ("tgi", Signal.LATENCY_P95, 0.4875),
    ("tgi", Signal.TPOT_MEAN, 0.3),
    ("tgi", Signal.RUNNING, 5),
    ("tgi", Signal.WAITING, 4),
    ("triton", Signal.REQUEST_RATE, RATE),
    ("triton", Signal.SERVER_ERROR_RATIO, 0.2),
    ("triton", Signal.LATENCY_P95, 0.4),
    ("triton", Signal.LATENCY_MEAN, 0.3),
    ("triton", Signal.WAITING, 6),
    ("sdk", Signal.REQUEST_RATE, RATE),
    ("sdk", Signal.SERVER_ERROR_RATIO, 0.1),
    ("sdk", Signal.CLIENT_ERROR_RATIO, 0.2),
    ("sdk", Signal.LATENCY_MEAN, 0.3),
    ("sdk", Signal.TTFT_P95, 0.4875),
    ("sdk", Signal.TPOT_P95, 0.4875),
    ("sdk", Signal.RUNNING, 7),
    ("sdk", Signal.WAITING, 8),
    ("sdk", Signal.KV_CACHE_RATIO, 0.25),
    ("sdk", Signal.ACCURACY, 0.65),
    ("sdk", Signal.DRIFT_SCORE, 0.6),
    ("sdk", Signal.CACHE_HIT_RATIO, 0.4),
    ("sdk", Signal.REPEAT_RATIO, 0.8),
    ("sdk", Signal.CPU_RATIO, 0.25),
    ("sdk", Signal.MEMORY_RATIO, 0.9),
    ("sdk", Signal.GPU_RATIO, 0.8),
]
HOSTILE = 'we"ird\\ {}\n\u2028|.*'
HOSTILE_NAME = 'a"} or vector(1) #\n\\{$1}\u2028'
PODS = {
    "up-1": ("up", "llama-6b4f8c9d75-x2vwz"),
    "up-2": ("up", "llama-6b4f8c9d75-bcdfg"),
    "up-3": ("up", "big-0"),
    "up-4": ("up", LONG[:58] + "x2vwz"),
    "up-5": ("up", "llama-small-6b4f8c9d75-q9zzz"),
    "idle": ("idle", "llama-6b4f8c9d75-x2vwz"),
    "nan": ("nan", "llama-6b4f8c9d75-x2vwz"),
    "part-1": ("part", "llama-6b4f8c9d75-x2vwz"),
    "part-2": ("part", "llama-6b4f8c9d75-bcdfg"),
    "twice": ("twice", "llama-6b4f8c9d75-x2vwz"),
    "hostile": (HOSTILE, "x-6b4f8c9d75-x2vwz"),
    "stops": ("stops", "llama-6b4f8c9d75-x2vwz"),
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    exporters = Exporters()
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"))
    engines = {name: Vllm() for name in PODS}
    engines["idle"].rate = 0.0
    engines["nan"].kv = engines["nan"].seconds = "NaN"
    engines["part-2"].up = False
    engines["up-2"].model = "of-a-rollout"
    engines["hostile"].model = HOSTILE_NAME
    for name, (namespace, pod) in PODS.items():
        exporters.pages[name] = engines[name].page
        prometheus.add(exporters.address, name, namespace=namespace, pod=pod)
    exporters.pages["others"] = others_page(time.monotonic())
    prometheus.add(exporters.address, "others", namespace="others", pod="llama-6b4f8c9d75-x2vwz")
    prometheus.add(exporters.address, "twice", job="again", namespace="twice", pod=PODS["twice"][1])
    rig = Rig(prometheus, engines)
    try:
        prometheus.start()
        prometheus.fill_window(SETTINGS.window_s)
        yield rig
    finally:
        prometheus.stop()
        exporters.close()


def number(reading: Reading) -> float:
    assert isinstance(reading, Sample), reading
    return reading.value


def gap(reading: Reading) -> Gap:
    assert isinstance(reading, Missing), reading
    return reading.gap


def test_every_signal_of_a_deployment_is_the_sum_or_mean_of_its_pods(rig: Rig) -> None:
    signals = rig.read("up", "llama", ready_pods=2)
    assert number(signals[Signal.REQUEST_RATE]) == pytest.approx(2 * RATE, rel=LOOSE)
    assert number(signals[Signal.SERVER_ERROR_RATIO]) == pytest.approx(0.1, abs=0.01)
    assert number(signals[Signal.LATENCY_P95]) == pytest.approx(0.4875, abs=0.01)
    assert number(signals[Signal.LATENCY_MEAN]) == pytest.approx(0.3, rel=0.05)
    assert number(signals[Signal.TPOT_P95]) == pytest.approx(0.4875, abs=0.01)
    assert number(signals[Signal.RUNNING]) == 6
    assert number(signals[Signal.KV_CACHE_RATIO]) == 0.5
    latency = signals[Signal.LATENCY_P95]
    assert isinstance(latency, Sample)
    assert not latency.partial
    assert latency.samples == pytest.approx(2 * RATE * SETTINGS.window_s, rel=LOOSE)
    assert abs(latency.at - time.time()) < 3


@pytest.mark.parametrize("name", ["big", LONG, "llama-small"], ids=str)
def test_a_statefulset_a_cut_name_and_a_name_with_a_shared_start_are_told_apart(
    rig: Rig, name: str
) -> None:
    signals = rig.read("up", name, ready_pods=1)
    assert number(signals[Signal.REQUEST_RATE]) == pytest.approx(RATE, rel=LOOSE)


@pytest.mark.parametrize(("engine", "signal", "value"), EXPECTED, ids=str)
def test_every_preset_reads_what_its_exporter_says(
    rig: Rig, engine: str, signal: Signal, value: float
) -> None:
    want = Wanted(engine, frozenset({signal}), armed=False)
    found = rig.view({("others", "llama"): want}).workloads["others", "llama"]
    loose = LOOSE if signal is Signal.REQUEST_RATE else 0.1
    assert number(found.signals[signal]) == pytest.approx(value, rel=loose)
    assert rig.prometheus.query(found.queries[signal]) == pytest.approx(value, rel=loose)


def test_a_hostile_namespace_is_read_like_any_other(rig: Rig) -> None:
    want = Wanted("vllm", SIGNALS, queries={Signal.RUNNING: "m + sum(vllm:num_requests_running)"})
    view = rig.view({(HOSTILE, "x"): want, ("up", "big"): want}, allow_custom=True)
    assert view.source.failure == ""
    found = view.workloads[HOSTILE, "x"]
    assert number(found.signals[Signal.KV_CACHE_RATIO]) == 0.5
    assert rig.prometheus.query(found.queries[Signal.KV_CACHE_RATIO]) == 0.5


def test_names_are_those_of_all_pods_of_the_workload_and_of_no_other(rig: Rig) -> None:
    want = Wanted("vllm", SIGNALS, names=True)
    keys = [("up", "llama"), ("up", "big"), ("up", LONG), ("idle", "llama"), (HOSTILE, "x")]
    view = rig.view({**dict.fromkeys(keys, want), ("up", "llama-small"): Wanted("vllm", SIGNALS)})
    assert view.source.failure == ""
    assert view.source.queries <= 10
    found = {key: set(of.model_names) for key, of in view.workloads.items()}
    assert found == {
        ("up", "llama"): {"m", "of-a-rollout"},
        ("up", "big"): {"m"},
        ("up", LONG): {"m"},
        ("idle", "llama"): {"m"},
        (HOSTILE, "x"): {HOSTILE_NAME},
        ("up", "llama-small"): set(),
    }


@pytest.mark.parametrize(
    ("engine", "names"), [("tgi", set()), ("triton", {"m"}), ("sdk", {"n"}), ("custom", set())]
)
def test_every_engine_tells_its_names_or_none(rig: Rig, engine: str, names: set[str]) -> None:
    want = Wanted(engine, frozenset({Signal.RUNNING}), names=True)
    assert rig.view({("others", "llama"): want}).workloads["others", "llama"].model_names == names


def test_the_resolved_query_gives_the_number_that_was_read(rig: Rig) -> None:
    client = PrometheusClient(PrometheusSettings(rig.prometheus.url))
    view = rig.view({("up", "llama"): Wanted("vllm", SIGNALS)})
    of = view.workloads["up", "llama"]
    answers = asyncio.run(client.fetch({str(s): of.queries[s] for s in SIGNALS}))
    client.close()
    for name in SIGNALS:
        rows = answers[str(name)]().rows  # type: ignore[union-attr]
        assert len(rows) == 1
        assert float(rows[0]["value"][1]) == pytest.approx(number(of.signals[name]), rel=LOOSE)


def test_no_traffic_is_a_rate_of_zero_and_no_latency(rig: Rig) -> None:
    signals = rig.read("idle", "llama", ready_pods=1)
    assert number(signals[Signal.REQUEST_RATE]) == 0
    assert number(signals[Signal.RUNNING]) == 3
    for name in (Signal.LATENCY_P95, Signal.LATENCY_MEAN, Signal.SERVER_ERROR_RATIO):
        assert gap(signals[name]) is Gap.NO_DATA
        assert "no requests in 8 s" in signals[name].detail  # type: ignore[union-attr]


def test_what_was_never_scraped_has_no_data(rig: Rig) -> None:
    for reading in rig.read("empty", "llama", ready_pods=1).values():
        assert gap(reading) is Gap.NO_DATA


def test_an_exporter_of_nan_is_not_finite(rig: Rig) -> None:
    signals = rig.read("nan", "llama", ready_pods=1)
    assert gap(signals[Signal.KV_CACHE_RATIO]) is Gap.NOT_FINITE
    assert gap(signals[Signal.LATENCY_MEAN]) is Gap.NOT_FINITE


def test_one_of_two_ready_pods_not_scraped_is_partial(rig: Rig) -> None:
    of_one = rig.read("part", "llama", ready_pods=2)[Signal.REQUEST_RATE]
    assert isinstance(of_one, Sample)
    assert of_one.partial
    alone = rig.read("part", "llama", ready_pods=1)[Signal.REQUEST_RATE]
    assert isinstance(alone, Sample)
    assert not alone.partial


def test_a_pod_scraped_by_two_jobs_is_a_duplicate_and_no_doubled_rate(rig: Rig) -> None:
    for name, reading in rig.read("twice", "llama").items():
        assert gap(reading) is Gap.DUPLICATE, name


def test_too_few_requests_for_a_percentile_say_how_many_there_were(rig: Rig) -> None:
    view = rig.view({("up", "big"): Wanted("vllm", SIGNALS, min_samples=100_000)})
    of = view.workloads["up", "big"]
    assert gap(of.signals[Signal.LATENCY_P95]) is Gap.NO_DATA
    assert "100000 wanted" in of.signals[Signal.LATENCY_P95].detail  # type: ignore[union-attr]
    assert of.counts[Signal.LATENCY_P95] == pytest.approx(RATE * SETTINGS.window_s, rel=LOOSE)
    assert number(of.signals[Signal.REQUEST_RATE]) > 0


def test_health_is_read_pod_by_pod_for_the_workload_that_wants_it(rig: Rig) -> None:
    want = Wanted("vllm", SIGNALS, per_pod=True)
    view = rig.view({("up", "llama"): want, ("up", "big"): Wanted("vllm", SIGNALS)})
    pods = view.workloads["up", "llama"].pods
    assert set(pods) == {PODS["up-1"][1], PODS["up-2"][1]}
    for pod in pods.values():
        assert number(pod.request_rate) == pytest.approx(RATE, rel=LOOSE)
        assert number(pod.server_error_ratio) == pytest.approx(0.1, abs=0.01)
    assert view.workloads["up", "big"].pods == {}
    assert view.source.queries <= 10


def test_an_own_query_is_confined_fresh_and_one_number(rig: Rig) -> None:
    def own(query: str) -> Reading:
        want = Wanted("vllm", SIGNALS, queries={Signal.RUNNING: query})
        view = rig.view({("up", "big"): want}, allow_custom=True)
        return view.workloads["up", "big"].signals[Signal.RUNNING]

    pods_here = sum(namespace == "up" for namespace, _ in PODS.values())
    assert number(own("count(vllm:num_requests_running)")) == pods_here
    assert number(own("scalar(sum(vllm:num_requests_running)) + 1")) == 3 * pods_here + 1
    assert gap(own("vllm:num_requests_running")) is Gap.DUPLICATE
    assert gap(own("sum(nothing_of_this_name)")) is Gap.NO_DATA
    assert gap(own("sum(nothing_of_this_name) or vector(0)")) is Gap.STALE
    assert gap(own('vllm:num_requests_running{namespace="idle"}')) is Gap.QUERY_FAILED


def test_a_stopped_exporter_becomes_stale_and_never_a_rate_of_zero(rig: Rig) -> None:
    seen: list[Reading] = []

    def stale() -> bool:
        seen.append(rig.read("stops", "llama", ready_pods=1)[Signal.REQUEST_RATE])
        return isinstance(seen[-1], Missing)

    assert not stale()
    rig.engines["stops"].up = False
    wait_until(stale, SOON_S, "the reading is stale")
    assert gap(seen[-1]) is Gap.STALE
    before = [reading for reading in seen if isinstance(reading, Sample)]
    assert min(number(reading) for reading in before) > RATE / 2
    rig.engines["stops"].up = True
    wait_until(lambda: not stale(), SOON_S, "the reading is back")


def test_a_killed_prometheus_fails_every_query_and_recovers_without_a_restart(
    tmp_path: Path,
) -> None:
    exporters = Exporters()
    prometheus = Prometheus(tmp_path)
    exporters.pages["pod"] = Vllm().page
    prometheus.add(exporters.address, "pod", namespace="up", pod=PODS["up-1"][1])
    prometheus.start()
    client = PrometheusClient(PrometheusSettings(prometheus.url, retries=0))
    reader = MetricsReader(client, SETTINGS)

    async def reading() -> Reading:
        wanted = {("up", "llama"): Wanted("vllm", frozenset({Signal.RUNNING}))}
        view = await reader.read(time.time(), wanted)
        assert (view.source.failure != "") == (not prometheus.process)
        return view.workloads["up", "llama"].signals[Signal.RUNNING]

    async def until(good: Callable[[Reading], bool], what: str) -> None:
        end = time.monotonic() + SOON_S
        while not good(await reading()):
            assert time.monotonic() < end, what
            await asyncio.sleep(0.1)

    async def story() -> None:
        await until(lambda r: isinstance(r, Sample), "up")
        prometheus.stop(signal.SIGKILL)
        broken = await reading()
        assert gap(broken) is Gap.QUERY_FAILED
        assert "cannot connect" in broken.detail  # type: ignore[union-attr]
        prometheus.start()
        await until(lambda r: isinstance(r, Sample), "up again")

    try:
        asyncio.run(story())
    finally:
        client.close()
        prometheus.stop()
        exporters.close()
