"""Every guardrail: what it finds, and what it lets pass."""

from dataclasses import replace
from typing import Any

import pytest

from aurora.critic.chain import judge, judge_approved, risk_of
from aurora.critic.ledger import Ledger
from aurora.critic.reasons import CheckReason
from aurora.critic.request import ActionRequest, CriticInput
from aurora.critic.verdict import Approved, NeedsApproval, Rejected
from aurora.observe.facts import NodeFacts, ObjectKey, QuotaFacts
from aurora.observe.sample import Gap, Missing
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase, Risk, Tier
from aurora.state.advance import advance
from tests.support.builders import (
    NOW,
    autoscaler,
    control,
    endpoints,
    entry,
    ledger,
    model,
    observation,
    pod,
    sample,
    signals,
    target,
)
from tests.support.situations import criticised, down, fleet, request, taught

R = CheckReason
FALLBACK = request(
    action=Action.ROUTE,
    direction=Direction.FALLBACK,
    before={"route": "primary"},
    after={"route": "fallback"},
)
PRIMARY = replace(FALLBACK, direction=Direction.PRIMARY, after={"route": "primary", "undo": "f1"})
ALERT = request(
    action=Action.ALERT, direction=Direction.NONE, before={}, after={}, protective=False
)
CACHE_ON = request(
    action=Action.CACHE, direction=Direction.ON, before={}, after={"cache": "on"}, protective=False
)
QUIET = {"min_samples": 1}


def seen_with(**over: Any) -> Any:
    return observation(target=target(4), pods=tuple(pod(n) for n in range(4)), **over)


def reason_of(given: CriticInput) -> CheckReason | None:
    verdict = judge(given)
    return None if isinstance(verdict, Approved) else verdict.reason


def check(asked: ActionRequest, expected: CheckReason | None, **over: Any) -> None:
    assert reason_of(criticised(asked, **over)) is expected


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        pytest.param({}, None, id="nothing speaks against a scale-up"),
        pytest.param(
            {"fleet": fleet(control=control(readable=False))},
            R.CONTROL_UNREADABLE,
            id="the switch cannot be read",
        ),
        pytest.param(
            {"fleet": fleet(control=control(stopped=True))}, R.KILL_SWITCH_SET, id="stopped"
        ),
        pytest.param(
            {"seen": observation(model=model(annotations={"aurora.dev/paused": "true"}))},
            R.PAUSED,
            id="paused",
        ),
        pytest.param(
            {"seen": observation(model=model(annotations={"aurora.dev/paused": "false"}))},
            None,
            id="paused is lifted",
        ),
        pytest.param(
            {"seen": observation(model=model(autonomy={"mode": "Observe"}))},
            R.MODE_OBSERVE,
            id="mode Observe",
        ),
        pytest.param(
            {
                "seen": observation(
                    model=model(autonomy={"mode": "Observe", "actions": {"SCALE": "Auto"}})
                )
            },
            None,
            id="the action's own mode counts",
        ),
        pytest.param({"seen": observation(target=None)}, R.TARGET_NOT_FOUND, id="no target"),
        pytest.param(
            {"seen": observation(target=target(uid="another"))},
            R.TARGET_REPLACED,
            id="a namesake replaced the target",
        ),
        pytest.param(
            {"seen": observation(rivals=(ObjectKey("models", "older"),))},
            R.TARGET_CONFLICT,
            id="an older object acts on it",
        ),
        pytest.param(
            {"seen": observation(autoscalers=(autoscaler(), autoscaler()))},
            R.AUTOSCALER_CONFLICT,
            id="two autoscalers",
        ),
    ],
)
def test_what_people_set_comes_first(over: dict[str, Any], expected: CheckReason | None) -> None:
    check(request(), expected, **over)


