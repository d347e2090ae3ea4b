"""What the callers' values accept, and the one line they answer otherwise."""

import math

import pytest

from aurora.routing import (
    Constraints,
    InputError,
    Outcome,
    ProviderState,
    StateKey,
    WorkloadContext,
)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"gpu_hours": math.nan}, "gpu_hours", id="hours that are no number"),
        pytest.param({"gpu_hours": -1.0}, "gpu_hours", id="hours below 0"),
        pytest.param({"gpu_hours": "2"}, "gpu_hours", id="hours as a text"),
        pytest.param({"gpu_hours": True}, "gpu_hours", id="hours as a truth value"),
        pytest.param({"complexity": 1.5}, "complexity", id="complexity above 1"),
        pytest.param({"token_estimate": math.inf}, "token_estimate", id="endless tokens"),
        pytest.param({"features": (1.0, math.nan)}, "feature", id="a feature that is no number"),
        pytest.param({"gpu_hours": 10**400}, "gpu_hours", id="hours that no float can hold"),
        pytest.param({"features": 5}, "features", id="a number for the features"),
        pytest.param({"region": None}, "region", id="a region that is no text"),
        pytest.param({"colour": "red"}, "colour", id="an unknown key"),
    ],
)
def test_a_wrong_context_is_refused_by_name(fields: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        WorkloadContext.of({"workload_type": "inference", **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"provider_id": ""}, "provider_id", id="no id"),
        pytest.param({"latency_ms": "fast"}, "latency_ms of a", id="latency as a text"),
        pytest.param({"regions": "eu"}, "regions", id="one text for a list"),
        pytest.param({"gpu_types": [1]}, "gpu_types", id="a number among the texts"),
        pytest.param({"capacity_available": "lots"}, "capacity_available", id="capacity in words"),
        pytest.param({"capacity_available": 10**400}, "capacity_available", id="no float can"),
        pytest.param({"latency_ms": 10**400}, "latency_ms of a", id="no float can hold it"),
        pytest.param({"cost": 1}, "cost", id="an unknown key"),
    ],
)
def test_a_wrong_provider_is_refused_by_name(fields: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ProviderState.of({"provider_id": "a", **fields})


def test_a_provider_with_broken_telemetry_is_still_a_provider() -> None:
    provider = ProviderState.of({"provider_id": "a", "latency_ms": math.nan})
    assert math.isnan(provider.latency_ms)


@pytest.mark.parametrize("name", ["max_price", "max_latency_ms", "min_reputation"])
@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400])
def test_a_limit_is_a_number(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        Constraints.of({name: value})


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"cost_usd": math.nan}, id="NaN cost"),
        pytest.param({"cost_usd": -0.1}, id="negative cost"),
        pytest.param({"cost_usd": math.inf}, id="infinite cost"),
        pytest.param({"latency_ms": math.nan}, id="NaN latency"),
        pytest.param({"latency_ms": 10**400}, id="a latency that no float can hold"),
        pytest.param({"reputation": 101.0}, id="reputation above 100"),
        pytest.param({"quality": 2.0}, id="quality above 1"),
    ],
)
def test_an_outcome_is_finite_and_within_bounds(fields: dict) -> None:
    with pytest.raises(InputError):
        Outcome(**{"success": True, "cost_usd": 1.0, "latency_ms": 1.0, **fields})


def test_lists_become_tuples_so_that_a_value_cannot_change_later() -> None:
    regions = ["eu"]
    provider = ProviderState.of({"provider_id": "a", "regions": regions})
    regions.append("us")
    assert provider.regions == ("eu",)


@pytest.mark.parametrize("value", ["a|b|c", ("a", "b", "c"), ["a", "b", "c"]])
def test_a_state_key_reads_texts_and_triples(value: object) -> None:
    assert StateKey.of(value) == ("a", "b", "c")


@pytest.mark.parametrize("value", ["a|b", ("a", "b", 3), "a|b|c|d"])
def test_anything_else_is_no_state_key(value: object) -> None:
    with pytest.raises(InputError, match=r"workload\|gpu\|region"):
        StateKey.of(value)
