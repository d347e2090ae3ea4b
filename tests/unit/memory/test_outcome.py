"""Every verdict: judged against what would have happened without the action."""

from dataclasses import replace
from typing import Any

import pytest

from aurora.executor.surroundings import surroundings_of
from aurora.memory.contract import Contract
from aurora.memory.outcome import Outcome, Surroundings, in_force_at, settle, window_of
from aurora.observe.sample import Signal
from aurora.planner.decision import Direction
from aurora.resources.autonomy import Verification
from aurora.resources.vocabulary import Action, OutcomeVerdict
from aurora.state.history import Moment
from aurora.state.memory import ModelMemory
from aurora.state.system_state import PodState, SystemState
from tests.support.builders import (
    NOW,
    autoscaler,
    entry,
    ledger,
    observation,
    pod,
    signals,
    target,
)
from tests.support.situations import history, known, moment, taught, ttft_at

V = OutcomeVerdict
CYCLE_S = 15.0
DONE = NOW - 600.0
"""When the action was executed, ten minutes ago: everything that has to be waited for is over."""
DEFAULT = Verification()


def contract(**over: Any) -> Contract:
    fields: dict[str, Any] = {
        "decision": "llama-scale-1",
        "action": Action.SCALE,
        "direction": Direction.UP,
        "signal": Signal.TTFT_P95,
        "keeps": False,
        "limit": None,
        "replicas_before": 2,
        "replicas_after": 3,
        "closely": False,
        "decided_at": DONE,
        "executed_at": DONE,
    }
    return Contract(**(fields | over))


def since(count: int = 40, **over: Any) -> tuple[Moment, ...]:
    """Cycles since the action, oldest first, the last one now."""
    return tuple(moment(NOW - CYCLE_S * back, **over) for back in range(count - 1, -1, -1))


def after(history: tuple[Moment, ...], *, at: float = NOW, **over: Any) -> SystemState:
    state = known(observation(signals=signals()), **over)
    memory = ModelMemory(
        at=at, capacity=state.capacity, history=history, cold_starts=state.memory.cold_starts
    )
    return replace(state, memory=memory, at=at)


def judged(
    asked: Contract,
    state: SystemState,
    *,
    before: ModelMemory | None = None,
    around: Surroundings | None = None,
    verification: Verification = DEFAULT,
) -> Outcome | None:
    return settle(
        asked,
        state=state,
        before=before or taught(12.0),
        around=around or Surroundings(),
        verification=verification,
    )


def verdict(found: Outcome | None) -> OutcomeVerdict | None:
    return None if found is None else found.verdict


# Twelve requests/s on two replicas take ttft_at(6) = 2.2 s; on three, ttft_at(4) = 0.99 s.


@pytest.mark.parametrize(
    ("ttft", "expected"),
    [
        pytest.param(ttft_at(4.0), V.IMPROVED, id="as three replicas should be"),
        pytest.param(ttft_at(6.0), V.NEUTRAL, id="as two replicas would have been"),
        pytest.param(4 * ttft_at(6.0), V.CONFOUNDED, id="worse than two would have been"),
    ],
)
def test_more_replicas_are_compared_with_the_replicas_before(
    ttft: float, expected: OutcomeVerdict
) -> None:
    found = judged(contract(), after(since(load=12.0, ready=3, ttft_p95=ttft)))
    assert found is not None
    assert found.verdict is expected
    assert not found.undo
    assert found.unit == "s"
    assert found.low is not None
    assert found.high is not None
    assert (found.low <= 0.0 <= found.high) is (expected is V.NEUTRAL), "Neutral contains zero"
    assert "expected without the action" in found.message


def switched_on(**over: Any) -> Contract:
    fields = {
        "action": Action.CACHE,
        "direction": Direction.ON,
        "signal": Signal.LATENCY_MEAN,
        "replicas_before": None,
        "replicas_after": None,
    }
    return contract(**(fields | over))


