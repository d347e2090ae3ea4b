"""From candidates to one decision: the arbiter, what was told, what was blocked, and names."""

import re
from dataclasses import replace
from typing import Any

import pytest

from aurora.observe.facts import ObjectKey
from aurora.planner.arbiter import Blocked, choose, standing
from aurora.planner.cases import Precedent
from aurora.planner.decision import Alternative, Candidate, Direction, fingerprint
from aurora.planner.plan import decision_id, plan, policy_hash
from aurora.planner.priority import Priority
from aurora.planner.reasons import PlanReason
from aurora.planner.rules import RULES, candidates
from aurora.resources.vocabulary import Action
from tests.support.builders import KEY, NOW, endpoints, model, observation, service, signals
from tests.support.situations import planned

NOBODY: Any = {"recall": lambda *_: (), "told": frozenset()}


def candidate(priority: int = Priority.SCALE_UP, **over: Any) -> Candidate:
    fields: dict[str, Any] = {
        "action": Action.SCALE,
        "direction": Direction.UP,
        "reason": PlanReason.OBJECTIVE_VIOLATED,
        "message": "so it is.",
        "priority": priority,
        "evidence_confidence": 0.9,
        "evidence": (),
        "after": {"replicas": "3"},
        "protective": True,
    }
    return Candidate(**(fields | over))


ROUTE = candidate(
    Priority.FALLBACK, action=Action.ROUTE, direction=Direction.FALLBACK, after={"route": "x"}
)
DOWN = candidate(
    Priority.SCALE_DOWN, direction=Direction.DOWN, after={"replicas": "1"}, protective=False
)
ALERT = candidate(
    Priority.ALERT, action=Action.ALERT, direction=Direction.NONE, after={}, protective=False
)
CACHE = candidate(
    Priority.CACHE_ON, action=Action.CACHE, direction=Direction.ON, after={}, protective=False
)


def blocked(one: Candidate) -> Blocked:
    return Blocked(Alternative(one.action, one.direction, "ModeRecommend", "a person decides"))


def test_callers_that_get_errors_come_before_callers_that_wait() -> None:
    order = [
        Priority.FALLBACK,
        Priority.SCALE_UP,
        Priority.RETURN,
        Priority.CACHE_ON,
        Priority.CACHE_OFF,
        Priority.ALERT,
        Priority.SCALE_DOWN,
    ]
    assert sorted(order) == order


def test_one_goes_and_the_others_are_recorded_with_what_went_before_them() -> None:
    winner, losers = choose([ROUTE, candidate(), DOWN])
    assert winner is ROUTE
    assert [(one.action, one.direction) for one in losers] == [
        (Action.SCALE, Direction.UP),
        (Action.SCALE, Direction.DOWN),
    ]
    assert all(one.reason == "LowerPriority" for one in losers)
    assert "ROUTE Fallback goes first" in losers[0].message


def test_two_reasons_for_the_same_are_no_alternatives() -> None:
    twin = candidate(reason=PlanReason.RESOURCE_SATURATED)
    winner, losers = choose([candidate(), twin, candidate(after={"replicas": "4"})])
    assert winner is not None
    assert [one.message.endswith("so it is.") for one in losers] == [True]


def test_nothing_to_choose_from() -> None:
    assert choose([]) == (None, ())


@pytest.mark.parametrize(
    ("held", "left"),
    [
        pytest.param([], [ROUTE, candidate(), CACHE, ALERT, DOWN], id="nothing is blocked"),
        pytest.param([ROUTE], [candidate(), ALERT], id="a protection and an alert go on"),
        pytest.param([candidate()], [ROUTE, ALERT], id="never the same actuator the other way"),
        pytest.param([ROUTE, candidate()], [ALERT], id="an alert is always left"),
        pytest.param([CACHE], [ROUTE, candidate(), ALERT], id="nothing is taken away meanwhile"),
    ],
)
def test_what_may_go_when_better_proposals_are_blocked(
    held: list[Candidate], left: list[Candidate]
) -> None:
    found = [ROUTE, candidate(), CACHE, ALERT, DOWN]
    assert standing(found, [blocked(one) for one in held]) == left


def test_every_rule_holds_on_a_healthy_model() -> None:
    assert candidates(planned(observation())) == ()
    assert len(set(RULES)) == len(RULES)


