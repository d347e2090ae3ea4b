"""SCALE through the whole loop."""

from pathlib import Path
from typing import Any

from aurora.kube.kinds import MODEL_DEPLOYMENT, Ref
from aurora.resources.names import ORIGINAL_ANNOTATION
from tests.cycle.world import World, operator, teach
from tests.support.builders import NAMESPACE


def overloaded(folder: Path) -> World:
    """Two replicas serve 14 requests/s, seven each: their TTFT is 3.3 s against 3 s."""
    world = World(folder)
    world.deploy(replicas=2)
    world.served["llama"].load = 14.0
    world.apply_model()
    return world


async def test_too_much_load_is_met_with_replicas_that_are_measured(tmp_path: Path) -> None:
    world = overloaded(tmp_path)
    async with operator(world) as run:
        await run.until("Completed", action="SCALE")
        assert world.replicas() > 2
        (found,) = world.decisions(action="SCALE")
        assert found.status.outcome is not None
        assert found.status.outcome.verdict == "Improved"
        assert found.status.decided_by == "aurora"


async def test_the_undo_hint_is_written_before_the_effect(tmp_path: Path) -> None:
    world = overloaded(tmp_path)
    async with operator(world) as run:
        await run.until("Verifying", action="SCALE")
    every = world.writes()
    kinds = [(verb, name.partition("/")[0], touched) for verb, name, touched in every]
    made = kinds.index(("create", "Decision", ""))
    effect = kinds.index(("patch", "Deployment", "/spec/replicas"))
    announced = kinds.index(("patch", "Decision", "/status:Executing"))
    confirmed = kinds.index(("patch", "Decision", "/status:Verifying"))
    kept = next(
        n for n, one in enumerate(kinds) if one[1] == "ModelDeployment" and "finalizers" in one[2]
    )
    assert made < kept < effect
    assert made < announced < effect < confirmed
    assert sum(one == kinds[effect] for one in kinds) == 1


async def test_a_steady_state_writes_nothing(tmp_path: Path) -> None:
    world = overloaded(tmp_path)
    async with operator(world) as run:
        # The first minutes know no error of a forecast and are careful; then it is left alone.
        await run.cycles(100)
        before = len(world.cluster.writes)
        for step in range(40):
            # Other readings in every cycle, none of which anybody would act on.
            world.served["llama"].load = 14.0 + 0.01 * (step % 5)
            await run.cycles()
        assert world.cluster.writes[before:] == []
        assert world.replicas() > 2


async def test_the_model_tells_what_was_decided(tmp_path: Path) -> None:
    world = overloaded(tmp_path)
    async with operator(world) as run:
        await run.until("Completed", action="SCALE")
        await run.cycles()
    status = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama"))["status"]
    assert status["lastDecision"]["outcome"] == "Improved"
    assert status["replicas"]["desired"] == world.replicas()
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Reconciled")


async def test_a_scale_down_that_breaks_the_objective_is_undone_and_remembered(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.deploy(replicas=4)
    world.served["llama"].load = 4.0
    world.apply_model()
    await teach(world, load=4.0, ready=4)
    async with operator(world) as run:
        await run.until("Verifying", action="SCALE")
        assert world.replicas() == 3
        world.served["llama"].extra_ttft = 5.0  # far above what the load explains
        await run.until("RolledBack", action="SCALE")
        assert world.replicas() == 4
        (found,) = world.decisions(action="SCALE")
        assert found.status.outcome is not None
        assert found.status.outcome.verdict == "Regressed"
        world.served["llama"].extra_ttft = 0.0
        await run.cycles(30)
        phases = world.phases(action="SCALE", direction="Down")
        assert phases == ["RolledBack", "AwaitingApproval"], "the same is asked about first"
        assert world.replicas() == 4
    model = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama"))
    assert ORIGINAL_ANNOTATION not in model["metadata"]["annotations"], "all stands as found"
    assert "finalizers" not in model["metadata"]


async def test_its_own_writes_do_not_stand_in_the_way_of_the_status(tmp_path: Path) -> None:
    """Watch events come after the cycle that caused them, as they do on a busy API server."""
    world = overloaded(tmp_path)
    late: list[tuple[Any, ...]] = []
    async with operator(world) as run:
        world.cluster.listeners[:] = [lambda *event: late.append(event)]
        while world.phases(action="SCALE") != ["Verifying"]:
            await run.cycles()
            for event in late:
                run.fleet.apply_event(*event)
            late.clear()
        labels = {"stage": "status", "error": "ConflictError"}
        found = run.telemetry.registry.get_sample_value("aurora_model_failures_total", labels)
    assert not found