@pytest.mark.parametrize(
    ("mean", "hits", "expected"),
    [
        pytest.param(1.2, 0.6, V.IMPROVED, id="more than half are hits, and all got slower"),
        pytest.param(0.3, 0.6, V.IMPROVED, id="more than half are hits, and all got faster"),
        pytest.param(0.3, 0.0, V.NEUTRAL, id="got faster without a hit"),
        pytest.param(1.2, 0.01, V.NEUTRAL, id="hardly a hit"),
        pytest.param(0.3, 1.0, V.NO_DATA, id="no miss to compare with"),
        pytest.param(0.3, None, V.NO_DATA, id="hits are not counted"),
    ],
)
def test_a_cache_is_compared_with_the_misses_beside_its_hits(
    mean: float, hits: float | None, expected: OutcomeVerdict
) -> None:
    """The cycles before are of 0.6 s, which a fault that goes on has made meaningless."""
    before = taught(4.0, history=history(4.0, latency_mean=0.6))
    state = after(since(load=4.0, latency_mean=mean, hits=hits))
    found = judged(switched_on(), state, before=before)
    assert verdict(found) is expected
    assert found is not None
    if expected is V.IMPROVED:
        assert found.effect == pytest.approx(mean - mean / 0.4, rel=0.01)


def test_without_replicas_from_before_the_level_from_before_stands_in() -> None:
    steady = taught(
        12.0,
        history=tuple(
            moment(DONE - CYCLE_S * back, load=12.0, ttft_p95=2.0) for back in range(10, 0, -1)
        ),
    )
    state = after(since(load=12.0, ready=3, ttft_p95=1.0))
    found = judged(contract(replicas_before=None), state, before=steady)
    assert verdict(found) is V.IMPROVED


@pytest.mark.parametrize(
    ("count", "closely", "settled"),
    [
        pytest.param(28, False, False, id="6:45 min after it was in force"),
        pytest.param(30, False, True, id="2 min wait and 5 min window are over"),
        pytest.param(13, True, False, id="watched closely: 3:00 min after"),
        pytest.param(16, True, True, id="watched closely: half of both is over"),
    ],
)
def test_when_it_is_measured(count: int, closely: bool, settled: bool) -> None:
    """The cycles before were those of pods still starting."""
    starting = tuple(
        moment(DONE + CYCLE_S * n, load=12.0, ready=2, ttft_p95=2.2) for n in range(40 - count)
    )
    serving = since(count, load=12.0, ready=3, ttft_p95=ttft_at(4.0))
    found = judged(contract(closely=closely), after((*starting, *serving)[-40:]))
    assert (found is not None) is settled


def test_a_window_longer_than_what_is_remembered_still_ends() -> None:
    """Ten minutes are remembered; half an hour was asked for, and is over."""
    long = Verification.model_validate({"after": "10m", "for": "20m"})
    executed = contract(executed_at=NOW - 2400.0, decided_at=NOW - 2400.0)
    state = after(since(load=12.0, ready=3, ttft_p95=ttft_at(4.0)))
    assert verdict(judged(executed, state, verification=long)) is V.IMPROVED
    assert judged(contract(), state, verification=long) is None


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        pytest.param({"other_decision": "x was executed"}, V.CONFOUNDED, id="another decision"),
        pytest.param({"foreign": "somebody set 5"}, V.CONFOUNDED, id="a foreign change"),
        pytest.param({"autoscaler": "HPA stepped to 6"}, V.CONFOUNDED, id="the autoscaler"),
        pytest.param({"lost_pod": "pod x was lost"}, V.CONFOUNDED, id="a lost pod"),
        pytest.param({}, V.IMPROVED, id="nothing"),
    ],
)
def test_what_else_happened_confounds(around: dict[str, str], expected: OutcomeVerdict) -> None:
    state = after(since(load=12.0, ready=3, ttft_p95=ttft_at(4.0)))
    found = judged(contract(), state, around=Surroundings(**around))
    assert verdict(found) is expected
    assert found is not None
    assert not found.undo
    for text in around.values():
        assert text in found.message


def test_a_replica_that_came_and_went_confounds() -> None:
    moments = list(since(load=12.0, ready=3, ttft_p95=ttft_at(4.0)))
    moments[20] = moments[20]._replace(ready=2)
    found = judged(contract(), after(tuple(moments)))
    assert verdict(found) is V.CONFOUNDED
    assert found is not None
    assert "only 2 of 3 replicas" in found.message


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        pytest.param(12.0, V.IMPROVED, id="as forecast"),
        pytest.param(30.0, V.CONFOUNDED, id="far above the forecast"),
        pytest.param(2.0, V.CONFOUNDED, id="far below it"),
    ],
)
def test_a_load_outside_of_the_forecast_confounds(load: float, expected: OutcomeVerdict) -> None:
    state = after(since(load=load, ready=3, ttft_p95=ttft_at(4.0)))
    found = judged(contract(), state, before=taught(12.0))
    assert verdict(found) is expected
    assert (found is not None and "forecast" in found.message) is (expected is V.CONFOUNDED)


