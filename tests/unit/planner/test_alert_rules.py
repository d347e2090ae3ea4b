"""ALERT: what a person is told, and the numbers it takes."""

from typing import Any

import pytest

from aurora.observe.facts import EndpointFacts
from aurora.observe.sample import Gap, Missing
from aurora.planner import alert_rules
from aurora.planner.decision import Candidate, Direction
from aurora.planner.inputs import PlanInput
from aurora.planner.reasons import PlanReason
from aurora.resources.vocabulary import Action
from tests.support.builders import NOW, endpoints, model, observation, pod, sample, signals, target
from tests.support.situations import history, planned, taught

SPARE = {"serviceRef": {"name": "spare"}}
IN_FALLBACK = {"fallback_open": "f1", "fallback_since": NOW - 400}


def given(over: dict[str, Any] | None = None, **readings: Any) -> PlanInput:
    extra = dict(over or {})
    inputs = extra.pop("given", {})
    memory = extra.pop("memory", None)
    return planned(observation(signals=signals(**readings), **extra), memory=memory, **inputs)


def reason(found: Candidate | None) -> PlanReason | None:
    if found is None:
        return None
    assert (found.action, found.direction) == (Action.ALERT, Direction.NONE)
    assert found.advice
    assert found.evidence
    assert not found.protective
    return found.reason


@pytest.mark.parametrize(
    ("seen", "expected", "advice"),
    [
        pytest.param(
            given(server_error_ratio=0.5),
            PlanReason.SERVER_ERRORS,
            "Set spec.fallback",
            id="nowhere to go",
        ),
        pytest.param(
            given(
                {"model": model(fallback=SPARE), "fallback_endpoints": endpoints(0)},
                server_error_ratio=0.5,
            ),
            PlanReason.SERVER_ERRORS,
            "spare has no ready endpoint either",
            id="the fallback is down as well",
        ),
        pytest.param(
            given(
                {"model": model(fallback=SPARE), "fallback_endpoints": endpoints(1)},
                server_error_ratio=0.5,
            ),
            None,
            "",
            id="traffic goes to the fallback instead",
        ),
        pytest.param(given(server_error_ratio=0.04), None, "", id="below the threshold"),
    ],
)
def test_a_failure_that_nothing_can_be_routed_away_from(
    seen: PlanInput, expected: PlanReason | None, advice: str
) -> None:
    found = alert_rules.failed_without_fallback(seen)
    assert reason(found) is expected
    assert found is None or advice in found.advice


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(
            given({"model": model(fallback=SPARE), "given": IN_FALLBACK}, server_error_ratio=0.5),
            PlanReason.SERVER_ERRORS,
            id="it answers with errors",
        ),
        pytest.param(
            given(
                {
                    "model": model(fallback=SPARE),
                    "given": IN_FALLBACK,
                    "fallback_endpoints": endpoints(0, since=NOW - 31),
                }
            ),
            PlanReason.NO_READY_ENDPOINT,
            id="it is gone",
        ),
        pytest.param(
            given(
                {
                    "model": model(fallback=SPARE),
                    "given": IN_FALLBACK,
                    "fallback_endpoints": endpoints(1),
                }
            ),
            None,
            id="it serves",
        ),
        pytest.param(
            given({"model": model(fallback=SPARE)}, server_error_ratio=0.5),
            None,
            id="callers are not there",
        ),
    ],
)
def test_a_fallback_that_fails_as_well(seen: PlanInput, expected: PlanReason | None) -> None:
    assert reason(alert_rules.fallback_failing(seen)) is expected


@pytest.mark.parametrize(
    ("ratio", "samples", "before", "expected"),
    [
        pytest.param(0.02, 5000, 0.02, PlanReason.ERROR_OBJECTIVE_MISSED, id="above for a while"),
        pytest.param(0.02, 5000, 0.0, None, id="a fault that has just begun"),
        pytest.param(0.02, 5000, 0.01, None, id="above for one cycle"),
        pytest.param(0.01, 5000, 0.02, None, id="at the objective"),
        pytest.param(0.02, 50, 0.02, None, id="perhaps by chance"),
        pytest.param(0.5, 5000, 0.5, None, id="so many that traffic is routed away"),
    ],
)
def test_an_error_objective(
    ratio: float, samples: float, before: float, expected: PlanReason | None
) -> None:
    seen = given(
        {
            "model": model(objectives={"errorRatePercent": 1}),
            "memory": taught(history=history(server_error_ratio=before)),
        },
        server_error_ratio=sample(ratio, samples=samples),
    )
    assert reason(alert_rules.error_objective_missed(seen)) is expected


def test_without_an_error_objective_there_is_none_to_miss() -> None:
    assert alert_rules.error_objective_missed(given(server_error_ratio=0.03)) is None


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        pytest.param(0.05, None, id="at the threshold"),
        pytest.param(0.09, PlanReason.CLIENT_ERRORS, id="above it"),
        pytest.param(sample(0.09, samples=20), None, id="perhaps by chance"),
        pytest.param(sample(0.06, samples=None), PlanReason.CLIENT_ERRORS, id="uncounted"),
        pytest.param(Missing(Gap.NO_DATA), None, id="no data"),
        pytest.param(float("nan"), None, id="NaN"),
    ],
)
def test_client_errors_end_in_advice(reading: Any, expected: PlanReason | None) -> None:
    found = alert_rules.client_errors(given(client_error_ratio=reading))
    assert reason(found) is expected
    assert found is None or "Validate input" in found.advice


