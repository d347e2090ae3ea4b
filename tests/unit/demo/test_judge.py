"""When the demo succeeded, and with which sentence it did not."""

from typing import Any

import pytest

from aurora.demo.judge import is_settled, judge
from aurora.demo.scenario import EPISODES
from aurora.demo.seen import Scene
from aurora.resources.vocabulary import Action, Direction, OutcomeVerdict, Phase
from tests.unit.demo.support import BEGUN, buckets, decision, scene

LOAD, ERRORS, REPEATS = EPISODES["load"], EPISODES["errors"], EPISODES["repeats"]
SLOW_THEN_WELL = {"buckets": buckets((900.0, 1055.0, 4.0), (1055.0, 1200.0, 0.3))}


def judged(*decisions: Any, **changes: Any) -> Scene:
    return scene(*decisions, **({"chat": SLOW_THEN_WELL} | changes))


def routed(direction: Direction, at: float, **changes: Any) -> Any:
    return decision(
        "assistant",
        name=f"assistant-{direction}",
        action=Action.ROUTE,
        direction=direction,
        before={"route": "primary"},
        after={"route": "fallback", "undo": "x"},
        decided_at=BEGUN + at,
        executed_at=BEGUN + at,
        **changes,
    )


def test_a_fault_that_was_answered_and_felt_was_handled() -> None:
    summary = judge((LOAD,), judged(decision()))
    assert summary.failures == ()
    line = summary.lines[0]
    assert (line.decided_after_s, line.done_after_s) == (10.0, 11.0)
    assert (line.before, line.after) == (4.0, 0.3)


FAILED = {
    "nothing was decided": (judged(), "load: SCALE Up of chat was not executed"),
    "it was only proposed": (
        judged(decision(executed_at=None, phase=Phase.AWAITING_APPROVAL)),
        "was not executed",
    ),
    "it was decided before the fault": (
        judged(decision(decided_at=BEGUN - 30.0, executed_at=BEGUN - 29.0)),
        "was not executed",
    ),
    "another direction was taken": (
        judged(decision(direction=Direction.DOWN)),
        "was not executed",
    ),
    "it made things worse": (
        judged(decision(verdict=OutcomeVerdict.REGRESSED)),
        "was judged Regressed: ttftP95 was 0.3 s",
    ),
    "it was taken back": (
        judged(decision(phase=Phase.ROLLED_BACK)),
        "was undone (RolledBack)",
    ),
    "a second step made things worse": (
        judged(
            decision(),
            decision(name="chat-2", decided_at=BEGUN + 20, verdict=OutcomeVerdict.REGRESSED),
        ),
        "was judged Regressed",
    ),
    "it was not judged": (
        judged(decision(verdict=None, phase=Phase.VERIFYING)),
        "was not judged before the run ended",
    ),
    "callers felt nothing of it": (
        judged(decision(), chat={"buckets": buckets((900.0, 1200.0, 4.0))}),
        "callers' TTFT p95 of chat did not improve: 4 before, 4 after",
    ),
    "nobody called": (
        judged(decision(), chat={"buckets": ()}),
        "could not be compared",
    ),
    "the untouched model was told of": (
        judged(decision(), decision("search", action=Action.ALERT, executed_at=None)),
        "search had no fault, but there is search-1",
    ),
    "a model without a fault was changed": (
        judged(decision(), decision("faq")),
        "faq-1 (SCALE 2 to 4 of faq) was not called for",
    ),
    "the wrong thing was done as well": (
        judged(decision(), decision(name="chat-2", action=Action.CACHE, direction=Direction.ON)),
        "chat-2 (CACHE 2 to 4 of chat) was not called for",
    ),
    "it was done before the fault as well": (
        judged(decision(), decision(name="chat-0", decided_at=BEGUN - 60.0)),
        "chat-0 (SCALE 2 to 4 of chat) was not called for",
    ),
}


@pytest.mark.parametrize(("seen", "sentence"), FAILED.values(), ids=FAILED)
def test_the_demo_fails_when(seen: Scene, sentence: str) -> None:
    failures = judge((LOAD,), seen).failures
    assert sentence in failures[0]


NO_MISTAKE = {
    "a second step in the same direction": decision(name="chat-2", decided_at=BEGUN + 20),
    "telling people of the fault": decision(
        name="chat-2", action=Action.ALERT, direction=None, decided_at=BEGUN + 20
    ),
    "a proposal on another model that was not carried out": decision("faq", executed_at=None),
    "arming, which the manifest asks for": decision(
        "faq", action=Action.CACHE, direction=Direction.ARM, decided_at=BEGUN - 30.0
    ),
}


@pytest.mark.parametrize("more", NO_MISTAKE.values(), ids=NO_MISTAKE)
def test_no_mistake_is(more: Any) -> None:
    assert judge((LOAD,), judged(decision(), more)).failures == ()


def failing(*decisions: Any, shares: tuple[float, ...] = (0.4, 0.0)) -> Scene:
    parts = ((900.0, 1020.0, 0.3), (1020.0, 1200.0, 0.3))
    seen = {"buckets": buckets(*parts, errors=shares)}
    return scene(*decisions, begun={"errors": BEGUN}, assistant=seen)


def test_errors_are_answered_by_the_way_to_the_fallback_and_back() -> None:
    there, back = routed(Direction.FALLBACK, 12.0), routed(Direction.PRIMARY, 90.0)
    summary = judge((ERRORS,), failing(there, back))
    assert summary.failures == ()
    assert summary.lines[0].before == pytest.approx(0.4)
    assert summary.lines[0].after == 0.0
    assert judge((ERRORS,), failing(there)).failures == (
        "errors: ROUTE Primary of assistant was not executed",
    )
    # A way back before the way there is none.
    early = routed(Direction.PRIMARY, 5.0)
    assert "was not executed" in judge((ERRORS,), failing(early, there)).failures[0]


def test_what_callers_feel_after_the_fault_is_over_is_no_proof() -> None:
    """Errors that end by themselves would make any action look good."""
    parts = ((900.0, 1080.0, 0.3), (1080.0, 1200.0, 0.3))
    seen = scene(
        routed(Direction.FALLBACK, 12.0),
        routed(Direction.PRIMARY, 90.0),
        begun={"errors": BEGUN},
        assistant={"buckets": buckets(*parts, errors=(0.4, 0.0))},
    )
    assert "did not improve" in judge((ERRORS,), seen).failures[0]


def test_a_run_is_settled_when_all_is_judged_and_felt() -> None:
    assert is_settled((LOAD,), judged(decision()))
    assert not is_settled((LOAD,), judged())
    assert not is_settled((LOAD,), judged(decision(verdict=None)))
    assert not is_settled((LOAD,), scene(decision(), at=BEGUN + 60.0))
    assert not is_settled((LOAD, REPEATS), judged(decision()))