def test_a_load_that_was_never_forecast_confounds_nothing() -> None:
    state = after(since(load=30.0, ready=3, ttft_p95=ttft_at(4.0)))
    unlearned = ModelMemory(capacity=taught().capacity)
    found = judged(contract(), state, before=unlearned)
    assert verdict(found) in {V.IMPROVED, V.NEUTRAL, V.REGRESSED}


@pytest.mark.parametrize(
    ("asked", "moments", "words"),
    [
        pytest.param(contract(), since(load=4.0, ready=3), "too few", id="no latency was read"),
        pytest.param(
            contract(signal=None), since(ready=3), "no measurable effect", id="nothing promised"
        ),
        pytest.param(
            contract(signal=Signal.CACHE_HIT_RATIO),
            since(ready=3),
            "no measurable effect",
            id="a signal that is not kept from cycle to cycle",
        ),
        pytest.param(
            contract(keeps=True, direction=Direction.DOWN, replicas_after=1),
            since(ready=1, ttft_p95=1.0),
            "too few",
            id="a promise without a limit",
        ),
    ],
)
def test_what_cannot_be_measured_is_no_data(
    asked: Contract, moments: tuple[Moment, ...], words: str
) -> None:
    found = judged(asked, after(moments), before=taught(4.0))
    assert found is not None
    assert (found.verdict, found.undo, found.effect) == (V.NO_DATA, False, None)
    assert words in found.message


FEWER = {
    "direction": Direction.DOWN,
    "keeps": True,
    "limit": 3.0,
    "replicas_before": 3,
    "replicas_after": 2,
}


@pytest.mark.parametrize(
    ("ttft", "expected"),
    [
        pytest.param(1.0, V.IMPROVED, id="far below the limit"),
        pytest.param(3.0, V.NEUTRAL, id="at the limit"),
        pytest.param(3.5, V.REGRESSED, id="above the limit"),
    ],
)
def test_fewer_replicas_promise_to_keep_the_objective(
    ttft: float, expected: OutcomeVerdict
) -> None:
    found = judged(contract(**FEWER), after(since(load=12.0, ready=2, ttft_p95=ttft)))
    assert verdict(found) is expected
    assert found is not None
    assert found.undo is (expected is V.REGRESSED)


@pytest.mark.parametrize(
    ("bad", "closely", "undone"),
    [
        pytest.param(2, False, False, id="two readings above the limit"),
        pytest.param(3, False, True, id="three in a row"),
        pytest.param(2, True, True, id="two are enough when it is watched closely"),
        pytest.param(1, True, False, id="one is not"),
    ],
)
def test_a_broken_limit_is_undone_before_the_window_is_over(
    bad: int, closely: bool, undone: bool
) -> None:
    good = [moment(DONE + CYCLE_S * n, ready=2, ttft_p95=1.0) for n in range(12)]
    over = [moment(DONE + CYCLE_S * (12 + n), ready=2, ttft_p95=3.2) for n in range(bad)]
    at = over[-1].at
    found = judged(contract(closely=closely, **FEWER), after((*good, *over), at=at))
    assert (found is not None) is undone
    if found is not None:
        assert (found.verdict, found.undo, found.measured_at) == (V.REGRESSED, True, at)


def test_a_broken_limit_is_undone_even_when_something_else_broke_it() -> None:
    """A pod was lost: the action is not to blame, and its callers still need the replica back."""
    history = since(load=12.0, ready=2, ttft_p95=3.5)
    found = judged(contract(**FEWER), after(history), around=Surroundings(lost_pod="pod x is lost"))
    assert found is not None
    assert (found.verdict, found.undo) == (V.CONFOUNDED, True)


def test_what_somebody_else_took_over_is_not_undone() -> None:
    history = since(load=12.0, ready=2, ttft_p95=3.5)
    found = judged(contract(**FEWER), after(history), around=Surroundings(foreign="somebody set 9"))
    assert found is not None
    assert (found.verdict, found.undo) == (V.CONFOUNDED, False)


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        pytest.param(359.0, None, id="less than three cold starts"),
        pytest.param(361.0, V.NO_DATA, id="pods that do not come by waiting"),
    ],
)
def test_pods_that_never_become_ready_are_given_up(
    waited: float, expected: OutcomeVerdict | None
) -> None:
    stuck = after(
        since(load=12.0, ready=2, ttft_p95=2.0),
        pods=PodState(total=3, ready=2, pending=1, why="0/3 nodes are available"),
    )
    found = judged(contract(executed_at=NOW - waited), stuck)
    assert verdict(found) is expected
    if found is not None:
        assert found.undo
        assert "2 of 3 replicas are ready" in found.message
        assert "0/3 nodes" in found.message


