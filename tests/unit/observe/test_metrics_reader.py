"""One cycle over a fleet: which exporter is believed, own queries, and what is told of failures."""

import weakref
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from aurora.observe.answers import QueryAnswer, QueryFailure, Unread
from aurora.observe.custom import MAX_PER_CYCLE, MAX_PER_OBJECT
from aurora.observe.queries import MetricsSettings
from aurora.observe.reader import MetricsReader
from aurora.observe.sample import Gap, Missing, Sample, Signal
from aurora.observe.view import MetricsView, Wanted

SETTINGS = MetricsSettings()
NOW, AT = 5_000.0, 9_000.0
KEY = ("team", "llama")
FRESH = {"vllm:at": NOW - 1, "vllm:pods": 1.0}
CACHE = {"cache:at": NOW - 1, "cache:pods": 1.0}
P95 = {"vllm:latencyP95": 2.0, "cache:latencyP95": 0.5}


def row(tag: str, value: float, **labels: str) -> dict[str, object]:
    return {"metric": {"signal": tag, **labels}, "value": [NOW, str(value)]}


class Fake:
    """Answers `freshness` with all rows, own queries with `own`, and remembers the questions."""

    def __init__(
        self,
        rows: Mapping[str, float] | None = None,
        own: QueryAnswer | QueryFailure | None = None,
        pods: list[dict[str, object]] | None = None,
        failing: str = "",
    ) -> None:
        self._rows = rows or {}
        self._own = own or QueryAnswer([row("value", 7), row("at", NOW - 3)])
        self._pods = pods or []
        self._failing = failing
        self.asked: Mapping[str, str] = {}

    async def fetch(self, queries: Mapping[str, str]) -> dict[str, Unread]:
        self.asked = queries
        return {name: partial(self._answer, name) for name in queries}

    def _answer(self, name: str) -> QueryAnswer | QueryFailure:
        if name == self._failing:
            return QueryFailure("down")
        if name.startswith("custom/"):
            return self._own
        if name == "pods":
            return QueryAnswer(self._pods)
        found = self._rows.items() if name == "freshness" else ()
        return QueryAnswer([row(t, v, namespace=KEY[0], workload=KEY[1]) for t, v in found])


async def view(fake: Fake, want: Wanted, *, allow: bool = True) -> MetricsView:
    return await MetricsReader(fake, SETTINGS, allow_custom=allow).read(AT, {KEY: want})


def wanting(*signals: Signal, **more: object) -> Wanted:
    return Wanted(**{"engine": "vllm", "signals": frozenset(signals), **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "armed", "expected"),
    [
        (FRESH | CACHE | P95, None, 0.5),
        (FRESH | CACHE | P95, True, 0.5),
        (FRESH | CACHE | P95, False, 2.0),
        (FRESH | P95, None, 2.0),
        (FRESH | P95, True, 2.0),
        (FRESH | P95 | {"cache:at": NOW - 200}, None, 2.0),
        (FRESH | P95 | {"cache:at": NOW - 200}, True, Gap.STALE),
    ],
    ids=[
        "the cache is there",
        "the cache is armed",
        "the cache is not armed: leftovers of old pods",
        "no cache",
        "armed without its exporter",
        "the cache is gone",
        "an armed cache stopped: the engine sees only misses",
    ],
)
async def test_latency_is_what_callers_see(
    rows: dict[str, float], armed: bool | None, expected: float | Gap
) -> None:
    found = await view(Fake(rows), wanting(Signal.LATENCY_P95, armed=armed))
    reading = found.workloads[KEY].signals[Signal.LATENCY_P95]
    assert (reading.gap if isinstance(reading, Missing) else reading.value) == expected
    shown = found.workloads[KEY].queries[Signal.LATENCY_P95]
    assert ("aurora_cache" in shown) == (expected in (0.5, Gap.STALE))


async def test_gpu_use_comes_from_dcgm_else_from_triton() -> None:
    triton = {"triton:at": NOW - 1, "triton:pods": 1.0, "triton:gpuRatio": 0.3}
    gpu = {"gpu:at": NOW - 1, "gpu:pods": 1.0, "gpu:gpuRatio": 0.9}
    for rows, value in ((triton, 0.3), (triton | gpu, 0.9)):
        found = await view(Fake(rows), wanting(Signal.GPU_RATIO, engine="triton"))
        reading = found.workloads[KEY].signals[Signal.GPU_RATIO]
        assert isinstance(reading, Sample)
        assert reading.value == value


async def test_custom_has_no_preset_but_the_cluster_is_read() -> None:
    containers = {"containers:at": NOW - 1, "containers:pods": 1.0, "containers:cpuRatio": 1.2}
    want = wanting(Signal.CPU_RATIO, Signal.LATENCY_P95, Signal.RUNNING, engine="custom")
    found = (await view(Fake(containers), want)).workloads[KEY]
    assert isinstance(found.signals[Signal.CPU_RATIO], Sample)
    for signal in (Signal.LATENCY_P95, Signal.RUNNING):
        reading = found.signals[signal]
        assert isinstance(reading, Missing)
        assert reading.gap is Gap.UNSUPPORTED
    assert found.pods_reporting is None


