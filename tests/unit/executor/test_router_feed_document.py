"""What routers are told of a policy, and when it is told anew."""

import json
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from aurora.executor.router_feed_document import (
    MOST_BYTES,
    as_told,
    router_document,
    text_of,
)
from aurora.planner.routing.given import RoutingInput
from tests.support.routing import Seen, given, seen

Json = dict[str, Any]


def policy(declared: Json | None = None, found: dict[str, Seen] | None = None, **spec: Any) -> Json:
    return router_document(asked(declared, found, **spec))


def asked(
    declared: Json | None = None, found: dict[str, Seen] | None = None, **spec: Any
) -> RoutingInput:
    backends = found or {"a": seen(50), "b": seen(50)}
    return given(backends, declared=declared, **{"router": {}, **spec})


def names(document: Json) -> list[str]:
    return [one["provider_id"] for one in document["providers"]]


def one(document: Json, name: str) -> Json:
    return next(found for found in document["providers"] if found["provider_id"] == name)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, "q-learning", id="nothing said"),
        pytest.param({"router": {"strategy": "ucb"}}, "ucb", id="its own"),
        pytest.param({"strategy": "Learned"}, "thompson", id="the policy's learner by default"),
        pytest.param(
            {"strategy": "Learned", "learning": {"algorithm": "ucb"}}, "ucb", id="the one it names"
        ),
        pytest.param(
            {"strategy": "Learned", "router": {"strategy": "linucb"}},
            "linucb",
            id="its own beside a learner",
        ),
    ],
)
def test_the_strategy_of_routers(spec: Json, expected: str) -> None:
    assert policy(**spec)["strategy"] == expected


def test_a_router_that_shares_the_operators_learner_learns_for_all_requests_alike() -> None:
    assert policy(strategy="Learned")["strategyOptions"] == {"per_state": False}
    assert "strategyOptions" not in policy(strategy="Learned", router={"strategy": "ucb"})
    assert "strategyOptions" not in policy()


def test_a_provider_is_told_with_what_is_known() -> None:
    declared = {"a": {"costPerReplicaHour": "2.5", "region": "eu", "gpuType": "L4"}}
    found = policy(declared, {"a": seen(50, p95=1.23456), "b": seen(50, p95=None)})
    assert one(found, "a") == {
        "provider_id": "a",
        "price_usd_per_hour": 2.5,
        "latency_ms": 1230.0,
        "regions": ["eu"],
        "gpu_types": ["L4"],
    }
    assert one(found, "b") == {"provider_id": "b"}


@pytest.mark.parametrize(
    ("found", "spec", "expected"),
    [
        pytest.param({"b": seen(50, errors=0.5)}, {}, ["a"], id="who fails is none"),
        pytest.param(
            {"a": seen(50, errors=0.5), "b": seen(50, errors=0.5)}, {}, ["a", "b"], id="all fail"
        ),
        pytest.param(
            {},
            {"constraints": {"enforcement": "Strict", "gpuTypes": ["L4"]}},
            ["a"],
            id="another GPU, strict",
        ),
        pytest.param({}, {"constraints": {"gpuTypes": ["L4"]}}, ["a", "b"], id="another, advisory"),
    ],
)
def test_who_is_a_candidate(found: dict[str, Seen], spec: Json, expected: list[str]) -> None:
    backends = {"a": seen(50), "b": seen(50), **found}
    assert names(policy({"a": {"gpuType": "L4"}}, backends, **spec)) == expected


def test_who_has_no_ready_endpoint_has_no_capacity() -> None:
    found = policy(found={"a": seen(50, ready=0), "b": seen(50)})
    assert one(found, "a")["capacity_available"] is False
    assert "capacity_available" not in one(found, "b")


def test_limits_and_floor_are_those_of_the_policy() -> None:
    limits = {
        "enforcement": "Strict",
        "maxCostPerReplicaHour": "3",
        "maxLatencyP95": "500ms",
        "regions": ["eu"],
    }
    found = policy(constraints=limits, exploration={"minPercent": 4})
    assert (found["strictAudit"], found["minPercent"]) == (True, 4)
    expected = {"max_price": 3.0, "max_latency_ms": 500.0, "allowed_regions": ["eu"]}
    assert found["constraints"] == expected


