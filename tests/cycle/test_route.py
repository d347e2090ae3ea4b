"""ROUTE through the whole loop: there, verified, and back after the primary proved itself."""

from pathlib import Path
from typing import Any

from aurora.kube.kinds import MODEL_DEPLOYMENT, SERVICE, Ref
from aurora.resources import DecisionObject
from tests.cycle.world import World, operator
from tests.support.builders import NAMESPACE

PRIMARY, SPARE = {"app": "llama"}, {"app": "spare"}


def with_fallback(folder: Path, **spec: Any) -> World:
    world = World(folder)
    world.deploy("llama", 2)
    world.deploy("spare", 1)
    # The load needs both replicas, so that SCALE has nothing to say.
    world.served["llama"].load = 8.0
    fallback = {"serviceRef": {"name": "spare"}}
    world.apply_model(**({"fallback": fallback, "scaling": {"minReplicas": 2}} | spec))
    return world


def _verdict(found: DecisionObject) -> str:
    return "" if found.status.outcome is None else str(found.status.outcome.verdict)


def _made(found: DecisionObject) -> float:
    assert found.metadata.creation_timestamp is not None
    return found.metadata.creation_timestamp.timestamp()


async def test_callers_go_to_the_fallback_and_return_when_the_primary_is_well(
    tmp_path: Path,
) -> None:
    world = with_fallback(tmp_path)
    async with operator(world) as run:
        await run.cycles(3)
        assert world.decisions() == []
        world.served["llama"].errors = 0.5
        await run.until("Verifying", action="ROUTE")
        assert world.selector() == SPARE
        world.served["llama"].errors = 0.0
        await run.until("Completed", "Verifying", action="ROUTE", within=60)
        assert world.selector() == PRIMARY
        await run.until("Completed", "Completed", action="ROUTE")
    model = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama"))
    assert "finalizers" not in model["metadata"], "all stands as it was found"
    assert [_verdict(one) for one in world.decisions(action="ROUTE")] == ["Improved"] * 2
    assert [one.spec.direction for one in world.decisions(action="ROUTE")] == [
        "Fallback",
        "Primary",
    ]


async def test_the_switch_is_one_patch_and_its_undo_was_written_before(tmp_path: Path) -> None:
    world = with_fallback(tmp_path)
    async with operator(world) as run:
        await run.cycles(2)
        world.served["llama"].errors = 0.5
        await run.until("Verifying", action="ROUTE")
    effects = world.writes(to="Service/llama", touching="/spec")
    # With the annotation that names the decision, which the Service did not have yet.
    assert [one[2] for one in effects] == ["/spec/selector,/metadata/annotations"]
    every = world.writes()
    before = every[: every.index(effects[0])]
    assert any(one[2] == "/status:Executing" for one in before)
    (found,) = world.decisions(action="ROUTE")
    assert [one.from_ for one in found.status.changes] == ['{"app":"llama"}']


async def test_a_dead_primary_is_left_with_no_metric_at_all(tmp_path: Path) -> None:
    world = with_fallback(tmp_path)
    async with operator(world) as run:
        await run.cycles(3)
        world.broken.add("llama")
        await run.until("Completed", action="ROUTE")
        (found,) = world.decisions(action="ROUTE")
        assert found.spec.reason in {"NoReadyEndpoint", "CrashLooping"}
        assert found.status.outcome is not None
        assert found.status.outcome.verdict == "Improved", found.status.outcome.message
        assert world.selector() == SPARE
        world.broken.clear()
        await run.until("Completed", "Completed", action="ROUTE", within=60)
        assert world.selector() == PRIMARY


async def test_a_primary_that_only_looks_well_is_left_again_and_waits_longer(
    tmp_path: Path,
) -> None:
    """Its pods are Ready and answer probes all along; only callers get errors."""
    world = with_fallback(tmp_path)
    async with operator(world) as run:
        await run.cycles(3)
        world.served["llama"].errors = 0.5
        for _ in range(160):
            await run.cycles()
            there = world.decisions(action="ROUTE", direction="Fallback")
            back = world.decisions(action="ROUTE", direction="Primary")
            if len(there) == 4:
                break
        assert [_verdict(one) for one in back][:2] == ["Regressed"] * 2
        times = [_made(one) for one in (there[0], back[0], there[1], back[1], there[2], back[2])]
        assert times[1] - times[0] <= 200, "after its own contract was measured"
        assert times[3] - times[2] >= 120, "twice the window of 60 s"
        assert times[5] - times[4] >= 240, "four times"


async def test_no_probe_answered_no_way_back(tmp_path: Path) -> None:
    world = with_fallback(tmp_path)
    async with operator(world) as run:
        await run.cycles(3)
        world.served["llama"].errors = 0.5
        world.probes_fail = True
        await run.until("Completed", action="ROUTE")
        world.served["llama"].errors = 0.0
        await run.cycles(40)
        assert world.phases(action="ROUTE") == ["Completed"]
        assert world.selector() == SPARE


async def test_a_selector_that_somebody_else_set_meanwhile_is_left_alone(tmp_path: Path) -> None:
    world = with_fallback(tmp_path)
    async with operator(world) as run:
        await run.cycles(3)
        world.served["llama"].errors = 0.5
        world.probes_fail = True
        await run.until("Completed", action="ROUTE")
        world.probes_fail = False
        service = world.cluster.peek(Ref(SERVICE, NAMESPACE, "llama"))
        service["spec"]["selector"] = {"app": "mine"}
        world.cluster.put(SERVICE, service)
        world.served["llama"].errors = 0.0
        await run.until("Completed", "Failed", action="ROUTE", within=60)
        assert world.selector() == {"app": "mine"}


async def test_nothing_is_scaled_on_the_fallbacks_load(tmp_path: Path) -> None:
    world = with_fallback(tmp_path)
    async with operator(world) as run:
        await run.cycles(3)
        world.served["llama"].errors = 0.5
        world.served["spare"].load = 60.0
        await run.until("Verifying", action="ROUTE")
        world.probes_fail = True
        await run.cycles(30)
        assert world.decisions(action="SCALE") == []
        assert world.replicas() == 2
