from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.planner.cases import Precedent
from aurora.planner.confidence import confidence, weight
from tests.support.cases import VERDICTS, any_precedent

chance = st.floats(0, 1)
some = st.lists(any_precedent, max_size=30)


def precedent(verdict: str, *, similarity: float = 1.0, age_days: float = 0.0) -> Precedent:
    return Precedent("d", similarity, verdict, "SCALE", age_days)


@pytest.mark.parametrize(
    ("prior", "verdicts", "expected"),
    [
        pytest.param(0.85, [], 0.85, id="no precedent leaves the evidence"),
        pytest.param(0.85, ["Improved"] * 6, 0.9143, id="six successes let a watched one execute"),
        pytest.param(0.85, ["Regressed"] * 2, 0.68, id="two regressions make it wait"),
        pytest.param(0.93, ["Regressed"], 0.8267, id="one regression has it watched"),
        pytest.param(0.95, ["Neutral"] * 8, 0.8, id="eight without effect speak against acting"),
        pytest.param(0.8, ["Confounded", "NoData"] * 9, 0.8, id="what taught nothing is nothing"),
        pytest.param(0.8, ["Unheard"] * 9, 0.8, id="so is a verdict of another version"),
        pytest.param(float("nan"), [], 0.0, id="no number is no confidence"),
    ],
)
def test_outcomes_of_identical_fresh_cases(
    prior: float, verdicts: list[str], expected: float
) -> None:
    found = confidence(prior, [precedent(verdict) for verdict in verdicts])
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("similarity", "age_days", "expected"),
    [
        pytest.param(1.0, 0.0, 1.0, id="the same case now"),
        pytest.param(1.0, 14.0, 0.5, id="one half-life ago"),
        pytest.param(0.75, 0.0, 0.5, id="half way between floor and equal"),
        pytest.param(0.5, 0.0, 0.0, id="at the floor"),
        pytest.param(0.1, 0.0, 0.0, id="below the floor"),
        pytest.param(1.0, -3.0, 1.0, id="a clock that went back"),
        pytest.param(float("nan"), 0.0, 0.0, id="no similarity"),
    ],
)
def test_a_precedent_weighs_by_similarity_and_age(
    similarity: float, age_days: float, expected: float
) -> None:
    found = weight(precedent("Regressed", similarity=similarity, age_days=age_days))
    assert found == pytest.approx(expected)


@given(prior=st.floats(), precedents=some)
def test_it_is_a_probability_whatever_comes(prior: float, precedents: list[Precedent]) -> None:
    assert 0.0 <= confidence(prior, precedents) <= 1.0


@given(prior=chance, precedents=some)
def test_it_lies_between_the_evidence_and_the_outcomes(
    prior: float, precedents: list[Precedent]
) -> None:
    only_good = confidence(prior, [replace(p, verdict="Improved") for p in precedents])
    only_bad = confidence(prior, [replace(p, verdict="Regressed") for p in precedents])
    assert only_bad - 1e-12 <= min(prior, confidence(prior, precedents))
    assert only_good + 1e-12 >= max(prior, confidence(prior, precedents))


@given(
    prior=chance,
    precedents=st.lists(any_precedent, min_size=1, max_size=30),
    at=st.integers(0, 29),
    data=st.data(),
)
def test_a_better_outcome_never_lowers_it(
    prior: float, precedents: list[Precedent], at: int, data: st.DataObject
) -> None:
    order = VERDICTS[:3]
    worse = data.draw(st.integers(0, 1))
    index = at % len(precedents)
    changed = list(precedents)
    changed[index] = replace(precedents[index], verdict=order[worse])
    low = confidence(prior, changed)
    changed[index] = replace(precedents[index], verdict=order[worse + 1])
    assert confidence(prior, changed) >= low - 1e-12


@given(low=chance, high=chance, precedents=some)
def test_more_evidence_never_lowers_it(
    low: float, high: float, precedents: list[Precedent]
) -> None:
    low, high = sorted((low, high))
    assert confidence(low, precedents) <= confidence(high, precedents) + 1e-12


@given(prior=chance, precedents=some)
def test_the_order_of_precedents_means_nothing(prior: float, precedents: list[Precedent]) -> None:
    forward, backward = confidence(prior, precedents), confidence(prior, precedents[::-1])
    assert forward == pytest.approx(backward, abs=1e-9)