@pytest.mark.parametrize(
    ("steps", "gives_up"),
    [
        pytest.param([15.0] * 3 + [315.0] + [15.0] * 3, False, id="a clock set ahead by 5 min"),
        pytest.param([15.0] * 3 + [315.0] + [15.0] * 20, True, id="and three cold starts later"),
        pytest.param([15.0] * 3 + [3600.0] + [15.0] * 3, False, id="nobody looked for an hour"),
        pytest.param([120.0] * 4, True, id="cycles of two minutes"),
        pytest.param([1.0, 301.0], False, id="a clock set ahead in the second cycle"),
    ],
)
def test_pods_are_not_given_up_for_time_in_which_nobody_looked(
    steps: list[float], gives_up: bool
) -> None:
    times = [NOW]
    for step in reversed(steps):
        times.insert(0, times[0] - step)
    history = tuple(moment(at, load=12.0, ready=2, ttft_p95=2.0) for at in times)
    found = judged(contract(executed_at=times[0]), after(history))
    assert (found is not None) is gives_up


def test_time_before_the_first_cycle_of_a_process_counts_in_full() -> None:
    history = since(4, load=12.0, ready=2, ttft_p95=2.0)
    assert verdict(judged(contract(executed_at=NOW - 361.0), after(history))) is V.NO_DATA


ROUTED = {
    "action": Action.ROUTE,
    "direction": Direction.FALLBACK,
    "signal": Signal.SERVER_ERROR_RATIO,
    "replicas_before": None,
    "replicas_after": None,
}


def failing_before(ratio: float) -> ModelMemory:
    before = tuple(
        moment(DONE - CYCLE_S * back, server_error_ratio=ratio) for back in range(10, 0, -1)
    )
    return taught(history=before)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        pytest.param(0.0, V.IMPROVED, id="the fallback answers"),
        pytest.param(0.3, V.NEUTRAL, id="better, and still not what was promised"),
        pytest.param(0.5, V.NEUTRAL, id="as bad as the primary was"),
        pytest.param(0.9, V.REGRESSED, id="worse than the primary was"),
    ],
)
def test_a_fallback_is_compared_with_the_errors_that_sent_callers_there(
    errors: float, expected: OutcomeVerdict
) -> None:
    """The cycles before the first one that failed were fine, and say nothing."""
    state = after(since(load=40.0, server_error_ratio=errors))
    asked = contract(without=0.5, allowed=0.05, **ROUTED)
    found = judged(asked, state, before=failing_before(0.0))
    assert verdict(found) is expected
    assert found is not None
    assert found.undo is (expected is V.REGRESSED)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        pytest.param(0.0, V.IMPROVED, id="fewer"),
        pytest.param(0.5, V.NEUTRAL, id="as many"),
    ],
)
def test_errors_with_no_contract_of_their_own_are_expected_to_go_on(
    errors: float, expected: OutcomeVerdict
) -> None:
    state = after(since(server_error_ratio=errors))
    assert verdict(judged(contract(**ROUTED), state, before=failing_before(0.5))) is expected


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        pytest.param(0.0, V.IMPROVED, id="callers are answered again"),
        pytest.param(0.04, V.IMPROVED, id="with few errors"),
        pytest.param(0.30, V.NEUTRAL, id="with too many, which is still better than none"),
        pytest.param(1.0, V.NEUTRAL, id="with nothing but errors"),
    ],
)
def test_after_an_outage_any_answer_counts_up_to_the_threshold(
    errors: float, expected: OutcomeVerdict
) -> None:
    """What was measured before the pods died, no errors at all, says nothing."""
    state = after(since(server_error_ratio=errors))
    outage = contract(without=1.0, allowed=0.05, **ROUTED)
    found = judged(outage, state, before=failing_before(0.0))
    assert verdict(found) is expected
    assert found is not None
    assert not found.undo


def test_a_fallback_that_nobody_calls_is_no_data() -> None:
    silent = tuple(one._replace(errors=None) for one in since())
    asked = contract(without=0.5, allowed=0.05, **ROUTED)
    found = judged(asked, after(silent), before=failing_before(0.5))
    assert verdict(found) is V.NO_DATA


RETURNED = ROUTED | {"direction": Direction.PRIMARY, "keeps": True, "limit": 0.05}


