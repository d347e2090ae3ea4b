"""Which weights a policy sets: tables per strategy, and what holds of every one of them."""

from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st

from aurora.planner.routing.past import BackendPast
from aurora.planner.routing.points import moved, points, stepped
from aurora.planner.routing.shift import away, goal, towards
from aurora.planner.routing.wanted import Hold
from tests.support.routing import NOW, Seen, given, seen

CANARY = {"strategy": "Canary", "rollout": {"backend": "b", "steps": [5, 25, 100]}}
LATENCY, LOAD = {"strategy": "LatencyWeighted"}, {"strategy": "LoadBalanced"}
FAILED = {"b": BackendPast(NOW - 100, 1)}
LONG_AGO = {"b": BackendPast(NOW - 400, 1)}
AGAIN = {"b": BackendPast(NOW - 400, 2)}


def weights(a: int, b: int) -> dict[str, int]:
    return {"a": a, "b": b}


def declared(a: int, b: int) -> dict[str, dict[str, int]]:
    return {"a": {"weight": a}, "b": {"weight": b}}


CASES: list[tuple[str, Seen, Seen, dict[str, Any], dict[str, int] | None]] = [
    ("equal weights are half each", seen(100), seen(0), {"strategy": "Equal"}, weights(75, 25)),
    ("weights of 1 and 1 are equal already", seen(1), seen(1), {"strategy": "Equal"}, None),
    (
        "declared weights are reached in steps of maxStepPercent",
        seen(50),
        seen(50),
        {"declared": declared(9, 1)},
        weights(75, 25),
    ),
    (
        "a step is smaller where the policy says so",
        seen(50),
        seen(50),
        {"declared": declared(9, 1), "autonomy": {"maxStepPercent": 10}},
        weights(60, 40),
    ),
    (
        "the last step ends at the declared weights",
        seen(85),
        seen(15),
        {"declared": declared(9, 1)},
        weights(90, 10),
    ),
    (
        "twice as fast is twice the share",
        seen(50),
        seen(50, p95=2.0),
        LATENCY,
        weights(67, 33),
    ),
    (
        "about equally fast is left alone",
        seen(50),
        seen(50, p95=1.2),
        LATENCY,
        None,
    ),
    (
        "a move of a few points is not worth it",
        seen(65),
        seen(35, p95=2.0),
        LATENCY,
        None,
    ),
    (
        "without a p95 nothing is weighed by it",
        seen(50),
        seen(50, p95=None),
        LATENCY,
        None,
    ),
    (
        "a p95 of some of the pods is none to weigh by",
        seen(50),
        seen(50, p95=9.0, partial=True),
        LATENCY,
        None,
    ),
    (
        "a backend without traffic is explored",
        seen(100),
        seen(0, p95=None),
        LATENCY,
        weights(99, 1),
    ),
    (
        "exploration can be switched off",
        seen(100),
        seen(0, p95=None),
        LATENCY | {"exploration": {"minPercent": 0}},
        None,
    ),
    (
        "the slowest keeps the exploration floor",
        seen(90),
        seen(10, p95=99.0),
        LATENCY | {"exploration": {"minPercent": 3}},
        weights(97, 3),
    ),
    ("load up to half more is balanced enough", seen(50), seen(50, running=6.0), LOAD, None),
    (
        "more than half more load moves weight to the idle pods",
        seen(50),
        seen(50, running=8.0),
        LOAD,
        weights(67, 33),
    ),
    (
        "an idle backend takes no more than twice its share at once",
        seen(50),
        seen(50, running=0.0),
        LOAD,
        weights(25, 75),
    ),
    ("a canary begins with its first step", seen(100), seen(0), CANARY, weights(95, 5)),
    ("a canary that is no worse goes on", seen(95), seen(5), CANARY, weights(75, 25)),
    ("a canary that is slower waits", seen(95), seen(5, p95=1.3), CANARY, None),
    ("a canary that fails more waits", seen(95), seen(5, errors=0.02), CANARY, None),
    ("a canary without numbers waits", seen(95), seen(5, p95=None), CANARY, None),
    (
        "a canary's large step is cut into smaller ones",
        seen(75),
        seen(25),
        CANARY,
        weights(50, 50),
    ),
    (
        "an A/B test goes on however it compares",
        seen(95),
        seen(5, p95=3.0),
        {"strategy": "ABTest", "rollout": {"backend": "b", "steps": [5, 20]}},
        weights(80, 20),
    ),
    (
        "an A/B test stays at its last step",
        seen(80),
        seen(20),
        {"strategy": "ABTest", "rollout": {"backend": "b", "steps": [5, 20]}},
        None,
    ),
    (
        "who is not ready gets nothing more",
        seen(100),
        seen(0, ready=0, dry_for=5.0),
        {"strategy": "Equal"},
        None,
    ),
    (
        "who is not ready for a moment keeps what it has",
        seen(50),
        seen(50, ready=0, dry_for=5.0),
        {"declared": declared(9, 1)},
        None,
    ),
    (
        "a backend that failed waits",
        seen(100),
        seen(0, errors=None),
        {"strategy": "Equal", "past": FAILED},
        None,
    ),
    (
        "after the wait it gets a little",
        seen(100),
        seen(0, errors=None),
        {"strategy": "Equal", "past": LONG_AGO},
        weights(95, 5),
    ),
    (
        "the second time it waits longer",
        seen(100),
        seen(0, errors=None),
        {"strategy": "Equal", "past": AGAIN},
        None,
    ),
    (
        "a canary that failed waits for new pods, however long",
        seen(100),
        seen(0, errors=None),
        CANARY | {"past": LONG_AGO},
        None,
    ),
    (
        "a canary's new pods are tried again",
        seen(100),
        seen(0, errors=None, pods_since=NOW - 60),
        CANARY | {"past": LONG_AGO},
        weights(95, 5),
    ),
    (
        "a strict constraint takes the weight away step by step",
        seen(50),
        seen(50),
        {
            "strategy": "Equal",
            "declared": {"a": {"region": "eu"}, "b": {"region": "us"}},
            "constraints": {"enforcement": "Strict", "regions": ["eu"]},
        },
        weights(75, 25),
    ),
    (
        "an advisory constraint moves nothing",
        seen(50),
        seen(50),
        {
            "strategy": "Equal",
            "declared": {"a": {"region": "eu"}, "b": {"region": "us"}},
            "constraints": {"regions": ["eu"]},
        },
        None,
    ),
    (
        "a rule that sends nothing anywhere is given its weights at once",
        seen(0),
        seen(0),
        {"strategy": "Equal"},
        weights(50, 50),
    ),
]


