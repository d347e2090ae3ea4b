"""A state that was stored decides as it did when it was seen."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import StoreError
from aurora.observe.facts import EndpointFacts, ObjectKey
from aurora.observe.sample import Gap, Missing, Signal
from aurora.state.memory import compacted
from aurora.state.record import state_from_json, state_to_json
from aurora.state.system_state import SystemState
from tests.unit.state.given import NOW, Clock, pod, sample


def _nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner)


RATE, TTFT = Signal.REQUEST_RATE, Signal.TTFT_P95


def seen() -> SystemState:
    clock = Clock()
    for n in range(60):
        state = clock.cycle(
            {
                RATE: 2.0 + n % 9,
                TTFT: sample(0.3 + 0.1 * (n % 9), clock.at + 15.0, partial=n == 59, samples=3.0),
                Signal.GPU_RATIO: Missing(Gap.STALE, "last scrape 3 min ago"),
            },
            pods=(pod("a", created=NOW - 100, ready=True, ready_at=NOW - 70),),
            endpoints=EndpointFacts(ObjectKey("models", "llama"), 0, 1, NOW),
        )
    return state


def test_a_state_round_trips_through_json() -> None:
    state = seen()
    wire = json.loads(json.dumps(state_to_json(state), allow_nan=False))
    again = state_from_json(wire)
    assert state_to_json(again) == wire
    assert again.readings == state.readings
    assert again.key == state.key
    assert (again.replicas, again.pods, again.service) == (
        state.replicas,
        state.pods,
        state.service,
    )
    assert (again.thin, again.partial) == (frozenset({TTFT}), frozenset({TTFT}))
    one, other = state.forecast(60.0), again.forecast(60.0)
    assert one is not None
    assert other is not None
    assert other.high == pytest.approx(one.high, rel=1e-3)


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        pytest.param({"memory": None}, "no memory", id="no memory"),
        pytest.param({"at": "soon"}, "damaged", id="a field of the wrong type"),
        pytest.param({"memory": {"version": 0}}, "version", id="a memory of another version"),
    ],
)
def test_a_damaged_state_is_refused(damage: dict[str, object], word: str) -> None:
    with pytest.raises(StoreError, match=word):
        state_from_json(state_to_json(seen()) | damage)


@given(st.recursive(st.floats() | st.integers() | st.booleans() | st.none() | st.text(), _nested))
def test_numbers_are_shortened_as_one_by_one(value: object) -> None:
    try:
        expected = one_by_one(value)
    except OverflowError:
        with pytest.raises(StoreError):
            compacted(value)
    else:
        assert json.dumps(compacted(value)) == json.dumps(expected)


def one_by_one(value: object) -> object:
    """Six digits, whatever the number; milliseconds from a million on."""
    if isinstance(value, dict):
        return {key: one_by_one(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [one_by_one(item) for item in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise OverflowError
    return round(value, 3) if abs(value) >= 1e6 else float(f"{value:.6g}")