async def test_every_wanted_signal_has_a_reading_and_a_query() -> None:
    found = (await view(Fake(), wanting(*Signal))).workloads[KEY]
    assert set(found.signals) == set(Signal)
    assert all(found.queries[signal] for signal in found.queries)
    assert len(found.queries) == len(list(found.queries))
    assert found.pods_reporting == 0


async def test_a_failed_query_is_told_and_spares_the_others() -> None:
    rows = FRESH | {"vllm:requestsRunning": 1.0}
    want = wanting(Signal.LATENCY_P95, Signal.RUNNING, armed=False)
    found = await view(Fake(rows, failing="latency"), want)
    signals = found.workloads[KEY].signals
    assert signals[Signal.LATENCY_P95] == Missing(Gap.QUERY_FAILED, "latency: down")
    assert isinstance(signals[Signal.RUNNING], Sample)
    assert found.source.failure == "1 of 5 queries failed; latency: down"
    assert found.source.queries == 5


async def test_when_freshness_is_not_known_nothing_is_believed() -> None:
    rows = FRESH | {"vllm:requestsRunning": 1.0}
    found = (await view(Fake(rows, failing="freshness"), wanting(Signal.RUNNING))).workloads[KEY]
    assert found.signals[Signal.RUNNING] == Missing(Gap.QUERY_FAILED, "freshness: down")
    assert found.pods_reporting is None


async def test_pods_of_namesakes_are_left_out() -> None:
    names = ["llama-6b4f8c9d75-x2vwz", "llama-small-6b4f8c9d75-x2vwz", "other"]
    pods = [row("vllm:at", NOW, namespace="team", pod=name) for name in names]
    pods.append(row("vllm:at", NOW, namespace="elsewhere", pod=names[0]))
    found = await view(Fake(pods=pods), wanting(Signal.RUNNING, per_pod=True))
    assert set(found.workloads[KEY].pods) == {names[0]}


OWN = {Signal.RUNNING: "sum(my_running)"}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (QueryAnswer([row("value", 7), row("at", NOW - 3)]), 7.0),
        (QueryAnswer([row("value", 7), row("value", 8), row("at", NOW)]), Gap.DUPLICATE),
        (QueryAnswer([]), Gap.NO_DATA),
        (QueryAnswer([row("value", 7)]), Gap.STALE),
        (QueryAnswer([row("value", 7), row("at", NOW - 91)]), Gap.STALE),
        (QueryAnswer([row("value", float("nan")), row("at", NOW)]), Gap.NOT_FINITE),
        (QueryAnswer([row("value", -1), row("at", NOW)]), Gap.NOT_FINITE),
        (QueryAnswer([{"metric": {"signal": "value"}}]), Gap.QUERY_FAILED),
        (QueryFailure("down"), Gap.QUERY_FAILED),
        (QueryFailure("200 s old", stale=True), Gap.STALE),
    ],
    ids=[
        "one number",
        "two series",
        "nothing",
        "only the past",
        "stale",
        "not a number",
        "negative",
        "malformed",
        "failed",
        "answered with the past",
    ],
)
async def test_the_answer_of_an_own_query(
    own: QueryAnswer | QueryFailure, expected: float | Gap
) -> None:
    fake = Fake(FRESH | {"vllm:requestsRunning": 1.0}, own)
    found = (await view(fake, wanting(Signal.RUNNING, queries=OWN))).workloads[KEY]
    reading = found.signals[Signal.RUNNING]
    assert (reading.gap if isinstance(reading, Missing) else reading.value) == expected
    assert found.queries[Signal.RUNNING] == 'sum(my_running{namespace="team"})'
    if isinstance(reading, Sample):
        assert reading.at == AT - 3


async def test_a_warning_makes_an_own_number_partial() -> None:
    own = QueryAnswer([row("value", 7), row("at", NOW)], ("half",))
    found = await view(Fake(own=own), wanting(Signal.RUNNING, queries=OWN))
    reading = found.workloads[KEY].signals[Signal.RUNNING]
    assert isinstance(reading, Sample)
    assert reading.partial
    assert found.source.warnings == ("half",)


async def test_own_queries_are_off_until_allowed_and_not_replaced_by_the_preset() -> None:
    fake = Fake(FRESH | {"vllm:requestsRunning": 1.0})
    found = await view(fake, wanting(Signal.RUNNING, queries=OWN), allow=False)
    reading = found.workloads[KEY].signals[Signal.RUNNING]
    assert isinstance(reading, Missing)
    assert reading.gap is Gap.UNSUPPORTED
    assert "an administrator allows them" in reading.detail
    assert not any(name.startswith("custom/") for name in fake.asked)


