"""The fleet in motion: who answers whom, and what callers see of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.simulator.live.faults import parse_request
from aurora.simulator.live.world import World
from tests.unit.simulator_live.support import SPACE, facts, seen, world


def inject(one: World, kind: str, value: float | None = None, *, of: str = "a", s: float) -> None:
    document: dict[str, Any] = {"model": of, "kind": kind, "for_s": s}
    if value is not None:
        document["value"] = value
    one.inject(
        parse_request(document, identifier=len(one.faults) + 1, now=one.now, known=one.targets)
    )


def served(one: World, app: str) -> float:
    return sum(
        pod.server.metrics.counters["success"] for pod in one.pods if pod.workload.name == app
    )


def test_callers_of_a_healthy_service_are_served_by_all_of_its_pods() -> None:
    one = world()
    one.observe(facts())
    one.advance(60.0)
    assert seen(one)["requests"] > 300
    assert seen(one)["errors"] == 0
    shares = [pod.server.metrics.counters["success"] for pod in one.pods]
    assert min(shares) > 0.4 * sum(shares)


def test_nobody_calls_before_a_pod_was_ready_and_all_are_refused_when_none_is_any_more() -> None:
    one = world()
    one.observe(facts(ready=False))
    one.advance(20.0)
    assert seen(one)["requests"] == 0
    one.observe(facts())
    one.advance(40.0)
    assert seen(one)["errors"] == 0
    one.observe(facts(ready=False))
    one.advance(60.0)
    gone = seen(one, since=45.0)
    assert gone["errors"] > 0.9 * gone["requests"] > 50


def test_a_selector_that_points_elsewhere_moves_the_traffic_at_once() -> None:
    one = world()
    one.observe(facts(a=1, b=1))
    one.advance(30.0)
    assert served(one, "b") == 0
    one.observe(facts(a=1, b=1, selects="b"))
    before = served(one, "a") + next(p.outstanding for p in one.pods if p.workload.name == "a")
    one.advance(60.0)
    assert served(one, "b") > 100
    assert served(one, "a") == before
    assert seen(one)["errors"] == 0


def test_a_pod_that_is_taken_away_finishes_what_it_began() -> None:
    one = world()
    one.observe(facts(a=2, rate=12.0))
    one.advance(30.0)
    inside = sum(pod.outstanding for pod in one.pods)
    one.observe(facts(a=1, rate=12.0))
    assert inside > 0
    one.advance(60.0)
    assert seen(one)["errors"] == 0
    assert len(one.pods) == 1


@pytest.mark.parametrize("replicas", [2, 3])
def test_more_replicas_carry_a_load_step_and_fewer_do_not(replicas: int) -> None:
    one = world()
    one.observe(facts(a=replicas, rate=7.0))
    one.advance(30.0)
    inject(one, "load", 3.0, s=300.0)
    one.advance(150.0)
    late = seen(one, since=100.0)["ttft"]
    assert late > 4.0 if replicas == 2 else late < 2.5


def test_a_latency_fault_slows_and_ends() -> None:
    one = world()
    one.observe(facts(rate=4.0))
    one.advance(60.0)
    normal = seen(one)["ttft"]
    inject(one, "latency", 4.0, s=60.0)
    one.advance(120.0)
    assert seen(one, since=70.0)["ttft"] > 2.0 * normal
    one.advance(240.0)
    assert seen(one, since=180.0)["ttft"] < 1.5 * normal


def test_errors_reach_the_asked_share_of_the_callers_of_these_pods_only() -> None:
    one = world()
    one.observe(facts(a=1, b=1))
    one.advance(10.0)
    inject(one, "errors", 0.4, s=600.0)
    pod = one.pod(SPACE, "a-0")
    assert pod is not None
    assert one.is_failing(pod)
    one.advance(130.0)
    during = seen(one, since=15.0)
    assert 0.33 < during["errors"] / during["requests"] < 0.47
    assert pod.http["5xx"] == seen(one)["errors"]
    one.observe(facts(a=1, b=1, selects="b"))
    one.advance(200.0)
    assert seen(one, since=140.0)["errors"] == 0


def test_a_crash_loses_what_is_inside_and_ends() -> None:
    one = world()
    one.observe(facts(rate=12.0))
    one.advance(30.0)
    inside = sum(pod.outstanding for pod in one.pods)
    inject(one, "crash", s=10.0)
    assert seen(one)["errors"] == inside > 0
    assert list(one.exported) == []
    assert all(not pod.http and not pod.server.metrics.counters["success"] for pod in one.pods)
    one.advance(39.9)
    during = seen(one, since=30.0)
    assert during["errors"] == during["requests"]
    one.advance(60.0)
    assert seen(one, since=45.0)["errors"] == 0


def test_a_crash_that_was_asked_for_later_comes_later_and_once() -> None:
    one = world()
    one.observe(facts(rate=12.0))
    document = {"model": "a", "kind": "crash", "in_s": 20, "for_s": 5}
    one.inject(parse_request(document, identifier=1, now=0.0, known=one.targets))
    one.advance(20.0)
    assert seen(one)["errors"] == 0
    one.advance(24.9)
    assert seen(one)["errors"] > 0
    assert all(pod.crashed for pod in one.pods)
    one.advance(60.0)
    assert seen(one, since=30.0)["errors"] == 0


def test_one_crashed_pod_leaves_the_other_to_the_callers() -> None:
    one = world()
    one.observe(facts(rate=4.0))
    one.advance(30.0)
    inject(one, "crash", 1, s=30.0)
    lost = seen(one)["errors"]
    one.advance(50.0)
    assert seen(one)["errors"] == lost
    assert len(list(one.exported)) == 1


def test_metrics_that_are_gone_are_those_of_one_deployment() -> None:
    one = world()
    one.observe(facts(a=1, b=1))
    inject(one, "metrics-gone", s=10.0)
    assert [pod.workload.name for pod in one.exported] == ["b"]
    one.advance(10.5)
    assert len(list(one.exported)) == 2


CACHES = {
    "the cache is on": (True, 60.0, True),
    "the cache is off": (True, None, False),
    "no sidecar is there": (False, 60.0, False),
}


@pytest.mark.parametrize(("armed", "ttl", "hits"), CACHES.values(), ids=CACHES)
def test_repeats_are_answered_by_the_sidecar_when(
    armed: bool, ttl: float | None, hits: bool
) -> None:
    one = world()
    one.observe(facts(armed=armed, ttl=ttl))
    inject(one, "repeats", 0.6, s=300.0)
    one.advance(120.0)
    during = seen(one, since=60.0)
    assert (during["cached"] > 0.3 * during["requests"]) is hits
    assert during["errors"] == 0


def test_a_prompt_is_computed_again_when_its_answer_is_too_old() -> None:
    def cached(ttl: float) -> float:
        one = world()
        one.observe(facts(armed=True, ttl=ttl))
        inject(one, "repeats", 0.6, s=300.0)
        one.advance(240.0)
        return seen(one, since=60.0)["cached"]

    assert cached(5.0) < 0.7 * cached(300.0)


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.floats(0.1, 20.0),
            st.integers(0, 3),
            st.booleans(),
            st.sampled_from(["load", "errors", "latency", "repeats", "crash", ""]),
        ),
        max_size=8,
    )
)
def test_whatever_happens_every_call_ends_once_or_is_still_inside(
    steps: list[tuple[float, int, bool, str]],
) -> None:
    one = world()
    one.observe(facts(a=2, b=1))
    sent = 0
    original = one._dispatch

    def counted(request: Any, service: Any) -> None:
        nonlocal sent
        sent += 1
        original(request, service)

    one._dispatch = counted  # type: ignore[method-assign]
    for length, pods, to_b, kind in steps:
        one.observe(facts(a=pods, b=1, selects="b" if to_b else "a"))
        if kind and (SPACE, "a") in one.targets:
            value = {"crash": None, "load": 2.0, "latency": 2.0}.get(kind, 0.5)
            inject(one, kind, value, s=5.0)
        one.advance(one.now + length)
    inside = sum(pod.outstanding for pod in (*one.pods, *one._leaving))
    assert seen(one)["requests"] + inside == sent
    assert len(one._callers) == inside


def test_the_same_seed_gives_the_same_run() -> None:
    def run(cuts: int) -> list[dict[str, Any]]:
        one = world(seed=3)
        one.observe(facts())
        for number in range(1, cuts + 1):
            one.advance(60.0 * number / cuts)
        return one.truth[SPACE, "a"].told(epoch=0.0, since=0.0)

    assert run(1) == run(1)
    assert run(1) == run(600)
