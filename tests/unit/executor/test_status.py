"""The status of a ModelDeployment: what a reader acts on, written only when that changes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.executor.status import status_of
from aurora.observe.facts import ObjectKey
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.resources import ModelDeploymentStatus
from tests.support.builders import (
    NOW,
    autoscaler,
    control,
    model,
    observation,
    sample,
    service,
    signals,
    target,
)
from tests.support.situations import decision_object, snapshot, state_of


def status(
    seen: ModelObservation | None = None,
    *,
    at: float = NOW,
    decisions: Any = (),
    reverted: int = 0,
    **over: Any,
) -> ModelDeploymentStatus:
    seen = seen or observation()
    state = state_of(seen, at=at)
    return status_of(seen, state, snapshot(seen, at=at, **over), decisions, reverted=reverted)


def told(found: ModelDeploymentStatus, type_: str) -> tuple[str, str, str]:
    one = next(one for one in found.conditions if one.type == type_)
    return one.status.value, one.reason, one.message


def after(seen: ModelObservation, found: ModelDeploymentStatus) -> ModelObservation:
    """The same model with the status written."""
    return replace(seen, model=seen.model.model_copy(update={"status": found}))


def test_a_healthy_model_is_ready_and_ready_comes_first() -> None:
    found = status()
    assert found.conditions[0].type == "Ready"
    assert told(found, "Ready")[:2] == ("True", "Reconciled")
    assert told(found, "MetricsAvailable")[:2] == ("True", "MetricsFound")
    assert told(found, "ScalingActive")[0] == "True"
    assert (found.replicas.current, found.replicas.ready) == (2, 2) if found.replicas else False
    assert found.observed_generation == 1


PAUSED = model(annotations={"aurora.dev/paused": "yes"})
FALLBACK = model(fallback={"serviceRef": {"name": "spare"}})


@pytest.mark.parametrize(
    ("seen", "over", "type_", "expected", "words"),
    [
        pytest.param(
            observation(target=None),
            {},
            "Ready",
            ("False", "TargetNotFound"),
            "Deployment llama does not exist",
            id="no target",
        ),
        pytest.param(
            observation(service=None),
            {},
            "Ready",
            ("False", "ServiceNotFound"),
            "correct spec.serviceRef",
            id="no Service",
        ),
        pytest.param(
            observation(model=FALLBACK),
            {},
            "Ready",
            ("False", "FallbackNotFound"),
            "Service spare",
            id="no fallback",
        ),
        pytest.param(
            observation(model=FALLBACK, fallback_service=service("spare")),
            {},
            "Ready",
            ("True", "Reconciled"),
            "",
            id="a fallback that is there",
        ),
        pytest.param(
            observation(model=PAUSED),
            {},
            "Paused",
            ("True", "Paused"),
            "remove it",
            id="paused",
        ),
        pytest.param(
            observation(),
            {"control": control(stopped=True)},
            "Paused",
            ("True", "Stopped"),
            "",
            id="the kill switch",
        ),
        pytest.param(
            observation(autoscalers=(autoscaler(), autoscaler())),
            {},
            "AutoscalerConflict",
            ("True", "AutoscalerConflict"),
            "delete one",
            id="two autoscalers",
        ),
        pytest.param(
            observation(autoscalers=(autoscaler(),)),
            {},
            "ScalingActive",
            ("True", "ScalingActive"),
            "moves the floor",
            id="one autoscaler",
        ),
        pytest.param(
            observation(rivals=(ObjectKey("models", "older"),)),
            {},
            "TargetConflict",
            ("True", "TargetConflict"),
            "older is older",
            id="an older object",
        ),
        pytest.param(
            observation(),
            {"reverted": 2},
            "ExternallyReverted",
            ("True", "ExternallyReverted"),
            "",
            id="taken back twice",
        ),
        pytest.param(
            observation(),
            {"reverted": 1},
            "ExternallyReverted",
            ("False", "NoConflict"),
            "",
            id="taken back once",
        ),
        pytest.param(
            observation(signals=signals(drift_score=0.6)),
            {},
            "DriftDetected",
            ("True", "DriftDetected"),
            "",
            id="the data drifted",
        ),
        pytest.param(
            observation(signals=signals(drift_score=0.5)),
            {},
            "DriftDetected",
            ("False", "NoDrift"),
            "",
            id="it did not",
        ),
        pytest.param(
            observation(signals=signals(drift_score=Missing(Gap.STALE))),
            {},
            "DriftDetected",
            ("Unknown", "MetricsStale"),
            "",
            id="nobody knows",
        ),
    ],
)
def test_a_condition_says_what_to_do(
    seen: ModelObservation,
    over: dict[str, Any],
    type_: str,
    expected: tuple[str, str],
    words: str,
) -> None:
    found = status(seen, **over)
    assert told(found, type_)[:2] == expected
    assert words in told(found, type_)[2]
    if expected[0] == "True" and type_ not in {"Ready", "ScalingActive", "DriftDetected"}:
        assert told(found, "Ready")[:2] == ("False", expected[1]), "Ready names what keeps it"


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        pytest.param(
            {"request_rate": Missing(Gap.NO_DATA)}, ("False", "MetricsMissing"), id="no series"
        ),
        pytest.param({"request_rate": Missing(Gap.STALE)}, ("False", "MetricsStale"), id="stale"),
        pytest.param(
            {"request_rate": Missing(Gap.QUERY_FAILED, "connection refused")},
            ("False", "PrometheusError"),
            id="no answer",
        ),
        pytest.param({"request_rate": float("nan")}, ("False", "NotFinite"), id="NaN"),
        pytest.param(
            {"request_rate": Missing(Gap.DUPLICATE)}, ("False", "DuplicateSeries"), id="two series"
        ),
        pytest.param(
            {"request_rate": sample(4.0, partial=True)},
            ("True", "PartialResponse"),
            id="silent pods",
        ),
        pytest.param(
            {"ttft_p95": Missing(Gap.NO_DATA)}, ("True", "MetricsFound"), id="too few to time"
        ),
        pytest.param(
            {"request_rate": 0.0, "ttft_p95": Missing(Gap.NO_DATA)},
            ("True", "MetricsFound"),
            id="nobody calls",
        ),
        pytest.param(
            {"ttft_p95": Missing(Gap.STALE)}, ("False", "MetricsStale"), id="an objective is stale"
        ),
    ],
)
def test_what_is_known_of_the_metrics(over: dict[str, Any], expected: tuple[str, str]) -> None:
    found = status(observation(signals=signals(**over)))
    assert told(found, "MetricsAvailable")[:2] == expected
    assert told(found, "Ready")[0] == expected[0]


def numbers(scale: float) -> Mapping[Signal, Reading]:
    return {
        signal: replace(one, value=one.value * scale, at=NOW + scale)
        for signal, one in signals().items()
        if isinstance(one, Sample)
    }


@given(st.floats(0.01, 0.9), st.floats(1.0, 100_000.0))
def test_other_readings_of_the_same_situation_are_no_other_status(
    scale: float, later: float
) -> None:
    written = after(observation(), status())
    again = status(replace(written, signals=numbers(scale)), at=NOW + later)
    assert again == written.model.status


@given(st.floats(0.01, 0.9), st.floats(0.0, 100_000.0))
def test_a_status_is_read_back_as_it_was_made(scale: float, later: float) -> None:
    """What was written is kept as it was made, and compared with what is made next."""
    found = status(
        observation(signals=numbers(scale)), at=NOW + later, decisions=[decision_object("d0")]
    )
    assert ModelDeploymentStatus.model_validate(found.to_kubernetes()) == found


@given(st.sampled_from(list(Gap)), st.text(max_size=40), st.text(max_size=40), st.integers(1, 9))
def test_the_words_of_a_gap_do_not_move(gap: Gap, one: str, other: str, step: int) -> None:
    """Details hold ages and counts; only a failed query's is shown, and only when it changes."""
    first = observation(signals=signals(request_rate=Missing(gap, one)))
    written = after(first, status(first))
    detail = one if gap is Gap.QUERY_FAILED else other
    moved = replace(written, signals=signals(request_rate=Missing(gap, detail)))
    assert status(moved, at=NOW + 15.0 * step) == written.model.status


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"signals": signals(request_rate=Missing(Gap.STALE))}, id="metrics went"),
        pytest.param({"target": target(3)}, id="replicas changed"),
        pytest.param({"target": target(2, ready_replicas=1)}, id="a replica is not ready"),
        pytest.param({"autoscalers": (autoscaler(),)}, id="an autoscaler came"),
    ],
)
def test_what_a_reader_acts_on_is_another_status(over: dict[str, Any]) -> None:
    written = after(observation(), status())
    assert status(replace(written, **over)) != written.model.status


