"""When the demo is warm, which fault is due, and when it is over."""

from dataclasses import replace
from typing import Any

import pytest

from aurora.demo.director import WARM_WITHIN_S, Director, Progress
from aurora.demo.scenario import EPISODES, LONGEST_S, LONGEST_WAIT_S, WARM_S
from aurora.demo.seen import Scene, SeenDecision
from aurora.resources.vocabulary import Action, Direction
from tests.unit.demo.support import decision, scene

DIRECTOR = Director(tuple(EPISODES.values()))


def at(seconds: float, begun: dict[str, float] | None = None, **models: Any) -> Scene:
    return scene(at=seconds, begun=begun or {}, **models)


def test_it_is_warm_when_metrics_have_flowed_for_a_while() -> None:
    progress = DIRECTOR.advance(Progress(), at(0.0))
    progress = DIRECTOR.advance(progress, at(WARM_S - 1.0))
    assert progress.warm_at is None
    progress = DIRECTOR.advance(progress, at(WARM_S))
    assert progress.warm_at == WARM_S
    assert DIRECTOR.advance(progress, at(50.0, chat={"metrics": False})).warm_at == WARM_S


COLD = {
    "a replica is missing": ({"ready": 1}, "chat has 1 of 2 replicas ready"),
    "AURORA reads no metrics": ({"metrics": False, "why": "no data yet"}, "chat: no data yet"),
}


@pytest.mark.parametrize(("change", "why"), COLD.values(), ids=COLD)
def test_the_wait_begins_anew_when(change: dict[str, Any], why: str) -> None:
    progress = DIRECTOR.advance(Progress(), at(0.0))
    broken = at(10.0, chat=change)
    progress = DIRECTOR.advance(progress, broken)
    assert DIRECTOR.status(progress, broken) == f"warming up: {why}"
    progress = DIRECTOR.advance(progress, at(11.0))
    assert DIRECTOR.advance(progress, at(WARM_S)).warm_at is None
    assert DIRECTOR.advance(progress, at(11.0 + WARM_S)).warm_at == 11.0 + WARM_S


def test_models_that_never_get_warm_end_the_run() -> None:
    broken = at(0.0, chat={"ready": 0})
    progress = DIRECTOR.advance(Progress(), broken)
    assert not DIRECTOR.is_too_late(progress, broken)
    late = at(WARM_WITHIN_S + 1.0, chat={"ready": 0})
    assert DIRECTOR.is_too_late(DIRECTOR.advance(progress, late), late)


def test_faults_begin_one_after_the_other_and_once() -> None:
    warm = Progress(0.0, 0.0, 100.0)

    def due(seconds: float, *begun: str) -> list[str]:
        known = dict.fromkeys(begun, 100.0)
        return [one.fault for one in DIRECTOR.due(warm, at(seconds, known))]

    assert DIRECTOR.due(Progress(0.0), at(300.0)) == ()
    assert due(100.0) == ["load"]
    assert due(120.0, "load") == ["errors"]
    assert due(100.0 + LONGEST_WAIT_S, "load", "errors") == ["repeats"]
    assert due(300.0, *EPISODES) == []


def test_a_fault_waits_until_the_action_before_it_is_judged() -> None:
    warm, known = Progress(0.0, 0.0, 100.0), {"load": 100.0, "errors": 115.0}
    arming = decision("faq", action=Action.CACHE, direction=Direction.ARM)

    def due(one: SeenDecision, seconds: float) -> list[str]:
        return [found.fault for found in DIRECTOR.due(warm, scene(one, at=seconds, begun=known))]

    assert due(arming, 150.0) == ["repeats"]
    assert due(arming, 120.0) == []
    assert due(replace(arming, verdict=None), 150.0) == []
    assert due(replace(arming, direction=Direction.ON), 150.0) == []


def test_it_ends_when_the_time_is_up_or_everything_is_judged() -> None:
    warm = Progress(0.0, 0.0, 1000.0)
    assert not DIRECTOR.is_over(Progress(0.0), at(5000.0))
    assert not DIRECTOR.is_over(warm, at(1000.0 + LONGEST_S - 1.0))
    assert DIRECTOR.is_over(warm, at(1000.0 + LONGEST_S))
    only_load = Director((EPISODES["load"],))
    assert only_load.is_over(warm, scene(decision()))
