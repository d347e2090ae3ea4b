"""Every way of having no number, kept apart."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.observe.answers import QueryAnswer, QueryFailure
from aurora.observe.queries import Batch, MetricsSettings, Source
from aurora.observe.readings import Terms, fault_of, read_pod, read_signal
from aurora.observe.sample import UNITS, Gap, Missing, Reading, Sample, Signal
from aurora.observe.table import Table, add_answer, facet_of

SETTINGS = MetricsSettings(window_s=120, stale_after_s=90, remember_s=600)
NOW = 5_000.0  # of Prometheus
AT = 9_000.0  # of the caller, whose clock is far off
KEY = ("team", "llama")

Rows = dict[str, float | str]
HEALTHY: Rows = {"vllm:at": NOW - 10, "vllm:pods": 2}


def answer(rows: Rows, warnings: tuple[str, ...] = ()) -> QueryAnswer:
    labels = {"namespace": KEY[0], "workload": KEY[1]}
    return QueryAnswer(
        [{"metric": {**labels, "signal": t}, "value": [NOW, str(v)]} for t, v in rows.items()],
        warnings,
    )


def table_of(rows: Rows, **instead: QueryAnswer | QueryFailure) -> Table:
    """All rows in one answer: which batch they come from makes no difference to reading."""
    answers: dict[str, QueryAnswer | QueryFailure] = {"load": answer(rows)}
    table = Table()
    for name, one in (answers | instead).items():
        add_answer(table, name, one, SETTINGS)
    return table


def read(
    table: Table, signal: Signal, *, source: Source = Source.VLLM, minimum: int = 0, ready: int = 2
) -> Reading:
    facet = facet_of(table, table.workloads.get(KEY, {}), source, ready)
    return read_signal(table, KEY, signal, facet, Terms(AT, SETTINGS, minimum))[0]


def test_a_number_with_its_age_window_and_count() -> None:
    rows = {**HEALTHY, "vllm:latencyP95": 0.4, "vllm:latencyP95:samples": 240.0}
    reading = read(table_of(rows), Signal.LATENCY_P95, minimum=100)
    assert reading == Sample(0.4, at=AT - 10, window_s=120, samples=240, partial=False)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
@pytest.mark.parametrize("row", ["vllm:at", "vllm:pods", "vllm:copies"])
def test_a_broken_count_or_time_ends_no_cycle(row: str, value: str) -> None:
    rows: Rows = {**HEALTHY, "vllm:latencyP95": 0.4, "vllm:latencyP95:samples": 240.0, row: value}
    reading = read(table_of(rows), Signal.LATENCY_P95, minimum=100)
    assert isinstance(reading, Missing) or (reading.partial or row.endswith("copies"))


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_a_time_that_is_none_is_never_fresh(value: str) -> None:
    rows: Rows = {**HEALTHY, "vllm:at": value, "vllm:latencyP95": 0.4}
    reading = read(table_of(rows), Signal.LATENCY_P95)
    assert isinstance(reading, Missing)


def test_a_gauge_has_no_window() -> None:
    reading = read(table_of({**HEALTHY, "vllm:requestsRunning": 0}), Signal.RUNNING)
    assert reading == Sample(0.0, at=AT - 10)


def test_no_traffic_is_a_rate_of_zero() -> None:
    rows = {**HEALTHY, "vllm:requestRate": 0, "vllm:requestRate:samples": 0}
    assert read(table_of(rows), Signal.REQUEST_RATE) == Sample(0.0, AT - 10, 120.0, 0.0)


P95, COUNT = "vllm:latencyP95", "vllm:latencyP95:samples"
DOWN = QueryFailure("no answer within 8 s")
OLD = QueryFailure("200 s old", stale=True)


@pytest.mark.parametrize(
    ("table", "gap", "said"),
    [
        (table_of({}), Gap.NO_DATA, "no series vllm:num_requests_running"),
        (table_of(HEALTHY), Gap.NO_DATA, "is scraped but answers no latencyP95"),
        (table_of({**HEALTHY, P95: "NaN", COUNT: 0}), Gap.NO_DATA, "no requests in 120 s"),
        (table_of({**HEALTHY, P95: 0.4, COUNT: 37}), Gap.NO_DATA, "37 requests in 120 s, 100 want"),
        (table_of({**HEALTHY, P95: "NaN", COUNT: 500}), Gap.NOT_FINITE, "is nan"),
        (table_of({**HEALTHY, P95: "NaN", COUNT: "NaN"}), Gap.NOT_FINITE, "is nan"),
        (table_of({**HEALTHY, P95: 0.4, COUNT: "NaN"}), Gap.NOT_FINITE, "number of requests"),
        (table_of({**HEALTHY, P95: "NaN"}), Gap.NOT_FINITE, "is nan"),
        (table_of({**HEALTHY, P95: "+Inf", COUNT: 500}), Gap.NOT_FINITE, "is inf"),
        (table_of({**HEALTHY, P95: "-Inf", COUNT: 500}), Gap.NOT_FINITE, "is -inf"),
        (table_of({**HEALTHY, P95: -0.1, COUNT: 500}), Gap.NOT_FINITE, "below 0"),
        (
            table_of({**HEALTHY, "vllm:at": NOW - 91, P95: 0.4, COUNT: 500}),
            Gap.STALE,
            "last scraped 91 s ago",
        ),
        (table_of({"vllm:at": NOW - 5, P95: 0.4, COUNT: 500}), Gap.STALE, "no pod answers"),
        (table_of({"vllm:at": NOW - 5}), Gap.STALE, "no pod answers"),
        (table_of({P95: 0.4, COUNT: 500}), Gap.STALE, "no longer scraped"),
        (
            table_of({**HEALTHY, "vllm:copies": 2, P95: 0.4, COUNT: 500}),
            Gap.DUPLICATE,
            "scraped 2 times",
        ),
        (
            table_of({**HEALTHY, P95: 0.4, COUNT: 500}, latency=answer({P95: 0.4})),
            Gap.DUPLICATE,
            "scraped 2 times",
        ),
        (table_of({**HEALTHY, P95: 0.4}, latency=DOWN), Gap.QUERY_FAILED, "latency: no answer"),
        (table_of({**HEALTHY, P95: 0.4}, latency=OLD), Gap.STALE, "latency: 200 s old"),
        (table_of({**HEALTHY, P95: 0.4}, freshness=DOWN), Gap.QUERY_FAILED, "freshness: no"),
        (table_of({**HEALTHY, P95: 0.4}, samples=DOWN), Gap.QUERY_FAILED, "samples: no answer"),
        (
            table_of(HEALTHY, latency=QueryAnswer([{"metric": {}}])),
            Gap.QUERY_FAILED,
            "a row without labels, time or number",
        ),
    ],
    ids=[
        "never scraped",
        "scraped, without this metric",
        "no traffic",
        "too few requests",
        "NaN in spite of traffic",
        "NaN in the count as well",
        "NaN in the count alone",
        "NaN without a count",
        "infinite",
        "minus infinite",
        "negative",
        "stale",
        "no pod answers, rates are left",
        "no pod answers, nothing is left",
        "rates of a series that is gone",
        "scraped twice",
        "the same row twice",
        "its query failed",
        "its query was answered with the past",
        "freshness is not known",
        "its sample count is not known",
        "a malformed row",
    ],
)
def test_why_there_is_no_number(table: Table, gap: Gap, said: str) -> None:
    reading = read(table, Signal.LATENCY_P95, minimum=100)
    assert isinstance(reading, Missing)
    assert reading.gap is gap
    assert said in reading.detail


def test_another_failed_query_leaves_this_signal_alone() -> None:
    table = table_of({**HEALTHY, "vllm:requestsRunning": 1}, latency=DOWN, samples=DOWN)
    assert isinstance(read(table, Signal.RUNNING), Sample)


@pytest.mark.parametrize(
    ("warned", "ready", "partial"),
    [
        ((), 2, False),
        ((), 3, True),
        (("store down",), 2, True),
    ],
    ids=["all pods report", "one Ready pod does not report", "the source warns"],
)
def test_a_partial_answer_is_a_partial_sample(
    warned: tuple[str, ...], ready: int, partial: bool
) -> None:
    rows = {**HEALTHY, "vllm:requestsRunning": 1}
    table = table_of({}, load=answer(rows, warned))
    reading = read(table, Signal.RUNNING, ready=ready)
    assert isinstance(reading, Sample)
    assert reading.partial is partial


def test_a_warning_of_another_query_is_not_about_this_signal() -> None:
    table = table_of({**HEALTHY, "vllm:requestsRunning": 1}, latency=answer({}, ("half",)))
    reading = read(table, Signal.RUNNING)
    assert isinstance(reading, Sample)
    assert not reading.partial


@pytest.mark.parametrize(
    ("source", "signal", "said"),
    [
        (Source.TGI, Signal.TTFT_P95, "TGI exports no time to first token"),
        (Source.TRITON, Signal.TPOT_P95, "Triton exports no time per output token"),
        (Source.SDK, Signal.GPU_RATIO, "the preset sdk has no such signal"),
    ],
    ids=str,
)
def test_what_an_engine_does_not_export_is_unsupported(
    source: Source, signal: Signal, said: str
) -> None:
    reading = read(table_of({}), signal, source=source)
    assert reading == Missing(Gap.UNSUPPORTED, reading.detail)  # type: ignore[union-attr]
    assert said in reading.detail  # type: ignore[union-attr]


def test_a_percentile_that_triton_was_not_told_to_export_is_unsupported() -> None:
    table = table_of({"triton:at": NOW - 5, "triton:pods": 2})
    reading = read(table, Signal.LATENCY_P95, source=Source.TRITON)
    assert isinstance(reading, Missing)
    assert reading.gap is Gap.UNSUPPORTED
    assert "summary_latencies=true" in reading.detail


@given(st.sampled_from(list(Signal)), st.floats())
def test_a_number_is_believed_only_where_it_is_possible(signal: Signal, value: float) -> None:
    fault = fault_of(signal, value)
    if fault is None:
        assert math.isfinite(value)
        assert value >= 0
        if UNITS[signal] == "ratio" and signal not in {Signal.CPU_RATIO, Signal.MEMORY_RATIO}:
            assert value <= 1.001
    else:
        assert fault.gap is Gap.NOT_FINITE
        assert signal in fault.detail


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_no_age_makes_a_stale_number_fresh(age: float, value: float) -> None:
    rows = {"vllm:at": NOW - age, "vllm:pods": 1, "vllm:requestRate": value}
    reading = read(table_of(rows), Signal.REQUEST_RATE)
    assert isinstance(reading, Sample) == (age <= SETTINGS.stale_after_s)


POD_ROWS = {"vllm:at": NOW - 5, "vllm:requestRate": 2.0, "vllm:serverErrorRatio": 0.5}


@pytest.mark.parametrize(
    ("tags", "rate", "errors"),
    [
        (POD_ROWS, 2.0, 0.5),
        ({**POD_ROWS, "vllm:at": NOW - 100}, Gap.STALE, Gap.STALE),
        ({"vllm:requestRate": 2.0}, Gap.STALE, Gap.STALE),
        ({"vllm:at": NOW - 5}, Gap.NO_DATA, Gap.NO_DATA),
        (
            {**POD_ROWS, "vllm:requestRate": 0.0, "vllm:serverErrorRatio": math.nan},
            0.0,
            Gap.NO_DATA,
        ),
        ({**POD_ROWS, "vllm:serverErrorRatio": math.nan}, 2.0, Gap.NOT_FINITE),
    ],
    ids=["healthy", "stale", "gone", "other metrics only", "no traffic", "not finite"],
)
def test_health_of_a_pod(tags: dict[str, float], rate: float | Gap, errors: float | Gap) -> None:
    table = Table(evaluated_at=NOW)
    pod = read_pod(table, tags, Source.VLLM, Terms(AT, SETTINGS))
    for reading, expected in ((pod.request_rate, rate), (pod.server_error_ratio, errors)):
        assert (reading.gap if isinstance(reading, Missing) else reading.value) == expected


def test_a_failed_query_of_pods_is_said_of_each() -> None:
    table = Table(failures={str(Batch.PODS): "down"}, evaluated_at=NOW)
    pod = read_pod(table, POD_ROWS, Source.VLLM, Terms(AT, SETTINGS))
    assert pod.request_rate == pod.server_error_ratio == Missing(Gap.QUERY_FAILED, "pods: down")