async def test_an_own_query_that_leaves_its_namespace_is_never_sent() -> None:
    fake = Fake()
    queries = {Signal.RUNNING: 'm{namespace="other"}'}
    found = await view(fake, wanting(Signal.RUNNING, queries=queries))
    reading = found.workloads[KEY].signals[Signal.RUNNING]
    assert isinstance(reading, Missing)
    assert reading.gap is Gap.QUERY_FAILED
    assert "reads the namespace 'other'" in reading.detail
    assert not any(name.startswith("custom/") for name in fake.asked)


async def test_an_object_has_five_own_queries() -> None:
    queries = dict.fromkeys(list(Signal)[: MAX_PER_OBJECT + 2], "sum(m)")
    fake = Fake(own=QueryAnswer([row("value", 0.5), row("at", NOW)]))
    found = await view(fake, wanting(*queries, queries=queries))
    assert sum(name.startswith("custom/") for name in fake.asked) == MAX_PER_OBJECT
    refused = [r for r in found.workloads[KEY].signals.values() if isinstance(r, Missing)]
    assert len(refused) == 2
    assert all("may have 5 own queries" in reading.detail for reading in refused)


async def test_a_cycle_has_two_hundred_own_queries_of_the_same_objects() -> None:
    want = wanting(Signal.RUNNING, queries=OWN)
    wanted = {("team", f"llama-{number:03}"): want for number in range(MAX_PER_CYCLE + 30)}
    fake = Fake()
    reader = MetricsReader(fake, SETTINGS, allow_custom=True)
    first = await reader.read(AT, wanted)
    assert sum(name.startswith("custom/") for name in fake.asked) == MAX_PER_CYCLE
    second = await reader.read(AT, dict(reversed(wanted.items())))
    for key, found in first.workloads.items():
        assert found.signals == second.workloads[key].signals
    last = second.workloads["team", f"llama-{MAX_PER_CYCLE + 29:03}"].signals[Signal.RUNNING]
    assert isinstance(last, Missing)
    assert "together may have 200 own queries" in last.detail


HOSTILE = 'a"} or vector(1) #\n\u2028{$1}'


def named(name: str, workload: str = "llama", source: str = "vllm") -> dict[str, object]:
    label = {"vllm": "model_name"}.get(source, "model")
    return row(f"{source}:name", 1, namespace="team", workload=workload, **{label: name})


class Names(Fake):
    """Answers `names` with rows."""

    def __init__(self, *rows: dict[str, object]) -> None:
        super().__init__()
        self._named = list(rows)

    def _answer(self, name: str) -> QueryAnswer | QueryFailure:
        return QueryAnswer(self._named) if name == "names" else super()._answer(name)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([named("m"), named("n")], {"m", "n"}),
        ([named(HOSTILE)], {HOSTILE}),
        ([named("m", source="triton"), named("m", source="sdk")], {"m"}),
        ([named("m", workload="llama-small")], set()),
        ([named("m", workload="")], set()),
        ([], set()),
        ([row("vllm:name", 1, namespace="team", workload="llama", model="m")], set()),
        ([named(f"m{number}") for number in range(64)], {f"m{number}" for number in range(64)}),
        ([named(f"m{number}") for number in range(65)], set()),
    ],
    ids=[
        "two of one workload",
        "hostile text is data",
        "of whichever engine the pods run",
        "of a namesake",
        "of a bare pod",
        "none",
        "a malformed row",
        "as many as may be",
        "more than anybody serves",
    ],
)
async def test_the_names_that_a_workload_serves_under(
    rows: list[dict[str, object]], expected: set[str]
) -> None:
    found = await view(Names(*rows), wanting(names=True))
    assert found.workloads[KEY].model_names == expected


async def test_names_are_read_only_where_they_are_wanted() -> None:
    fake = Names(named("m"), named("n", workload="other"))
    wanted = {KEY: wanting(names=True), ("team", "other"): wanting(Signal.RUNNING)}
    found = await MetricsReader(fake, SETTINGS).read(AT, wanted)
    assert found.workloads[KEY].model_names == {"m"}
    assert found.workloads["team", "other"].model_names == frozenset()
    assert "other" not in fake.asked["names"]


class OneText:
    """Gives each answer only once the rows of the last one are gone."""

    def __init__(self) -> None:
        self.last: weakref.ref[Rows] | None = None
        self.read = 0

    async def fetch(self, queries: Mapping[str, str]) -> dict[str, Unread]:
        return dict.fromkeys(queries, self._next)

    def _next(self) -> QueryAnswer:
        assert self.last is None or self.last() is None
        rows = Rows()
        self.last, self.read = weakref.ref(rows), self.read + 1
        return QueryAnswer(rows)


class Rows(list[Mapping[str, Any]]):
    """A list that can be referred to weakly."""


async def test_the_text_of_one_answer_at_a_time_is_there() -> None:
    source = OneText()
    await MetricsReader(source, SETTINGS).read(AT, {KEY: wanting(Signal.LATENCY_P95)})
    assert source.read > 3
