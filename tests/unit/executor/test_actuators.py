"""What each action writes: the leaves, and nothing when it does not fit any more."""

from typing import Any

import pytest

from aurora.critic.ledger import LedgerEntry
from aurora.errors import ConfigurationError
from aurora.executor.actuators import plan_of, undo_plan
from aurora.executor.changes import Change
from aurora.executor.plan import status_changes
from aurora.kube.kinds import HPA
from aurora.observe.facts import ObjectKey, RouteFacts, ServicePort
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action
from tests.support.builders import NAMESPACE, autoscaler, entry, model, observation, service, target
from tests.support.situations import by_key, decision_object

UP = entry(before={"replicas": "2"}, after={"replicas": "3"})
TO_FALLBACK = entry(
    action=Action.ROUTE, direction=Direction.FALLBACK, before={}, after={"route": "fallback"}
)


def leaves(found: Any) -> list[tuple[str, str, Any, Any, str]]:
    return [
        (one.ref.kind, one.path, one.before, one.after, one.subresource) for one in found.changes
    ]


@pytest.mark.parametrize(
    ("asked", "seen", "expected"),
    [
        pytest.param(
            UP,
            observation(),
            [("Deployment", "/spec/replicas", 2, 3, "scale")],
            id="replicas through the scale subresource",
        ),
        pytest.param(UP, observation(target=target(3)), [], id="it stands there already"),
        pytest.param(
            UP,
            observation(target=target(6), autoscalers=(autoscaler(2, 8),)),
            [("HorizontalPodAutoscaler", "/spec/minReplicas", 2, 3, "")],
            id="an HPA's floor, never the replicas",
        ),
        pytest.param(
            UP,
            observation(
                autoscalers=(autoscaler(2, 8, kind="ScaledObject", api_version="keda.sh/v1alpha1"),)
            ),
            [("ScaledObject", "/spec/minReplicaCount", 2, 3, "")],
            id="a ScaledObject's floor",
        ),
    ],
)
def test_scale(asked: LedgerEntry, seen: ModelObservation, expected: list[Any]) -> None:
    assert leaves(plan_of(asked, seen, {})) == expected


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(observation(target=None), id="the target is gone"),
        pytest.param(observation(autoscalers=(autoscaler(), autoscaler())), id="two autoscalers"),
        pytest.param(observation(target=target(5)), id="somebody set five: two to three is over"),
        pytest.param(
            observation(target=target(2), autoscalers=(autoscaler(4, 8),)), id="another floor"
        ),
    ],
)
def test_what_was_decided_on_something_else_is_decided_again(seen: ModelObservation) -> None:
    with pytest.raises(ConfigurationError, match="decide again"):
        plan_of(UP, seen, {})


def test_an_autoscaler_is_made_only_when_asked_for_and_its_floor_can_be_undone() -> None:
    asked = observation(model=model(scaling={"createAutoscaler": True}))
    found = plan_of(UP, asked, {})
    ((kind, manifest),) = found.manifests
    assert kind == HPA
    assert (manifest["spec"]["minReplicas"], manifest["spec"]["maxReplicas"]) == (3, 8)
    assert manifest["metadata"]["ownerReferences"][0]["controller"] is True
    assert leaves(found) == [("HorizontalPodAutoscaler", "/spec/minReplicas", 2, 3, "")]
    assert found.changes[0].ref.uid == "", "it is not known before the object is made"


SPARE = model(fallback={"serviceRef": {"name": "spare"}})


def routed(**over: Any) -> ModelObservation:
    fields: dict[str, Any] = {"model": SPARE, "fallback_service": service("spare")}
    return observation(**(fields | over))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(
            routed(),
            [("Service", "/spec/selector", {"app": "llama"}, {"app": "spare"}, "")],
            id="the selector alone, where the ports agree",
        ),
        pytest.param(
            routed(fallback_service=service("spare", ports=(ServicePort("h", 80, "9000"),))),
            [
                ("Service", "/spec/selector", {"app": "llama"}, {"app": "spare"}, ""),
                ("Service", "/spec/ports/0/targetPort", "http", 9000, ""),
            ],
            id="a port by number beside a port by name",
        ),
    ],
)
def test_the_service_is_switched(seen: ModelObservation, expected: list[Any]) -> None:
    assert leaves(plan_of(TO_FALLBACK, seen, {})) == expected


TWO = (ServicePort("a", 80, "a"), ServicePort("b", 81, "b"))
BY_ROUTE = model(
    fallback={"serviceRef": {"name": "spare"}, "httpRouteRef": {"name": "llm", "rule": 0}}
)


def route(*backends: tuple[str, int, int]) -> RouteFacts:
    return RouteFacts(ObjectKey(NAMESPACE, "llm"), "uid-route", "1", (backends,))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        pytest.param(observation(), "spec.fallback is not set", id="no fallback"),
        pytest.param(routed(service=None), "does not exist", id="no Service"),
        pytest.param(routed(fallback_service=None), "does not exist", id="no fallback's Service"),
        pytest.param(
            routed(fallback_service=service("spare", selector={})), "no selector", id="no selector"
        ),
        pytest.param(routed(service=service(ports=TWO)), "needs one", id="two ports"),
        pytest.param(
            routed(fallback_service=service("spare", ports=TWO)),
            "set fallback.serviceRef.port",
            id="which port",
        ),
        pytest.param(routed(model=BY_ROUTE), "does not exist", id="no HTTPRoute"),
        pytest.param(
            routed(model=BY_ROUTE, route=route(("llama", 80, 1))),
            "must list exactly the backends",
            id="a rule without the fallback",
        ),
    ],
)
def test_a_switch_that_cannot_be_made_says_why(seen: ModelObservation, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        plan_of(TO_FALLBACK, seen, {})


def test_the_weights_of_a_rule_are_100_together() -> None:
    seen = routed(model=BY_ROUTE, route=route(("llama", 80, 9), ("spare", 80, 1)))
    found = plan_of(TO_FALLBACK, seen, {})
    assert leaves(found) == [
        ("HTTPRoute", "/spec/rules/0/backendRefs/0/weight", 9, 0, ""),
        ("HTTPRoute", "/spec/rules/0/backendRefs/1/weight", 1, 100, ""),
    ]
    assert sum(one.after for one in found.changes) == 100


def went() -> tuple[Change, ...]:
    return plan_of(TO_FALLBACK, routed(), {}).changes


def test_the_way_back_writes_what_was_found() -> None:
    there = decision_object("f1", status={"changes": status_changes(went())})
    back = entry(
        action=Action.ROUTE,
        direction=Direction.PRIMARY,
        after={"route": "primary", "undo": "f1"},
    )
    found = plan_of(back, routed(), by_key(there))
    assert leaves(found) == [("Service", "/spec/selector", {"app": "spare"}, {"app": "llama"}, "")]
    with pytest.raises(ConfigurationError, match="is gone: undo it by hand"):
        plan_of(back, routed(), {})


def test_an_undo_is_the_reverse_of_what_was_written() -> None:
    done = decision_object(
        status={"changes": status_changes(plan_of(UP, observation(), {}).changes)}
    )
    assert leaves(undo_plan(done, observation())) == [
        ("Deployment", "/spec/replicas", 3, 2, "scale")
    ]


def test_an_alert_writes_nothing() -> None:
    alert = entry(action=Action.ALERT, direction=Direction.NONE)
    assert plan_of(alert, observation(), {}).changes == ()
