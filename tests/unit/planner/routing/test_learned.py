"""Strategy Learned: tables of weights, and what holds of every one of them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st

from aurora.observe.sample import Signal
from aurora.planner.reasons import PlanReason
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.learned import learned_side, rules_side
from aurora.planner.routing.learning import advanced
from aurora.planner.routing.shift import goal, towards
from aurora.planner.routing.wanted import Hold
from aurora.state.routing_memory import ArmMemory, RoutingMemory
from tests.support.routing import NOW, Seen, given, seen

NAMES = "abcdef"
HALVES = {"a": seen(50), "b": seen(50)}


def memory(
    shares: dict[str, float], rules: dict[str, float] | None = None, **scores: float
) -> RoutingMemory:
    arms = {name: ArmMemory("mark", NOW - 60, 9) for name in shares}
    believed = {name: scores.get(name, 8.0) for name in shares}
    return RoutingMemory(
        "mark",
        "thompson",
        revision=9 * len(shares),
        arms=arms,
        propensities=shares,
        scores=believed,
        shares=shares,
        rules=rules or dict.fromkeys(shares, 1 / max(1, len(shares))),
    )


def spec(percent: int = 100, least: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "strategy": "Learned",
        "learning": {"percent": percent},
        "exploration": {"minPercent": least},
        **more,
    }


CASES: list[tuple[str, dict[str, Seen], dict[str, float], dict[str, Any], dict[str, int]]] = [
    (
        "all of the traffic follows what was learned",
        {"a": seen(50), "b": seen(50)},
        {"a": 0.9, "b": 0.1},
        spec(least=0),
        {"a": 90, "b": 10},
    ),
    (
        "the floor is mixed in, so that the worst is still measured",
        {"a": seen(50), "b": seen(50)},
        {"a": 1.0, "b": 0.0},
        spec(least=3),
        {"a": 97, "b": 3},
    ),
    (
        "half of the traffic follows the rules",
        {"a": seen(50), "b": seen(50)},
        {"a": 1.0, "b": 0.0},
        spec(percent=50, least=0),
        {"a": 75, "b": 25},
    ),
    (
        "one percent of the traffic is one point",
        {"a": seen(50), "b": seen(50)},
        {"a": 1.0, "b": 0.0},
        spec(percent=2, least=0),
        {"a": 51, "b": 49},
    ),
    (
        "a backend that taught nothing yet gets the floor",
        {"a": seen(60), "b": seen(40), "c": seen(0, mean=None)},
        {"a": 0.6, "b": 0.4},
        spec(least=2),
        {"a": 58, "b": 40, "c": 2},
    ),
    (
        "a backend without numbers now keeps what it has, whatever was learned",
        {"a": seen(70), "b": seen(30, mean=None)},
        {"a": 0.1, "b": 0.9},
        spec(),
        {"a": 70, "b": 30},
    ),
    (
        "who is not ready gets no more",
        {"a": seen(50), "b": seen(50, ready=0, dry_for=5.0)},
        {"a": 0.1, "b": 0.9},
        spec(),
        {"a": 50, "b": 50},
    ),
    (
        "a backend that violates a strict constraint has none",
        {"a": seen(50), "b": seen(50)},
        {"a": 0.1, "b": 0.9},
        spec(
            declared={"a": {"region": "eu"}, "b": {"region": "us"}},
            constraints={"enforcement": "Strict", "regions": ["eu"]},
        ),
        {"a": 100, "b": 0},
    ),
    (
        "one that violates an advisory constraint gets no floor",
        {"a": seen(50), "b": seen(50)},
        {"a": 1.0, "b": 0.0},
        spec(
            least=10,
            declared={"a": {"region": "eu"}, "b": {"region": "us"}},
            constraints={"regions": ["eu"]},
        ),
        {"a": 100, "b": 0},
    ),
]


@pytest.mark.parametrize(
    ("found", "shares", "own", "wanted"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_where_the_weights_go(
    found: dict[str, Seen], shares: dict[str, float], own: dict[str, Any], wanted: dict[str, int]
) -> None:
    rules = dict.fromkeys(found, 1 / len(found))
    going = goal(given(found, learned=memory(shares, rules), **own))
    assert not isinstance(going, Hold)
    assert going[0] == wanted


def test_a_rule_that_sends_nothing_anywhere_is_given_weights() -> None:
    found = {"a": seen(0), "b": seen(0), "c": seen(0, mean=None)}
    step = towards(given(found, learned=memory({"a": 0.75, "b": 0.25}), **spec(least=0)))
    assert step is not None
    assert step.points == {"a": 75, "b": 25, "c": 0}


def test_a_policy_that_programs_no_route_learns_for_its_routers() -> None:
    found: RoutingMemory | None = None
    for turn in range(60):
        again = given({"a": seen(0), "b": seen(0, mean=3.0)}, at=NOW + 15.0 * turn, **spec())
        facts = replace(again.facts, route=None)
        found = advanced(found, RoutingInput(facts, again.at))
    assert found is not None
    assert found.scores["a"] > found.scores["b"]


def test_nothing_moves_before_something_was_learned() -> None:
    going = goal(given({"a": seen(90), "b": seen(10)}, **spec()))
    assert isinstance(going, Hold)


def test_a_step_is_cut_and_told_as_with_every_other_strategy() -> None:
    found = {"a": seen(20), "b": seen(80, mean=2.0)}
    step = towards(given(found, learned=memory({"a": 1.0, "b": 0.0}, a=8.1, b=4.1), **spec()))
    assert step is not None
    assert step.points == {"a": 45, "b": 55}
    assert step.shares.reason is PlanReason.WEIGHTS_LEARNED
    assert step.shares.message == "As far as was learned, a earns the most reward."
    believed = {one.signal: (one.value, one.unit) for one in step.shares.evidence}
    assert believed["reward.a"] == (8.1, "points")
    assert believed["latencyMean.b"] == (2.0, "s")


def test_the_rest_of_the_traffic_is_told_of() -> None:
    going = goal(given(HALVES, learned=memory({"a": 1.0, "b": 0.0}, a=8.1), **spec(percent=20)))
    assert not isinstance(going, Hold)
    assert going[1].message == (
        "As far as was learned, a earns the most reward. "
        "80 % of the traffic follow the rules (Weighted)."
    )
    before = goal(given(HALVES, learned=memory({}, {"a": 0.9, "b": 0.1}), **spec(percent=20)))
    assert not isinstance(before, Hold)
    assert before[0] == {"a": 82, "b": 18}
    assert before[1].message.startswith("Nothing was learned yet. 80 %")


def test_a_move_of_a_few_points_is_not_worth_a_step() -> None:
    found = {"a": seen(93), "b": seen(7)}
    assert towards(given(found, learned=memory({"a": 0.97, "b": 0.03}), **spec(least=0))) is None


def test_who_has_no_traffic_is_explored_though_it_is_a_few_points() -> None:
    found = {"a": seen(60), "b": seen(40), "c": seen(0, mean=None)}
    step = towards(given(found, learned=memory({"a": 0.6, "b": 0.4}), **spec()))
    assert step is not None
    assert step.shares.reason is PlanReason.EXPLORATION
    assert step.points["c"] == 1


@pytest.mark.parametrize(
    ("found", "own", "points"),
    [
        pytest.param(
            {"a": seen(60), "b": seen(40), "c": seen(0, mean=None)},
            {"shares": {"a": 0.0, "b": 1.0}},
            {"a": 35, "b": 65, "c": 0},
            id="learned: what goes elsewhere comes first",
        ),
        pytest.param(
            {"a": seen(100), "b": seen(0, mean=None)},
            {"shares": {"a": 1.0}, "rules": {"a": 0.5, "b": 0.5}, "percent": 20},
            {"a": 75, "b": 25},
            id="the rules give it much more than a little",
        ),
    ],
)
def test_a_shift_is_not_told_as_exploration_because_somebody_is_dark(
    found: dict[str, Seen], own: dict[str, Any], points: dict[str, int]
) -> None:
    known = memory(own["shares"], own.get("rules"))
    step = towards(given(found, learned=known, **spec(percent=own.get("percent", 100))))
    assert step is not None
    assert step.points == points
    assert step.shares.reason is PlanReason.WEIGHTS_LEARNED
    assert step.shares.doubts


@pytest.mark.parametrize(
    ("mean", "judged"),
    [
        pytest.param(3.0, Signal.LATENCY_P95, id="towards the faster: held to the latency"),
        pytest.param(0.2, Signal.SERVER_ERROR_RATIO, id="towards the slower: held to the errors"),
    ],
)
def test_the_contract_is_about_what_the_shift_is_to_better(mean: float, judged: Signal) -> None:
    found = {"a": seen(20), "b": seen(80, mean=mean)}
    going = goal(given(found, learned=memory({"a": 1.0, "b": 0.0}), **spec()))
    assert not isinstance(going, Hold)
    assert going[1].judged is judged


READINGS = st.one_of(st.none(), st.floats(0.0, 10.0))
BACKEND = st.builds(
    Seen,
    weight=st.integers(0, 300),
    ready=st.integers(0, 3),
    dry_for=st.one_of(st.none(), st.floats(0.0, 120.0)),
    errors=st.one_of(st.none(), st.floats(0.0, 1.0)),
    mean=READINGS,
    rate=READINGS,
    partial=st.booleans(),
)
SHARE = st.floats(0.0, 1.0)
FLEETS = st.lists(st.tuples(BACKEND, st.one_of(st.none(), SHARE), SHARE), min_size=2, max_size=6)
PERCENT, LEAST = st.integers(1, 100), st.integers(0, 16)


def _whole(values: dict[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {n: v / total for n, v in values.items()} if total else dict.fromkeys(values, 1.0)


@settings(deadline=None)
@generated(found=FLEETS, percent=PERCENT, least=LEAST, most=st.integers(1, 100))
def test_whatever_was_learned_the_rule_stays_whole(
    found: list[tuple[Seen, float | None, float]], percent: int, least: int, most: int
) -> None:
    fleet = {name: one for name, (one, _, _) in zip(NAMES, found, strict=False)}
    shares = {n: s for n, (_, s, _) in zip(NAMES, found, strict=False) if s is not None}
    rules = {n: r for n, (_, _, r) in zip(NAMES, found, strict=False)}
    known = memory(_whole(shares), _whole(rules))
    routing = given(fleet, learned=known, **spec(percent, least, autonomy={"maxStepPercent": most}))
    going, step = goal(routing), towards(routing)
    if not isinstance(going, Hold):
        assert sum(going[0].values()) == 100
        assert min(going[0].values()) >= 0
    if step is not None:
        assert sum(step.points.values()) == 100
        gaining = [name for name in fleet if step.points[name] > routing.now[name]]
        assert all(fleet[name].ready for name in gaining)
        assert all(name not in routing.closed for name in gaining)
    for side in (learned_side(routing, known), rules_side(routing, known)):
        assert not side or sum(side.values()) == pytest.approx(1.0)
        assert all(share >= 0.0 for share in side.values())


HEALTHY = st.builds(Seen, weight=st.integers(1, 100), mean=st.floats(0.1, 10.0))


@settings(deadline=None)
@generated(
    found=st.lists(st.tuples(HEALTHY, SHARE, SHARE), min_size=2, max_size=6),
    percent=PERCENT,
    least=LEAST,
)
def test_floor_and_percentage_are_kept(
    found: list[tuple[Seen, float, float]], percent: int, least: int
) -> None:
    fleet = {name: one for name, (one, _, _) in zip(NAMES, found, strict=False)}
    shares = _whole({n: s for n, (_, s, _) in zip(NAMES, found, strict=False)})
    rules = _whole({n: r for n, (_, _, r) in zip(NAMES, found, strict=False)})
    known = memory(_whole(shares), _whole(rules))
    routing = given(fleet, learned=known, **spec(percent, least))
    learned, going = learned_side(routing, known), goal(routing)
    assert not isinstance(going, Hold)
    part, by_rules = percent / 100, rules_side(routing, known)
    for name in fleet:
        assert learned[name] >= least / 100 - 1e-9, "the floor of whoever passes the audit"
        exact = 100 * (part * learned[name] + (1 - part) * by_rules[name])
        lost = len(fleet)  # a point for each backend that would else be rounded to nothing
        assert abs(going[0][name] - exact) <= 1 + lost
