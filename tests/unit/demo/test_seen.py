"""What the demo reads of decisions and of what callers saw."""

from typing import Any

import pytest

from aurora.demo.seen import Bucket, buckets_of, callers, decisions_of
from aurora.resources.vocabulary import Action, Direction, OutcomeVerdict, Phase
from tests.unit.demo.support import decision

NOON, LATER = "2026-01-01T12:00:00Z", "2026-01-01T12:00:05Z"


def raw(**status: Any) -> dict[str, Any]:
    spec = {
        "modelRef": {"name": "chat", "uid": "11111111-1111-1111-1111-111111111111"},
        "target": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "chat",
            "uid": "22222222-2222-2222-2222-222222222222",
        },
        "action": "SCALE",
        "direction": "Up",
        "parameters": {"from": {"replicas": "2"}, "to": {"replicas": "4"}},
        "reason": "ObjectiveViolated",
        "message": "too slow",
        "confidencePercent": 85,
        "tier": "Monitored",
        "risk": "Low",
        "policyHash": "p",
        "fingerprint": "f",
    }
    return {
        "apiVersion": "aurora.dev/v1alpha1",
        "kind": "Decision",
        "metadata": {"name": "chat-1", "namespace": "demo", "creationTimestamp": NOON},
        "spec": spec,
        "status": status,
    }


def condition(status: str) -> dict[str, Any]:
    return {
        "type": "Executed",
        "status": status,
        "reason": "Executed",
        "lastTransitionTime": LATER,
    }


def test_a_decision_is_read_with_its_times_and_its_outcome() -> None:
    outcome = {"verdict": "Improved", "message": "better", "measuredAt": LATER}
    (one,) = decisions_of([raw(phase="Completed", conditions=[condition("True")], outcome=outcome)])
    assert one.move == (Action.SCALE, Direction.UP)
    assert one.title == "SCALE 2 to 4"
    assert one.executed_at == one.decided_at + 5.0
    assert (one.phase, one.verdict) == (Phase.COMPLETED, OutcomeVerdict.IMPROVED)


def test_an_announced_decision_is_not_an_executed_one() -> None:
    (one,) = decisions_of([raw(phase="Executing", conditions=[condition("False")])])
    assert one.executed_at is None


def test_what_is_no_decision_is_left_out_and_the_oldest_comes_first() -> None:
    later = raw()
    later["metadata"] = {"name": "chat-0", "namespace": "demo", "creationTimestamp": LATER}
    found = decisions_of([later, {"kind": "Decision", "metadata": {"name": "x"}}, raw()])
    assert [one.name for one in found] == ["chat-1", "chat-0"]


def test_an_undo_reference_is_not_part_of_a_title() -> None:
    routed = decision(
        action=Action.ROUTE,
        before={"route": "fallback"},
        after={"route": "primary", "undo": "chat-0"},
    )
    assert routed.title == "ROUTE fallback to primary"


def bucket(at: float, requests: int, p95: float | None, errors: int = 0) -> Bucket:
    return Bucket(at, requests, errors, 0, p95, p95)


def test_callers_are_summed_up_over_whole_buckets_only() -> None:
    given = [bucket(0, 10, 9.0), bucket(5, 30, 1.0), bucket(10, 10, 3.0), bucket(15, 99, 9.0)]
    found = callers(given, 5.0, 15.0)
    assert found is not None
    assert found.rate == 4.0
    assert found.ttft_p95 == found.value("ttftP95") == pytest.approx(1.5)


def test_no_request_is_no_number_and_only_errors_have_no_latency() -> None:
    assert callers([], 0.0, 100.0) is None
    assert callers([bucket(0, 0, None)], 0.0, 100.0) is None
    failed = callers([bucket(0, 5, None, errors=5)], 0.0, 100.0)
    assert failed is not None
    assert (failed.error_ratio, failed.latency_p95) == (1.0, None)


def test_buckets_are_read_as_the_fleet_tells_them() -> None:
    from aurora.simulator.live.truth import Truth

    truth = Truth()
    truth.succeeded(1.0, latency_s=2.0, ttft_s=0.5, cached=True)
    truth.failed(2.0)
    truth.failed(7.0)
    assert buckets_of(truth.told(epoch=100.0, since=0.0)) == (
        Bucket(100.0, 2, 1, 1, 2.0, 0.5),
        Bucket(105.0, 1, 1, 0, None, None),
    )
