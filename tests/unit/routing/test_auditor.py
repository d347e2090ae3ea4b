"""Six violations, two modes, a trail that only grows, and anomalies that are no chance."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.routing import (
    Auditor,
    CooldownSettings,
    EngineSettings,
    InputError,
    NoEligibleProviderError,
    ProviderState,
    RoutingEngine,
    ViolationType,
    WorkloadContext,
)
from aurora.routing.anomalies import AnomalyDetector, Moments

STATE = ("inference", "A100", "eu")
GOOD = {
    "price_usd_per_hour": 2.0,
    "latency_ms": 100.0,
    "reputation": 90.0,
    "capacity_available": 8.0,
    "gpu_types": ["A100"],
    "regions": ["eu"],
}
LIMITS = {"max_price": 3.0, "max_latency_ms": 200.0, "min_reputation": 80.0}
PRICE, LATENCY, REPUTATION, REGION, GPU, CAPACITY = ViolationType


@pytest.mark.parametrize(
    ("provider", "constraints", "expected"),
    [
        pytest.param({}, {}, [], id="all is well"),
        pytest.param({"price_usd_per_hour": 3.01}, {}, [PRICE], id="too dear"),
        pytest.param({"price_usd_per_hour": 3.0}, {}, [], id="exactly at the limit"),
        pytest.param({"price_usd_per_hour": None}, {}, [PRICE], id="no price under a price limit"),
        pytest.param({"price_usd_per_hour": math.nan}, {}, [PRICE], id="NaN price"),
        pytest.param(
            {"price_usd_per_hour": None, "price_usd_per_1k_tokens": 0.1},
            {"max_price": None, "max_price_per_1k_tokens": 0.2},
            [],
            id="cheap by the token",
        ),
        pytest.param(
            {"price_usd_per_1k_tokens": 0.3},
            {"max_price_per_1k_tokens": 0.2},
            [PRICE],
            id="cheap by the hour and dear by the token",
        ),
        pytest.param(
            {"price_usd_per_hour": None, "price_usd_per_1k_tokens": 0.1},
            {},
            [PRICE],
            id="a price in another unit than the limit",
        ),
        pytest.param({"latency_ms": 201.0}, {}, [LATENCY], id="too slow"),
        pytest.param({"latency_ms": None}, {}, [LATENCY], id="nobody knows how slow"),
        pytest.param({"reputation": 79.0}, {}, [REPUTATION], id="of ill repute"),
        pytest.param({"reputation": None}, {}, [REPUTATION], id="of no repute"),
        pytest.param({"regions": ["us"]}, {}, [REGION], id="elsewhere"),
        pytest.param({"regions": []}, {}, [], id="everywhere"),
        pytest.param({}, {"allowed_regions": ["us"]}, [REGION], id="a region not allowed"),
        pytest.param({}, {"allowed_regions": ["eu", "us"]}, [], id="a region allowed"),
        pytest.param({"gpu_types": ["H100"]}, {}, [GPU], id="another GPU"),
        pytest.param({"gpu_types": []}, {}, [], id="GPUs are its own affair"),
        pytest.param({"capacity_available": 3.0}, {}, [CAPACITY], id="too small"),
        pytest.param({"capacity_available": True}, {}, [], id="no known limit"),
        pytest.param({"capacity_available": None}, {}, [], id="nothing said of capacity"),
        pytest.param({"capacity_available": False}, {}, [CAPACITY], id="takes nothing"),
        pytest.param({"capacity_available": 0}, {}, [CAPACITY], id="full"),
        pytest.param({"capacity_available": math.nan}, {}, [CAPACITY], id="NaN capacity"),
        pytest.param(
            {"price_usd_per_hour": 9.0, "latency_ms": 900.0, "reputation": 1.0,
             "regions": ["us"], "gpu_types": ["T4"], "capacity_available": 0},
            {},
            [PRICE, LATENCY, REPUTATION, REGION, GPU, CAPACITY],
            id="everything at once",
        ),
    ],
)  # fmt: skip
def test_each_violation_is_found(provider: dict, constraints: dict, expected: list) -> None:
    auditor = Auditor()
    valid, violations = auditor.validate_decision(
        "d1", STATE, "a", {**GOOD, **provider}, {**LIMITS, **constraints}, gpu_hours=4.0
    )
    assert violations == expected
    assert valid is not bool(expected)
    (entry,) = auditor.get_audit_trail()
    assert entry["status"] == ("rejected" if expected else "approved")
    assert entry["violations"] == [kind.value for kind in expected]
    assert bool(entry["notes"]) is bool(expected)


def test_the_types_are_lower_case_texts() -> None:
    assert [kind.value for kind in ViolationType] == [
        "price_exceeded",
        "latency_exceeded",
        "reputation_too_low",
        "region_mismatch",
        "gpu_mismatch",
        "capacity_exceeded",
    ]
    assert ViolationType.PRICE_EXCEEDED == "price_exceeded"


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 500), st.floats(0, 500), st.floats(0, 100))
def test_a_provider_passes_exactly_when_it_is_within_every_limit(
    price: float, max_price: float, latency: float, max_latency: float, reputation: float
) -> None:
    provider = {**GOOD, "price_usd_per_hour": price, "latency_ms": latency,
                "reputation": reputation}  # fmt: skip
    limits = {"max_price": max_price, "max_latency_ms": max_latency, "min_reputation": 50.0}
    valid, _ = Auditor().validate_decision("d", STATE, "a", provider, limits)
    assert valid is (price <= max_price and latency <= max_latency and reputation >= 50.0)


def test_stats_count_every_entry_ever_made() -> None:
    auditor = Auditor(trail_size=2)
    assert auditor.get_stats()["approval_rate"] is None
    for price in (1.0, 9.0, 9.0):
        auditor.validate_decision("d", STATE, "a", {**GOOD, "price_usd_per_hour": price}, LIMITS)
    auditor.flag_anomaly("d", STATE, "a", "odd")
    stats = auditor.get_stats()
    assert stats == {
        "total_entries": 4,
        "approval_rate": 0.25,
        "rejection_rate": 0.5,
        "flagged_rate": 0.25,
        "common_violations": [{"type": "price_exceeded", "count": 2}],
        "entries_dropped": 2,
    }
    json.dumps([stats, auditor.get_audit_trail()])


def test_a_flag_keeps_its_note() -> None:
    auditor = Auditor(clock=lambda: 0.0)
    auditor.flag_anomaly("d7", "inference|A100|eu", "a", "odd")
    assert auditor.get_audit_trail() == [
        {
            "sequence": 1,
            "timestamp": "1970-01-01T00:00:00+00:00",
            "decision_id": "d7",
            "state": ["inference", "A100", "eu"],
            "provider_id": "a",
            "status": "flagged",
            "violations": [],
            "notes": "odd",
        }
    ]


CONTEXT = WorkloadContext(workload_type="inference", gpu_type="A100", region="eu", gpu_hours=1.0)


def provider(name: str, **fields: object) -> ProviderState:
    return ProviderState.of({"provider_id": name, **GOOD, **fields})


FLEET = (
    provider("good"),
    provider("dear", price_usd_per_hour=9.0),
    provider("slow", latency_ms=999.0),
)


def test_strict_mode_never_chooses_a_violator_and_says_why() -> None:
    engine = RoutingEngine(strict_audit=True, settings=EngineSettings(seed=1))
    for _ in range(50):
        chosen, told = engine.decide(CONTEXT, FLEET, LIMITS)
        assert chosen == "good"
        assert told["propensity"] == pytest.approx(1.0)
        assert told["violations"] == []
        assert told["refused"] == {"dear": ["price_exceeded"], "slow": ["latency_exceeded"]}
    trail = engine.get_audit_trail(3)
    assert [(entry["provider_id"], entry["status"]) for entry in trail] == [
        ("dear", "rejected"),
        ("slow", "rejected"),
        ("good", "approved"),
    ]
    assert trail[0]["notes"] == "USD/h 9 above 3"
    stats = engine.get_status()["auditor"]
    assert stats["total_entries"] == 150
    assert stats["rejection_rate"] == pytest.approx(2 / 3)
    assert {item["type"]: item["count"] for item in stats["common_violations"]} == {
        "price_exceeded": 50,
        "latency_exceeded": 50,
    }


def test_strict_mode_takes_the_next_best() -> None:
    engine = RoutingEngine(strict_audit=True, settings=EngineSettings(seed=1, min_percent=0.0,
                           strategy_options={"epsilon": 0.0, "epsilon_min": 0.0}))  # fmt: skip
    fleet = (*FLEET, provider("fair"))
    engine.strategist.update_q_value(STATE, "dear", 100.0)
    engine.strategist.update_q_value(STATE, "fair", 50.0)
    assert engine.decide(CONTEXT, fleet)[0] == "dear"
    assert engine.decide(CONTEXT, fleet, LIMITS)[0] == "fair"


def test_strict_mode_with_nobody_left_is_a_clear_error_on_the_trail() -> None:
    engine = RoutingEngine(strict_audit=True)
    with pytest.raises(NoEligibleProviderError, match="relax the constraints: dear: price"):
        engine.decide(CONTEXT, FLEET[1:], LIMITS)
    assert [entry["status"] for entry in engine.get_audit_trail()] == ["rejected", "rejected"]
    assert engine.get_status()["executor"]["total_decisions"] == 0


def test_advisory_mode_records_and_goes_on() -> None:
    engine = RoutingEngine(settings=EngineSettings(seed=1))
    chosen = {engine.decide(CONTEXT, FLEET, LIMITS)[0] for _ in range(200)}
    assert chosen == {"good", "dear", "slow"}
    entry = next(e for e in engine.get_audit_trail(None) if e["provider_id"] == "dear")
    assert entry["status"] == "rejected"
    assert entry["notes"] == "USD/h 9 above 3 (advisory: recorded, not enforced)"


def test_advisory_mode_explores_only_those_that_pass_with_the_floor() -> None:
    engine = RoutingEngine(settings=EngineSettings(seed=1, min_percent=30.0,
                           strategy_options={"epsilon": 0.0, "epsilon_min": 0.0}))  # fmt: skip
    engine.strategist.update_q_value(STATE, "dear", 100.0)
    told = {engine.decide(CONTEXT, FLEET, LIMITS)[0]: None for _ in range(200)}
    assert set(told) == {"dear", "good"}
    assert engine.decisions()[-1].propensities == pytest.approx(
        {"good": 0.3, "dear": 0.7, "slow": 0.0}
    )


def test_the_trail_numbers_every_entry_once_and_an_exporter_misses_none() -> None:
    engine = RoutingEngine(strict_audit=True, settings=EngineSettings(seed=1))
    exported: list[int] = []
    for _ in range(7):
        for _ in range(5):
            engine.decide(CONTEXT, FLEET, LIMITS)
        while batch := engine.get_audit_trail(4, after=exported[-1] if exported else 0):
            exported += [entry["sequence"] for entry in batch]
    assert exported == list(range(1, 7 * 5 * 3 + 1))


def test_the_trail_cannot_be_changed_through_what_it_returns() -> None:
    auditor = Auditor()
    auditor.flag_anomaly("d", STATE, "a", "odd")
    auditor.get_audit_trail()[0]["notes"] = "nothing to see"
    assert auditor.get_audit_trail()[0]["notes"] == "odd"
    assert auditor.get_audit_trail(0) == []
    with pytest.raises(InputError, match="limit"):
        auditor.get_audit_trail(-1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(1, 39))
def test_moments_of_a_part_and_the_rest_make_the_whole(values: list[float], cut: int) -> None:
    whole, part, rest = Moments(), Moments(), Moments()
    for place, value in enumerate(values):
        whole.add(value)
        (part if place < cut else rest).add(value)
    found = whole.without(part)
    assert found.n == rest.n
    assert math.isclose(found.mean, rest.mean, rel_tol=1e-6, abs_tol=1e-3)
    assert math.isclose(found.variance, rest.variance, rel_tol=1e-3, abs_tol=10.0)


def test_a_spike_is_flagged_and_ordinary_noise_is_not() -> None:
    rng = random.Random(5)
    detector = AnomalyDetector()
    notes = [
        note
        for _ in range(5000)
        for note in detector.observe(STATE, "a", rng.gauss(10.0, 1.0), 10.0)
    ]
    assert notes == []
    (note,) = detector.observe(STATE, "a", 30.0, 10.0)
    assert note.startswith("q_value_spike: surprise 20")


def test_a_provider_that_underperforms_is_flagged_and_its_peers_are_not() -> None:
    rng = random.Random(5)
    detector = AnomalyDetector()
    flagged: dict[str, list[str]] = {"a": [], "b": [], "bad": []}
    for _ in range(200):
        for arm in flagged:
            reward = rng.gauss(6.0 if arm == "bad" else 10.0, 2.0)
            flagged[arm] += detector.observe(STATE, arm, reward, None)
    assert flagged["a"] == flagged["b"] == []
    assert flagged["bad"][0].startswith("underperforming: mean advantage -")


def test_a_certain_but_tiny_lack_is_no_anomaly() -> None:
    detector = AnomalyDetector()
    notes = []
    for _ in range(200):
        notes += detector.observe(STATE, "a", 10.0, None) + detector.observe(STATE, "b", 9.5, None)
    assert notes == []


def test_a_certain_and_large_lack_is_one_even_without_noise() -> None:
    detector = AnomalyDetector()
    notes = []
    for _ in range(30):
        notes += detector.observe(STATE, "a", 10.0, None) + detector.observe(STATE, "b", 5.0, None)
    assert len(notes) == 1
    assert "standard errors below" in notes[0]


def test_an_arm_that_only_gets_hard_requests_does_not_underperform() -> None:
    """Its raw mean is far below the others', yet in its own state it is as good as any."""
    rng = random.Random(5)
    detector = AnomalyDetector()
    hard = ("training", "H100", "eu")
    notes = []
    for _ in range(300):
        notes += detector.observe(STATE, "easy", rng.gauss(10.0, 1.0), None)
        notes += detector.observe(hard, "brave", rng.gauss(-10.0, 1.0), None)
    assert notes == []


