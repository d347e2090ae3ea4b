"""What tells of a decision is written later when it cannot be written at once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aurora.errors import ClusterError, ConflictError, ForbiddenError, UnavailableError
from aurora.executor import keepsakes
from aurora.kube.kinds import DEPLOYMENT, MODEL_DEPLOYMENT, Ref
from aurora.resources.names import LAST_DECISION_ANNOTATION
from tests.cycle.world import World, operator
from tests.support.builders import NAMESPACE

TARGET = Ref(DEPLOYMENT, NAMESPACE, "llama")


def refusing(error: ClusterError, times: int, tried: list[str]) -> Callable[[str, Ref], None]:
    """Refuse so many patches of the target, but not the first, which is the number of replicas."""

    def deny(verb: str, ref: Ref) -> None:
        if ref != TARGET or verb != "patch":
            return
        tried.append(verb)
        if 1 < len(tried) <= 1 + times:
            raise error

    return deny


def annotated(world: World) -> bool:
    annotations = world.cluster.peek(TARGET)["metadata"].get("annotations", {})
    return LAST_DECISION_ANNOTATION in annotations


@pytest.mark.parametrize(
    ("error", "times", "tries", "there"),
    [
        pytest.param(ConflictError("written meanwhile"), 2, 4, True, id="at the third attempt"),
        pytest.param(ConflictError("written meanwhile"), 3, 5, True, id="written too often"),
        pytest.param(UnavailableError("busy"), 1, 3, True, id="no answer"),
        pytest.param(ForbiddenError("no right"), 9, 2, False, id="never allowed, so never again"),
    ],
)
async def test_an_annotation_that_was_refused_is_there_after_the_next_cycle(
    tmp_path: Path, error: ClusterError, times: int, tries: int, there: bool
) -> None:
    world, tried = World(tmp_path), list[str]()
    world.deploy(replicas=2)
    world.served["llama"].load = 8.0
    world.apply_model(scaling={"minReplicas": 3})
    world.cluster.deny = refusing(error, times, tried)
    async with operator(world) as run:
        await run.until("Verifying", action="SCALE")
        await run.cycles()
        assert annotated(world) is there
        await run.cycles(3)
    assert len(tried) == tries, "nothing is written twice"


async def test_a_model_does_not_tell_that_something_was_done_which_was_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deploy(replicas=2)
    world.served["llama"].load = 8.0
    world.apply_model(scaling={"minReplicas": 3})
    world.cluster.deny = refusing(UnavailableError("down"), 9, ["so that the first is refused"])
    async with operator(world) as run:
        await run.until("Executing", action="SCALE")
        await run.cycles(2)
        assert told(world) == "Executing"
        world.cluster.deny = lambda _verb, _ref: None
        await run.until("Verifying", action="SCALE")
        await run.cycles()
        assert told(world) == "Verifying"


def told(world: World) -> str:
    found = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama"))
    text = found["metadata"]["annotations"][LAST_DECISION_ANNOTATION]
    return str(json.loads(text)["phase"])


async def test_one_that_gets_no_answer_lets_the_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepsakes, "AT_ONCE", 1)
    world, tried = World(tmp_path), list[str]()
    names = ("llama", "other")
    for name in names:
        world.deploy(name, replicas=2)
        world.served[name].load = 8.0
        world.apply_model(name, scaling={"minReplicas": 3})

    def deny(verb: str, ref: Ref) -> None:
        scaled = all(world.replicas(name) == 3 for name in names)
        if scaled and verb == "patch" and ref.kind == DEPLOYMENT:
            tried.append(ref.name)
            raise UnavailableError("down")

    world.cluster.deny = deny
    async with operator(world) as run:
        await run.until("Verifying", "Verifying", action="SCALE")
        before = len(tried)
        await run.cycles()
        assert len(tried) == before + 1
        world.cluster.deny = lambda _verb, _ref: None
        await run.cycles()
    for name in names:
        found = world.cluster.peek(Ref(DEPLOYMENT, NAMESPACE, name))
        assert LAST_DECISION_ANNOTATION in found["metadata"]["annotations"]


async def test_what_was_owed_is_forgotten_once_another_process_leads(tmp_path: Path) -> None:
    world, leads = World(tmp_path), [True]
    world.deploy(replicas=2)
    world.served["llama"].load = 8.0
    world.apply_model(scaling={"minReplicas": 3})
    world.cluster.deny = refusing(UnavailableError("down"), 99, [])
    async with operator(world) as run:
        run.cycle.parts = replace(run.cycle.parts, leads=lambda: leads[0])
        await run.until("Verifying", action="SCALE")
        leads[0] = False
        await run.cycles()
        target = world.cluster.peek(TARGET)
        target["metadata"].setdefault("annotations", {})[LAST_DECISION_ANNOTATION] = "later"
        world.cluster.put(DEPLOYMENT, target)
        world.cluster.deny = lambda _verb, _ref: None
        leads[0] = True
        await run.cycles()
    annotations = world.cluster.peek(TARGET)["metadata"]["annotations"]
    assert annotations[LAST_DECISION_ANNOTATION] == "later"
