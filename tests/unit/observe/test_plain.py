"""The short way through healthy signals says what the long way says, whatever was answered."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aurora.observe.plain import read_signals
from aurora.observe.queries import MetricsSettings, Source
from aurora.observe.queries.fleet import route, signal_tag
from aurora.observe.readings import Terms, read_signal
from aurora.observe.sample import Reading, Sample, Signal
from aurora.observe.table import Facet, Table, facet_of

KEY = ("team", "llama")
NOW, AT = 5_000.0, 9_000.0
SETTINGS = MetricsSettings(window_s=120, stale_after_s=90, remember_s=600)
ASKED = frozenset(Signal)
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.4, 1.0, 1.0000005, 1.1, -1e-9, 99.0, 100.0, 1e308]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.floats(),
)


def read(
    table: Table, facet: Facet, terms: Terms
) -> tuple[dict[Signal, Reading], dict[Signal, float]]:
    readings: dict[Signal, Reading] = {}
    counts: dict[Signal, float] = {}
    read_signals(table, KEY, ASKED, facet, terms, into=(readings, counts))
    return readings, counts


def tags_of(source: Source) -> list[str]:
    found = [signal_tag(source, what) for what in ("at", "pods", "copies")]
    for signal in Signal:
        where = route(source, signal)
        if where is not None:
            found += [where.tag, where.samples]
    return sorted({tag for tag in found if tag})


HEALTHY = dict.fromkeys(tags_of(Source.VLLM), 0.5) | {"vllm:at": NOW - 5.0, "vllm:pods": 2.0}
TAGS = st.dictionaries(st.sampled_from(tags_of(Source.VLLM)), NUMBERS)


@given(
    tags=st.builds(
        lambda changed, gone: (changed, gone), TAGS, st.sets(st.sampled_from(tags_of(Source.VLLM)))
    ),
    broken=st.sampled_from(["", "", "failure", "warning", "doubled"]),
    least=st.sampled_from([0, 100]),
    ready=st.sampled_from([None, 2, 3]),
)
@example(tags=({"vllm:copies": 1.0}, set()), broken="", least=0, ready=2)
@example(tags=({"vllm:copies": 1.0}, {"vllm:at"}), broken="", least=0, ready=2)
@settings(max_examples=400)
def test_both_ways_say_the_same(
    tags: tuple[dict[str, float], set[str]], broken: str, least: int, ready: int | None
) -> None:
    changed, gone = tags
    found = {tag: value for tag, value in (HEALTHY | changed).items() if tag not in gone}
    table = Table(workloads={KEY: found}, evaluated_at=NOW)
    if broken == "failure":
        table.failures["latency"] = "no answer within 8 s"
    if broken == "warning":
        table.warnings["load"] = ("partial",)
    if broken == "doubled":
        table.doubled.add((*KEY, "vllm:requestRate"))
    facet = facet_of(table, found, Source.VLLM, ready)
    terms = Terms(AT, SETTINGS, least)
    readings, counts = read(table, facet, terms)
    one_by_one = {signal: read_signal(table, KEY, signal, facet, terms) for signal in ASKED}
    assert readings == {signal: reading for signal, (reading, _) in one_by_one.items()}
    assert counts == {s: count for s, (_, count) in one_by_one.items() if count is not None}


def test_a_healthy_exporter_is_read_whole() -> None:
    counted = {tag: 200.0 for tag in HEALTHY if tag.endswith(":samples")}
    found = {tag: v for tag, v in (HEALTHY | counted).items() if tag != "vllm:copies"}
    table = Table(workloads={KEY: found}, evaluated_at=NOW)
    facet = facet_of(table, found, Source.VLLM, 2)
    readings, counts = read(table, facet, Terms(AT, SETTINGS, 100))
    assert readings[Signal.TTFT_P95] == Sample(0.5, AT - 5.0, 120.0, 200.0)
    assert readings[Signal.WAITING] == Sample(0.5, AT - 5.0)
    assert counts[Signal.TTFT_P95] == 200.0