def test_equal_arms_are_hardly_ever_flagged() -> None:
    """1000 arms, 6 looks each at p = 1e-4: 0.6 expected; 6 or more has a chance below 1 in 1000."""
    flags = 0
    for seed in range(250):
        rng = random.Random(seed)
        detector = AnomalyDetector()
        for _ in range(960):
            for arm in "abcd":
                reward = 10.0 if rng.random() < 0.9 else -20.0
                flags += len(detector.observe(STATE, arm, reward, None))
    assert flags < 6


def test_an_engine_flags_a_failing_provider_on_the_trail() -> None:
    engine = RoutingEngine(settings=EngineSettings(seed=2, cooldown=CooldownSettings(failures=0),
                           strategy_options={"epsilon_decay": 1.0}))  # fmt: skip
    rng = random.Random(2)
    fleet = (provider("good"), provider("bad"), provider("ugly"))
    for _ in range(4000):
        chosen, told = engine.decide(CONTEXT, fleet)
        engine.feedback(told["decision_id"], rng.random() < (0.5 if chosen == "bad" else 0.99),
                        0.1, 100.0)  # fmt: skip
    flags = [e for e in engine.get_audit_trail(None) if e["status"] == "flagged"]
    assert {e["provider_id"] for e in flags if "underperforming" in e["notes"]} == {"bad"}


def test_hostile_states_and_arms_do_not_grow_the_detector() -> None:
    detector = AnomalyDetector()
    for number in range(25_000):
        detector.observe((f"w{number}", "", ""), f"p{number}", 1.0, 1.0)
    assert len(detector._states) <= 10_000
    assert len(detector._arms) <= 10_000
