"""Writes that another manager takes back: counted, and never our own doing."""

from typing import Any

import pytest

from aurora.executor.landings import REMEMBERED, Landings
from aurora.executor.reverts import Reverts, is_reverted
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase
from tests.support.builders import KEY, NOW, autoscaler, entry, ledger, observation, target

UP: dict[str, Any] = {
    "id": "up",
    "before": {"replicas": "2"},
    "after": {"replicas": "3"},
    "phase": Phase.VERIFYING,
    "executed_at": NOW - 60,
}


@pytest.mark.parametrize(
    ("over", "seen", "reverted"),
    [
        pytest.param({}, {"target": target(3)}, False, id="it stands"),
        pytest.param({}, {"target": target(2)}, True, id="set back"),
        pytest.param({}, {"target": target(5)}, False, id="a user set another number"),
        pytest.param(
            {"phase": Phase.COMPLETED}, {"target": target(2)}, True, id="set back after it was done"
        ),
        pytest.param({"phase": Phase.ROLLING_BACK}, {"target": target(2)}, False, id="we undo it"),
        pytest.param({"phase": Phase.ROLLED_BACK}, {"target": target(2)}, False, id="we undid it"),
        pytest.param({"phase": Phase.FAILED}, {"target": target(2)}, False, id="never written"),
        pytest.param(
            {"phase": Phase.COMPLETED, "verdict": OutcomeVerdict.REGRESSED},
            {"target": target(2)},
            False,
            id="it did harm",
        ),
        pytest.param(
            {"executed_at": NOW - 5}, {"target": target(2)}, False, id="the watch is late"
        ),
        pytest.param(
            {},
            {"target": target(6), "autoscalers": (autoscaler(3, 8),)},
            False,
            id="the autoscaler scales above the floor",
        ),
        pytest.param(
            {},
            {"target": target(6), "autoscalers": (autoscaler(2, 8),)},
            True,
            id="the floor was set back",
        ),
        pytest.param({}, {"target": None}, False, id="the target is gone"),
    ],
)
def test_what_counts_as_taken_back(
    over: dict[str, Any], seen: dict[str, Any], reverted: bool
) -> None:
    book = ledger(entry(**(UP | over)))
    assert is_reverted(book, observation(**seen), at=NOW) == ("up" if reverted else "")


@pytest.mark.parametrize(
    ("seen", "reverted"),
    [
        pytest.param("100", False, id="from before our write"),
        pytest.param("101", False, id="our write itself"),
        pytest.param("102", True, id="from after it"),
        pytest.param("9" * 21, False, id="no version that there can be"),
        pytest.param("abc", False, id="no number"),
    ],
)
@pytest.mark.parametrize("scaler", [False, True], ids=["replicas", "the floor"])
def test_at_once_only_a_later_version_counts(seen: str, reverted: bool, scaler: bool) -> None:
    landings = Landings()
    moved = autoscaler(2, 8, resource_version=seen) if scaler else target(2, resource_version=seen)
    landings.note(moved.uid, {"metadata": {"resourceVersion": "101"}})
    book = ledger(entry(**(UP | {"executed_at": NOW - 1})))
    if scaler:
        now = observation(target=target(6, uid="other"), autoscalers=(moved,))
    else:
        now = observation(target=moved)
    assert is_reverted(book, now, at=NOW, landings=landings) == ("up" if reverted else "")
    assert is_reverted(book, now, at=NOW + 60) == "up", "the clock decides where nothing is known"


def test_what_was_not_written_is_not_noted() -> None:
    landings = Landings()
    landings.note("uid", None)
    landings.note("uid", {"metadata": {"resourceVersion": "opaque"}})
    assert not landings.is_later("uid", "5")
    assert not landings.is_later("never", "5")


def test_the_landings_of_long_ago_are_forgotten() -> None:
    landings = Landings()
    for number in range(REMEMBERED + 1):
        landings.note(f"uid-{number}", {"metadata": {"resourceVersion": "1"}})
    assert not landings.is_later("uid-0", "5")
    assert landings.is_later("uid-1", "5")


def test_only_the_newest_scale_is_looked_at() -> None:
    later = entry(
        id="down",
        direction=Direction.DOWN,
        decided_at=NOW - 50,
        executed_at=NOW - 50,
        before={"replicas": "3"},
        after={"replicas": "2"},
    )
    assert not is_reverted(ledger(entry(**UP), later), observation(target=target(2)), at=NOW)
    alert = entry(id="x", action=Action.ALERT, decided_at=NOW, executed_at=NOW)
    assert is_reverted(ledger(entry(**UP), alert), observation(target=target(2)), at=NOW)


BACK: ModelObservation = observation(target=target(2))


def look(reverts: Reverts, name: str, monotonic: float) -> int:
    book = ledger(entry(**(UP | {"id": name})))
    reverts.look(book, {KEY: BACK}, monotonic, at=NOW)
    return reverts.count(KEY, monotonic)


def test_each_write_counts_once_and_for_an_hour() -> None:
    reverts = Reverts()
    assert look(reverts, "a", 1000.0) == 1
    assert look(reverts, "a", 1015.0) == 1, "it stands as it was set back: not again"
    assert look(reverts, "b", 1030.0) == 2
    assert reverts.count(KEY, 1000.0 + 3600.0) == 2
    assert reverts.count(KEY, 1000.0 + 3601.0) == 1
    assert reverts.count(KEY, 1000.0 + 3700.0) == 0


def test_an_old_revert_that_still_stands_is_not_a_new_one() -> None:
    reverts = Reverts()
    look(reverts, "a", 1000.0)
    assert look(reverts, "a", 9000.0) == 0, "hours later the value is still the old one"
    assert look(reverts, "b", 9015.0) == 1


def test_a_model_that_is_gone_is_forgotten() -> None:
    reverts = Reverts()
    look(reverts, "a", 1000.0)
    reverts.look(ledger(), {}, 1015.0, at=NOW)
    assert reverts.count(KEY, 1015.0) == 0
