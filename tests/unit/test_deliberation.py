"""Planner and critic together: what is open, what was answered, and what goes instead."""

from typing import Any

import pytest

from aurora.critic.ledger import Ledger
from aurora.critic.reasons import CheckReason
from aurora.critic.verdict import Approved, NeedsApproval, Rejected
from aurora.deliberation import (
    Deliberated,
    Guardrails,
    cache_on_since,
    deliberate,
    open_fallback,
    taken_away_at,
)
from aurora.observe.facts import ProbeFacts
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.planner.reasons import PlanReason
from aurora.resources.vocabulary import Action, Phase
from tests.support.builders import (
    NOW,
    endpoints,
    entry,
    ledger,
    model,
    observation,
    pod,
    service,
    signals,
)
from tests.support.situations import fleet, state_of, taught

MIXED = {"mode": "Recommend", "actions": {"SCALE": "Auto"}}


def deliberated(seen: ModelObservation, found: Ledger | None = None, **over: Any) -> Any:
    given: dict[str, Any] = {
        "ledger": found or Ledger(),
        "fleet": fleet(),
        "guardrails": Guardrails(),
        "recall": lambda *_: (),
    }
    return deliberate(seen, state_of(seen, memory=taught(6.0)), **(given | over))


def failing(autonomy: dict[str, Any] | None = None, **over: Any) -> ModelObservation:
    """Half of the requests fail, latency is far above its objective, clients err."""
    fields: dict[str, Any] = {
        "model": model(
            fallback={"serviceRef": {"name": "spare"}},
            autonomy=autonomy or {},
            scaling={"minReplicas": 3},
        ),
        "fallback_service": service("spare"),
        "fallback_endpoints": endpoints(1, name="spare"),
        "model_names": frozenset({"llama"}),
        "fallback_model_names": frozenset({"llama"}),
        "signals": signals(server_error_ratio=0.5, client_error_ratio=0.5),
    }
    return observation(**(fields | over))


def kind(found: Deliberated | None) -> tuple[Action, Direction] | None:
    return None if found is None else (found.decision.action, found.decision.direction)


def test_a_healthy_model_is_left_alone() -> None:
    assert deliberated(observation(signals=signals(request_rate=6.0))) is None


def test_the_best_action_is_taken() -> None:
    found = deliberated(failing())
    assert kind(found) == (Action.ROUTE, Direction.FALLBACK)
    assert isinstance(found.verdict, Approved)


def test_a_person_is_asked_first_and_protection_goes_on_afterwards() -> None:
    seen = failing(MIXED)
    first = deliberated(seen)
    assert kind(first) == (Action.ROUTE, Direction.FALLBACK)
    assert isinstance(first.verdict, NeedsApproval)
    asked = entry(
        id="asked",
        action=Action.ROUTE,
        direction=Direction.FALLBACK,
        phase=Phase.AWAITING_APPROVAL,
        fingerprint=first.decision.fingerprint,
        executed_at=None,
        decided_at=NOW - 15,
    )
    second = deliberated(seen, ledger(asked))
    assert kind(second) == (Action.SCALE, Direction.UP)
    assert isinstance(second.verdict, Approved)
    assert second.decision.alternatives[0].reason == "ModeRecommend"


def test_with_nothing_else_to_do_the_open_question_is_returned() -> None:
    seen = failing({"mode": "Recommend"}, signals=signals(server_error_ratio=0.5))
    first = deliberated(seen)
    scale = entry(id="scale", phase=Phase.AWAITING_APPROVAL, fingerprint="", executed_at=None)
    asked = entry(
        id="asked",
        phase=Phase.AWAITING_APPROVAL,
        fingerprint=first.decision.fingerprint,
        executed_at=None,
    )
    second = deliberated(seen, ledger(asked, scale))
    assert kind(second) == (Action.SCALE, Direction.UP)
    both = ledger(
        asked,
        entry(
            id="b",
            phase=Phase.AWAITING_APPROVAL,
            fingerprint=second.decision.fingerprint,
            executed_at=None,
        ),
    )
    assert deliberated(seen, both).decision.fingerprint == first.decision.fingerprint


