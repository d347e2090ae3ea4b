"""ROUTE: when the primary counts as failed, and when it has proved itself again."""

from typing import Any

import pytest

from aurora.observe.facts import ProbeFacts
from aurora.observe.sample import Gap, Missing, Signal
from aurora.planner.decision import Direction
from aurora.planner.inputs import PlanInput
from aurora.planner.reasons import PlanReason
from aurora.planner.route_rules import (
    failure_of,
    lower_bound,
    primary_failed,
    primary_recovered,
    server_errors,
)
from tests.support.builders import (
    NOW,
    endpoints,
    model,
    observation,
    pod,
    sample,
    service,
    signals,
    target,
)
from tests.support.situations import history, planned, taught

WITH_FALLBACK = model(fallback={"serviceRef": {"name": "spare"}})
DEAD = (pod(0, ready=False, crash_looping=True), pod(1, ready=False, crash_looping=True))


def failing(**over: Any) -> PlanInput:
    given = over.pop("given", {})
    base: dict[str, Any] = {
        "model": WITH_FALLBACK,
        "fallback_service": service("spare"),
        "fallback_endpoints": endpoints(1, name="spare"),
        "model_names": frozenset({"llama"}),
        "fallback_model_names": frozenset({"llama"}),
    }
    return planned(observation(**(base | over)), **given)


def failed_by(early: float | None, late: float | None = None, *, minutes: float = 2.0) -> Any:
    """The shares of errors of the ten minutes before, with others in the last minutes."""
    since = NOW - 60.0 * minutes
    quiet = {one.at: one for one in history(server_error_ratio=early)}
    loud = history(server_error_ratio=late)
    moments = tuple(one if one.at >= since else quiet[one.at] for one in loud)
    return taught(history=moments)


@pytest.mark.parametrize(
    ("ratio", "samples", "speaks"),
    [
        pytest.param(0.05, 5000, False, id="at the threshold"),
        pytest.param(0.06, 5000, True, id="above it, and surely"),
        pytest.param(0.06, 100, False, id="above it, and perhaps by chance"),
        pytest.param(0.50, 10, True, id="half of ten"),
        pytest.param(0.34, 3, False, id="one of three"),
        pytest.param(1.0, 4, False, id="four of four"),
        pytest.param(1.0, 5, True, id="five of five"),
        pytest.param(0.06, None, True, id="an own query counts no requests and is believed"),
        pytest.param(0.05, None, False, id="an own query at the threshold"),
    ],
)
def test_server_errors_beyond_luck(ratio: float, samples: float | None, speaks: bool) -> None:
    seen = signals(server_error_ratio=sample(ratio, samples=samples))
    found = failure_of(failing(signals=seen, given={"memory": failed_by(0.0)}))
    assert (found is not None) is speaks
    if found is not None:
        assert found.reason is PlanReason.SERVER_ERRORS
        assert found.evidence[0].threshold == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("memory", "ratio", "speaks"),
    [
        pytest.param(failed_by(0.0, 0.1), 0.12, True, id="a clean model fails"),
        pytest.param(failed_by(0.03, 0.1), 0.10, False, id="noise of 3 % reaches 10 %"),
        pytest.param(failed_by(0.03, 0.1), 0.13, False, id="and 13 %"),
        pytest.param(failed_by(0.03, 0.1), 0.16, True, id="16 % is beyond such noise"),
        pytest.param(failed_by(0.2, 0.1), 0.12, True, id="a fault that goes on is not usual"),
        pytest.param(failed_by(0.2, 0.0, minutes=4.0), 0.12, True, id="nor is one that was"),
        pytest.param(failed_by(0.03, 0.07, minutes=7.0), 0.07, True, id="it lasts for 7 minutes"),
        pytest.param(failed_by(0.03, 0.07, minutes=6.5), 0.07, False, id="it lasts for less"),
        pytest.param(failed_by(None), 0.14, False, id="what is usual is not known"),
        pytest.param(failed_by(None), 0.17, True, id="so much is no noise that is allowed"),
        pytest.param(failed_by(None, 0.0, minutes=6.0), 0.07, False, id="six clean minutes"),
        pytest.param(failed_by(None, 0.0, minutes=7.5), 0.07, True, id="seven clean minutes"),
    ],
)
def test_what_a_model_fails_by_anyway_is_no_failure(
    memory: Any, ratio: float, speaks: bool
) -> None:
    share = sample(ratio, samples=5000, window_s=120.0)
    seen = failing(signals=signals(server_error_ratio=share), given={"memory": memory})
    assert (failure_of(seen) is not None) is speaks


