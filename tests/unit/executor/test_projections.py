"""One Decision in many shapes: bounded, free of floats, and safe whatever a name holds."""

import json
import math
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.critic.reasons import CheckReason
from aurora.critic.verdict import Approved, NeedsApproval, Rejected, Verdict
from aurora.executor.projections import (
    decision_manifest,
    first_phase,
    log_fields,
    number,
    stored_annotation,
)
from aurora.observe.sample import Signal
from aurora.planner.cases import Precedent
from aurora.planner.decision import Alternative, Direction, Effect, Evidence, Rollback
from aurora.resources import DecisionObject
from aurora.resources.vocabulary import Action, Phase, Risk, Tier
from tests.support.builders import NOW
from tests.support.situations import decision, decision_object

YES = Approved(Tier.AUTO, Risk.LOW)
MAYBE = NeedsApproval(CheckReason.MODE_RECOMMEND, "the mode is Recommend", Risk.LOW)
NO = Rejected(CheckReason.FREEZE_WINDOW, "a freeze window is in force")
HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from('"\\\n\x00\ud800\U0001f600\u202e')), max_size=3000
)


@given(st.floats(-1e12, 1e12))
def test_numbers_are_decimals_of_six_digits(value: float) -> None:
    text = number(value)
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text)
    assert len(text) <= 40
    assert float(text) == pytest.approx(value, rel=1e-5, abs=1e-11)
    assert text != "-0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-20, "0"),
        (-0.0, "0"),
        (1234567.0, "1234570"),
        (2.0, "2"),
        (1e21, "1" + "0" * 21),
    ],
)
def test_numbers_that_are_hard_to_write(value: float, text: str) -> None:
    assert number(value) == text


def floats_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [one for inner in value.values() for one in floats_in(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in floats_in(inner)]
    return [value] if isinstance(value, float) else []


def full(**over: Any) -> Any:
    fields: dict[str, Any] = {
        "evidence": tuple(
            Evidence("ttftP95", 4.2, "s", NOW, "q" * 9000, 3.0, 512.3, 60.0) for _ in range(30)
        ),
        "expected": Effect(Signal.TTFT_P95, 1.0, 0.5, 2.0, "s", 240.0),
        "rollback_if": (Rollback(Signal.TTFT_P95, 3.0, "s"),),
        "precedents": tuple(Precedent(f"p{n}", 0.91, "Improved", "SCALE", 1.0) for n in range(20)),
        "alternatives": tuple(
            Alternative(Action.ALERT, Direction.NONE, "LowerPriority", "x" * 5000)
            for _ in range(20)
        ),
        "advice": "Look at it.",
    }
    return decision(**(fields | over))


@pytest.mark.parametrize("verdict", [YES, MAYBE, NO])
def test_an_object_holds_no_float_and_is_bounded(verdict: Verdict) -> None:
    made = decision_manifest(full(message="y" * 5000), verdict)
    assert floats_in(made) == []
    parsed = DecisionObject.parse(made | {"metadata": made["metadata"] | {"uid": "u"}})
    assert len(parsed.spec.message) <= 1024
    assert (len(parsed.spec.evidence), len(parsed.spec.precedents)) == (16, 8)
    assert len(parsed.spec.alternatives) == 8
    assert parsed.spec.evidence[0].samples == 512
    assert parsed.spec.expected_effect is not None
    assert parsed.spec.expected_effect.delta == Decimal("-3.2"), "from what was measured"


@pytest.mark.parametrize(
    ("verdict", "phase", "tier", "words"),
    [
        pytest.param(YES, Phase.APPROVED, "Auto", "Look at it.", id="approved"),
        pytest.param(
            MAYBE, Phase.AWAITING_APPROVAL, "Approval", "A person decides: the mode", id="asked"
        ),
        pytest.param(NO, Phase.REJECTED, "Approval", "Not done: a freeze", id="rejected"),
    ],
)
def test_what_the_critic_said_is_told(
    verdict: Verdict, phase: Phase, tier: str, words: str
) -> None:
    spec = decision_manifest(full(), verdict)["spec"]
    assert first_phase(verdict) is phase
    assert spec["tier"] == tier
    assert words in spec["message"]
    assert log_fields(full(), verdict)["verdict"] == type(verdict).__name__


@given(HOSTILE, HOSTILE)
def test_hostile_words_make_a_valid_object(message: str, other: str) -> None:
    lost = Alternative(Action.ALERT, Direction.NONE, "LowerPriority", other)
    made = decision_manifest(decision(message=message, alternatives=(lost,)), NO)
    text = json.dumps(made, allow_nan=False)
    json.loads(text)
    made["spec"]["message"].encode()
    DecisionObject.parse(json.loads(text))


@given(HOSTILE)
def test_the_annotation_is_json_of_2_kib_at_most(message: str) -> None:
    found = decision_object()
    spec = found.spec.model_copy(update={"message": message})
    text = stored_annotation(found.model_copy(update={"spec": spec}))
    assert len(text.encode()) <= 2048
    said = json.loads(text)
    assert said["decision"] == "llama-scale-1"
    assert said["to"] == {"replicas": "3"}


def test_an_annotation_with_many_long_parameters_is_bounded_too() -> None:
    many = {f"{'k' * 60}{n}": "v" * 253 for n in range(15)}
    found = decision_object(parameters={"from": many, "to": many})
    text = stored_annotation(found)
    assert len(text.encode()) <= 2048
    assert json.loads(text)["reason"] == "ObjectiveViolated"


def test_the_outcome_is_part_of_the_annotation() -> None:
    done = decision_object(
        status={
            "phase": "Completed",
            "outcome": {"verdict": "Improved", "measuredAt": "2027-01-15T08:00:00Z"},
        }
    )
    assert json.loads(stored_annotation(done))["outcome"] == "Improved"


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_is_refused_and_not_written(bad: float) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        number(bad)
