"""Cold starts, measured from the target's own pods."""

import pytest

from aurora.observe.facts import PodFacts
from aurora.state.coldstart import DEFAULT_COLD_START_S, KEPT_STARTS, ColdStartMemory, observe_pods
from tests.unit.state.given import NOW, pod


def started(name: str, seconds: float, *, pending: float = 2.0, **over: object) -> PodFacts:
    ready = {"ready": True, "ready_at": NOW + seconds, "scheduled_at": NOW + pending}
    return pod(name, **(ready | over))


def after(*pods: PodFacts, template: str = "t1") -> ColdStartMemory:
    return observe_pods(ColdStartMemory(), pods, template)


def test_two_minutes_are_assumed_until_three_starts_were_seen() -> None:
    found = after(started("a", 20), started("b", 30)).cold_start()
    assert (found.p50_s, found.p90_s) == (DEFAULT_COLD_START_S, DEFAULT_COLD_START_S)
    assert (found.starts, found.measured) == (2, False)


def test_the_quantiles_and_the_pending_time_of_three_starts() -> None:
    found = after(started("a", 20), started("b", 30), started("c", 40, pending=6)).cold_start()
    assert found.p50_s == 30.0
    assert found.p90_s == pytest.approx(38.0)
    assert found.pending_p50_s == 2.0
    assert found.measured


def test_a_pod_is_counted_once_however_often_it_is_seen() -> None:
    memory = after(started("a", 20), started("b", 30))
    for flap in (100.0, 200.0):
        memory = observe_pods(memory, [started("a", flap), started("b", 30)], "t1")
    assert [s for s, _ in memory.starts] == [20.0, 30.0]


@pytest.mark.parametrize(
    "ignored",
    [
        pytest.param(started("x", 20, restarts=1), id="a pod that restarted"),
        pytest.param(started("x", 20, deleting=True), id="a pod being deleted"),
        pytest.param(started("x", 20, template_hash="t0"), id="a pod of another template"),
        pytest.param(started("x", 9000), id="a pod that became ready again much later"),
        pytest.param(started("x", -5), id="a clock that is wrong"),
        pytest.param(pod("x"), id="a pod that is not ready yet"),
    ],
)
def test_what_says_nothing_about_a_start_is_ignored(ignored: PodFacts) -> None:
    assert after(ignored).starts == ()


def test_another_template_starts_from_what_was_measured() -> None:
    memory = after(*(started(n, 20) for n in "abc"))
    changed = observe_pods(memory, [started("d", 80, template_hash="t2")], "t2")
    found = changed.cold_start()
    assert (found.p50_s, found.starts, found.measured) == (20.0, 1, False)


def test_the_memory_is_bounded_by_the_pods_that_there_are() -> None:
    memory = ColdStartMemory()
    for n in range(100):
        memory = observe_pods(memory, [started(f"p{n}", 20 + n)], "t1")
    assert len(memory.starts) == KEPT_STARTS
    assert memory.counted == ("p99",)
