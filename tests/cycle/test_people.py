"""ALERT, proposals and rejections: told once, repeated hourly, and never in the way."""

from pathlib import Path
from typing import Any

import pytest

from aurora.kube.kinds import EVENT, MODEL_DEPLOYMENT, Ref
from aurora.observe.sample import Gap
from tests.cycle.world import World, operator
from tests.support.builders import NAMESPACE, merged

HOUR = 240
"""Cycles."""


def steady(folder: Path, **spec: Any) -> World:
    """Two replicas that are needed and enough."""
    world = World(folder)
    world.deploy(replicas=2)
    world.served["llama"].load = 8.0
    world.apply_model(**merged({"scaling": {"minReplicas": 2}}, spec))
    return world


def events(world: World, reason: str) -> int:
    return sum(one["reason"] == reason for one in world.cluster.all_of(EVENT))


def condition(world: World, type_: str) -> dict[str, Any]:
    model = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama"))
    found = model.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == type_), {})


async def test_an_alert_is_told_once_and_again_after_an_hour_on_the_same_object(
    tmp_path: Path,
) -> None:
    world = steady(tmp_path)
    world.served["llama"].client_errors = 0.5
    async with operator(world) as run:
        await run.cycles(HOUR - 2)
        (found,) = world.decisions()
        assert (found.spec.action, found.status.phase) == ("ALERT", "Completed")
        assert world.people.told == [found.metadata.name]
        assert found.status.repeats == 0
        await run.cycles(4)
        assert [one.status.repeats for one in world.decisions()] == [1]
        assert world.people.told == [found.metadata.name] * 2
        assert events(world, "ClientErrors") == 2
        await run.cycles(HOUR)
        assert [one.status.repeats for one in world.decisions()] == [2]


async def test_an_alert_that_comes_back_much_later_is_a_new_one(tmp_path: Path) -> None:
    world = steady(tmp_path)
    world.served["llama"].client_errors = 0.5
    async with operator(world) as run:
        await run.cycles(4)
        world.served["llama"].client_errors = 0.0
        await run.cycles(3 * HOUR)
        world.served["llama"].client_errors = 0.5
        await run.cycles(4)
        assert len(world.decisions(action="ALERT")) == 2


async def test_an_alert_is_told_while_an_action_is_in_flight(tmp_path: Path) -> None:
    world = steady(tmp_path, scaling={"minReplicas": 3})
    async with operator(world) as run:
        await run.cycles(2)
        assert world.phases(action="SCALE") == ["Verifying"]
        world.served["llama"].client_errors = 0.5
        await run.cycles(2)
        assert world.phases(action="ALERT") == ["Completed"]


async def test_observing_records_what_would_be_done_and_alerts(tmp_path: Path) -> None:
    world = steady(tmp_path, scaling={"minReplicas": 3}, autonomy={"mode": "Observe"})
    world.served["llama"].client_errors = 0.5
    async with operator(world) as run:
        await run.cycles(20)
    (scale,) = world.decisions(action="SCALE")
    assert scale.status.phase == "Rejected"
    assert "the mode for SCALE is Observe" in scale.spec.message
    assert world.phases(action="ALERT") == ["Completed"]
    assert world.replicas() == 2
    assert world.writes(to="Deployment") == []


async def test_a_rejection_is_recorded_once_an_hour(tmp_path: Path) -> None:
    freeze = [{"actions": 0, "schedule": "* * * * *", "duration": "10h"}]
    world = steady(tmp_path, scaling={"minReplicas": 1}, autonomy={"budgets": freeze})
    world.deploy(replicas=4)
    async with operator(world) as run:
        await run.cycles(HOUR - 5)
        (found,) = world.decisions()
        assert (found.spec.action, found.status.phase) == ("SCALE", "Rejected")
        assert found.status.repeats == 0
        assert "a freeze window is in force" in found.spec.message
        await run.cycles(10)
        assert [one.status.repeats for one in world.decisions()] == [1]
        assert world.replicas() == 4


async def test_a_freeze_window_that_cannot_be_read_freezes_and_says_so(tmp_path: Path) -> None:
    budget = {"actions": 0, "schedule": "0 8 * * *", "duration": "1h", "timeZone": "No/Where"}
    world = steady(tmp_path, scaling={"minReplicas": 1}, autonomy={"budgets": [budget]})
    world.deploy(replicas=4)
    async with operator(world) as run:
        await run.cycles(4)
        (found,) = world.decisions()
        assert "time zone No/Where is not known here" in found.spec.message
        assert (
            run.telemetry.registry.get_sample_value(
                "aurora_model_failures_total", {"stage": "decide", "error": "Unexpected"}
            )
            == 0.0
        )