@pytest.mark.parametrize(
    ("age", "asks"),
    [
        pytest.param(1800, False, id="lapsed half an hour ago"),
        pytest.param(3700, True, id="lapsed more than an hour ago"),
    ],
)
def test_a_question_that_lapsed_is_not_asked_again_at_once(age: float, asks: bool) -> None:
    seen = failing(MIXED)
    first = deliberated(seen)
    lapsed = entry(
        phase=Phase.EXPIRED,
        fingerprint=first.decision.fingerprint,
        decided_at=NOW - age,
        settled_at=NOW - age,
        executed_at=None,
    )
    again = deliberated(seen, ledger(lapsed))
    assert (kind(again) == (Action.ROUTE, Direction.FALLBACK)) is asks


def test_a_rejected_action_lets_an_alert_through_and_nothing_is_taken_away() -> None:
    budget = {"budgets": [{"actions": 0, "schedule": "* * * * *", "duration": "1h"}]}
    seen = failing(budget, fallback_endpoints=endpoints(0), fallback_model_names=frozenset())
    busy = ledger(entry(phase=Phase.EXECUTING, executed_at=NOW - 5))
    found = deliberated(seen, busy)
    assert found.decision.reason in {PlanReason.SERVER_ERRORS, PlanReason.CLIENT_ERRORS}
    assert kind(found) == (Action.ALERT, Direction.NONE)
    assert isinstance(found.verdict, Approved)
    assert found.decision.alternatives[0].reason == CheckReason.ACTION_IN_FLIGHT


def test_a_fallback_that_may_not_be_used_is_returned_with_what_blocks_it() -> None:
    seen = failing(
        fallback_model_names=frozenset({"another"}),
        signals=signals(server_error_ratio=0.5),
        model=model(fallback={"serviceRef": {"name": "spare"}}),
    )
    found = deliberated(seen)
    assert isinstance(found.verdict, Rejected)
    assert found.verdict.reason is CheckReason.MODEL_NAME_DIFFERS


@pytest.mark.parametrize(
    ("last_seen", "age", "told"),
    [
        pytest.param(None, 3599, True, id="told within the hour"),
        pytest.param(None, 3600, False, id="an hour ago"),
        pytest.param(NOW - 60, 9000, True, id="long ago, and again a minute ago"),
    ],
)
def test_an_alert_is_repeated_after_an_hour(
    last_seen: float | None, age: float, told: bool
) -> None:
    seen = observation(signals=signals(request_rate=6.0, client_error_ratio=0.5))
    first = deliberated(seen)
    alert = entry(
        action=Action.ALERT,
        direction=Direction.NONE,
        fingerprint=first.decision.fingerprint,
        decided_at=NOW - age,
        last_seen=last_seen,
    )
    assert (deliberated(seen, ledger(alert)) is None) is told


WENT = {
    "id": "f1",
    "action": Action.ROUTE,
    "direction": Direction.FALLBACK,
    "decided_at": NOW - 900,
    "executed_at": NOW - 900,
    "after": {"route": "fallback"},
}
BACK = {
    "id": "p1",
    "action": Action.ROUTE,
    "direction": Direction.PRIMARY,
    "decided_at": NOW - 300,
    "executed_at": NOW - 300,
    "after": {"route": "primary", "undo": "f1"},
}


@pytest.mark.parametrize(
    ("entries", "open_"),
    [
        pytest.param([], None, id="traffic never went there"),
        pytest.param([WENT | {"phase": Phase.VERIFYING}], "f1", id="being verified"),
        pytest.param([WENT | {"phase": Phase.COMPLETED}], "f1", id="verified"),
        pytest.param([WENT | {"phase": Phase.ROLLING_BACK}], "f1", id="still in force"),
        pytest.param([WENT | {"phase": Phase.ROLLED_BACK}], None, id="taken back"),
        pytest.param(
            [WENT | {"phase": Phase.EXECUTING, "executed_at": None}], None, id="not there yet"
        ),
        pytest.param([WENT, BACK], None, id="returned"),
        pytest.param([WENT, BACK | {"phase": Phase.VERIFYING}], None, id="return is verified"),
        pytest.param(
            [WENT, BACK | {"phase": Phase.ROLLED_BACK}], "f1", id="the return was taken back"
        ),
        pytest.param(
            [WENT, BACK | {"phase": Phase.FAILED, "executed_at": None}], "f1", id="return failed"
        ),
        pytest.param(
            [WENT, BACK, WENT | {"id": "f2", "decided_at": NOW - 60, "executed_at": NOW - 60}],
            "f2",
            id="there again",
        ),
        pytest.param(
            [
                WENT,
                BACK,
                WENT
                | {
                    "id": "f2",
                    "decided_at": NOW - 60,
                    "executed_at": NOW - 60,
                    "phase": Phase.ROLLED_BACK,
                },
            ],
            None,
            id="there again and taken back",
        ),
    ],
)
def test_whether_callers_are_at_the_fallback(
    entries: list[dict[str, Any]], open_: str | None
) -> None:
    found = open_fallback(ledger(*(entry(**one) for one in entries)).of_model(entry().model))
    assert (found.id if found else None) == open_


