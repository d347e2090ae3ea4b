"""Killed between any two writes and started anew: nothing doubled, nothing forgotten."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aurora.errors import ForbiddenError, UnavailableError
from aurora.kube.kinds import DECISION, HPA, MODEL_DEPLOYMENT, Kind, Ref
from aurora.resources.names import LAST_DECISION_ANNOTATION, ORIGINAL_ANNOTATION
from tests.cycle.world import World, operator, teach
from tests.support.builders import NAMESPACE
from tests.support.fakecluster import KilledError

MOST = 60
"""More cut points than any story has writes until its end."""


@dataclass(frozen=True)
class Story:
    """A situation, what AURORA makes of it, and the writes to other people's objects it takes."""

    begin: Callable[[World], object]
    effects: tuple[tuple[str, str], ...]
    end: Callable[[World], object]
    cycles: int = 14


def _too_few(world: World) -> None:
    world.deploy(replicas=2)
    world.served["llama"].load = 8.0
    world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 3})


def _floor(world: World) -> None:
    _too_few(world)
    world.cluster.put(
        HPA,
        {
            "metadata": {"name": "llama", "namespace": NAMESPACE},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama"},
                "minReplicas": 2,
                "maxReplicas": 3,
            },
        },
    )
    world.set_replicas(3)
    world.kubelet(at_once=True)


def _failing(world: World) -> None:
    world.deploy("llama", 2)
    world.deploy("spare", 1)
    world.served["llama"].load = 8.0
    world.served["llama"].errors = 0.5
    world.probes_fail = True
    world.apply_model(
        fallback={"serviceRef": {"name": "spare"}},
        scaling={"minReplicas": 2, "maxReplicas": 2},
    )


def _pods_never_come(world: World) -> None:
    _too_few(world)
    world.broken.add("llama")


def _confused(world: World) -> None:
    world.deploy(replicas=2)
    world.served["llama"].load = 8.0
    world.served["llama"].client_errors = 0.5
    world.apply_model(scaling={"minReplicas": 2, "maxReplicas": 2})


def _created(world: World) -> None:
    world.deploy(replicas=2)
    world.served["llama"].load = 8.0
    scaling = {"minReplicas": 3, "maxReplicas": 3, "createAutoscaler": True}
    world.apply_model(scaling=scaling)


SCALED = (("Deployment/llama", "/spec/replicas"),)
STORIES = {
    "SCALE": Story(_too_few, SCALED, lambda w: w.replicas()),
    "the floor of an autoscaler": Story(
        _floor,
        (("HorizontalPodAutoscaler/llama", "/spec/minReplicas"),),
        lambda w: w.cluster.peek(Ref(HPA, NAMESPACE, "llama"))["spec"]["minReplicas"],
    ),
    "ROUTE": Story(_failing, (("Service/llama", "/spec/selector"),), lambda w: w.selector()),
    "SCALE and its undo": Story(_pods_never_come, SCALED * 2, lambda w: w.replicas(), cycles=28),
    "ALERT": Story(_confused, (), lambda w: len(w.people.told) <= 1),
    "a new autoscaler": Story(
        _created,
        (),
        lambda w: [one["spec"]["minReplicas"] for one in w.cluster.all_of(HPA)],
    ),
}


def effects(world: World) -> list[tuple[str, str]]:
    """Writes to objects of other people, annotations aside."""
    return [
        (name, touched.partition(",/metadata/annotations")[0])
        for verb, name, touched in world.writes()
        if touched.startswith("/spec") and verb == "patch"
    ]


def outcome(world: World, story: Story) -> tuple[object, ...]:
    """What a reader sees in the end."""
    model = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama"))
    held = ORIGINAL_ANNOTATION in model["metadata"].get("annotations", {})
    status = [(c["type"], c["status"]) for c in model["status"]["conditions"]]
    # Which fault of a pod is told of first depends on the moment; what is done does not.
    decided = [
        (one.spec.action, one.spec.reason, one.status.phase)
        for one in world.decisions()
        if one.spec.action != "ALERT" or not story.effects
    ]
    return story.end(world), held, status, decided


async def lived(folder: Path, story: Story, *, cut: int | None = None) -> World:
    """Live a story, killed once after `cut` writes and started anew."""
    world = World(folder)
    story.begin(world)
    world.cluster.die_after = cut
    with contextlib.suppress(KilledError):
        async with operator(world) as run:
            await run.cycles(story.cycles)
    world.cluster.die_after = None
    async with operator(world) as run:
        await run.cycles(story.cycles)
    return world


