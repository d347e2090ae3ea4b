import math
import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.memory.cases import DIMENSION, FEATURES, case_text, case_vector, kind_of
from aurora.memory.index import _base
from aurora.planner.cases import CaseFeatures
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action
from tests.support.cases import NUMBERS, any_features, features


def agreement(one: CaseFeatures, other: CaseFeatures) -> float:
    return sum(a * b for a, b in zip(case_vector(one), case_vector(other), strict=True))


def test_every_number_of_a_case_is_in_its_vector() -> None:
    assert tuple(FEATURES) == NUMBERS
    assert len(case_vector(features())) == DIMENSION


@given(one=any_features, other=any_features)
def test_vectors_have_length_one_and_agree_at_most_wholly(
    one: CaseFeatures, other: CaseFeatures
) -> None:
    assert agreement(one, one) == pytest.approx(1.0)
    assert -1.0 - 1e-9 <= agreement(one, other) <= 1.0 + 1e-9


@pytest.mark.parametrize("name", NUMBERS)
def test_no_data_is_neither_zero_nor_any_other_value(name: str) -> None:
    unknown = features(**{name: None})
    assert agreement(unknown, features(**{name: math.nan})) == pytest.approx(1.0)
    for value in (0.0, 0.5, 1.0, 23.0):
        known = features(**{name: value})
        apart = 1.0 - agreement(unknown, known)
        assert apart == pytest.approx(FEATURES[name][1] / sum(w for _, w in FEATURES.values()))


@pytest.mark.parametrize("name", [name for name in NUMBERS if name != "hour"])
@given(values=st.lists(st.floats(-3, 10), min_size=3, max_size=3))
def test_the_further_apart_the_less_alike(name: str, values: list[float]) -> None:
    low, middle, high = (features(**{name: value}) for value in sorted(values))
    assert agreement(low, high) <= agreement(low, middle) + 1e-9
    assert agreement(low, high) <= agreement(middle, high) + 1e-9


def test_late_evening_is_near_early_morning() -> None:
    late, early, noon = (features(hour=hour) for hour in (23.5, 0.5, 12.0))
    assert agreement(late, early) > 0.99 > agreement(late, noon)


@pytest.mark.parametrize(
    ("over", "least", "most"),
    [
        pytest.param({"load_to_capacity": 1.35, "hour": 15.0}, 0.98, 1.0, id="a bit more load"),
        pytest.param(
            {"server_errors": 0.4, "saturation": 0.3, "load_to_capacity": 0.4, "load_trend": 0.0},
            0.0,
            0.75,
            id="errors at low load",
        ),
    ],
)
def test_situations_that_a_person_tells_apart_are_apart(
    over: dict[str, float], least: float, most: float
) -> None:
    assert least < agreement(features(), features(**over)) < most


def test_no_two_kinds_of_case_meet_in_the_index() -> None:
    kinds = {
        kind_of(CaseFeatures(action=action, direction=direction))
        for action, direction in product(Action, Direction)
    }
    assert len({_base(kind) for kind in kinds}) == len(kinds) == len(Action) * len(Direction)


@given(case=any_features)
def test_a_case_reads_back_from_its_record(case: CaseFeatures) -> None:
    assert CaseFeatures.from_json(case.to_json()) == case


def test_a_record_of_another_version_is_read_as_far_as_it_goes() -> None:
    record = {"action": "SCALE", "saturation": 1, "of_the_future": [1], "hour": None}
    assert CaseFeatures.from_json(record) == CaseFeatures(action="SCALE", saturation=1)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        pytest.param({}, "no action", id="empty"),
        pytest.param({"action": 3}, "action of a case is int", id="an action that is no word"),
        pytest.param({"action": "SCALE", "hour": "x"}, "hour of a case is str", id="no number"),
        pytest.param({"action": "SCALE", "hour": [1]}, "hour of a case is list", id="a list"),
    ],
)
def test_a_record_that_is_no_case_is_refused(record: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        CaseFeatures.from_json(record)


def test_what_is_not_finite_is_left_out_of_the_record() -> None:
    assert "hour" not in features(hour=math.inf).to_json()


def test_the_sentence_says_what_is_known_and_only_that() -> None:
    case = CaseFeatures(
        action="SCALE",
        direction="Up",
        load_to_capacity=1.25,
        ttft_to_objective=2.1,
        load_trend=-0.2,
    )
    assert case_text(case, "ForecastAboveCapacity") == (
        "SCALE Up because of forecast above capacity: load at 1.25 of capacity, "
        "p95 time to first token 2.10 x its objective, load changing by -20% an hour."
    )
    assert case_text(CaseFeatures(action="ALERT"), "CrashLooping") == (
        "ALERT because of crash looping: no measured signal."
    )


@given(case=any_features)
def test_the_sentence_is_one(case: CaseFeatures) -> None:
    assert re.fullmatch(r"[^\n]+\.", case_text(case, "LatencyHigh"))