def test_two_autoscalers_are_no_hindrance_to_a_fallback() -> None:
    seen = observation(autoscalers=(autoscaler(), autoscaler()), fallback_endpoints=endpoints(1))
    check(FALLBACK, None, seen=seen)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        pytest.param({"mode": "Observe"}, None, id="observing a model still tells of it"),
        pytest.param({"mode": "Recommend"}, None, id="an alert needs no approval"),
        pytest.param(
            {"mode": "Auto", "actions": {"ALERT": "Observe"}},
            R.MODE_OBSERVE,
            id="alerts themselves are switched off",
        ),
    ],
)
def test_the_mode_of_alerts(mode: dict[str, Any], expected: CheckReason | None) -> None:
    check(ALERT, expected, seen=observation(model=model(autonomy=mode)))


@pytest.mark.parametrize(
    ("before", "after", "over", "expected"),
    [
        pytest.param(7, 8, {}, None, id="up to maxReplicas"),
        pytest.param(7, 9, {}, R.OUT_OF_BOUNDS, id="above maxReplicas"),
        pytest.param(
            2, 7, {"autoscalers": (autoscaler(1, 6),)}, R.OUT_OF_BOUNDS, id="above its ceiling"
        ),
        pytest.param(2, 6, {"autoscalers": (autoscaler(1, 6),)}, None, id="up to its ceiling"),
        pytest.param(0, 0, {}, R.OUT_OF_BOUNDS, id="below minReplicas"),
        pytest.param(1, "many", {}, R.OUT_OF_BOUNDS, id="no number"),
        pytest.param(1, "²", {}, R.OUT_OF_BOUNDS, id="a digit that is no number"),
    ],
)
def test_the_bounds_of_a_step_up(
    before: int, after: Any, over: dict[str, Any], expected: CheckReason | None
) -> None:
    asked = request(before={"replicas": str(before)}, after={"replicas": str(after)})
    check(asked, expected, seen=observation(**over))


def test_without_scaling_replicas_are_nobodys_to_change() -> None:
    bare = model()
    spec = bare.spec.model_copy(update={"scaling": None})
    check(
        request(), R.OUT_OF_BOUNDS, seen=observation(model=bare.model_copy(update={"spec": spec}))
    )


@pytest.mark.parametrize(
    ("before", "after", "maximum", "expected"),
    [
        pytest.param(8, 6, 4, None, id="a step towards the maximum may end above it"),
        pytest.param(8, 8, 4, R.OUT_OF_BOUNDS, id="staying above it is no step"),
        pytest.param(5, 4, 4, None, id="down to the maximum"),
    ],
)
def test_the_way_down_from_above_the_maximum(
    before: int, after: int, maximum: int, expected: CheckReason | None
) -> None:
    seen = observation(target=target(before), model=model(scaling={"maxReplicas": maximum}))
    asked = down(before, after)
    assert reason_of(criticised(asked, seen=seen)) is expected


@pytest.mark.parametrize(
    ("floor", "after", "adopted", "owner", "expected"),
    [
        pytest.param(4, 3, 2, "", None, id="down to above the floor that was found"),
        pytest.param(4, 3, 3, "", None, id="down to the floor that was found"),
        pytest.param(4, 3, 4, "", R.OUT_OF_BOUNDS, id="below the floor that was found"),
        pytest.param(4, 3, None, "", R.OUT_OF_BOUNDS, id="a floor that AURORA never raised"),
        pytest.param(
            4, 3, None, "ModelDeployment/llama", None, id="a floor of AURORA's own autoscaler"
        ),
    ],
)
def test_a_floor_is_let_go_to_where_it_was_found(
    floor: int, after: int, adopted: int | None, owner: str, expected: CheckReason | None
) -> None:
    seen = seen_with(autoscalers=(autoscaler(floor, owner=owner),))
    asked = down(floor, after)
    check(asked, expected, seen=seen, adopted_floor=adopted)