@pytest.mark.parametrize(
    ("memory", "ratio", "samples", "speaks"),
    [
        pytest.param(failed_by(None), 0.30, 26, False, id="8 of 26 while nothing is known"),
        pytest.param(failed_by(None), 0.30, 100, True, id="30 of 100 while nothing is known"),
        pytest.param(failed_by(0.03), 0.25, 40, False, id="10 of 40 in noise of 3 %"),
        pytest.param(failed_by(0.03), 0.25, 200, True, id="50 of 200 in noise of 3 %"),
        pytest.param(failed_by(0.0), 0.30, 26, True, id="8 of 26 of a clean model"),
    ],
)
def test_a_model_that_fails_now_and_then_is_judged_on_more_requests(
    memory: Any, ratio: float, samples: float, speaks: bool
) -> None:
    share = sample(ratio, samples=samples, window_s=120.0)
    seen = failing(signals=signals(server_error_ratio=share), given={"memory": memory})
    assert (failure_of(seen) is not None) is speaks


@pytest.mark.parametrize("looks", [2.0, 28.0, 1000.0])
def test_of_more_looks_each_has_to_be_surer(looks: float) -> None:
    assert 0.0 < lower_bound(0.3, 26.0, looks=looks) < lower_bound(0.3, 26.0)


def test_what_the_primary_failed_by_says_nothing_of_the_fallback() -> None:
    share = sample(0.10, samples=5000, window_s=120.0)
    away = {"memory": failed_by(0.03, 0.1), "fallback_open": "f1", "fallback_since": NOW - 60}
    assert server_errors(failing(signals=signals(server_error_ratio=share), given=away)) is not None


@pytest.mark.parametrize("count", [1, 10, 100, 10_000])
def test_the_lower_bound_is_below_the_share_and_nears_it(count: int) -> None:
    assert lower_bound(0.5, count) < 0.5
    assert lower_bound(0.5, 10 * count) > lower_bound(0.5, count)
    assert lower_bound(0.0, count) == 0.0


@pytest.mark.parametrize(
    ("samples", "confidence"),
    [
        pytest.param({"samples": 5000.0}, 0.97, id="many requests"),
        pytest.param({"samples": 50.0}, 0.77, id="few requests"),
        pytest.param({"samples": None}, 0.87, id="uncounted requests"),
        pytest.param({"samples": 5000.0, "partial": True}, 0.89, id="silent pods"),
    ],
)
def test_weaker_evidence_routes_with_less_confidence(
    samples: dict[str, Any], confidence: float
) -> None:
    found = primary_failed(failing(signals=signals(server_error_ratio=sample(0.9, **samples))))
    assert found is not None
    assert found.evidence_confidence == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        pytest.param({"endpoints": endpoints(0, since=NOW - 29)}, None, id="none for 29 s"),
        pytest.param(
            {"endpoints": endpoints(0, since=NOW - 30)},
            PlanReason.NO_READY_ENDPOINT,
            id="none for 30 s",
        ),
        pytest.param({"endpoints": endpoints(1, since=None)}, None, id="one is ready"),
        pytest.param({"endpoints": None}, None, id="nothing is known of endpoints"),
        pytest.param(
            {"endpoints": endpoints(0, since=NOW - 300), "target": target(0), "pods": ()},
            None,
            id="somebody scaled the model to zero",
        ),
        pytest.param({"pods": DEAD}, PlanReason.CRASH_LOOPING, id="every pod crashes"),
        pytest.param({"pods": (*DEAD, pod(2))}, None, id="one pod still serves"),
    ],
)
def test_facts_of_the_cluster_need_no_metric(
    over: dict[str, Any], reason: PlanReason | None
) -> None:
    dark = signals(server_error_ratio=Missing(Gap.QUERY_FAILED))
    found = primary_failed(failing(signals=dark, **over))
    assert (found.reason if found else None) is reason
    if found is not None:
        assert found.evidence_confidence == pytest.approx(0.97)
        assert found.expected is not None
        # Nobody was served: without the switch every request would have failed.
        assert (found.expected.signal, found.expected.without) == (Signal.SERVER_ERROR_RATIO, 1.0)