FAILING = observation(
    model=model(fallback={"serviceRef": {"name": "spare"}}, scaling={"minReplicas": 3}),
    fallback_service=service("spare"),
    fallback_endpoints=endpoints(1, name="spare"),
    signals=signals(server_error_ratio=0.5, client_error_ratio=0.5),
)


def test_the_decision_is_one_value_with_its_contract() -> None:
    seen = Precedent("old", 0.9, "Regressed", "ROUTE", 1.0)
    found = plan(planned(FAILING), recall=lambda *_: (seen,), told=frozenset())
    assert found is not None
    assert (found.action, found.direction) == (Action.ROUTE, Direction.FALLBACK)
    assert found.model == KEY
    assert (found.target.kind, found.target.uid) == ("Deployment", "uid-target")
    assert found.expires_at == NOW + 3600.0
    assert found.precedents == (seen,)
    assert found.confidence < 0.97 - 0.05, "a regression before lowers the confidence"
    assert {(one.action, one.direction) for one in found.alternatives} == {
        (Action.SCALE, Direction.UP),
        (Action.ALERT, Direction.NONE),
    }


def test_what_was_told_does_not_stand_in_the_way() -> None:
    alone = planned(observation(signals=signals(client_error_ratio=0.5)))
    first = plan(alone, **NOBODY)
    assert first is not None
    assert first.reason is PlanReason.CLIENT_ERRORS
    assert plan(alone, recall=lambda *_: (), told=frozenset({first.fingerprint})) is None


def test_an_action_is_never_left_out_for_having_been_told() -> None:
    first = plan(planned(FAILING), **NOBODY)
    assert first is not None
    again = plan(planned(FAILING), recall=lambda *_: (), told=frozenset({first.fingerprint}))
    assert again == first


def test_what_was_blocked_is_told_among_the_alternatives() -> None:
    found = plan(planned(FAILING), blocked=[blocked(ROUTE)], **NOBODY)
    assert found is not None
    assert found.action is Action.SCALE
    assert found.alternatives[0].reason == "ModeRecommend"


@pytest.mark.parametrize(
    ("over", "same"),
    [
        pytest.param({"message": "other numbers."}, True, id="the words"),
        pytest.param({"evidence_confidence": 0.1}, True, id="the confidence"),
        pytest.param({"before": {"replicas": "1"}}, True, id="where it starts"),
        pytest.param({"after": {"replicas": "4"}}, False, id="where it goes"),
        pytest.param({"reason": PlanReason.BELOW_MINIMUM}, False, id="the reason"),
        pytest.param({"direction": Direction.DOWN}, False, id="the direction"),
    ],
)
def test_a_repeat_is_known_by_what_it_would_do(over: dict[str, Any], same: bool) -> None:
    one, other = candidate(), replace(candidate(), **over)
    assert (fingerprint("uid", one) == fingerprint("uid", other)) is same
    assert fingerprint("uid", one) != fingerprint("uid-2", one)


@pytest.mark.parametrize(
    "name", ["llama", "a" * 63, "llama-3.1-70b-instruct-fp8-long-context-eu", "x-" * 15 + "y"]
)
@pytest.mark.parametrize("action", [Action.SCALE, Action.FINE_TUNE])
def test_names_are_names_that_kubernetes_takes(name: str, action: Action) -> None:
    one = candidate(action=action)
    made = decision_id(ObjectKey("models", name), one, NOW, fingerprint("uid", one))
    assert re.fullmatch("[a-z0-9]([-a-z0-9.]*[a-z0-9])?", made)
    assert len(made) <= 63


def test_names_of_models_that_begin_alike_differ() -> None:
    """10,000 models of one chart decide in the same second."""
    one = candidate()
    made = {
        decision_id(
            ObjectKey("models", f"{'tenant-with-a-very-long-name' * 2}-{n}"),
            one,
            NOW,
            fingerprint(f"uid-{n}", one),
        )
        for n in range(10_000)
    }
    assert len(made) == 10_000


def test_the_policy_is_the_whole_spec() -> None:
    assert policy_hash(model()) == policy_hash(model(annotations={"a": "b"}))
    assert policy_hash(model()) != policy_hash(model(autonomy={"maxStepPercent": 26}))