@pytest.mark.parametrize(
    ("asked", "over", "expected"),
    [
        pytest.param(FALLBACK, {"fallback_endpoints": endpoints(1)}, None, id="it is ready"),
        pytest.param(
            FALLBACK, {"fallback_endpoints": endpoints(0)}, R.NO_HEALTHY_BACKEND, id="none ready"
        ),
        pytest.param(FALLBACK, {}, R.NO_HEALTHY_BACKEND, id="nothing is known of it"),
        pytest.param(
            PRIMARY, {"endpoints": endpoints(0)}, None, id="back: the primary's pods count"
        ),
        pytest.param(
            PRIMARY,
            {"pods": (pod(0, ready=False), pod(1, deleting=True))},
            R.NO_HEALTHY_BACKEND,
            id="back: no pod of the primary is ready to stay",
        ),
    ],
)
def test_traffic_goes_only_where_somebody_answers(
    asked: ActionRequest, over: dict[str, Any], expected: CheckReason | None
) -> None:
    check(asked, expected, seen=observation(**over))


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param({}, None, id="all is seen"),
        pytest.param(
            {"request_rate": Missing(Gap.STALE)}, R.EVIDENCE_MISSING, id="the load is stale"
        ),
        pytest.param(
            {"request_rate": sample(4.0, partial=True)}, R.EVIDENCE_MISSING, id="partial load"
        ),
        pytest.param(
            {"request_rate": float("nan")}, R.EVIDENCE_MISSING, id="a NaN that slipped through"
        ),
        pytest.param(
            {"ttft_p95": Missing(Gap.NOT_FINITE)}, R.EVIDENCE_MISSING, id="an objective is NaN"
        ),
        pytest.param(
            {"ttft_p95": Missing(Gap.QUERY_FAILED)}, R.EVIDENCE_MISSING, id="its query failed"
        ),
        pytest.param(
            {"tpot_p95": Missing(Gap.UNSUPPORTED)}, R.EVIDENCE_MISSING, id="never measured"
        ),
        pytest.param(
            {"ttft_p95": sample(0.3, partial=True)}, R.EVIDENCE_MISSING, id="partial latency"
        ),
        pytest.param(
            {"ttft_p95": Missing(Gap.NO_DATA)},
            R.EVIDENCE_MISSING,
            id="240 requests came and none was timed",
        ),
        pytest.param(
            {"request_rate": 1.0, "ttft_p95": Missing(Gap.NO_DATA)},
            None,
            id="60 requests are too few for a percentile, and few is known",
        ),
        pytest.param(
            {
                "request_rate": 0.0,
                "ttft_p95": Missing(Gap.NO_DATA),
                "tpot_p95": Missing(Gap.NO_DATA),
                "server_error_ratio": Missing(Gap.NO_DATA),
            },
            None,
            id="nobody calls",
        ),
        pytest.param(
            {"server_error_ratio": Missing(Gap.NO_DATA)},
            R.EVIDENCE_MISSING,
            id="errors have an objective and are not counted",
        ),
    ],
)
def test_replicas_are_taken_away_only_with_everything_in_sight(
    readings: dict[str, Any], expected: CheckReason | None
) -> None:
    seen = seen_with(signals=signals(**readings), model=model(objectives={"errorRatePercent": 1}))
    check(down(), expected, seen=seen)
    assert (
        reason_of(criticised(request(before={"replicas": "4"}, after={"replicas": "5"}), seen=seen))
        is None
    )


def test_token_rates_are_evidence_once_load_is_counted_in_tokens() -> None:
    tokens = {"prompt_token_rate": 100.0, "generation_token_rate": 50.0}
    gone = signals(**tokens | {"generation_token_rate": Missing(Gap.NO_DATA)})
    seen = seen_with(signals=signals(**tokens))
    memory = taught()
    memory, _ = advance(memory, seen, NOW - 1.0)
    check(down(), R.EVIDENCE_MISSING, seen=seen_with(signals=gone), memory=memory)


