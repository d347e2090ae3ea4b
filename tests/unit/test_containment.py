"""One model's fault stays with it, and is counted; what ends the process goes on."""

import asyncio

import pytest

from aurora.containment import contained
from aurora.errors import ClusterError
from aurora.telemetry import Telemetry


def failures(telemetry: Telemetry, kind: str) -> float:
    labels = {"stage": "decide", "error": kind}
    return telemetry.registry.get_sample_value("aurora_model_failures_total", labels) or 0.0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(ClusterError("no"), "ClusterError", id="one that is known"),
        pytest.param(KeyError("x"), "Unexpected", id="one that nobody thought of"),
    ],
)
def test_what_goes_wrong_with_one_model_ends_there(
    error: Exception, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry = Telemetry()
    for _ in range(2):
        with contained(telemetry, "decide", "ns/llama"):
            raise error
    assert failures(telemetry, kind) == 2.0
    told = capsys.readouterr().out
    assert "ns/llama" in told
    assert ("Traceback" in told) is (kind == "Unexpected")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(KeyboardInterrupt(), id="an interrupt"),
        pytest.param(asyncio.CancelledError(), id="a cancellation"),
    ],
)
def test_what_ends_the_process_is_not_held_up(error: BaseException) -> None:
    with pytest.raises(type(error)), contained(Telemetry(), "decide", "ns/llama"):
        raise error


def test_a_body_that_ends_well_counts_nothing() -> None:
    telemetry, done = Telemetry(), []
    with contained(telemetry, "decide", "ns/llama"):
        done.append(1)
    assert done == [1]
    assert failures(telemetry, "Unexpected") == 0.0
