import random
import statistics

import pytest

from aurora.errors import UsageError
from aurora.simulator.parameters import (
    COLD_START_32B,
    COLD_START_SMALL,
    ServerParameters,
    server_parameters,
)


def test_the_small_cold_start_meets_the_three_measured_quantiles():
    rng = random.Random(1)
    drawn = statistics.quantiles((COLD_START_SMALL.sample(rng) for _ in range(40_000)), n=100)
    assert drawn[49] == pytest.approx(22.7, rel=0.02)
    assert drawn[89] == pytest.approx(42.0, rel=0.02)
    assert drawn[98] == pytest.approx(51.9, rel=0.03)


def test_a_32b_cold_start_stays_between_its_bounds():
    rng = random.Random(1)
    drawn = [COLD_START_32B.sample(rng) for _ in range(1000)]
    assert min(drawn) >= 100
    assert max(drawn) <= 135


def test_an_unknown_server_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="unknown server 'x': use one of llama"):
        server_parameters("x")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"step_s": 0.0}, id="a step without cost"),
        pytest.param({"prefill_s": float("nan")}, id="a cost that is no number"),
        pytest.param({"kv_capacity": 0}, id="no room for a token"),
        pytest.param({"max_running": 4096}, id="a budget that decodes alone exhaust"),
    ],
)
def test_impossible_servers_are_refused(change):
    sound = {"step_s": 0.04, "decode_s": 1e-4, "kv_s": 1e-8, "prefill_s": 1e-4, "kv_capacity": 10}
    ServerParameters(**sound)
    with pytest.raises(UsageError):
        ServerParameters(**(sound | change))