@pytest.mark.parametrize(
    ("load", "after", "readings", "expected"),
    [
        pytest.param(12.0, 3, {}, None, id="4 requests/s each are carried"),
        pytest.param(21.0, 3, {}, R.OBJECTIVE_AT_RISK, id="7 requests/s each are too much"),
        pytest.param(12.0, 3, {"ttft_p95": 3.1}, R.OBJECTIVE_AT_RISK, id="missed already"),
        pytest.param(
            12.0, 3, {"server_error_ratio": 0.02}, R.OBJECTIVE_AT_RISK, id="it fails its callers"
        ),
        pytest.param(12.0, 3, {"server_error_ratio": 0.01}, None, id="errors at the objective"),
    ],
)
def test_fewer_replicas_must_keep_the_objectives(
    load: float, after: int, readings: dict[str, Any], expected: CheckReason | None
) -> None:
    seen = seen_with(
        signals=signals(request_rate=load, **readings),
        model=model(objectives={"errorRatePercent": 1}),
    )
    check(down(4, after), expected, seen=seen, memory=taught(load, ready=4))


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [
        pytest.param({"pods": 1.0}, None, id="room for one pod"),
        pytest.param({"pods": 0.0}, R.QUOTA_EXCEEDED, id="no room"),
        pytest.param({"requests.cpu": 0.5}, R.QUOTA_EXCEEDED, id="too little CPU"),
        pytest.param({"requests.cpu": 1.0}, None, id="just enough CPU"),
        pytest.param({"requests.memory": 1e9}, R.QUOTA_EXCEEDED, id="too little memory"),
        pytest.param({"requests.nvidia.com/gpu": 1.0}, R.QUOTA_EXCEEDED, id="too few GPUs"),
        pytest.param({"services": 0.0}, None, id="a quota on something else"),
    ],
)
def test_a_quota_must_have_room(remaining: dict[str, float], expected: CheckReason | None) -> None:
    hungry = target(gpus_per_pod=2, cpu_request_m=1000, memory_request_bytes=2 * 10**9)
    quota = QuotaFacts(ObjectKey("models", "team"), remaining)
    check(request(), expected, seen=observation(target=hungry, quotas=(quota,)))


@pytest.mark.parametrize(
    ("free", "provisioning", "expected"),
    [
        pytest.param(2, "None", None, id="free GPUs"),
        pytest.param(1, "None", R.GPU_SHORTAGE, id="too few"),
        pytest.param(0, "Auto", None, id="nodes appear on demand: only a longer cold start"),
    ],
)
def test_gpus_must_be_free_or_come(
    free: int, provisioning: str, expected: CheckReason | None
) -> None:
    seen = observation(
        target=target(gpus_per_pod=2), model=model(scaling={"nodeProvisioning": provisioning})
    )
    check(request(), expected, seen=seen, fleet=fleet(nodes=NodeFacts(8, 8 - free)))


def test_gpus_of_nodes_that_are_not_watched_are_unknown_and_not_none() -> None:
    seen = observation(target=target(gpus_per_pod=2))
    check(request(), None, seen=seen, fleet=fleet(nodes=None))


OPEN = {"phase": Phase.VERIFYING, "executed_at": NOW - 100, "decided_at": NOW - 100}


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        pytest.param(down(), OPEN, R.ACTION_IN_FLIGHT, id="another is being verified"),
        pytest.param(request(), OPEN, None, id="a protective one pre-empts it"),
        pytest.param(
            request(), OPEN | {"phase": Phase.EXECUTING}, R.ACTION_IN_FLIGHT, id="half done"
        ),
        pytest.param(
            request(), OPEN | {"phase": Phase.ROLLING_BACK}, R.ACTION_IN_FLIGHT, id="being undone"
        ),
        pytest.param(
            down(),
            OPEN | {"action": Action.ALERT, "direction": Direction.NONE},
            None,
            id="an alert holds nothing",
        ),
        pytest.param(ALERT, OPEN | {"phase": Phase.EXECUTING}, None, id="an alert is always told"),
        pytest.param(
            down(decision_id="mine"),
            OPEN | {"id": "mine", "phase": Phase.APPROVED, "executed_at": None},
            None,
            id="it is not in its own way",
        ),
    ],
)
def test_one_action_is_in_flight_at_a_time(
    asked: ActionRequest, found: dict[str, Any], expected: CheckReason | None
) -> None:
    seen = seen_with(model=model(autonomy={"cooldown": {"up": "1s", "down": "1s"}}))
    check(asked, expected, seen=seen, ledger=ledger(entry(**found)))