@pytest.mark.parametrize(
    ("accuracy", "drift", "expected"),
    [
        pytest.param(0.90, None, None, id="at the default of 90 %"),
        pytest.param(0.899, None, PlanReason.ACCURACY_LOW, id="just below it"),
        pytest.param(0.69, 0.2, PlanReason.ACCURACY_LOW, id="far below it, without drift"),
        pytest.param(0.69, 0.51, PlanReason.ACCURACY_LOW_WITH_DRIFT, id="far below, with drift"),
        pytest.param(0.70, 0.51, PlanReason.ACCURACY_LOW, id="not below 70 %"),
        pytest.param(0.69, 0.50, PlanReason.ACCURACY_LOW, id="drift at its threshold"),
        pytest.param(Missing(Gap.STALE), 0.9, None, id="accuracy is stale"),
    ],
)
def test_accuracy(accuracy: Any, drift: float | None, expected: PlanReason | None) -> None:
    readings = {"accuracy": accuracy} | ({} if drift is None else {"drift_score": drift})
    found = alert_rules.accuracy_low(given(**readings))
    assert reason(found) is expected
    if found is not None:
        with_drift = expected is PlanReason.ACCURACY_LOW_WITH_DRIFT
        assert found.advice.startswith("Retrain" if with_drift else "Look")


def test_an_accuracy_objective_of_its_own() -> None:
    seen = {"model": model(objectives={"accuracyPercent": 80})}
    assert alert_rules.accuracy_low(given(seen, accuracy=0.81)) is None
    assert reason(alert_rules.accuracy_low(given(seen, accuracy=0.79))) is PlanReason.ACCURACY_LOW


def test_the_accuracy_of_a_fallback_is_not_the_models() -> None:
    assert alert_rules.accuracy_low(given({"given": IN_FALLBACK}, accuracy=0.5)) is None


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        pytest.param(0.50, None, id="at the threshold"),
        pytest.param(0.51, PlanReason.DATA_DRIFT, id="above it"),
        pytest.param(Missing(Gap.NO_DATA), None, id="no data"),
    ],
)
def test_data_drift(score: Any, expected: PlanReason | None) -> None:
    assert reason(alert_rules.data_drift(given(drift_score=score))) is expected


def homeless(age: float, why: str = "0/3 nodes: Insufficient nvidia.com/gpu") -> Any:
    lost = {"ready": False, "ready_at": None, "scheduled_at": None, "unschedulable": why}
    return pod(2, created_at=NOW - age, **lost)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(60, None, id="for a minute"),
        pytest.param(61, PlanReason.PODS_UNSCHEDULABLE, id="for more than a minute"),
    ],
)
def test_pods_without_a_node(age: float, expected: PlanReason | None) -> None:
    seen = {"target": target(3, ready_replicas=2), "pods": (pod(0), pod(1), homeless(age))}
    found = alert_rules.pods_unschedulable(given(seen))
    assert reason(found) is expected
    assert found is None or "Insufficient nvidia.com/gpu" in found.message


def test_a_scheduler_of_many_words_is_cut_short() -> None:
    seen = {"target": target(3), "pods": (pod(0), homeless(99, "x" * 5000))}
    found = alert_rules.pods_unschedulable(given(seen))
    assert found is not None
    assert len(found.message) < 300


def slow(ttft: float | None = 10.0, *, minutes: float = 10.0, cycles: int = 39) -> Any:
    """A model of known capacity that was slow for some minutes, of as many cycles seen."""
    calm = history(8.0, ttft_p95=0.5)
    since = NOW - 60.0 * minutes
    late = {one.at: one for one in history(8.0, ttft_p95=ttft)}
    moments = tuple(late[one.at] if one.at >= since else one for one in calm)
    return taught(8.0, history=moments[-cycles:])


@pytest.mark.parametrize(
    ("ttft", "over", "expected"),
    [
        pytest.param(10.0, {}, PlanReason.LATENCY_UNEXPLAINED, id="ten minutes long"),
        pytest.param(10.0, {"memory": slow(minutes=9.5)}, None, id="for less: it may be a burst"),
        pytest.param(10.0, {"memory": slow(cycles=38)}, None, id="less than that was seen"),
        pytest.param(10.0, {"memory": slow(None)}, None, id="for minutes that nobody measured"),
        pytest.param(2.9, {}, None, id="within the objective"),
        pytest.param(10.0, {"memory": None}, None, id="what the load gives is not known"),
        pytest.param(10.0, {"given": IN_FALLBACK}, None, id="it is the fallback's latency"),
    ],
)
def test_a_latency_that_the_load_does_not_explain(
    ttft: float, over: dict[str, Any], expected: PlanReason | None
) -> None:
    seen = given({"memory": slow()} | over, request_rate=8.0, ttft_p95=ttft)
    assert reason(alert_rules.latency_unexplained(seen)) is expected


def test_endpoints_that_were_never_there_are_told_of_without_a_metric() -> None:
    gone = EndpointFacts(endpoints(0).service, 0, 0, NOW - 60)
    seen = given({"endpoints": gone}, server_error_ratio=Missing(Gap.QUERY_FAILED))
    assert reason(alert_rules.failed_without_fallback(seen)) is PlanReason.NO_READY_ENDPOINT