def test_replicas_are_away_until_some_are_given_back() -> None:
    down = {"action": Action.SCALE, "direction": Direction.DOWN, "executed_at": NOW - 60}
    up = down | {"id": "up", "direction": Direction.UP, "decided_at": NOW, "executed_at": NOW}
    assert taken_away_at(()) is None
    assert taken_away_at((entry(**down),)) == NOW - 60
    assert taken_away_at((entry(**down | {"phase": Phase.ROLLED_BACK}),)) is None
    assert taken_away_at((entry(**up), entry(**down))) is None
    assert taken_away_at((entry(**up | {"phase": Phase.FAILED}), entry(**down))) == NOW - 60


def test_a_cache_is_on_until_it_is_switched_off() -> None:
    on = {"action": Action.CACHE, "direction": Direction.ON, "executed_at": NOW - 60}
    off = on | {"id": "off", "direction": Direction.OFF, "decided_at": NOW}
    assert cache_on_since((entry(**on),)) == NOW - 60
    assert cache_on_since((entry(**on | {"phase": Phase.ROLLED_BACK}),)) is None
    assert cache_on_since((entry(**off), entry(**on))) is None


def proven(**over: Any) -> ModelObservation:
    """A primary whose pods are Ready for hours and answer every probe."""
    pods = tuple(pod(n, ready_at=NOW - 9000) for n in range(2))
    base: dict[str, Any] = {"pods": pods, "probe": ProbeFacts(99)}
    healthy = {"signals": signals(), "model": model(fallback={"serviceRef": {"name": "spare"}})}
    return failing(**(base | healthy | over))


@pytest.mark.parametrize(
    ("entries", "returns"),
    [
        pytest.param([WENT], True, id="15 min after the switch"),
        pytest.param([WENT | {"executed_at": NOW - 200}], False, id="200 s after the switch"),
        pytest.param(
            [WENT, BACK | {"phase": Phase.ROLLED_BACK, "settled_at": NOW - 250}],
            False,
            id="after a way back that failed the wait starts anew",
        ),
        pytest.param(
            [
                WENT | {"decided_at": NOW - 5000, "executed_at": NOW - 5000},
                BACK
                | {
                    "phase": Phase.ROLLED_BACK,
                    "decided_at": NOW - 700,
                    "executed_at": NOW - 700,
                    "settled_at": NOW - 599,
                },
            ],
            False,
            id="and is twice as long",
        ),
        pytest.param(
            [
                WENT | {"decided_at": NOW - 5000, "executed_at": NOW - 5000},
                BACK
                | {
                    "phase": Phase.ROLLED_BACK,
                    "decided_at": NOW - 700,
                    "executed_at": NOW - 700,
                    "settled_at": NOW - 601,
                },
            ],
            True,
            id="then it is tried again",
        ),
    ],
)
def test_the_wait_before_the_way_back(entries: list[dict[str, Any]], returns: bool) -> None:
    found = deliberated(proven(), ledger(*(entry(**one) for one in entries)))
    assert (kind(found) == (Action.ROUTE, Direction.PRIMARY)) is returns
    if returns:
        assert isinstance(found.verdict, Approved)


def test_the_blast_radius_grows_with_the_fleet() -> None:
    guardrails = Guardrails(blast_radius_percent=10, blast_radius_minimum=3)
    assert [guardrails.blast_radius(n) for n in (1, 30, 100, 10_000)] == [3, 3, 10, 1000]