def test_errors_promise_fewer_errors() -> None:
    found = primary_failed(failing(signals=signals(server_error_ratio=0.5)))
    assert found is not None
    assert (found.direction, found.protective) == (Direction.FALLBACK, True)
    assert found.expected is not None
    promised = (found.expected.high, found.expected.keeps, found.expected.without)
    assert promised == (0.05, False, 0.5), "half would go on to fail without the switch"


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"model": model()}, id="no fallback is named"),
        pytest.param({"fallback_endpoints": endpoints(0, name="spare")}, id="it is not ready"),
        pytest.param({"fallback_endpoints": None}, id="it does not exist"),
        pytest.param({"given": {"fallback_open": "f1"}}, id="traffic is there already"),
    ],
)
def test_no_way_to_the_fallback(over: dict[str, Any]) -> None:
    assert primary_failed(failing(signals=signals(server_error_ratio=0.9), **over)) is None


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(Missing(Gap.STALE), id="stale errors"),
        pytest.param(Missing(Gap.NO_DATA), id="no errors counted"),
        pytest.param(float("nan"), id="NaN"),
        pytest.param(float("inf"), id="infinity"),
    ],
)
def test_no_data_is_no_failure(reading: Any) -> None:
    assert failure_of(failing(signals=signals(server_error_ratio=reading))) is None


def recovering(
    *,
    ready_for: float = 400.0,
    away_for: float = 400.0,
    probes: int = 10,
    fallbacks: int = 1,
    **over: Any,
) -> PlanInput:
    pods = tuple(pod(n, ready_at=NOW - ready_for) for n in range(2))
    probe = ProbeFacts(probes)
    given = {
        "fallback_open": "f1",
        "fallback_since": NOW - away_for,
        "fallbacks_recently": fallbacks,
    }
    return failing(**({"pods": pods, "probe": probe, "given": given} | over))


@pytest.mark.parametrize(
    ("given", "returns"),
    [
        pytest.param(recovering(), True, id="Ready for the window and ten probes answered"),
        pytest.param(recovering(ready_for=299), False, id="Ready for less than the window"),
        pytest.param(recovering(ready_for=300), True, id="Ready for just the window"),
        pytest.param(
            recovering(ready_for=9999, away_for=299),
            False,
            id="pods that were Ready while they failed prove nothing",
        ),
        pytest.param(recovering(probes=9), False, id="nine probes"),
        pytest.param(recovering(probe=None), False, id="nobody probed"),
        pytest.param(
            recovering(pods=(pod(0, ready_at=NOW - 400), pod(1, ready=False))),
            False,
            id="one pod of two is not ready",
        ),
        pytest.param(
            recovering(pods=(pod(0, ready_at=NOW - 400),)), False, id="one pod of two is missing"
        ),
        pytest.param(
            recovering(
                pods=(
                    pod(0, ready_at=NOW - 400),
                    pod(1, ready_at=NOW - 400),
                    pod(2, ready=False, deleting=True),
                )
            ),
            True,
            id="a pod on its way out does not count",
        ),
        pytest.param(
            recovering(ready_for=599, away_for=599, fallbacks=2),
            False,
            id="the second time it waits twice as long",
        ),
        pytest.param(recovering(ready_for=600, away_for=600, fallbacks=2), True, id="and returns"),
        pytest.param(
            recovering(ready_for=300 * 63, away_for=300 * 63, fallbacks=30),
            False,
            id="64 times at most",
        ),
        pytest.param(
            recovering(ready_for=300 * 64, away_for=300 * 64, fallbacks=30),
            True,
            id="and then it is tried",
        ),
    ],
)
def test_the_way_back(given: PlanInput, returns: bool) -> None:
    found = primary_recovered(given)
    assert (found is not None) is returns
    if found is not None:
        assert found.after == {"route": "primary", "undo": "f1"}
        assert found.expected is not None
        assert found.expected.keeps
        limits = [(one.signal, one.above) for one in found.rollback_if]
        assert limits == [(Signal.SERVER_ERROR_RATIO, 0.05)]


def test_without_a_fallback_in_force_there_is_no_way_back() -> None:
    assert primary_recovered(recovering(given={})) is None
