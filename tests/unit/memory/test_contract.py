"""The contract survives the way through the API server."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.critic.verdict import Approved
from aurora.executor.projections import decision_manifest, timestamp
from aurora.memory.contract import Contract, contract_of, contract_of_decision
from aurora.observe.sample import UNITS, Signal
from aurora.planner.decision import Decision, Direction, Effect, Evidence, Rollback
from aurora.planner.reasons import PlanReason
from aurora.resources import DecisionObject
from aurora.resources.vocabulary import Action, Risk, Tier
from tests.support.builders import NOW
from tests.support.situations import decision, decision_object


def through_the_api(one: Decision, tier: Tier) -> Contract:
    made = decision_manifest(one, Approved(tier, Risk.LOW))
    made["metadata"] |= {"uid": "uid-1", "creationTimestamp": timestamp(one.decided_at)}
    return contract_of(DecisionObject.parse(made), executed_at=NOW + 1)


TTFT = Effect(Signal.TTFT_P95, 0.9, 0.6, 1.4, "s", 240.0)
ROUTE: dict[str, Any] = {
    "action": Action.ROUTE,
    "direction": Direction.FALLBACK,
    "before": {"route": "primary"},
    "after": {"route": "fallback"},
}
ERRORS = Effect(Signal.SERVER_ERROR_RATIO, 0.0, 0.0, 0.05, "ratio", 120.0, without=0.42)
HALF = Evidence(Signal.SERVER_ERROR_RATIO.value, 0.42, "ratio", NOW)
OUTAGE = Effect(Signal.SERVER_ERROR_RATIO, 0.0, 0.0, 0.05, "ratio", 120.0, without=1.0)


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"expected": TTFT}, id="a scale-up that promises a latency"),
        pytest.param({}, id="a scale-up that promises nothing"),
        pytest.param(
            {
                "direction": Direction.DOWN,
                "before": {"replicas": "4", "current": "6"},
                "expected": Effect(Signal.TTFT_P95, 1.0, 0.9, 1.1, "s", 120.0, keeps=True),
                "rollback_if": (Rollback(Signal.TTFT_P95, 3.0, "s"),),
            },
            id="a floor let go, that keeps a limit",
        ),
        pytest.param(
            ROUTE | {"reason": PlanReason.SERVER_ERRORS, "expected": ERRORS, "evidence": (HALF,)},
            id="errors",
        ),
        pytest.param(
            ROUTE | {"reason": PlanReason.NO_READY_ENDPOINT, "expected": OUTAGE}, id="an outage"
        ),
        pytest.param(
            ROUTE | {"reason": PlanReason.CRASH_LOOPING, "expected": OUTAGE}, id="crashing pods"
        ),
        pytest.param(
            ROUTE
            | {
                "direction": Direction.PRIMARY,
                "after": {"route": "primary", "undo": "f1"},
                "reason": PlanReason.PRIMARY_RECOVERED,
                "expected": Effect(
                    Signal.SERVER_ERROR_RATIO, 0.0, 0.0, 0.05, "ratio", 120.0, keeps=True
                ),
                "rollback_if": (Rollback(Signal.SERVER_ERROR_RATIO, 0.05, "ratio"),),
            },
            id="the way back",
        ),
    ],
)
@pytest.mark.parametrize("tier", [Tier.AUTO, Tier.MONITORED])
def test_a_decision_keeps_its_contract(over: dict[str, Any], tier: Tier) -> None:
    one = decision(**over)
    kept = contract_of_decision(one, tier, executed_at=NOW + 1)
    assert through_the_api(one, tier) == kept


def test_the_replicas_before_are_those_that_served() -> None:
    floor = decision(before={"replicas": "1", "current": "6"})
    assert contract_of_decision(floor, Tier.AUTO, executed_at=NOW).replicas_before == 6


def test_an_outage_is_compared_with_no_answer_at_all() -> None:
    one = decision(**ROUTE, reason=PlanReason.NO_READY_ENDPOINT, expected=OUTAGE)
    found = through_the_api(one, Tier.AUTO)
    assert (found.without, found.allowed) == (1.0, pytest.approx(0.05))


@given(
    st.sampled_from(list(Signal)),
    st.floats(0.0, 1e6),
    st.floats(0.0, 1e6),
    st.booleans(),
    st.booleans(),
)
def test_any_effect_survives(
    signal: Signal, value: float, limit: float, keeps: bool, measured: bool
) -> None:
    evidence = Evidence(signal.value, value, UNITS[signal], NOW)
    one = decision(
        expected=Effect(signal, value / 2, value / 4, value, UNITS[signal], 60.0, keeps=keeps),
        rollback_if=(Rollback(signal, limit, UNITS[signal]),),
        evidence=(evidence,) if measured else (),
    )
    kept = through_the_api(one, Tier.AUTO)
    assert (kept.signal, kept.keeps) == (signal, keeps)
    assert kept.limit == pytest.approx(limit, rel=1e-5, abs=1e-11)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({"from": {}, "to": {}}, (None, None), id="no numbers"),
        pytest.param(
            {"from": {"replicas": "two"}, "to": {"replicas": "-3"}}, (None, None), id="no counts"
        ),
        pytest.param({"from": {"replicas": "²"}, "to": {"replicas": "3"}}, (None, 3), id="a power"),
    ],
)
def test_parameters_are_input(
    parameters: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    found = decision_object()
    spec = found.spec.model_copy(
        update={"parameters": type(found.spec.parameters).model_validate(parameters)}
    )
    read = contract_of(found.model_copy(update={"spec": spec}), executed_at=NOW)
    assert (read.replicas_before, read.replicas_after) == expected


def test_a_signal_of_another_version_is_none() -> None:
    effect = {
        "signal": "smellP95",
        "direction": "Down",
        "delta": "1",
        "unit": "s",
        "by": datetime.fromtimestamp(NOW, UTC).isoformat(),
    }
    assert contract_of(decision_object(expectedEffect=effect), executed_at=NOW).signal is None
