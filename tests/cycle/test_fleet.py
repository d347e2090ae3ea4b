"""Several models: what goes wrong with one stays with it, and limits hold over all."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from aurora.errors import ConfigurationError
from aurora.kube.kinds import MODEL_DEPLOYMENT, Ref
from tests.cycle.world import World, operator
from tests.support.builders import NAMESPACE

NAMES = ("a", "b", "c")


def three(folder: Path, **spec: Any) -> World:
    world = World(folder)
    for name in NAMES:
        world.deploy(name, 2)
        world.served[name].load = 8.0
        world.apply_model(name, **({"scaling": {"minReplicas": 3, "maxReplicas": 3}} | spec))
    return world


def failures(run: Any, stage: str, error: str) -> float:
    labels = {"stage": stage, "error": error}
    found = run.telemetry.registry.get_sample_value("aurora_model_failures_total", labels)
    return float(found or 0.0)


@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        pytest.param(RuntimeError("nobody thought of this"), "Unexpected", id="unexpected"),
        pytest.param(ConfigurationError("on purpose"), "ConfigurationError", id="on purpose"),
    ],
)
@pytest.mark.parametrize(
    ("stage", "module", "name"),
    [
        pytest.param("decide", "aurora.deliberation", "plan", id="the planner"),
        pytest.param("state", "aurora.cycle", "advance", id="the state"),
        pytest.param("status", "aurora.executor.statuses", "status_of", id="the status"),
        pytest.param("followup", "aurora.executor.followup", "settle", id="the measurement"),
    ],
)
async def test_a_fault_with_one_model_stays_with_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    module: str,
    name: str,
    fault: Exception,
    counted: str,
) -> None:
    where = importlib.import_module(module)
    real = getattr(where, name)

    def breaks(*args: Any, **kwargs: Any) -> Any:
        about = str(args[:2])
        if "name='b'" in about or "b-scale" in about:
            raise fault
        return real(*args, **kwargs)

    monkeypatch.setattr(where, name, breaks)
    world = three(tmp_path)
    async with operator(world) as run:
        await run.cycles(20)
        assert failures(run, stage, counted) > 0
        for one in ("a", "c"):
            assert world.replicas(one) == 3
            model = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, one))
            assert model["status"]["lastDecision"]["outcome"]
        assert world.replicas("b") == (2 if stage in {"decide", "state"} else 3)


async def test_few_models_change_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    for name in "abcde":
        world.deploy(name, 2)
        world.served[name].load = 8.0
        world.apply_model(name, scaling={"minReplicas": 3, "maxReplicas": 3})
    async with operator(world, blast_radius_minimum=2) as run:
        for _ in range(60):
            await run.cycles()
            flying = [p for p in world.phases() if p in {"Approved", "Executing", "Verifying"}]
            assert len(flying) <= 2
        assert [world.replicas(name) for name in "abcde"] == [3] * 5


async def test_two_objects_with_one_target_do_not_fight(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deploy("llama", 2)
    world.served["llama"].load = 8.0
    world.apply_model("llama", scaling={"minReplicas": 3, "maxReplicas": 3})
    world.clock.at += 5
    world.apply_model(
        "rival",
        targetRef={"name": "llama"},
        serviceRef={"name": "llama"},
        scaling={"minReplicas": 5, "maxReplicas": 5},
    )
    async with operator(world) as run:
        await run.cycles(40)
    assert world.replicas() == 3
    assert {one.spec.model_ref.name for one in world.decisions()} == {"llama"}
    rival = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "rival"))
    ready = next(one for one in rival["status"]["conditions"] if one["type"] == "Ready")
    assert ready["reason"] == "TargetConflict"


async def test_a_write_that_is_taken_back_twice_is_asked_about(tmp_path: Path) -> None:
    """Somebody's pipeline sets two replicas again, each time."""
    world = World(tmp_path)
    world.deploy("llama", 2)
    world.served["llama"].load = 8.0
    world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 3})
    async with operator(world) as run:
        for _ in range(2):
            await run.cycles(2)
            assert world.replicas() == 3
            world.set_replicas(2)
            await run.cycles(3)
        await run.cycles(6)
        assert world.phases(action="SCALE")[-1] == "AwaitingApproval"
        model = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama"))
        found = {c["type"]: c["status"] for c in model["status"]["conditions"]}
        assert found["ExternallyReverted"] == "True"
        verdicts = [one.status.outcome.verdict for one in world.decisions() if one.status.outcome]
        assert set(verdicts) == {"Confounded"}, "it counts for nothing"
        await run.cycles(260)
        assert world.phases(action="SCALE")[-1] != "Verifying" or world.replicas() == 3


async def test_deleting_the_model_gives_back_what_was_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deploy("llama", 2)
    world.served["llama"].load = 8.0
    world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 3})
    async with operator(world) as run:
        await run.cycles(3)
        assert world.replicas() == 3
        ref = Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama")
        model = world.cluster.peek(ref)
        model["metadata"]["deletionTimestamp"] = "2027-01-15T09:00:00Z"
        world.cluster.put(MODEL_DEPLOYMENT, model)
        await run.cycles(2)
        assert world.replicas() == 2
        assert "finalizers" not in world.cluster.peek(ref)["metadata"]