@pytest.mark.parametrize(
    ("a", "b", "spec", "wanted"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_a_step_of(a: Seen, b: Seen, spec: dict[str, Any], wanted: dict[str, int] | None) -> None:
    step = towards(given({"a": a, "b": b}, **spec))
    assert (None if step is None else step.points) == wanted


FAILURES: list[tuple[str, Seen, Seen, dict[str, Any], dict[str, int] | None]] = [
    ("errors above the threshold", seen(50), seen(50, errors=0.2), {}, weights(100, 0)),
    ("a few errors that may be chance", seen(50), seen(50, errors=0.06, samples=50.0), {}, None),
    ("a canary too", seen(95), seen(5, errors=0.2), CANARY, weights(100, 0)),
    ("no endpoint for longer than 30 s", seen(50), seen(50, ready=0, dry_for=31.0), {}, (100, 0)),
    ("no endpoint for a moment", seen(50), seen(50, ready=0, dry_for=29.0), {}, None),
    ("a slow one, without a threshold", seen(50), seen(50, p95=60.0), {}, None),
    (
        "a slow one, above the threshold",
        seen(50),
        seen(50, p95=60.0),
        {"health": {"latencyP95": "5s"}},
        weights(100, 0),
    ),
    ("all of them", seen(50, errors=0.9), seen(50, errors=0.9), {}, None),
    ("one without traffic", seen(100), seen(0, errors=0.9), {}, None),
    (
        "the only one with traffic; the spare takes over",
        seen(100, ready=0, dry_for=60.0),
        seen(0),
        {},
        weights(0, 100),
    ),
    (
        "the only one with traffic; the spare is not ready either",
        seen(100, ready=0, dry_for=60.0),
        seen(0, ready=0, dry_for=5.0),
        {},
        None,
    ),
    (
        "constraints do not leave callers without an answer",
        seen(100, errors=0.9),
        seen(0),
        {"constraints": {"enforcement": "Strict", "regions": ["eu"]}},
        weights(0, 100),
    ),
]


@pytest.mark.parametrize(
    ("a", "b", "spec", "wanted"), [pytest.param(*case[1:], id=case[0]) for case in FAILURES]
)
def test_away_from(a: Seen, b: Seen, spec: dict[str, Any], wanted: Any) -> None:
    expected = weights(*wanted) if isinstance(wanted, tuple) else wanted
    assert away(given({"a": a, "b": b}, **spec)) == expected


def test_the_rest_is_shared_as_before_when_one_of_three_fails() -> None:
    routing = given({"a": seen(60), "b": seen(20), "c": seen(20, errors=0.9)})
    assert away(routing) == {"a": 75, "b": 25, "c": 0}


READINGS = st.one_of(st.none(), st.floats(0.0, 1.0))
BACKEND = st.builds(
    Seen,
    weight=st.integers(0, 300),
    ready=st.integers(0, 3),
    dry_for=st.one_of(st.none(), st.floats(0.0, 120.0)),
    p95=st.one_of(st.none(), st.floats(0.0, 100.0)),
    errors=READINGS,
    running=st.one_of(st.none(), st.floats(0.0, 100.0)),
    samples=st.floats(0.0, 1000.0),
    partial=st.booleans(),
)
NAMES = "abcdefgh"
FLEETS = st.lists(BACKEND, min_size=2, max_size=8).map(
    lambda found: dict(zip(NAMES, found, strict=False))
)
STRATEGIES = st.sampled_from(
    [
        {"strategy": "Equal"},
        {"strategy": "Weighted"},
        LATENCY,
        LOAD,
        CANARY,
        {"strategy": "ABTest", "rollout": {"backend": "a", "steps": [10, 50]}},
    ]
)
PASTS = st.dictionaries(
    st.sampled_from(NAMES[:2]), st.builds(BackendPast, st.floats(0, 1e9), st.integers(1, 9))
)


@settings(deadline=None)
@generated(found=FLEETS, spec=STRATEGIES, past=PASTS, most=st.integers(1, 100))
def test_whatever_is_seen_a_step_leaves_a_rule_that_answers(
    found: dict[str, Seen], spec: dict[str, Any], past: dict[str, BackendPast], most: int
) -> None:
    routing = given(found, past=past, **spec, autonomy={"maxStepPercent": most})
    step = towards(routing)
    for then in (away(routing), step.points if step is not None else None):
        if then is None:
            continue
        assert sum(then.values()) == 100
        assert all(points >= 0 for points in then.values())
        gaining = [name for name in then if then[name] > routing.now[name]]
        assert all(found[name].ready for name in gaining), "nobody gains who cannot answer"
        assert all(name not in routing.failures for name in gaining)
    if step is not None and any(routing.now.values()):
        assert moved(routing.now, step.points) <= most
    if step is not None:
        assert set(step.points) == set(found)


@settings(deadline=None)
@generated(found=FLEETS)
def test_whoever_fails_has_no_weight_left_unless_all_do(found: dict[str, Seen]) -> None:
    routing = given(found)
    then = away(routing)
    healthy = [n for n, one in found.items() if one.ready and n not in routing.failures]
    failing = [n for n in routing.failures if routing.now[n] > 0]
    if not failing or not healthy:
        assert then is None
    else:
        assert then is not None
        assert all(then[name] == 0 for name in failing)
        assert sum(then.values()) == 100


@settings(deadline=None)
@generated(found=FLEETS, spec=STRATEGIES)
def test_steps_arrive_where_they_are_going(found: dict[str, Seen], spec: dict[str, Any]) -> None:
    routing = given(found, **spec)
    wanted = goal(routing)
    if isinstance(wanted, Hold) or not any(routing.now.values()):
        return
    here = routing.now
    for _ in range(5):
        here = stepped(here, wanted[0], 25)
    assert here == wanted[0]


@generated(
    shares=st.dictionaries(
        st.text("abcdefghijkl", min_size=1, max_size=3), st.floats(0, 1e6), min_size=1, max_size=16
    )
)
def test_points_are_whole_and_lose_nobody(shares: dict[str, float]) -> None:
    made = points(shares)
    assert sum(made.values()) in {0, 100}
    assert (sum(made.values()) == 0) == (sum(shares.values()) == 0)
    assert all((made[name] > 0) == (share > 0) for name, share in shares.items())