def learned(revision: int, strategy: str = "thompson", **state: Any) -> Json:
    return {
        "strategy": strategy,
        "revision": revision,
        "state": state or {"arms": [], "states": []},
    }


def test_state_of_another_strategy_or_beyond_what_fits_is_left_out() -> None:
    learns = asked(strategy="Learned")
    assert router_document(learns, learned(1))["state"]["revision"] == 1
    assert "state" not in router_document(learns, learned(1, "ucb"))
    assert "state" not in router_document(learns, learned(1, text="x" * MOST_BYTES))
    assert "state" not in router_document(learns)


@pytest.mark.parametrize(
    ("told", "now", "expected"),
    [
        pytest.param(100, 110, 100, id="a tenth more to tell"),
        pytest.param(100, 125, 125, id="a quarter more"),
        pytest.param(100, 3, 3, id="it began anew"),
        pytest.param(None, 1, 1, id="nothing told before"),
        pytest.param(100, None, None, id="nothing to tell any more"),
    ],
)
def test_state_is_told_anew_when_it_grew(
    told: int | None, now: int | None, expected: int | None
) -> None:
    learns = asked(strategy="Learned")
    before, made = (
        router_document(learns, None if revision is None else learned(revision))
        for revision in (told, now)
    )
    found = as_told(made, before, measured=True).get("state")
    assert (None if found is None else found["revision"]) == expected


def latency(p95: float | None) -> Json:
    return policy(found={"a": seen(50, p95=p95), "b": seen(50)})


@pytest.mark.parametrize(
    ("told", "now", "measured", "expected"),
    [
        pytest.param(1.0, 1.2, True, 1000.0, id="it sways"),
        pytest.param(1.0, 2.0, True, 2000.0, id="much slower"),
        pytest.param(1.0, 0.5, True, 500.0, id="much faster"),
        pytest.param(1.0, 2.0, False, 1000.0, id="told just now"),
        pytest.param(1.0, None, True, None, id="not measured any more"),
        pytest.param(None, 1.0, True, 1000.0, id="measured for the first time"),
    ],
)
def test_a_latency_is_told_anew_when_it_changed_much(
    told: float | None, now: float | None, measured: bool, expected: float | None
) -> None:
    found = as_told(latency(now), latency(told), measured=measured)
    assert one(found, "a").get("latency_ms") == expected


def test_a_candidate_that_is_new_has_its_latency_at_once() -> None:
    before = policy(found={"a": seen(50, errors=0.5), "b": seen(50)})
    found = as_told(latency(3.0), before, measured=False)
    assert one(found, "a")["latency_ms"] == 3000.0


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param({"providers": "a"}, id="providers are a text"),
        pytest.param({"providers": 5}, id="providers are a number"),
        pytest.param({"providers": ["a"]}, id="a provider is a text"),
        pytest.param({"providers": [{"provider_id": ["a"]}]}, id="an id is a list"),
        pytest.param({"providers": [{"provider_id": "a", "latency_ms": "1"}]}, id="a text"),
        pytest.param({"providers": [{"provider_id": "a", "latency_ms": float("nan")}]}, id="NaN"),
        pytest.param({"state": "x"}, id="the state is a text"),
        pytest.param({"state": {"strategy": "thompson", "revision": "9"}}, id="no revision"),
    ],
)
@pytest.mark.parametrize("measured", [True, False])
def test_what_somebody_broke_by_hand_is_told_anew(edited: Json, measured: bool) -> None:
    learns = asked(strategy="Learned")
    made = router_document(learns, learned(10))
    told = as_told(made, {**made, **edited}, measured=measured)
    assert told == made
    assert text_of(told)


@drawn(st.floats(0.001, 100.0), st.floats(0.001, 100.0), st.booleans())
def test_what_was_told_is_settled(first: float, then: float, measured: bool) -> None:
    told = json.loads(text_of(latency(first)))
    now = as_told(latency(then), told, measured=measured)
    assert as_told(latency(then), json.loads(text_of(now)), measured=measured) == now
    assert as_told(told, told, measured=measured) == told
