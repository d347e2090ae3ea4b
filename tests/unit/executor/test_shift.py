"""What a shift writes, recognises, keeps and tells."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aurora.errors import ConfigurationError
from aurora.executor.changes import ABSENT, Progress, beside, progress, undo
from aurora.executor.originals import keep_originals
from aurora.executor.plan import status_changes, stored_changes
from aurora.executor.reverts import Reverts, is_reverted
from aurora.executor.route import shift_changes
from aurora.executor.routing_status import routing_status_of
from aurora.executor.surroundings import surroundings_of
from aurora.observe.routing import as_subject
from aurora.observe.snapshot import ModelObservation
from aurora.observe.subjects import policy_key
from aurora.planner.decision import Direction
from aurora.resources import RoutingPolicyStatus, find_condition
from aurora.resources.vocabulary import Action, Phase
from tests.support.builders import entry, ledger
from tests.support.fleets import snapshot
from tests.support.routing import NOW, Seen, given, seen

KEY = policy_key("models", "chat")
SHIFT = entry(
    id="chat-route-1",
    model=KEY,
    action=Action.ROUTE,
    direction=Direction.SHIFT,
    before={"weight.a": "50", "weight.b": "50"},
    after={"weight.a": "75", "weight.b": "25"},
    executed_at=NOW - 60,
    phase=Phase.VERIFYING,
)


def observed(found: dict[str, Seen], **spec: Any) -> ModelObservation:
    facts = given(found, **spec).facts
    return ModelObservation(
        model=as_subject(facts.policy), target=None, routing=facts, route=facts.route
    )


def document(*weights: int, **second: Any) -> dict[str, Any]:
    refs = [
        {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight}
        for name, weight in zip("ab", weights, strict=True)
    ]
    refs[1] |= second
    return {"spec": {"rules": [{"backendRefs": refs}]}}


HALF = observed({"a": seen(50), "b": seen(50)})


def test_each_weight_is_one_leaf_with_whose_it_is() -> None:
    first, second = shift_changes(SHIFT, HALF)
    assert (first.path, first.before, first.after) == (
        "/spec/rules/0/backendRefs/0/weight",
        50,
        75,
    )
    assert dict(second.beside) == {"group": "", "kind": "Service", "name": "b", "port": 80}
    assert beside([second], document(50, 50)) == {
        "/spec/rules/0/backendRefs/1/group": "",
        "/spec/rules/0/backendRefs/1/kind": "Service",
        "/spec/rules/0/backendRefs/1/name": "b",
        "/spec/rules/0/backendRefs/1/port": 80,
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(document(50, 50), Progress.PENDING, id="nothing is written yet"),
        pytest.param(document(75, 25), Progress.APPLIED, id="all of it is"),
        pytest.param(document(75, 50), Progress.PARTLY, id="half of it is"),
        pytest.param(document(50, 10), Progress.FOREIGN, id="another weight"),
        pytest.param(document(50, 50, name="c"), Progress.FOREIGN, id="another Service"),
        pytest.param(document(75, 25, port=81), Progress.FOREIGN, id="another port"),
        pytest.param(document(50, 50, kind="InferencePool"), Progress.FOREIGN, id="another kind"),
    ],
)
def test_what_stands_there_is_recognised(found: dict[str, Any], expected: Progress) -> None:
    assert progress(shift_changes(SHIFT, HALF), found) is expected


def test_an_api_server_that_writes_no_defaults_is_understood() -> None:
    found = document(50, 50)
    for ref in found["spec"]["rules"][0]["backendRefs"]:
        del ref["group"], ref["kind"]
    changes = shift_changes(SHIFT, HALF)
    assert progress(changes, found) is Progress.PENDING
    assert all(value is not ABSENT for value in beside(changes, found).values())


def test_whose_weight_it_is_survives_the_process() -> None:
    changes = shift_changes(SHIFT, HALF)
    kept = stored_changes({"changes": status_changes(changes)})
    assert kept == changes
    assert undo(kept)[0].beside == changes[-1].beside


def test_a_backend_that_left_the_rule_is_not_written() -> None:
    facts = HALF.routing
    assert facts is not None
    gone = replace(facts, backends=(facts.backends[0], replace(facts.backends[1], place=None)))
    with pytest.raises(ConfigurationError, match="b is not in the rule any more"):
        shift_changes(SHIFT, replace(HALF, routing=gone))


def test_the_first_weights_are_kept_on_the_policy() -> None:
    assert HALF.routing is not None
    made = keep_originals(HALF.routing.policy, shift_changes(SHIFT, HALF))
    kept = json.loads(made["annotations"]["aurora.dev/original"])
    assert [(one["from"], one["to"]) for one in kept] == [("75", "50"), ("25", "50")]
    assert [json.loads(one["beside"])["name"] for one in kept] == ["a", "b"]


@pytest.mark.parametrize(
    ("weights", "reverted"),
    [
        pytest.param((75, 25), False, id="as we left them"),
        pytest.param((50, 50), True, id="as they were before"),
        pytest.param((100, 0), True, id="as a manifest has them"),
    ],
)
def test_weights_that_somebody_takes_back_are_noticed_once(
    weights: tuple[int, int], reverted: bool
) -> None:
    seen_now = observed({"a": seen(weights[0]), "b": seen(weights[1])})
    known = ledger(SHIFT)
    assert bool(is_reverted(known, seen_now, at=NOW)) is reverted
    assert bool(surroundings_of(SHIFT, seen_now, known, at=NOW).foreign) is reverted
    reverts = Reverts()
    first = reverts.look(known, {KEY: seen_now}, 1.0, at=NOW)
    assert first == ([(KEY, "chat-route-1")] if reverted else [])
    assert reverts.look(known, {KEY: seen_now}, 2.0, at=NOW) == [], "told of once"
    assert reverts.count(KEY, 2.0) == int(reverted)


def test_a_late_event_is_nobodys_doing() -> None:
    fresh = replace(SHIFT, executed_at=NOW - 5)
    assert is_reverted(ledger(fresh), HALF, at=NOW) == ""


def status(one: ModelObservation, at: float = NOW) -> RoutingPolicyStatus:
    made = routing_status_of(one, snapshot(at=at, models={KEY: one}), ())
    assert made is not None
    assert RoutingPolicyStatus.model_validate(made.to_kubernetes()) == made, "it is read back so"
    return made


def told(one: ModelObservation, before: RoutingPolicyStatus) -> ModelObservation:
    """The same observation of a policy that has that status already."""
    assert one.routing is not None
    policy = one.routing.policy.model_copy(update={"status": before})
    return replace(one, routing=replace(one.routing, policy=policy))


def test_the_status_says_what_is_wanted_in_force_measured_and_audited() -> None:
    one = observed(
        {"a": seen(75, p95=0.5), "b": seen(25, p95=None, errors=0.01)},
        declared={
            "a": {"region": "eu", "costPerReplicaHour": "1.50"},
            "b": {"region": "us", "weight": 1},
        },
        constraints={"regions": ["eu"]},
    )
    made = status(one)
    assert (made.weights, made.wanted) == ("a=75 b=25", "a=50 b=50")
    a, b = made.backends
    assert (str(a.latency_p95), str(a.cost_per_hour), a.audit) == ("0.5", "3.00", "Passed")
    assert (b.latency_p95, str(b.error_ratio), b.audit) == (None, "0.01", "region_mismatch")
    assert "NoData" in b.message
    audit = find_condition(made.conditions, "AuditPassed")
    assert audit is not None
    assert (audit.status, audit.message) == ("False", "b: region_mismatch.")


def test_numbers_that_only_sway_are_not_written_anew() -> None:
    one = observed({"a": seen(50, p95=0.50), "b": seen(50, p95=0.50)})
    first = status(one)
    swaying = told(observed({"a": seen(50, p95=0.55), "b": seen(50, p95=0.48)}), first)
    assert status(swaying, NOW + 600) == first
    much = told(observed({"a": seen(50, p95=0.80), "b": seen(50, p95=0.48)}), first)
    assert status(much, NOW + 30) == first, "not more than once a minute"
    later = status(much, NOW + 600)
    assert str(later.backends[0].latency_p95) == "0.8"
    assert later.measured_at == datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=600)


def test_wanted_weights_that_follow_a_p95_do_not_sway_with_it() -> None:
    by_latency = {"strategy": "LatencyWeighted"}
    first = status(observed({"a": seen(50, p95=0.5), "b": seen(50, p95=1.0)}, **by_latency))
    assert first.wanted == "a=67 b=33"
    near = told(observed({"a": seen(50, p95=0.5), "b": seen(50, p95=1.1)}, **by_latency), first)
    assert status(near, NOW + 15).wanted == "a=67 b=33"
    far = told(observed({"a": seen(50, p95=0.5), "b": seen(50, p95=2.0)}, **by_latency), first)
    assert status(far, NOW + 15).wanted == "a=80 b=20"