@pytest.mark.parametrize("name", STORIES)
async def test_a_story_ends_the_same_wherever_it_is_cut(tmp_path: Path, name: str) -> None:
    story = STORIES[name]
    whole = await lived(tmp_path / "whole", story)
    expected = outcome(whole, story)
    assert tuple(effects(whole)) == story.effects
    writes = len(whole.cluster.writes)
    assert 3 < writes <= MOST
    for cut in range(writes):
        world = await lived(tmp_path / f"cut-{cut}", story, cut=cut)
        assert outcome(world, story) == expected, f"killed after {cut} writes"
        assert tuple(effects(world)) == story.effects, f"killed after {cut} writes"


async def test_a_new_autoscaler_is_let_go_again_on_undo(tmp_path: Path) -> None:
    """The floor of an HPA that AURORA made falls back when its pods never come."""
    world = World(tmp_path)
    _created(world)
    world.broken.add("llama")
    async with operator(world) as run:
        await run.until("RolledBack", action="SCALE", within=60)
    (made,) = world.cluster.all_of(HPA)
    assert made["spec"]["minReplicas"] == 2
    assert made["metadata"]["ownerReferences"][0]["controller"] is True


async def test_what_was_decided_hours_ago_is_not_carried_out_now(tmp_path: Path) -> None:
    world = World(tmp_path)
    _too_few(world)
    world.cluster.die_after = 2  # the object, and the values that were found
    with contextlib.suppress(KilledError):
        async with operator(world) as run:
            await run.cycles()
    assert world.phases() == ["None"]
    world.cluster.die_after = None
    world.clock.at += 3 * 3600
    async with operator(world) as run:
        await run.cycles()
        assert world.phases()[0] == "Expired"
        await run.cycles(3)
        assert world.phases()[1:] == ["Verifying"], "decided anew, on what is so now"
        assert world.replicas() == 3


@pytest.mark.parametrize("refused", [MODEL_DEPLOYMENT, DECISION], ids=["old values", "status"])
async def test_what_was_made_and_cannot_be_begun_holds_its_model(
    tmp_path: Path, refused: Kind
) -> None:
    """Twice: the second time is when it is judged again, before anything new is decided."""
    world, tried = World(tmp_path), list[str]()
    _too_few(world)

    def deny(verb: str, ref: Ref) -> None:
        if verb == "patch" and ref.kind == refused and world.decisions() and len(tried) < 2:
            tried.append(verb)
            raise UnavailableError("busy")

    world.cluster.deny = deny
    async with operator(world) as run:
        await run.cycles(4)
    assert len(tried) == 2
    assert world.phases(action="SCALE") == ["Verifying"]
    assert tuple(effects(world)) == SCALED


async def test_a_mode_that_changed_while_the_operator_was_away_counts(tmp_path: Path) -> None:
    world = World(tmp_path)
    _too_few(world)
    world.cluster.die_after = 2
    with contextlib.suppress(KilledError):
        async with operator(world) as run:
            await run.cycles()
    world.cluster.die_after = None
    world.apply_model(scaling={"minReplicas": 3, "maxReplicas": 3}, autonomy={"mode": "Recommend"})
    async with operator(world) as run:
        await run.cycles(4)
        assert world.phases() == ["AwaitingApproval"]
        assert world.replicas() == 2
    model = world.cluster.peek(Ref(MODEL_DEPLOYMENT, NAMESPACE, "llama"))
    told = json.loads(model["metadata"]["annotations"][LAST_DECISION_ANNOTATION])
    assert told["phase"] == "AwaitingApproval", "it was told ahead, and was not carried out"


async def test_a_restart_does_not_forget_that_callers_are_at_the_fallback(tmp_path: Path) -> None:
    world = World(tmp_path)
    _failing(world)
    async with operator(world) as run:
        await run.until("Completed", action="ROUTE")
    async with operator(world) as run:
        await run.cycles(20)
        assert world.phases(action="ROUTE") == ["Completed"]
        world.probes_fail = False
        world.served["llama"].errors = 0.0
        await run.until("Completed", "Completed", action="ROUTE")
        assert world.selector() == {"app": "llama"}


async def test_an_effect_that_fails_is_not_tried_in_every_cycle(tmp_path: Path) -> None:
    world = World(tmp_path)
    _too_few(world)

    def deny(verb: str, ref: Ref) -> None:
        if ref.kind.kind == "Deployment":
            raise ForbiddenError("deployments.apps is forbidden: grant patch")

    world.cluster.deny = deny
    async with operator(world) as run:
        await run.cycles(240)
        made = world.decisions()
        assert {one.status.phase for one in made} == {"Failed"}
        assert 3 <= len(made) <= 8, "the wait doubles from 30 s"
        assert "grant patch" in made[0].status.conditions[1].message


async def test_the_learned_is_there_after_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deploy(replicas=2)
    world.served["llama"].load = 8.0
    world.apply_model(scaling={"minReplicas": 2})
    await teach(world, load=8.0, ready=2)
    async with operator(world) as run:
        await run.cycles()
        (memory,) = run.cycle.memories.values()
        assert memory.capacity.curves