async def test_a_proposal_waits_is_approved_and_measured(tmp_path: Path) -> None:
    world = steady(tmp_path, scaling={"minReplicas": 3}, autonomy={"mode": "Recommend"})
    async with operator(world) as run:
        await run.cycles(6)
        (found,) = world.decisions()
        assert found.status.phase == "AwaitingApproval"
        assert world.people.told == [found.metadata.name], "a person is asked by the webhook too"
        assert condition(world, "ApprovalPending")["status"] == "True"
        world.approve(found)
        await run.until("Completed")
        assert world.replicas() == 3
        (done,) = world.decisions()
        assert done.status.decided_by == "ann"
        await run.cycles()
        assert condition(world, "ApprovalPending")["status"] == "False"


async def test_a_denial_stands_for_an_hour(tmp_path: Path) -> None:
    world = steady(tmp_path, scaling={"minReplicas": 3}, autonomy={"mode": "Recommend"})
    async with operator(world) as run:
        await run.cycles(2)
        world.approve(world.decisions()[0], "Deny")
        await run.cycles(HOUR - 5)
        assert world.phases() == ["Denied"]
        await run.cycles(10)
        assert world.phases() == ["Denied", "AwaitingApproval"]
        assert world.replicas() == 2


async def test_a_proposal_that_lapsed_is_not_made_again_at_once(tmp_path: Path) -> None:
    autonomy = {"mode": "Recommend", "approvalTTL": "5m"}
    world = steady(tmp_path, scaling={"minReplicas": 3}, autonomy=autonomy)
    async with operator(world) as run:
        await run.cycles(HOUR - 5)
        assert world.phases() == ["Expired"]
        await run.cycles(40)
        assert world.phases() == ["Expired", "AwaitingApproval"]


async def test_an_approval_of_what_is_no_longer_so_changes_nothing(tmp_path: Path) -> None:
    """Two to three was proposed; meanwhile somebody set five, and then it is approved."""
    world = steady(tmp_path, scaling={"minReplicas": 3}, autonomy={"mode": "Recommend"})
    async with operator(world) as run:
        await run.cycles(2)
        found = world.decisions()[0]
        world.set_replicas(5)
        await run.cycles(1)
        world.approve(found)
        await run.cycles(2)
        assert world.replicas() == 5
        assert world.phases(direction="Up") == ["Failed"]


@pytest.mark.parametrize("gap", list(Gap), ids=str)
async def test_without_evidence_nothing_is_done_and_recovery_needs_no_restart(
    tmp_path: Path, gap: Gap
) -> None:
    world = steady(tmp_path, scaling={"minReplicas": 1, "maxReplicas": 8})
    async with operator(world) as run:
        await run.cycles(40)
        done, replicas = len(world.decisions()), world.replicas()
        world.served["llama"].load = 40.0
        world.served["llama"].dark = gap
        await run.cycles(100)
        assert len(world.decisions()) == done
        assert world.replicas() == replicas
        assert condition(world, "MetricsAvailable")["status"] == "False"
        assert condition(world, "Ready")["status"] == "False"
        world.served["llama"].dark = None
        await run.cycles(4)
        assert world.replicas() > replicas
        assert condition(world, "Ready")["status"] == "True"


async def test_the_kill_switch_stops_everything_and_lifting_it_lets_it_go(tmp_path: Path) -> None:
    world = steady(tmp_path, scaling={"minReplicas": 3})
    world.stop("true")
    async with operator(world) as run:
        await run.cycles(5)
        assert world.decisions() == []
        assert world.replicas() == 2
        assert condition(world, "Paused")["reason"] == "Stopped"
        world.stop("false")
        await run.cycles(2)
        assert world.replicas() == 3


async def test_an_undo_waits_for_the_kill_switch(tmp_path: Path) -> None:
    world = steady(tmp_path, scaling={"minReplicas": 3})
    async with operator(world) as run:
        world.broken.add("llama")  # the new pod never comes
        world.served["llama"].dark = None
        await run.cycles(2)
        assert world.replicas() == 3
        world.stop("true")
        await run.cycles(40)
        assert world.replicas() == 3
        world.stop("false")
        await run.cycles(3)
        assert world.phases(action="SCALE")[0] == "RolledBack"
        assert world.replicas() == 2
