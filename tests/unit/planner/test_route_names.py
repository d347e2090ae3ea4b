"""ROUTE to the fallback, by what is known of the names that both sides serve under."""

from dataclasses import replace
from typing import Any

import pytest

from aurora.critic.ledger import Ledger
from aurora.critic.reasons import CheckReason
from aurora.critic.request import FleetFacts
from aurora.critic.verdict import Approved, Rejected, Verdict
from aurora.deliberation import Guardrails, ask_critic, propose
from aurora.planner.decision import Decision, Direction
from aurora.planner.inputs import Doubt
from aurora.resources.vocabulary import Action, Tier
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from tests.support.builders import NOW, control, endpoints, model, observation, service, signals

GUARDRAILS = Guardrails()
FLEET = FleetFacts(models=1, in_flight=0, control=control(), nodes=None, cycle_s=GUARDRAILS.cycle_s)


def decided(own: frozenset[str], spare: frozenset[str]) -> tuple[Decision, Verdict]:
    """What is proposed for a primary of which half of the requests fail, and the verdict."""
    seen = observation(
        model=model(fallback={"serviceRef": {"name": "spare"}}),
        fallback_service=service("spare"),
        fallback_endpoints=endpoints(1, name="spare"),
        signals=signals(server_error_ratio=0.5),
        model_names=own,
        fallback_model_names=spare,
    )
    given: dict[str, Any] = {"ledger": Ledger.of(()), "guardrails": GUARDRAILS}
    state = advance(ModelMemory(), seen, NOW)[1]
    decision = propose(seen, state, recall=lambda *_: (), **given)
    assert decision is not None
    assert (decision.action, decision.direction) == (Action.ROUTE, Direction.FALLBACK)
    return decision, ask_critic(decision, seen, state, fleet=FLEET, **given)


BOTH, LARGE, SMALL, NONE = (
    frozenset({"large", "small"}),
    frozenset({"large"}),
    frozenset({"small"}),
    frozenset[str](),
)


@pytest.mark.parametrize(
    ("own", "spare", "tier"),
    [
        (LARGE, LARGE, Tier.AUTO),
        (LARGE, BOTH, Tier.AUTO),
        (LARGE, NONE, Tier.MONITORED),
        (NONE, LARGE, Tier.MONITORED),
        (NONE, NONE, Tier.MONITORED),
    ],
    ids=["the same", "one of several", "fallback unknown", "own unknown", "both unknown"],
)
def test_only_known_names_let_traffic_go_unwatched(
    own: frozenset[str], spare: frozenset[str], tier: Tier
) -> None:
    decision, verdict = decided(own, spare)
    assert isinstance(verdict, Approved)
    assert verdict.tier is tier
    assert ("name is not known" in decision.message) == (tier is Tier.MONITORED)


def test_a_fallback_of_another_name_is_rejected_with_both_names() -> None:
    _, verdict = decided(LARGE, SMALL)
    assert isinstance(verdict, Rejected)
    assert verdict.reason is CheckReason.MODEL_NAME_DIFFERS
    assert "the fallback serves 'small' and the primary 'large'" in verdict.message


def test_hostile_and_many_names_are_shown_short_and_quoted() -> None:
    _, verdict = decided(LARGE, frozenset({f"\n\x1b{n}{'x' * 500}" for n in range(9)}))
    assert isinstance(verdict, Rejected)
    assert verdict.message.isprintable()
    assert "6 more and the primary 'large'" in verdict.message
    assert len(verdict.message) < 500


def test_the_doubt_is_one_of_its_own_and_alone_no_reason_to_ask_a_person() -> None:
    assert len(list(Doubt)) == len(Doubt.__members__)
    known, unknown = decided(LARGE, LARGE)[0], decided(LARGE, NONE)[0]
    assert known.confidence - unknown.confidence == pytest.approx(Doubt.NAME_UNKNOWN.value)
    assert replace(known, confidence=0.0, message="", id="") == replace(
        unknown, confidence=0.0, message="", id=""
    )