@pytest.mark.parametrize(
    ("age", "protective", "expected"),
    [
        pytest.param(29, True, R.PROTECTED_RECENTLY, id="within two cycles"),
        pytest.param(31, True, None, id="after two cycles"),
        pytest.param(29, False, None, id="the last one was not protective"),
    ],
)
def test_one_protection_in_two_cycles(
    age: float, protective: bool, expected: CheckReason | None
) -> None:
    last = entry(protective=protective, executed_at=NOW - age)
    check(request(), expected, ledger=ledger(last))


@pytest.mark.parametrize(
    ("asked", "age", "expected"),
    [
        pytest.param(down(), 899, R.COOLING_DOWN, id="down waits 15 min"),
        pytest.param(down(), 901, None, id="and no longer"),
        pytest.param(CACHE_ON, 299, R.COOLING_DOWN, id="what adds waits 5 min"),
        pytest.param(CACHE_ON, 301, None, id="and no longer"),
        pytest.param(request(), 60, None, id="a protection does not wait"),
        pytest.param(ALERT, 60, None, id="an alert does not wait"),
    ],
)
def test_actions_keep_their_distance(
    asked: ActionRequest, age: float, expected: CheckReason | None
) -> None:
    check(asked, expected, seen=seen_with(), ledger=ledger(entry(executed_at=NOW - age)))


@pytest.mark.parametrize(
    ("before", "after", "percent", "expected"),
    [
        pytest.param(8, 6, 25, None, id="a quarter"),
        pytest.param(8, 5, 25, R.STEP_TOO_LARGE, id="more than a quarter"),
        pytest.param(2, 1, 25, None, id="one replica is always allowed"),
    ],
)
def test_the_step_down_is_limited(
    before: int, after: int, percent: int, expected: CheckReason | None
) -> None:
    seen = observation(
        target=target(before),
        pods=tuple(pod(n) for n in range(before)),
        model=model(autonomy={"maxStepPercent": percent}),
        signals=signals(request_rate=1.0),
    )
    asked = down(before, after)
    check(asked, expected, seen=seen, memory=taught(1.0, ready=before))


def test_the_step_of_a_protection_is_not_limited() -> None:
    check(request(before={"replicas": "2"}, after={"replicas": "8"}), None)


FREEZE = {"actions": 0, "schedule": "* * * * *", "duration": "10h"}


@pytest.mark.parametrize(
    ("asked", "budgets", "expected"),
    [
        pytest.param(down(), [{"actions": 1, "per": "1h"}], R.BUDGET_EXHAUSTED, id="used up"),
        pytest.param(down(), [{"actions": 2, "per": "1h"}], None, id="one is left"),
        pytest.param(down(), [FREEZE], R.FREEZE_WINDOW, id="frozen"),
        pytest.param(request(), [FREEZE], None, id="a protection goes through a freeze"),
        pytest.param(
            down(),
            [FREEZE | {"timeZone": "Atlantis/Capital"}],
            R.FREEZE_WINDOW,
            id="a time zone that this machine does not know counts as frozen",
        ),
        pytest.param(
            down(),
            [FREEZE | {"schedule": "0 8 30 2 *"}],
            R.FREEZE_WINDOW,
            id="a window on 30 February counts as frozen",
        ),
        pytest.param(
            down(),
            [FREEZE | {"schedule": "every other Friday"}],
            R.FREEZE_WINDOW,
            id="no schedule at all",
        ),
    ],
)
def test_budgets_and_freezes(
    asked: ActionRequest, budgets: list[dict[str, Any]], expected: CheckReason | None
) -> None:
    autonomy = {"budgets": budgets, "cooldown": {"up": "0s", "down": "0s"}}
    seen = seen_with(model=model(autonomy=autonomy))
    check(asked, expected, seen=seen, ledger=ledger(entry(executed_at=NOW - 1200)))