@pytest.mark.parametrize(
    ("errors", "expected", "undo"),
    [
        pytest.param(0.0, V.IMPROVED, False, id="the primary serves"),
        pytest.param(0.5, V.REGRESSED, True, id="it fails again, and callers go back"),
    ],
)
def test_the_way_back_is_verified(errors: float, expected: OutcomeVerdict, undo: bool) -> None:
    found = judged(contract(**RETURNED), after(since(server_error_ratio=errors)))
    assert found is not None
    assert (found.verdict, found.undo) == (expected, undo)


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        pytest.param(since(ready=2), None, id="not yet"),
        pytest.param((*since(20, ready=2)[:10], *since(10, ready=3)), NOW - 9 * 15, id="lately"),
    ],
)
def test_when_more_replicas_came_into_force(
    moments: tuple[Moment, ...], expected: float | None
) -> None:
    assert in_force_at(contract(executed_at=NOW - 400), after(moments)) == expected


def test_what_is_written_at_once_is_in_force_at_once() -> None:
    state = after(since(ready=2))
    assert in_force_at(contract(**FEWER), state) == DONE
    assert in_force_at(contract(**ROUTED), state) == DONE
    assert window_of(contract(**ROUTED), state, DEFAULT) == (DONE + 120.0, DONE + 420.0)


OLD = {"executed_at": DONE, "decided_at": DONE, "after": {"replicas": "3"}}


@pytest.mark.parametrize(
    ("over", "seen", "others", "field"),
    [
        pytest.param({}, {"target": target(3)}, [], "", id="nothing happened"),
        pytest.param({}, {"target": target(2)}, [], "foreign", id="somebody set another number"),
        pytest.param(
            {},
            {"target": target(3), "autoscalers": (autoscaler(3, 8),)},
            [],
            "",
            id="the floor stands as it was set",
        ),
        pytest.param(
            {},
            {"target": target(3), "autoscalers": (autoscaler(2, 8),)},
            [],
            "foreign",
            id="somebody set the floor back",
        ),
        pytest.param(
            {},
            {"target": target(5), "autoscalers": (autoscaler(3, 8),)},
            [],
            "autoscaler",
            id="the autoscaler went on",
        ),
        pytest.param(
            {
                "direction": Direction.DOWN,
                "before": {"replicas": "4", "current": "6"},
                "after": {"replicas": "3"},
            },
            {"target": target(6), "autoscalers": (autoscaler(3, 8),)},
            [],
            "",
            id="a floor is let go and the autoscaler stands still",
        ),
        pytest.param(
            {},
            {"target": target(3)},
            [{"id": "later", "executed_at": NOW - 60, "decided_at": NOW - 60}],
            "other_decision",
            id="another decision was executed",
        ),
        pytest.param(
            {},
            {"target": target(3)},
            [{"id": "earlier", "executed_at": DONE - 60, "decided_at": DONE - 60}],
            "",
            id="another one was executed before",
        ),
        pytest.param(
            {},
            {"target": target(3)},
            [
                {
                    "id": "told",
                    "action": Action.ALERT,
                    "executed_at": NOW - 60,
                    "decided_at": NOW - 60,
                }
            ],
            "",
            id="an alert changes nothing",
        ),
        pytest.param(
            {},
            {"target": target(3), "pods": (pod(0, crash_looping=True, created_at=DONE - 900),)},
            [],
            "lost_pod",
            id="a pod that was there crashes",
        ),
        pytest.param(
            {},
            {"target": target(3), "pods": (pod(0, crash_looping=True, created_at=DONE + 9),)},
            [],
            "",
            id="a pod that the action brought crashes: that is its effect",
        ),
    ],
)
def test_what_is_seen_around_an_action(
    over: dict[str, Any], seen: dict[str, Any], others: list[dict[str, Any]], field: str
) -> None:
    mine = entry(**(OLD | over))
    book = ledger(mine, *(entry(**one) for one in others))
    found = surroundings_of(mine, observation(**seen), book, at=NOW)
    told = [name for name in Surroundings.__dataclass_fields__ if getattr(found, name)]
    assert told == ([field] if field else [])


def test_a_watch_that_is_late_is_nobody_else() -> None:
    """The write was a moment ago and its event is still on the way."""
    fresh = entry(**(OLD | {"executed_at": NOW - 2, "decided_at": NOW - 2}))
    seen = observation(target=target(2))
    assert not surroundings_of(fresh, seen, ledger(fresh), at=NOW).foreign
    assert surroundings_of(fresh, seen, ledger(fresh), at=NOW + 20).foreign
