"""What may be asked of the fleet, and how a wrong question is answered."""

from typing import Any

import pytest

from aurora.errors import UsageError
from aurora.simulator.faults import ErrorFault, LatencyFault, LoadStep, PodLoss, RepeatedPrompts
from aurora.simulator.live.faults import FaultBook, Injected, parse_request

KNOWN = frozenset({("demo", "llama"), ("demo", "qwen"), ("other", "qwen")})


def parse(**document: Any) -> Injected:
    return parse_request(document, identifier=1, now=100.0, known=KNOWN)


ASKED = {
    "a factor on latency": (
        {"kind": "latency", "value": 2, "for_s": 30},
        LatencyFault(100.0, 130.0, 2.0),
    ),
    "errors for a minute by default": (
        {"kind": "errors", "value": 0.5},
        ErrorFault(100.0, 160.0, 0.5),
    ),
    "a load step": ({"kind": "load", "value": 2.5}, LoadStep(100.0, 160.0, 2.5)),
    "repeated prompts": ({"kind": "repeats", "value": 0.7}, RepeatedPrompts(100.0, 160.0, 0.7)),
    "a fault that begins later": (
        {"kind": "load", "value": 2, "in_s": 30, "for_s": 10},
        LoadStep(130.0, 140.0, 2.0),
    ),
    "a few repeated prompts": (
        {"kind": "repeats", "value": 0.7, "distinct": 12},
        RepeatedPrompts(100.0, 160.0, 0.7, 12),
    ),
    "a crash of every pod by default": ({"kind": "crash"}, PodLoss(100.0, 160.0, 1000)),
    "a crash of one pod": ({"kind": "crash", "value": 1}, PodLoss(100.0, 160.0, 1)),
}


@pytest.mark.parametrize(("document", "fault"), ASKED.values(), ids=ASKED)
def test_a_fault_may_be(document: dict[str, Any], fault: object) -> None:
    found = parse(model="llama", **document)
    assert found.fault == fault
    assert (found.namespace, found.name) == ("demo", "llama")
    assert not found.active(found.fault.start - 0.1)
    assert found.active(found.fault.start)
    assert not found.active(found.fault.end)


REFUSED = {
    "an unknown field": ({"model": "llama", "kind": "crash", "foo": 1}, "unknown field 'foo'"),
    "no target": ({"kind": "crash"}, "name exactly one of model, deployment and service"),
    "two targets": (
        {"model": "llama", "service": "llama", "kind": "crash"},
        "name exactly one",
    ),
    "an unknown target": ({"model": "x", "kind": "crash"}, "there is demo/llama, demo/qwen"),
    "a name in two namespaces": ({"model": "qwen", "kind": "crash"}, "add the field namespace"),
    "an unknown kind": ({"model": "llama", "kind": "fire"}, "use one of latency, errors"),
    "a kind that is no text": ({"model": "llama", "kind": ["load"]}, "is unknown"),
    "no value": ({"model": "llama", "kind": "load"}, "kind load needs a value: a factor"),
    "a value that is text": ({"model": "llama", "kind": "load", "value": "2"}, "write a number"),
    "a value that is true": ({"model": "llama", "kind": "load", "value": True}, "write a number"),
    "a value that is NaN": (
        {"model": "llama", "kind": "load", "value": float("nan")},
        "write a number",
    ),
    "a share above 1": ({"model": "llama", "kind": "errors", "value": 1.5}, "from 0 to 1"),
    "a share of nothing": ({"model": "llama", "kind": "errors", "value": 0}, "value is 0"),
    "a speed-up": ({"model": "llama", "kind": "latency", "value": 0.5}, "from 1 to 100"),
    "no time": ({"model": "llama", "kind": "crash", "for_s": 0}, "for_s is 0"),
    "prompts for a load step": (
        {"model": "llama", "kind": "load", "value": 2, "distinct": 3},
        "distinct is for kind repeats only",
    ),
    "half a prompt": (
        {"model": "llama", "kind": "repeats", "value": 0.5, "distinct": 0.5},
        "use a whole number from 1 to 100000",
    ),
    "a fault that began before": (
        {"model": "llama", "kind": "crash", "in_s": -1},
        "in_s is -1: use seconds from 0",
    ),
    "an endless time": ({"model": "llama", "kind": "crash", "for_s": 1e9}, "up to 86400"),
}


@pytest.mark.parametrize(("document", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_with_a_sentence_is(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(**document)


def test_a_namespace_tells_two_of_the_same_name_apart() -> None:
    assert parse(model="qwen", namespace="other", kind="crash").namespace == "other"


def test_the_newest_of_several_active_faults_of_a_kind_counts() -> None:
    book = FaultBook()
    book.add(parse(model="llama", kind="load", value=2, for_s=50))
    book.add(parse(model="llama", kind="load", value=3, for_s=10))
    key = ("demo", "llama")
    assert book.of(key, LoadStep, 105.0) == LoadStep(100.0, 110.0, 3.0)
    assert book.of(key, LoadStep, 120.0) == LoadStep(100.0, 150.0, 2.0)
    assert book.of(key, LoadStep, 150.0) is None
    assert book.of(key, ErrorFault, 105.0) is None
    assert book.of(("demo", "qwen"), LoadStep, 105.0) is None