@pytest.mark.parametrize(
    ("in_flight", "asked", "held", "expected"),
    [
        pytest.param(2, request(), False, None, id="two of three"),
        pytest.param(3, request(), False, R.BLAST_RADIUS, id="three of three"),
        pytest.param(3, request(), True, None, id="this model is one of the three"),
        pytest.param(3, ALERT, False, None, id="an alert changes nothing"),
    ],
)
def test_few_models_of_a_fleet_change_at_once(
    in_flight: int, asked: ActionRequest, held: bool, expected: CheckReason | None
) -> None:
    found = ledger(entry(**OPEN)) if held else Ledger()
    check(asked, expected, fleet=fleet(in_flight=in_flight, models=10), ledger=found)


SAME = {"fingerprint": "now", "executed_at": None}


@pytest.mark.parametrize(
    ("asked", "entries", "expected"),
    [
        pytest.param(
            request(),
            [SAME | {"phase": Phase.DENIED, "settled_at": NOW - 3500}],
            R.DENIED_RECENTLY,
            id="a person said no within the hour",
        ),
        pytest.param(
            request(),
            [SAME | {"phase": Phase.DENIED, "decided_at": NOW - 9000, "settled_at": NOW - 3700}],
            None,
            id="a no of more than an hour ago",
        ),
        pytest.param(
            request(),
            [SAME | {"phase": Phase.DENIED, "fingerprint": "other"}],
            None,
            id="a no to something else",
        ),
        pytest.param(
            request(),
            [SAME | {"phase": Phase.FAILED, "decided_at": NOW - 20}],
            R.FAILED_BEFORE,
            id="a protection that failed waits 30 s",
        ),
        pytest.param(
            request(),
            [SAME | {"phase": Phase.FAILED, "decided_at": NOW - 31}],
            None,
            id="and is tried again",
        ),
        pytest.param(
            request(),
            [
                SAME | {"id": "a", "phase": Phase.FAILED, "decided_at": NOW - 31},
                SAME | {"id": "b", "phase": Phase.FAILED, "decided_at": NOW - 100},
            ],
            R.FAILED_BEFORE,
            id="after the second failure it waits 60 s",
        ),
        pytest.param(
            CACHE_ON,
            [SAME | {"phase": Phase.FAILED, "decided_at": NOW - 3000}],
            R.FAILED_BEFORE,
            id="what protects nobody waits an hour",
        ),
    ],
)
def test_what_was_refused_or_failed_is_not_tried_at_once(
    asked: ActionRequest, entries: list[dict[str, Any]], expected: CheckReason | None
) -> None:
    found = [entry(**one) for one in entries]
    check(asked, expected, ledger=ledger(*found))


REGRESSED = {
    "verdict": OutcomeVerdict.REGRESSED,
    "phase": Phase.ROLLED_BACK,
    "executed_at": NOW - 7200,
    "decided_at": NOW - 7200,
    "after": {"replicas": "3"},
}


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        pytest.param(request(), REGRESSED, R.REGRESSED_BEFORE, id="the same, measured as worse"),
        pytest.param(
            request(), REGRESSED | {"after": {"replicas": "4"}}, None, id="another number"
        ),
        pytest.param(
            request(), REGRESSED | {"executed_at": NOW - 25 * 3600}, None, id="more than a day ago"
        ),
        pytest.param(
            request(),
            REGRESSED | {"verdict": OutcomeVerdict.NO_DATA, "settled_at": NOW - 1800},
            R.REGRESSED_BEFORE,
            id="undone half an hour ago, for its pods never came",
        ),
        pytest.param(
            request(),
            REGRESSED | {"verdict": OutcomeVerdict.NO_DATA},
            None,
            id="undone two hours ago",
        ),
        pytest.param(
            PRIMARY,
            REGRESSED
            | {
                "action": Action.ROUTE,
                "direction": Direction.PRIMARY,
                "after": dict(PRIMARY.after),
            },
            None,
            id="the way back waits instead of asking",
        ),
    ],
)
def test_what_went_wrong_is_asked_about(
    asked: ActionRequest, found: dict[str, Any], expected: CheckReason | None
) -> None:
    check(asked, expected, ledger=ledger(entry(**found)))


