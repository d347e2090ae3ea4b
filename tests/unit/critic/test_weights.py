"""The critic's own look at a shift of weights; it trusts nothing that the planner says."""

from dataclasses import replace
from typing import Any

import pytest

from aurora.critic import weights
from aurora.critic.pace import neighbour_in_flight
from aurora.critic.reasons import CheckReason as R
from aurora.critic.request import CriticInput
from aurora.observe.backends import Unresolved
from aurora.observe.facts import ObjectKey
from aurora.planner.decision import Direction
from aurora.reasons import ConditionReason
from aurora.resources.vocabulary import Action, Phase
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from tests.support.builders import NOW, control, entry, ledger, model, observation
from tests.support.routing import given, seen
from tests.support.situations import fleet, request

MODEL = ObjectKey("models", "a")


def asked(
    before: dict[str, str], after: dict[str, str], *, ready: int = 2, **over: Any
) -> CriticInput:
    found = given({"a": seen(50), "b": seen(50, ready=ready)})
    facts = replace(found.facts, unresolved=over.pop("unresolved", None))
    observed = observation(model=model(), routing=facts, neighbours=(MODEL,))
    return CriticInput(
        request=request(
            action=Action.ROUTE,
            direction=Direction.SHIFT,
            before={f"weight.{name}": value for name, value in before.items()},
            after={f"weight.{name}": value for name, value in after.items()},
            protective=over.pop("protective", False),
        ),
        observation=observed,
        state=advance(ModelMemory(), observed, NOW)[1],
        fleet=fleet(control=control()),
        ledger=over.pop("ledger", ledger()),
        at=NOW,
        blast_radius=3,
    )


HALF = {"a": "50", "b": "50"}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param({"a": "75", "b": "25"}, None, id="a whole"),
        pytest.param({"a": "75", "b": "26"}, R.OUT_OF_BOUNDS, id="more than a whole"),
        pytest.param({"a": "0", "b": "0"}, R.OUT_OF_BOUNDS, id="nothing for anybody"),
        pytest.param({"a": "100"}, R.OUT_OF_BOUNDS, id="one is left out"),
        pytest.param({"a": "50", "c": "50"}, R.OUT_OF_BOUNDS, id="another backend"),
        pytest.param({"a": "-50", "b": "150"}, R.OUT_OF_BOUNDS, id="below nothing"),
        pytest.param({"a": "1e2", "b": "0"}, R.OUT_OF_BOUNDS, id="no number"),
    ],
)
def test_weights_are_one_whole(after: dict[str, str], expected: R | None) -> None:
    found = weights.weights_are_no_whole(asked(HALF, after))
    assert (found and found[0]) == expected


@pytest.mark.parametrize(
    ("after", "ready", "expected"),
    [
        pytest.param({"a": "40", "b": "60"}, 2, None, id="more for who is ready"),
        pytest.param({"a": "40", "b": "60"}, 0, R.NO_HEALTHY_BACKEND, id="more for who is not"),
        pytest.param({"a": "60", "b": "40"}, 0, None, id="less for who is not"),
        pytest.param({"a": "0", "b": "100"}, 0, R.NO_HEALTHY_BACKEND, id="all for who is not"),
    ],
)
def test_nobody_gains_who_cannot_answer(
    after: dict[str, str], ready: int, expected: R | None
) -> None:
    found = weights.no_ready_backend(asked(HALF, after, ready=ready))
    assert (found and found[0]) == expected


@pytest.mark.parametrize(
    ("before", "after", "protective", "expected"),
    [
        pytest.param(HALF, {"a": "75", "b": "25"}, False, None, id="25 points"),
        pytest.param(HALF, {"a": "76", "b": "24"}, False, R.STEP_TOO_LARGE, id="26 points"),
        pytest.param(HALF, {"a": "100", "b": "0"}, True, None, id="all of them, to protect"),
        pytest.param({"a": "1", "b": "1"}, {"a": "75", "b": "25"}, False, None, id="1 and 1"),
        pytest.param(
            {"a": "3", "b": "1"}, {"a": "40", "b": "60"}, False, R.STEP_TOO_LARGE, id="of 3 and 1"
        ),
        pytest.param({"a": "0", "b": "0"}, HALF, False, None, id="from nothing at all"),
    ],
)
def test_a_step_is_limited(
    before: dict[str, str], after: dict[str, str], protective: bool, expected: R | None
) -> None:
    found = weights.weight_step_too_large(asked(before, after, protective=protective))
    assert (found and found[0]) == expected


def test_nothing_is_set_while_policy_and_rule_differ() -> None:
    why = Unresolved(ConditionReason.BACKENDS_DIFFER, "Rule 0 also lists Service c:80.")
    found = weights.refs_unresolved(asked(HALF, HALF, unresolved=why))
    assert found == (R.REFS_UNRESOLVED, why.message)


def test_weights_wait_while_a_backends_replicas_are_measured() -> None:
    scaling = ledger(entry(model=MODEL, phase=Phase.VERIFYING))
    plain = asked(HALF, {"a": "60", "b": "40"}, ledger=scaling)
    found = neighbour_in_flight(plain)
    assert found is not None
    assert found[0] is R.ACTION_IN_FLIGHT
    urgent = asked(HALF, {"a": "100", "b": "0"}, ledger=scaling, protective=True)
    assert neighbour_in_flight(urgent) is None
    done = ledger(entry(model=MODEL, phase=Phase.COMPLETED))
    assert neighbour_in_flight(asked(HALF, {"a": "60", "b": "40"}, ledger=done)) is None