def test_a_status_that_says_everything_stays_as_it_is() -> None:
    written = after(observation(), status())
    assert status(written, at=NOW + 15.0) is written.model.status


def test_another_generation_is_told() -> None:
    written = after(observation(), status())
    metadata = written.model.metadata.model_copy(update={"generation": 2})
    edited = replace(written, model=written.model.model_copy(update={"metadata": metadata}))
    assert status(edited).observed_generation == 2


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    written = after(observation(), status())
    dark = replace(written, signals=signals(request_rate=Missing(Gap.STALE)))
    later = status(dark, at=NOW + 60.0)
    moved = {one.type for one in later.conditions if one.last_transition_time.timestamp() > NOW}
    assert moved == {"Ready", "MetricsAvailable"}


def test_the_last_decisions_are_shown_with_the_signals_that_they_saw() -> None:
    many = [decision_object(f"d{n}", created_at=NOW - n) for n in range(9)]
    found = status(decisions=many)
    assert found.last_decision is not None
    assert found.last_decision.name == "d0"
    assert [one.name for one in found.recent_decisions] == ["d0", "d1", "d2", "d3", "d4"]
    shown = {one.name: str(one.value) for one in found.signals}
    assert shown["ttftP95"] == "0.3"
    written = after(observation(), found)
    again = status(replace(written, signals=numbers(0.5)), decisions=many, at=NOW + 15)
    assert again == written.model.status, "signals are those of the last decision"
    new = [decision_object("new"), *many]
    newer = status(replace(written, signals=numbers(0.5)), decisions=new, at=NOW + 15)
    assert {one.name: str(one.value) for one in newer.signals}["ttftP95"] == "0.15"


@pytest.mark.parametrize(
    ("phase", "desired"),
    [
        pytest.param("Executing", 3, id="being brought about"),
        pytest.param("Completed", 3, id="in force"),
        pytest.param("RolledBack", 2, id="taken back"),
        pytest.param("AwaitingApproval", None, id="only proposed"),
    ],
)
def test_the_replicas_that_were_decided_on(phase: str, desired: int | None) -> None:
    found = status(decisions=[decision_object(status={"phase": phase})])
    assert found.replicas is not None
    assert found.replicas.desired == desired


def test_a_question_names_the_command_that_answers_it() -> None:
    waiting = decision_object("ask-me", status={"phase": "AwaitingApproval"})
    found = status(decisions=[waiting])
    assert told(found, "ApprovalPending")[:2] == ("True", "ApprovalRequired")
    assert "kubectl aurora approve ask-me" in told(found, "ApprovalPending")[2]
    assert told(found, "Ready")[0] == "True", "a question keeps nothing from working"
