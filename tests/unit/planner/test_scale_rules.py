"""SCALE: when each rule speaks, and when it holds."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.observe.sample import Gap, Missing, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.planner import sizing
from aurora.planner.decision import Candidate, Direction
from aurora.planner.inputs import PlanInput
from aurora.planner.reasons import PlanReason
from aurora.planner.scale_rules import (
    above_maximum,
    below_minimum,
    capacity_unused,
    more_needed,
    saturated,
)
from aurora.state.memory import ModelMemory
from tests.support.builders import autoscaler, model, observation, pod, sample, signals, target
from tests.support.situations import (
    NOW,
    carried,
    curve,
    history,
    moment,
    planned,
    series,
    taught,
    ttft_at,
)

CARRIED = carried(headroom=sizing.HEADROOM, probability=sizing.CURVE_PROBABILITY)
"""Requests/s that one replica is sized for when adding."""
KEPT = carried(headroom=sizing.DOWN_HEADROOM)
"""The same when taking away."""

SERVED = 5.0
"""Requests/s that a replica of `served_well` carried; where it ends is not known."""


def seen_with(replicas: int = 2, **over: Any) -> ModelObservation:
    pods = tuple(pod(n) for n in range(replicas))
    return observation(**({"target": target(replicas), "pods": pods} | over))


def serving(load: float, *, replicas: int = 2, **over: Any) -> PlanInput:
    """A model of known capacity at a steady load."""
    readings = {"ttft_p95": ttft_at(load / replicas)} | over.pop("signals", {})
    extra = over.pop("given", {})
    seen = seen_with(replicas, signals=signals(request_rate=load, **readings), **over)
    return planned(seen, memory=taught(load, ready=replicas), **extra)


def unlearned(ttft: float, *, replicas: int = 2, **over: Any) -> PlanInput:
    """A model of which only the latency is known."""
    return planned(seen_with(replicas, signals=signals(ttft_p95=ttft), **over))


def wanted(found: Candidate | None) -> int | None:
    return None if found is None else int(found.after["replicas"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(planned(model_ := observation(target=target(1))), None, id="at the minimum"),
        pytest.param(
            planned(observation(target=target(1), model=model(scaling={"minReplicas": 3}))),
            3,
            id="below it",
        ),
        pytest.param(
            planned(observation(target=target(0), model=model(scaling={"minReplicas": 3}))),
            None,
            id="somebody switched the model off",
        ),
        pytest.param(
            planned(
                observation(
                    autoscalers=(autoscaler(1, 8),), model=model(scaling={"minReplicas": 2})
                )
            ),
            2,
            id="the autoscaler's floor is below it",
        ),
        pytest.param(
            planned(
                observation(
                    autoscalers=(autoscaler(1, 8, paused=True),),
                    model=model(scaling={"minReplicas": 2}),
                )
            ),
            None,
            id="the autoscaler is paused",
        ),
        pytest.param(planned(observation(target=None)), None, id="no target"),
    ],
)
def test_below_the_minimum(given: PlanInput, expected: int | None) -> None:
    found = below_minimum(given)
    assert wanted(found) == expected
    if found is not None:
        assert (found.reason, found.direction) == (PlanReason.BELOW_MINIMUM, Direction.UP)
        assert found.protective


def test_without_scaling_nothing_is_proposed() -> None:
    bare = model()
    spec = bare.spec.model_copy(update={"scaling": None})
    given = serving(40.0, model=bare.model_copy(update={"spec": spec}))
    rules = (below_minimum, above_maximum, more_needed, saturated, capacity_unused)
    assert [rule(given) for rule in rules] == [None] * 5


@pytest.mark.parametrize(
    ("replicas", "maximum", "expected"),
    [
        pytest.param(4, 4, None, id="at the maximum"),
        pytest.param(5, 4, 4, id="one above it"),
        pytest.param(12, 4, 9, id="a quarter at a time"),
    ],
)
def test_above_the_maximum(replicas: int, maximum: int, expected: int | None) -> None:
    seen = seen_with(replicas, model=model(scaling={"maxReplicas": maximum}))
    found = above_maximum(planned(seen))
    assert wanted(found) == expected
    assert found is None or (found.direction, found.protective) == (Direction.DOWN, False)


def test_replicas_of_an_autoscaler_are_its_own_matter() -> None:
    seen = seen_with(6, model=model(scaling={"maxReplicas": 4}), autoscalers=(autoscaler(2, 8),))
    assert above_maximum(planned(seen)) is None


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        pytest.param(2 * CARRIED - 0.1, None, id="two replicas carry it"),
        pytest.param(2 * CARRIED + 0.1, 3, id="just more than two carry"),
        pytest.param(4 * CARRIED - 0.1, 4, id="as much as four carry"),
    ],
)
def test_replicas_for_the_load_to_come(load: float, expected: int | None) -> None:
    found = more_needed(serving(load))
    assert wanted(found) == expected
    if found is not None:
        late = ttft_at(load / 2) > 3.0
        reason = PlanReason.OBJECTIVE_VIOLATED if late else PlanReason.FORECAST_ABOVE_CAPACITY
        assert found.reason is reason
        assert found.protective
        assert found.expected is not None
        assert found.expected.signal is Signal.TTFT_P95
        assert found.rollback_if == ()
        assert "one replica keeps the objectives up to" in found.message


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        pytest.param(2, 6, id="four more"),
        pytest.param(5, 10, id="twice as many"),
    ],
)
def test_one_step_up_is_bounded(replicas: int, expected: int) -> None:
    wide = model(scaling={"maxReplicas": 64})
    dark = {"ttft_p95": Missing(Gap.NO_DATA)}
    found = more_needed(serving(99.0, replicas=replicas, model=wide, signals=dark))
    assert wanted(found) == expected


def test_a_ramp_is_met_before_it_arrives() -> None:
    rising = series(8.0)
    for step in range(24):
        rising = rising.learned(8.0 + 0.15 * step, rising.now.at + 15.0)  # type: ignore[union-attr]
    last = rising.now
    assert last is not None
    memory = taught(11.4, work=rising, requests=rising)
    seen = seen_with(signals=signals(request_rate=11.4))
    state = planned(seen, memory=memory).state
    found = more_needed(planned(seen, state=replace(state, at=last.at)))
    assert 2 * CARRIED > 11.4
    assert wanted(found) == 3


@pytest.mark.parametrize(
    ("ttft", "expected"),
    [
        pytest.param(3.0, None, id="at the objective"),
        pytest.param(3.1, 5, id="just above it"),
        pytest.param(4.5, 6, id="half as much again"),
        pytest.param(60.0, 6, id="half as many more, however late it is"),
    ],
)
def test_the_latency_ratio_stands_in_for_an_unknown_capacity(
    ttft: float, expected: int | None
) -> None:
    found = more_needed(unlearned(ttft, replicas=4))
    assert wanted(found) == expected
    if found is not None:
        assert found.reason is PlanReason.OBJECTIVE_VIOLATED
        assert found.evidence_confidence == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        pytest.param(4, None, id="those asked for are starting"),
        pytest.param(5, 8, id="one of them came"),
        pytest.param(6, 9, id="all of them came"),
        pytest.param(8, 9, id="others still stop"),
    ],
)
def test_replicas_that_start_come_before_more_by_the_ratio(
    ready: int, expected: int | None
) -> None:
    standing = target(6, ready_replicas=ready)
    wide = model(scaling={"maxReplicas": 64})
    seen = seen_with(6, target=standing, model=wide, signals=signals(ttft_p95=60.0))
    assert wanted(more_needed(planned(seen))) == expected


@pytest.mark.parametrize(
    ("taken_s", "ttft", "expected"),
    [
        pytest.param(None, 2.0, 3, id="nothing was taken away"),
        pytest.param(10.0, 2.0, None, id="just taken away, and no objective is missed"),
        pytest.param(10.0, 3.1, 3, id="an objective is missed"),
        pytest.param(10.0, None, 3, id="nothing tells whether one is"),
        pytest.param(1e6, 2.0, 3, id="long ago"),
    ],
)
def test_a_forecast_waits_after_replicas_were_taken_away(
    taken_s: float | None, ttft: float | None, expected: int | None
) -> None:
    taken = None if taken_s is None else NOW - taken_s
    read = Missing(Gap.NO_DATA) if ttft is None else ttft
    given = serving(
        2 * CARRIED + 0.1,
        signals={"ttft_p95": read, "tpot_p95": Missing(Gap.NO_DATA)},
        given={"taken_away_at": taken},
    )
    assert wanted(more_needed(given)) == expected


def test_a_forecast_waits_for_two_cold_starts() -> None:
    given = serving(2 * CARRIED + 0.1, signals={"ttft_p95": 2.0})
    wait = 2 * given.state.cold_start.p90_s
    assert more_needed(replace(given, taken_away_at=NOW - wait + 1.0)) is None
    assert more_needed(replace(given, taken_away_at=NOW - wait)) is not None


def test_the_bounds_hold_whatever_the_latency() -> None:
    seen = model(scaling={"minReplicas": 1, "maxReplicas": 4})
    assert wanted(more_needed(unlearned(60.0, replicas=3, model=seen))) == 4
    capped = (autoscaler(3, 4),)
    wide = model(scaling={"maxReplicas": 64})
    assert wanted(more_needed(unlearned(60.0, replicas=3, model=wide, autoscalers=capped))) == 4
    assert more_needed(unlearned(60.0, replicas=4, model=seen)) is None


@pytest.mark.parametrize(
    ("readings", "confidence"),
    [
        pytest.param({"ttft_p95": sample(4.5, samples=20)}, 0.65, id="few requests"),
        pytest.param({"ttft_p95": sample(4.5, partial=True)}, 0.77, id="silent pods"),
        pytest.param(
            {"ttft_p95": sample(4.5), "request_rate": Missing(Gap.STALE)},
            0.85,
            id="the load is stale, the latency is not",
        ),
    ],
)
def test_weaker_evidence_adds_replicas_with_less_confidence(
    readings: dict[str, Any], confidence: float
) -> None:
    found = more_needed(planned(seen_with(signals=signals(**readings))))
    assert found is not None
    assert found.evidence_confidence == pytest.approx(confidence)


@pytest.mark.parametrize("gap", [pytest.param(gap, id=gap.value) for gap in Gap])
def test_nothing_is_added_on_no_evidence_at_all(gap: Gap) -> None:
    dark = {Signal(s).name.lower(): Missing(gap) for s in signals()}
    memory = taught(40.0)  # it was overloaded when the metrics went
    given = planned(seen_with(signals=signals(**dark)), memory=memory)
    assert more_needed(given) is None
    assert saturated(given) is None


def test_a_fault_is_not_answered_with_replicas() -> None:
    """Ten seconds at a load that was served in one: replicas would not mend it."""
    given = serving(8.0, signals={"ttft_p95": 10.0})
    assert more_needed(given) is None
    queued = replace(
        given,
        state=replace(given.state, saturation=replace(given.state.saturation, waiting_for_s=30.0)),
    )
    assert more_needed(queued) is None  # the capacity of the load is known to be enough
    assert more_needed(serving(14.0, signals={"ttft_p95": 3.1})) is not None


@pytest.mark.parametrize(
    ("floor", "replicas", "load", "expected"),
    [
        pytest.param(2, 2, 2.5 * CARRIED, 3, id="the floor is raised"),
        pytest.param(1, 6, 6.5 * CARRIED, 7, id="above where the autoscaler stands"),
        pytest.param(1, 6, 5.5 * CARRIED, None, id="the autoscaler has enough already"),
    ],
)
def test_with_an_autoscaler_only_its_floor_moves(
    floor: int, replicas: int, load: float, expected: int | None
) -> None:
    found = more_needed(serving(load, replicas=replicas, autoscalers=(autoscaler(floor, 8),)))
    assert wanted(found) == expected
    if found is not None:
        assert found.before == {"replicas": str(floor), "current": str(replicas)}


def test_an_autoscaler_whose_ceiling_is_below_the_minimum_is_not_passed() -> None:
    capped = serving(9 * CARRIED, model=model(scaling={"minReplicas": 3}))
    assert wanted(more_needed(capped)) == 6
    capped = replace(
        capped, observation=replace(capped.observation, autoscalers=(autoscaler(1, 2),))
    )
    assert more_needed(capped) is None


def test_nothing_is_scaled_on_what_the_fallback_shows() -> None:
    given = serving(40.0, given={"fallback_open": "f1"})
    assert more_needed(given) is None
    assert (
        saturated(
            serving(
                4.0, signals={"gpu_ratio": 0.99, "ttft_p95": 2.0}, given={"fallback_open": "f1"}
            )
        )
        is None
    )
    assert capacity_unused(serving(1.0, replicas=4, given={"fallback_open": "f1"})) is None


@pytest.mark.parametrize(
    ("ratio", "ttft", "expected"),
    [
        pytest.param(0.85, 2.0, None, id="at the threshold"),
        pytest.param(0.86, 2.0, 3, id="just above it"),
        pytest.param(0.99, 1.4, None, id="used up, and callers notice nothing"),
        pytest.param(0.99, 1.6, 3, id="used up, and half of the objective is gone"),
    ],
)
def test_a_used_up_resource(ratio: float, ttft: float, expected: int | None) -> None:
    found = saturated(planned(seen_with(signals=signals(gpu_ratio=ratio, ttft_p95=ttft))))
    assert wanted(found) == expected
    if found is not None:
        assert found.evidence[0].signal == "gpuRatio"
        assert found.evidence[0].threshold == pytest.approx(0.85)


def test_a_used_up_resource_is_counted_from_the_replicas_and_not_from_the_floor() -> None:
    seen = seen_with(
        4, autoscalers=(autoscaler(1, 8),), signals=signals(cpu_ratio=0.95, ttft_p95=2.0)
    )
    assert wanted(saturated(planned(seen))) == 5


def test_a_latency_without_a_reading_is_no_sign_that_use_matters() -> None:
    dark = signals(gpu_ratio=0.99, ttft_p95=Missing(Gap.NO_DATA), tpot_p95=Missing(Gap.NO_DATA))
    assert saturated(planned(seen_with(signals=dark))) is None


@pytest.mark.parametrize(
    ("load", "replicas", "expected"),
    [
        pytest.param(3 * KEPT + 0.2, 4, None, id="three would be too few"),
        pytest.param(3 * KEPT - 0.2, 4, 3, id="three are enough"),
        pytest.param(1.0, 8, 6, id="a quarter at a time"),
        pytest.param(1.0, 1, None, id="one has to stay"),
    ],
)
def test_replicas_that_nobody_needs(load: float, replicas: int, expected: int | None) -> None:
    found = capacity_unused(serving(load, replicas=replicas))
    assert wanted(found) == expected
    if found is not None:
        assert (found.direction, found.protective) == (Direction.DOWN, False)
        assert found.expected is not None
        assert found.expected.keeps
        assert [(one.signal, one.above) for one in found.rollback_if] == [(Signal.TTFT_P95, 3.0)]


def test_the_highest_load_of_five_minutes_counts() -> None:
    burst = tuple(
        one._replace(load=18.0) if one.at > 1_800_000_000.0 - 200 else one
        for one in history(4.0, ready=4)
    )
    seen = seen_with(4, signals=signals(request_rate=4.0))
    assert capacity_unused(planned(seen, memory=taught(4.0, ready=4))) is not None
    assert capacity_unused(planned(seen, memory=taught(4.0, ready=4, history=burst))) is None


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param({"request_rate": Missing(Gap.STALE)}, id="the load is stale"),
        pytest.param({"request_rate": Missing(Gap.NO_DATA)}, id="there is no load reading"),
        pytest.param({"request_rate": float("nan")}, id="the load is NaN"),
        pytest.param({"request_rate": float("inf")}, id="the load is infinite"),
        pytest.param({"request_rate": sample(1.0, partial=True)}, id="the load is partial"),
        pytest.param({"ttft_p95": Missing(Gap.QUERY_FAILED)}, id="an objective's query failed"),
        pytest.param({"ttft_p95": Missing(Gap.STALE)}, id="an objective is stale"),
        pytest.param({"ttft_p95": Missing(Gap.DUPLICATE)}, id="an objective has two series"),
        pytest.param({"ttft_p95": sample(0.1, partial=True)}, id="an objective is partial"),
        pytest.param({"tpot_p95": float("nan")}, id="an objective is NaN"),
    ],
)
def test_nothing_is_taken_away_on_what_is_not_seen(readings: dict[str, Any]) -> None:
    seen = seen_with(8, signals=signals(**({"request_rate": 1.0} | readings)))
    assert capacity_unused(planned(seen, memory=taught(1.0, ready=8))) is None


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"target": target(4, ready_replicas=3)}, id="a replica is starting"),
        pytest.param(
            {"pods": (pod(0), pod(1), pod(2), pod(3, ready=False, crash_looping=True))},
            id="a pod crashes",
        ),
        pytest.param({"target": target(4, updated_replicas=3)}, id="a rollout is under way"),
        pytest.param(
            {"pods": (pod(0), pod(1), pod(2), pod(3, ready_at=1_800_000_000.0 - 20))},
            id="a pod came within the window",
        ),
    ],
)
def test_nothing_is_taken_away_from_a_model_that_is_not_settled(over: dict[str, Any]) -> None:
    steady = serving(1.0, replicas=4)
    assert capacity_unused(steady) is not None
    assert capacity_unused(serving(1.0, replicas=4, **over)) is None


@pytest.mark.parametrize(
    ("errors", "samples", "expected"),
    [
        pytest.param(0.05, 1000, True, id="at the threshold"),
        pytest.param(0.09, 1000, False, id="above it, though not for long"),
        pytest.param(0.09, 30, True, id="two of thirty, which may be luck"),
        pytest.param(Missing(Gap.NO_DATA), 0, True, id="nobody counts errors"),
    ],
)
def test_nothing_is_taken_away_while_requests_fail(
    errors: float | Missing, samples: int, expected: bool
) -> None:
    reading = errors if isinstance(errors, Missing) else sample(errors, samples=samples)
    found = capacity_unused(serving(1.0, replicas=4, signals={"server_error_ratio": reading}))
    assert (found is not None) == expected


@pytest.mark.parametrize(
    ("ttft", "seconds", "expected"),
    [
        pytest.param(2.7, 0, True, id="at 0.9 of the objective"),
        pytest.param(2.71, 0, False, id="nearer to it"),
        pytest.param(2.71, 300, False, id="nearer to it within five minutes"),
        pytest.param(2.71, 315, True, id="nearer to it before them"),
    ],
)
def test_nothing_is_taken_away_when_a_latency_came_near_its_objective(
    ttft: float, seconds: float, expected: bool
) -> None:
    late = tuple(
        moment(one.at, load=1.0, ready=4, ttft_p95=ttft) if one.at == NOW - seconds else one
        for one in history(1.0, ready=4, ttft_p95=0.5)
    )
    now = ttft if seconds == 0 else Missing(Gap.NO_DATA)
    seen = seen_with(4, signals=signals(request_rate=1.0, ttft_p95=now, tpot_p95=0.001))
    found = capacity_unused(planned(seen, memory=taught(1.0, ready=4, history=late)))
    assert (found is not None) is expected


@pytest.mark.parametrize(
    ("floor", "adopted", "owner", "expected"),
    [
        pytest.param(4, 2, "", 3, id="down towards the floor that was found"),
        pytest.param(4, 4, "", None, id="not below it"),
        pytest.param(4, None, "", None, id="a floor that AURORA never moved"),
        pytest.param(4, None, "ModelDeployment/llama", 3, id="a floor that AURORA made"),
    ],
)
def test_a_raised_floor_is_let_go(
    floor: int, adopted: int | None, owner: str, expected: int | None
) -> None:
    given = serving(
        1.0,
        replicas=4,
        autoscalers=(autoscaler(floor, 8, owner=owner),),
        given={"adopted_floor": adopted},
    )
    assert wanted(capacity_unused(given)) == expected


@pytest.mark.parametrize(
    ("ttft", "expected"),
    [
        pytest.param(1.2, None, id="at 0.4 of the objective"),
        pytest.param(0.1, 3, id="far below it"),
    ],
)
def test_without_a_capacity_the_ratio_decides_on_fewer(ttft: float, expected: int | None) -> None:
    steady = ModelMemory(
        work=series(4.0), requests=series(4.0), history=history(4.0, ready=4), at=1.0
    )
    seen = seen_with(4, signals=signals(ttft_p95=ttft, tpot_p95=0.001))
    assert wanted(capacity_unused(planned(seen, memory=steady))) == expected


def served_well(
    load: float,
    *,
    replicas: int = 8,
    peak: float = 0.0,
    missed_s: float | None = None,
    ttft: float = 1.5,
    **over: Any,
) -> PlanInput:
    """A steady load on replicas of which only is known that they served 5 requests/s each."""
    narrow = taught(
        load,
        ready=replicas,
        capacity=curve((4.0, SERVED)),
        peak_load=peak,
        missed_at=None if missed_s is None else NOW - missed_s,
    )
    readings = signals(request_rate=load, ttft_p95=ttft, tpot_p95=0.001)
    return planned(seen_with(replicas, signals=readings, **over), memory=narrow)


@pytest.mark.parametrize(
    ("load", "replicas", "expected"),
    [
        pytest.param(6 * SERVED - 0.1, 8, 6, id="six replicas have held so much"),
        pytest.param(6 * SERVED + 0.1, 8, None, id="six were never seen to"),
        pytest.param(8 * SERVED - 0.1, 10, None, id="a fifth is not worth a step"),
        pytest.param(7 * SERVED - 0.1, 10, 8, id="more is, a quarter at a time"),
    ],
)
def test_a_load_that_was_served_needs_no_curve_to_its_end(
    load: float, replicas: int, expected: int | None
) -> None:
    found = capacity_unused(served_well(load, replicas=replicas))
    assert wanted(found) == expected
    if found is not None:
        assert f"one replica served {SERVED:g} well" in found.message


@pytest.mark.parametrize(
    ("peak", "expected"),
    [
        pytest.param(0.0, 6, id="nothing higher came"),
        pytest.param(6 * SERVED - 0.1, 6, id="six carry the highest load of late"),
        pytest.param(6 * SERVED + 0.1, None, id="seven were needed lately"),
    ],
)
def test_the_highest_load_of_late_bounds_the_step_down(peak: float, expected: int | None) -> None:
    assert wanted(capacity_unused(served_well(5.0, peak=peak))) == expected


@pytest.mark.parametrize(
    ("missed_s", "expected"),
    [
        pytest.param(None, 6, id="none was missed"),
        pytest.param(901.0, 6, id="one was missed before the cooldown of steps down"),
        pytest.param(899.0, None, id="one was missed within it"),
    ],
)
def test_a_missed_objective_begins_the_cooldown_of_steps_down(
    missed_s: float | None, expected: int | None
) -> None:
    assert wanted(capacity_unused(served_well(5.0, missed_s=missed_s))) == expected


@given(load=st.floats(16.0, 40.0), peak=st.floats(0.0, 45.0), replicas=st.integers(4, 8))
@settings(deadline=None, max_examples=60)
def test_a_step_down_never_loads_a_replica_beyond_what_it_served(
    load: float, peak: float, replicas: int
) -> None:
    situation = served_well(load, replicas=replicas, peak=peak)
    found = capacity_unused(situation)
    if found is not None and "well" in found.message:  # else the end is known by now
        highest = max(load, situation.state.memory.peak_load)
        assert highest <= SERVED * int(found.after["replicas"]) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        pytest.param(17.9, None, id="such a load was served well: it is not what makes it slow"),
        pytest.param(18.1, 6, id="such a load never was: the latency decides"),
    ],
)
def test_a_latency_at_a_load_that_was_served_asks_for_no_replicas(
    load: float, expected: int | None
) -> None:
    young = tuple(pod(n, ready_at=1_800_000_000.0 - 20) for n in range(4))  # teaches nothing
    assert wanted(more_needed(served_well(load, replicas=4, ttft=4.5, pods=young))) == expected


def test_no_step_down_is_taken_back_while_the_load_does_not_double() -> None:
    down = capacity_unused(serving(3 * KEPT - 0.1, replicas=4))
    assert wanted(down) == 3
    assert more_needed(serving(2 * (3 * KEPT - 0.1), replicas=3)) is None


def test_a_price_is_told() -> None:
    priced = model(scaling={"costPerReplicaHour": "2.50"})
    found = more_needed(serving(2.5 * CARRIED, model=priced))
    assert found is not None
    assert found.message.endswith("This costs 2.50 an hour.")
