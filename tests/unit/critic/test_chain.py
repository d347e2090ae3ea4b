"""The order of the guardrails, and what the critic is shown."""

from dataclasses import replace
from typing import Any

from aurora.critic import chain
from aurora.critic.chain import judge
from aurora.critic.reasons import TRANSIENT, CheckReason
from aurora.critic.request import ActionRequest, CriticInput
from aurora.critic.verdict import Approved
from aurora.observe.facts import ObjectKey, QuotaFacts
from aurora.observe.sample import Gap, Missing
from aurora.resources.vocabulary import Phase
from tests.support.builders import (
    NOW,
    autoscaler,
    control,
    entry,
    ledger,
    model,
    observation,
    signals,
    target,
)
from tests.support.situations import criticised, down, fleet, state_of, taught

R = CheckReason
FREEZE = {"actions": 0, "schedule": "* * * * *", "duration": "10h"}


def reason_of(given: CriticInput) -> CheckReason | None:
    verdict = judge(given)
    return None if isinstance(verdict, Approved) else verdict.reason


def everything_wrong() -> CriticInput:
    """A scale-down that every check about it objects to."""
    budgets = [FREEZE]
    seen = observation(
        model=model(
            annotations={"aurora.dev/paused": "true"},
            autonomy={"mode": "Observe", "budgets": budgets},
        ),
        target=target(8, uid="another", gpus_per_pod=1),
        autoscalers=(autoscaler(), autoscaler()),
        rivals=(ObjectKey("models", "older"),),
        signals=signals(request_rate=Missing(Gap.STALE), ttft_p95=4.0),
        quotas=(QuotaFacts(ObjectKey("models", "team"), {"pods": -10.0}),),
    )
    entries = [
        entry(id="denied", fingerprint="now", phase=Phase.DENIED, executed_at=None),
        entry(id="failed", fingerprint="now", phase=Phase.FAILED, executed_at=None),
        entry(id="open", phase=Phase.EXECUTING, executed_at=NOW - 5, decided_at=NOW - 5),
    ]
    return criticised(
        down(8, 0, confidence=0.1),
        seen=seen,
        fleet=fleet(control=control(readable=False, stopped=True), in_flight=9),
        ledger=ledger(*entries),
        reverted=9,
    )


def relieved(given: CriticInput, reason: CheckReason) -> CriticInput:
    """The same without what that reason is about."""
    seen, asked, facts = given.observation, given.request, given.fleet
    changed: dict[CheckReason, Any] = {
        R.CONTROL_UNREADABLE: lambda: replace(
            given, fleet=replace(facts, control=control(stopped=True))
        ),
        R.KILL_SWITCH_SET: lambda: replace(given, fleet=replace(facts, control=control())),
        R.PAUSED: lambda: replace(
            given,
            observation=replace(
                seen, model=model(autonomy={"mode": "Observe", "budgets": [FREEZE]})
            ),
        ),
        R.MODE_OBSERVE: lambda: replace(
            given,
            observation=replace(
                seen, model=model(autonomy={"mode": "Recommend", "budgets": [FREEZE]})
            ),
        ),
        R.TARGET_REPLACED: lambda: replace(given, request=replace(asked, target_uid="another")),
        R.TARGET_CONFLICT: lambda: replace(given, observation=replace(seen, rivals=())),
        R.AUTOSCALER_CONFLICT: lambda: replace(given, observation=replace(seen, autoscalers=())),
        R.OUT_OF_BOUNDS: lambda: replace(given, request=replace(asked, after={"replicas": "1"})),
        R.EVIDENCE_MISSING: lambda: _seeing(given, ttft_p95=4.0, request_rate=4.0),
        R.OBJECTIVE_AT_RISK: lambda: _seeing(given, request_rate=1.0),
        R.DENIED_RECENTLY: lambda: _without(given, "denied"),
        R.ACTION_IN_FLIGHT: lambda: replace(
            given,
            ledger=ledger(
                *(one for one in given.ledger if one.id != "open"),
                entry(id="done", executed_at=NOW - 5),
            ),
        ),
        R.FAILED_BEFORE: lambda: _without(given, "failed"),
        R.COOLING_DOWN: lambda: _without(given, "done"),
        R.STEP_TOO_LARGE: lambda: replace(given, request=replace(asked, after={"replicas": "6"})),
        R.FREEZE_WINDOW: lambda: replace(
            given, observation=replace(seen, model=model(autonomy={"mode": "Recommend"}))
        ),
        R.BLAST_RADIUS: lambda: replace(given, fleet=replace(facts, in_flight=0)),
        R.EXTERNALLY_REVERTED: lambda: replace(given, reverted=0),
        R.MODE_RECOMMEND: lambda: replace(given, observation=replace(seen, model=model())),
        R.CONFIDENCE_LOW: lambda: replace(given, request=replace(asked, confidence=0.99)),
    }
    return changed[reason]()  # type: ignore[no-any-return]


def _seeing(given: CriticInput, **readings: Any) -> CriticInput:
    seen = replace(given.observation, signals=signals(**readings))
    return replace(given, observation=seen, state=state_of(seen, memory=taught(1.0, ready=8)))


def _without(given: CriticInput, name: str) -> CriticInput:
    return replace(given, ledger=ledger(*(one for one in given.ledger if one.id != name)))


def test_the_order_of_the_chain() -> None:
    given, named = everything_wrong(), []
    while (reason := reason_of(given)) is not None:
        named.append(reason)
        given = relieved(given, reason)
    assert named == [
        R.CONTROL_UNREADABLE,
        R.KILL_SWITCH_SET,
        R.PAUSED,
        R.MODE_OBSERVE,
        R.TARGET_REPLACED,
        R.TARGET_CONFLICT,
        R.AUTOSCALER_CONFLICT,
        R.OUT_OF_BOUNDS,
        R.EVIDENCE_MISSING,
        R.OBJECTIVE_AT_RISK,
        R.DENIED_RECENTLY,
        R.ACTION_IN_FLIGHT,
        R.FAILED_BEFORE,
        R.COOLING_DOWN,
        R.STEP_TOO_LARGE,
        R.FREEZE_WINDOW,
        R.BLAST_RADIUS,
        R.EXTERNALLY_REVERTED,
        R.MODE_RECOMMEND,
        R.CONFIDENCE_LOW,
    ]


def test_every_check_is_in_one_chain_once() -> None:
    every = [*chain.REJECTIONS, *chain.RESERVATIONS]
    assert len(every) == len(set(every))
    assert {one.__name__ for one in every} >= {"model_name_differs", "gpu_shortage"}


def test_what_only_means_not_yet_is_never_a_reason_that_a_person_has_to_mend() -> None:
    assert TRANSIENT & {R.OUT_OF_BOUNDS, R.QUOTA_EXCEEDED, R.PAUSED, R.EVIDENCE_MISSING} == set()
    assert {R.ACTION_IN_FLIGHT, R.COOLING_DOWN} <= TRANSIENT


def test_the_critic_is_never_shown_words_or_precedents() -> None:
    names = set(ActionRequest.__dataclass_fields__)
    assert not names & {"message", "reason", "advice", "precedents", "alternatives", "expected"}