@pytest.mark.parametrize(
    ("asked", "over", "expected"),
    [
        pytest.param(request(), {"reverted": 1}, None, id="taken back once"),
        pytest.param(request(), {"reverted": 2}, R.EXTERNALLY_REVERTED, id="taken back twice"),
        pytest.param(ALERT, {"reverted": 2}, None, id="an alert is not taken back"),
        pytest.param(request(confidence=0.70), {}, None, id="confidence at the lower threshold"),
        pytest.param(request(confidence=0.69), {}, R.CONFIDENCE_LOW, id="confidence below it"),
        pytest.param(replace(ALERT, confidence=0.1), {}, None, id="an unsure alert is told"),
        pytest.param(
            request(),
            {"seen": observation(model=model(autonomy={"mode": "Recommend"}))},
            R.MODE_RECOMMEND,
            id="mode Recommend",
        ),
    ],
)
def test_what_a_person_is_asked(
    asked: ActionRequest, over: dict[str, Any], expected: CheckReason | None
) -> None:
    verdict = judge(criticised(asked, **over))
    assert isinstance(verdict, Approved if expected is None else NeedsApproval)
    assert getattr(verdict, "reason", None) is expected


@pytest.mark.parametrize(
    ("confidence", "tier"),
    [
        pytest.param(0.901, Tier.AUTO, id="above autoPercent"),
        pytest.param(0.90, Tier.MONITORED, id="at autoPercent"),
        pytest.param(0.70, Tier.MONITORED, id="at monitoredPercent"),
    ],
)
def test_the_tier_follows_the_confidence(confidence: float, tier: Tier) -> None:
    verdict = judge(criticised(request(confidence=confidence)))
    assert verdict == Approved(tier, Risk.LOW)


@pytest.mark.parametrize(
    ("action", "direction", "risk"),
    [
        (Action.SCALE, Direction.UP, Risk.LOW),
        (Action.SCALE, Direction.DOWN, Risk.MEDIUM),
        (Action.ROUTE, Direction.FALLBACK, Risk.MEDIUM),
        (Action.ROUTE, Direction.PRIMARY, Risk.MEDIUM),
        (Action.CACHE, Direction.ARM, Risk.MEDIUM),
        (Action.CACHE, Direction.ON, Risk.LOW),
        (Action.ALERT, Direction.NONE, Risk.LOW),
        (Action.RETRAIN, Direction.NONE, Risk.HIGH),
        (Action.FINE_TUNE, Direction.NONE, Risk.HIGH),
        (Action.SCALE, Direction.NONE, Risk.HIGH),
    ],
)
def test_the_risk_class(action: Action, direction: Direction, risk: Risk) -> None:
    assert risk_of(action, direction) is risk


def test_a_high_risk_is_never_unattended_whatever_the_confidence() -> None:
    asked = request(action=Action.RETRAIN, direction=Direction.NONE, after={}, confidence=1.0)
    verdict = judge(criticised(asked))
    assert isinstance(verdict, NeedsApproval)
    assert verdict.reason is R.HIGH_RISK


def test_a_person_answers_reservations_and_no_guardrail() -> None:
    low = criticised(request(confidence=0.1), reverted=5)
    assert judge_approved(low) == Approved(Tier.APPROVAL, Risk.LOW)
    stopped = replace(low, fleet=fleet(control=control(stopped=True)))
    verdict = judge_approved(stopped)
    assert isinstance(verdict, Rejected)
    assert verdict.reason is R.KILL_SWITCH_SET
